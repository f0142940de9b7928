"""The PN532. The chip handles each command frame of its host (user manual UM0701-02, chapter 7)."""

import asyncio
from collections.abc import Awaitable, Callable

from sim.nfc import frames
from sim.nfc.antenna import CRC_SIZE, Antenna, crc_a
from sim.nfc.card import Card
from sim.nfc.faults import Faults
from sim.nfc.own_iso_dep import RATS, OwnIsoDep, ProtocolError

BAUDRATES = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600, 1288000)
POWER_UP_BAUDRATE = 115200

_OK = b"\x00"
_TIMEOUT = b"\x01"
_CRC_ERROR = b"\x02"
_PROTOCOL_ERROR = b"\x0b"
_INVALID_PARAMETER = b"\x10"
_WRONG_CONTEXT = b"\x27"

_FIFO_DATA = 0x6339
_BIT_FRAMING = 0x633D
_TX_MODE, _RX_MODE = 0x6302, 0x6303
_WITH_CRC = 0x80
_SHORT_FRAME = 7
"""Number of bits in REQA and WUPA."""
_FOR_THE_AIR = range(0x32, 0x62, 2)
_AUTOMATIC_RATS = 0x10
_RESPONSE_LIMIT = 262
_WAKING_BYTES = 6
"""Number of bytes that a sleeping chip loses. Their edges wake it."""

Handler = Callable[[bytes], Awaitable[bytes | None]]
"""A function that takes the data of a command and returns the response's data, or None if the command is malformed."""


class Chip:
    """One chip. The chip takes bytes from the host by `take`, and passes its own frames to `emit` in order."""

    def __init__(self, antenna: Antenna, faults: Faults, emit: Callable[[bytes], None]) -> None:
        self.baudrate = POWER_UP_BAUDRATE
        self.commands = 0
        self.asleep = not faults.stuck
        self.deaf = False
        self.revived = 0
        """Number of times that the chip was deaf and recovered."""
        self.aborted = 0
        self._antenna = antenna
        self._faults = faults
        self._emit = emit
        self._buffer = bytearray()
        self._work: asyncio.Task[None] | None = None
        self._stuck = faults.stuck
        self._wakes_left = faults.deaf_wakes
        self._to_miss = _WAKING_BYTES
        self._last = b""
        self._coming_baudrate: int | None = None
        self._own: OwnIsoDep | None = None
        self._power_up()
        self._handlers: dict[int, Handler] = {
            0x00: self._diagnose,
            0x02: self._get_firmware_version,
            0x04: self._get_general_status,
            0x06: self._read_register,
            0x08: self._write_register,
            0x10: self._set_serial_baudrate,
            0x12: self._set_parameters,
            0x14: self._sam_configuration,
            0x16: self._power_down,
            0x32: self._rf_configuration,
            0x40: self._in_data_exchange,
            0x42: self._in_communicate_thru,
            0x44: self._in_deselect,
            0x4A: self._in_list_passive_target,
            0x52: self._in_release,
            0x54: self._in_select,
        }

    def _power_up(self) -> None:
        self.baudrate = POWER_UP_BAUDRATE
        self.parameters = 0x14
        self.low_battery = True
        """The mode after power-up (AN10609_3). Before SAMConfiguration, the chip refuses to use the field."""
        self._registers = {_TX_MODE: 0, _RX_MODE: 0, _BIT_FRAMING: 0}
        self._timer = 0x0A
        self._activation_retries = 0xFF
        self._targets: list[Card] = []
        self._response_left = b""
        self._antenna.switch(False)

    # --- the line ----------------------------------------------------------------------------------------------------

    def take(self, data: bytes, baudrate: int | None = None) -> None:
        """Take bytes from the host. If `baudrate` is not the chip's baud rate, the bytes are noise."""
        if self.deaf:
            self._perhaps_wake(data)
        if self.deaf or baudrate not in (None, self.baudrate):
            return
        if self.asleep:
            missed = min(self._to_miss, len(data))
            self._to_miss -= missed
            data = data[missed:]
            if self._to_miss:
                return
            self.asleep, self._to_miss = False, _WAKING_BYTES
        self._buffer += data
        for item in frames.parse(self._buffer):
            self._take_item(item)

    def _perhaps_wake(self, data: bytes) -> None:
        if b"\x55\x55" in data:
            self._wakes_left -= 1
            if self._wakes_left <= 0:
                self.deaf = False
                self.revived += 1
                self._power_up()

    def _take_item(self, item: frames.Item) -> None:
        match item:
            case frames.Abort():
                self._stuck = False
                if self._coming_baudrate is not None:
                    self.baudrate, self._coming_baudrate = self._coming_baudrate, None
                self._abort()
            case frames.Repeat():
                if self._last:
                    self._emit(self._last)
            case frames.Command(code, data) if not self._stuck:
                self._abort()
                self._begin(code, data)

    def _abort(self) -> None:
        if self._work is not None and not self._work.done():
            self._work.cancel()
            self.aborted += 1
        self._work = None

    def _begin(self, code: int, data: bytes) -> None:
        self.commands += 1
        if self._faults.deaf_after is not None and self.commands > self._faults.deaf_after and self._wakes_left > 0:
            self.deaf = True
            return
        self._emit(frames.ACK)
        handler = self._handlers.get(code)
        if handler is None:
            self._say(frames.SYNTAX_ERROR)
            return
        self._work = asyncio.create_task(self._run(code, handler, data))

    async def _run(self, code: int, handler: Handler, data: bytes) -> None:
        if self.low_battery and code in _FOR_THE_AIR:
            await asyncio.Event().wait()
        answer = await handler(data)
        self._say(frames.SYNTAX_ERROR if answer is None else frames.response(code, answer))
        if code == 0x16:
            self.asleep = True

    def _say(self, frame: bytes) -> None:
        self._last = frame
        self._emit(frame)

    def go_wrong(self, faults: Faults) -> None:
        """Use other faults from now on, and count commands from zero again. `stuck` only matters at power-up."""
        self._faults = faults
        self.commands = 0
        self._wakes_left = faults.deaf_wakes

    async def close(self) -> None:
        """End the command that is running."""
        work = self._work
        self._abort()
        if work is not None:
            await asyncio.gather(work, return_exceptions=True)

    # --- the chip alone ----------------------------------------------------------------------------------------------

    async def _diagnose(self, data: bytes) -> bytes | None:
        if data[:1] == b"\x00":
            return data  # communication line test
        return _OK if data in (b"\x01", b"\x02") else None  # ROM, RAM

    async def _get_firmware_version(self, data: bytes) -> bytes | None:
        return None if data else bytes.fromhex("32010607")

    async def _get_general_status(self, data: bytes) -> bytes | None:
        listed = b"".join(bytes((number, 0, 0, 0x10)) for number, _ in enumerate(self._targets, 1))
        return bytes((0, self._antenna.field, len(self._targets))) + listed + b"\x00"

    async def _read_register(self, data: bytes) -> bytes | None:
        if not data or len(data) % 2:
            return None
        return bytes(self._registers.get(data[at] << 8 | data[at + 1], 0) for at in range(0, len(data), 2))

    async def _write_register(self, data: bytes) -> bytes | None:
        if not data or len(data) % 3:
            return None
        for at in range(0, len(data), 3):
            self._registers[data[at] << 8 | data[at + 1]] = data[at + 2]
        return b""

    async def _set_serial_baudrate(self, data: bytes) -> bytes | None:
        if len(data) != 1 or data[0] >= len(BAUDRATES):
            return None
        self._coming_baudrate = BAUDRATES[data[0]]
        return b""

    async def _set_parameters(self, data: bytes) -> bytes | None:
        if len(data) != 1:
            return None
        self.parameters = data[0]
        return b""

    async def _sam_configuration(self, data: bytes) -> bytes | None:
        if not data or not 1 <= data[0] <= 4:
            return None
        self.low_battery = False
        return b""

    async def _power_down(self, data: bytes) -> bytes | None:
        if not data:
            return None
        self._antenna.switch(False)
        return _OK

    async def _rf_configuration(self, data: bytes) -> bytes | None:
        match data[:1], data[1:]:
            case b"\x01", value if len(value) == 1:
                self._antenna.switch(bool(value[0] & 1))
                if not value[0] & 1:
                    self._targets = []
            case b"\x02", value if len(value) == 3:
                self._timer = value[2]
            case b"\x05", value if len(value) == 3:
                self._activation_retries = value[2]
            case ((b"\x04" | b"\x0a" | b"\x0b" | b"\x0c" | b"\x0d"), value) if value:
                pass  # retries of the chip's own ISO-DEP, and analogue settings, have no effect here
            case _:
                return None
        return b""

    # --- cards -------------------------------------------------------------------------------------------------------

    def _patience(self) -> float | None:
        """Return the seconds that InCommunicateThru waits, or None if it waits for ever (RFConfiguration, item 02)."""
        return 100e-6 * 2 ** (self._timer - 1) if self._timer else None

    async def _in_list_passive_target(self, data: bytes) -> bytes | None:
        if len(data) < 2 or not 1 <= data[0] <= 2:
            return None
        self._targets = []
        if data[1] != 0x00:
            return b"\x00"  # only type A is emulated
        self._set_for(short_frames=True)
        uid = data[2:] or None
        await self._antenna.linger()
        tries = 0
        while len(self._targets) < data[0]:
            if self._targets:
                self._targets[-1].halt()  # the next search can find a second card, because the first card stays halted
            card = await self._antenna.look(uid=uid)
            if card is not None:
                self._targets.append(card)
                tries = 0
            elif not self._targets and self._activation_retries == 0xFF:
                await asyncio.sleep(0.005)
            elif tries >= self._activation_retries:
                break
            else:
                tries += 1
        self._registers[_FIFO_DATA] = 0x26 if not self._targets else 0x00
        self._set_for(short_frames=not self._targets)
        listed = [self._listed(number, card) for number, card in enumerate(self._targets, 1)]
        if self._targets and self.parameters & _AUTOMATIC_RATS:
            listed[-1] += await self._activate(self._targets[-1])
        return bytes((len(listed),)) + b"".join(listed)

    def _set_for(self, short_frames: bool) -> None:
        """Set the registers to the values that they have after REQA or SELECT, at 106 kbit/s."""
        self._registers[_TX_MODE] = self._registers[_RX_MODE] = 0 if short_frames else _WITH_CRC
        self._registers[_BIT_FRAMING] = _SHORT_FRAME if short_frames else 0

    def _listed(self, number: int, card: Card) -> bytes:
        traits = card.traits
        return bytes((number,)) + traits.sens_res + bytes((traits.sel_res, len(card.uid))) + card.uid

    async def _activate(self, card: Card) -> bytes:
        """Start the chip's own ISO-DEP with a card. Returns the card's ATS, or no bytes if there is none."""
        self._own = None
        if not card.traits.sel_res & 0x20:
            return b""
        if card.state == "halted":
            await self._antenna.look(halted_too=True, uid=card.uid)
        try:
            ats = await self._antenna.exchange(RATS, 0.03, 106)
        except TimeoutError:
            ats = None
        if ats is None:
            return b""
        self._own = OwnIsoDep(self._antenna, 256, card.traits.fwt)
        return ats

    def _target(self, number: int) -> Card | None:
        return self._targets[number - 1] if 1 <= number <= len(self._targets) else None

    async def _in_select(self, data: bytes) -> bytes | None:
        if len(data) != 1:
            return None
        card = self._target(data[0])
        if card is None:
            return _WRONG_CONTEXT
        for other in self._targets:
            if other is not card and other.state in ("active", "protocol"):
                other.halt()
        self._set_for(short_frames=False)
        if card.state in ("active", "protocol"):
            return _OK
        return _OK if await self._antenna.look(halted_too=True, uid=card.uid) is card else _TIMEOUT

    async def _in_deselect(self, data: bytes) -> bytes | None:
        if len(data) != 1 or data[0] > len(self._targets):
            return _WRONG_CONTEXT if len(data) == 1 else None
        chosen = self._targets if data[0] == 0 else [self._targets[data[0] - 1]]
        for card in chosen:
            if card.state in ("active", "protocol"):
                card.halt()
        return _OK

    async def _in_release(self, data: bytes) -> bytes | None:
        answer = await self._in_deselect(data)
        if answer == _OK:
            self._targets = (
                [] if data[0] == 0 else [card for card in self._targets if card is not self._target(data[0])]
            )
        return answer

    async def _in_communicate_thru(self, data: bytes) -> bytes | None:
        if not data:
            return None
        speeds = {self._registers.get(register, 0) >> 4 & 7 for register in (_TX_MODE, _RX_MODE)}
        rate = 106 << speeds.pop() if len(speeds) == 1 else 0
        frame = data + crc_a(data) if self._registers[_TX_MODE] & _WITH_CRC else data
        bits = self._registers[_BIT_FRAMING] & 7
        if bits:
            frame = frame[:-1] + bytes((frame[-1] & (1 << bits) - 1,))
        try:
            answer = await self._antenna.send(frame, self._patience(), rate)
        except TimeoutError:
            return _TIMEOUT
        if answer is None:
            return _CRC_ERROR
        return _OK + (answer[:-CRC_SIZE] if self._registers[_RX_MODE] & _WITH_CRC else answer)

    async def _in_data_exchange(self, data: bytes) -> bytes | None:
        if not data:
            return None
        if self._target(data[0] & 0x3F) is None or self._own is None:
            return _WRONG_CONTEXT
        if data[0] & 0x40:
            return _INVALID_PARAMETER  # such a frame is one piece of a longer command; no host here sends one
        if len(data) > 1:
            try:
                self._response_left = await self._own.exchange(data[1:])
            except ProtocolError:
                return _PROTOCOL_ERROR
        piece = self._response_left[:_RESPONSE_LIMIT]
        self._response_left = self._response_left[_RESPONSE_LIMIT:]
        return bytes((0x40 if self._response_left else 0,)) + piece
