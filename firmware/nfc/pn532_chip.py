"""The PN532 itself: commands over a line, and the way back when line or chip fail (user manual UM0701-02).

A line is an `Hsu` or another `Line`. Answers carry nothing that says which question they belong to,
so a question goes out only on a line known to be empty; after any doubt an echo with a number of its own proves it.
"""

import asyncio

from firmware.hardware import ticks
from firmware.nfc import pn532_frames as frames
from firmware.nfc.hsu import POWER_UP_BAUDRATE
from protocol import const
from protocol.errors import TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Line(Protocol):
        """What carries frames to the chip and back: an `Hsu`, or SPI or I2C, where reading begins with readiness."""

        @property
        def fixed(self) -> bool:
            """Is the speed of this line none of ours to set?"""

        async def write(self, data: bytes) -> None:
            """Send a whole frame. Raises TransportError `nfc.reader`."""

        async def read(self, timeout_ms: int) -> bytes:
            """What has come, as soon as anything has; empty after `timeout_ms`. Raises TransportError `nfc.reader`."""

        async def wake(self) -> None:
            """Wake the chip from power-down."""

        async def set_baudrate(self, baudrate: int) -> None:
            """Go on at `baudrate`; nothing on a line with a clock of its own."""


_DIAGNOSE = const(0x00)
_GET_FIRMWARE_VERSION = const(0x02)
_WRITE_REGISTER = const(0x08)
_READ_REGISTER = const(0x06)
_SET_SERIAL_BAUDRATE = const(0x10)
_SET_PARAMETERS = const(0x12)
_SAM_CONFIGURATION = const(0x14)
_RF_CONFIGURATION = const(0x32)
_FIELD_OFF = const(b"\x01\x00")
_IN_COMMUNICATE_THRU = const(0x42)
_IN_LIST_PASSIVE_TARGET = const(0x4A)
_HLTA = const(b"\x50\x00")

_BAUDRATES = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600, 1288000)

_MOST = const(6)
"""Cards that a look tells apart. What lies behind so many is not seen."""

_ACK_MS = const(50)
"""An ACK is due within 15 ms (6.2.2); the rest is for a busy event loop."""
_COMMAND_MS = const(250)
_ECHO_MS = const(100)
_TRIES = const(3)
_NACKS = const(2)
_FAREWELL_MS = const(6)
"""A card may take 4.8 ms to say farewell (ISO/IEC 14443-4, 8.1)."""
_WAY_MS = const(150)
"""What may pass beside the card's own time: long blocks both ways, on the air and on a slow line, and a busy loop."""
_RESET_SECONDS = 0.006
"""Cards forget all they were told in 5.1 ms without the field (ISO/IEC 14443-3, 5)."""

_BIT_FRAMING = const(0x633D)
_TX_MODE = const(0x6302)
_RX_MODE = const(0x6303)
_RX_THRESHOLD = const(0x6308)
_MOD_WIDTH = const(0x6314)
_MIF_NFC = const(0x630C)
_ANALOG = {212: (0x85, 0x15, 0x8A), 424: (0x85, 0x08, 0xB2)}
"""The chip's own values at these rates (7.3.1, item 0D), which it loads by itself only for its own ISO-DEP."""

_SILENCE = const(0x01)
_DAMAGED = const(0x02)
"""Status of InCommunicateThru (7.1): no answer, and one of the ways an answer can be wrong."""

_NO_TIMEOUT = const(0)
_LONGEST_TIMER = const(16)


def _timer(milliseconds: int) -> int:
    """The chip's timer setting for at least so long: 100 us * 2**(n - 1), or none beyond 3.2 s."""
    setting = 1
    while 100 << (setting - 1) < milliseconds * 1000:
        setting += 1
        if setting > _LONGEST_TIMER:
            return _NO_TIMEOUT
    return setting


class Target:
    """A card that has been selected: number, SENS_RES and SEL_RES (ATQA, SAK) and UID."""

    def __init__(self, number: int, sens_res: bytes, sel_res: int, uid: bytes) -> None:
        self.number = number
        self.sens_res = sens_res
        self.sel_res = sel_res
        self.uid = uid

    @property
    def fixed(self) -> bool:
        """Is its UID its own? One of four bytes that begins with 08 is drawn at power-up (ISO/IEC 14443-3, 6.5.4)."""
        return len(self.uid) != 4 or self.uid[0] != 0x08

    @property
    def iso_dep(self) -> bool:
        """Does it speak ISO/IEC 14443-4?"""
        return bool(self.sel_res & 0x20)


def _targets(answer: bytes) -> "list[Target]":
    """The content of an InListPassiveTarget response. Raises TransportError `nfc.reader`."""
    found = []
    at = 1
    for _ in range(answer[0] if answer else 0):
        if len(answer) < at + 5 or len(answer) < at + 5 + answer[at + 4]:
            raise TransportError("nfc.reader", "the chip's list of targets is cut short")
        end = at + 5 + answer[at + 4]
        found.append(Target(answer[at], answer[at + 1 : at + 3], answer[at + 3], answer[at + 5 : end]))
        at = end
    return found


class Pn532:
    """The chip on `line`, spoken to at `baudrate` where the line's speed is ours to set.

    Every method raises TransportError `nfc.reader` when the chip does not answer as it must, within a second or so.
    `start` must have succeeded first, and is the way back from such an error. One caller at a time. Cancelling is safe.
    `once`: a look asks once who is there, not twice.
    """

    def __init__(self, line: "Line", baudrate: int = POWER_UP_BAUDRATE, once: bool = False) -> None:
        self.ready = False
        """Has `start` succeeded, and has the chip answered as it must ever since?"""
        self.version = b""
        """IC, version, revision and support byte, as the chip says them."""
        self.commands = 0
        """Commands sent, repeated ones and echoes included."""
        self._line = line
        self._frames = frames.Frames()
        self._baudrate = POWER_UP_BAUDRATE if line.fixed else baudrate
        self._spoken = POWER_UP_BAUDRATE
        self._more_tries = 0 if once else 1
        self._doubt = True
        self._acknowledged = False
        self._echo = 0
        self._timer = -1

    async def start(self) -> None:
        """Bring the chip from whatever it is in to rest: configured, field off."""
        self.ready = False
        await self._find()
        version = await self.command(_GET_FIRMWARE_VERSION)
        if version[:1] != b"\x32":
            raise self._failed("the chip is no PN532")
        self.version = version
        await self.command(_SET_PARAMETERS, b"\x00")  # no ATS of its own, no automatic RATS
        await self.field_off()
        self._timer = -1
        await self._set_timer(_timer(50))
        await self._configure(0x04, b"\x00")  # no repetitions of its own in InCommunicateThru
        await self._configure(0x05, bytes((1, 0, self._more_tries)))  # a look has an end
        self.ready = True

    async def _find(self) -> None:
        """Wake the chip, at the speed it last had or its other one, and agree on a speed."""
        for _ in range(2 if self._baudrate == POWER_UP_BAUDRATE else 4):
            # A lock that was reset does not know what the chip speaks, and a chip that was has forgotten it.
            await self._line.set_baudrate(self._spoken)
            # A warm reset leaves the chip in the middle of a command, which an ACK ends; then it can be woken.
            await self._line.write(frames.ACK_BYTES)
            await self._line.wake()
            # It wakes in Low Battery mode, in which it answers nothing for the air (AN10609_3).
            if await self._ask(_SAM_CONFIGURATION, b"\x01\x00\x00", _COMMAND_MS) is not None:
                await self._certain()
                if self._spoken != self._baudrate:
                    await self._set_baudrate()
                return
            self._spoken = self._baudrate if self._spoken == POWER_UP_BAUDRATE else POWER_UP_BAUDRATE
        raise self._failed("the chip does not answer")

    async def _set_baudrate(self) -> None:
        await self.command(_SET_SERIAL_BAUDRATE, bytes((_BAUDRATES.index(self._baudrate),)))
        await self._line.write(frames.ACK_BYTES)  # the chip changes over when it has this (7.2.7)
        self._spoken = self._baudrate
        await self._line.set_baudrate(self._baudrate)
        await asyncio.sleep(0.002)
        await self._certain()

    # --- what the reader needs of it ---------------------------------------------------------------------------------

    async def field_off(self) -> None:
        """Switch the field off. Cards lose their power and forget everything."""
        await self.command(_RF_CONFIGURATION, _FIELD_OFF)

    async def look(self) -> "list[Target]":
        """Switch the field on and list the type A cards there, _MOST at most. None of them can be spoken to then.

        The chip lists two at a time (7.3.5). But it asks by REQA, which a card put to sleep by HLTA does not answer as
        long as it has power (ISO/IEC 14443-3, 6.4): where there were two, both sleep, and the next list is of others.
        """
        listed: list[Target] = []
        while len(listed) < _MOST:
            found = _targets(await self.command(_IN_LIST_PASSIVE_TARGET, b"\x02\x00"))
            listed += found
            if len(found) < 2:
                break
            await self.halt()
        return listed

    async def select(self, passed: "Callable[[Target], bool]") -> "Target | None":
        """Select a card for which `passed` does not hold, as if nobody had looked; None if there is none any more.

        To hear a second card the chip puts the first to sleep, and no other reader that we know wakes a phone from that
        to send it a RATS of its own: nfcpy and libnfc ask this chip for one card, always. So they do not have to: the
        field goes off, which all of them forget everything by, and they are asked one by one. Only those that are
        passed over are put to sleep.
        """
        await self.field_off()
        await asyncio.sleep(_RESET_SECONDS)
        for _ in range(_MOST):
            found = _targets(await self.command(_IN_LIST_PASSIVE_TARGET, b"\x01\x00"))
            if not found:
                return None
            if not passed(found[0]):
                return found[0]
            await self.halt()
        return None

    async def halt(self) -> None:
        """Put the card that was listed last to sleep. It says nothing to that (ISO/IEC 14443-3, 6.4.3)."""
        await self.thru(_HLTA, 1, _COMMAND_MS)

    async def thru(self, block: bytes, wait_ms: int, limit_ms: int) -> "bytes | None":
        """Send a block with its CRC, return the answer without; None for silence, empty if it did not come whole.

        The card may take `wait_ms`. The line gets at most `limit_ms`, and losing a frame there is losing the block: it
        is never sent twice from here.
        """
        await self._set_timer(_timer(wait_ms))
        await self._clear_doubt()
        answer = await self._ask(_IN_COMMUNICATE_THRU, block, min(limit_ms, wait_ms + _WAY_MS))
        if answer is None and self._acknowledged:
            return None  # the chip still waits for the card: its timer is coarse, and beyond 3.2 s it has none
        status = _DAMAGED if not answer else answer[0] & 0x3F
        if status == _SILENCE:
            return None
        return b"" if status or not answer else answer[1:]

    async def broadcast(self, frame: bytes) -> None:
        """Send a frame that no card answers, right after a `look` that found nobody: the field is on still.

        The chip is as REQA left it, which has seven bits and no CRC: those are eight now, and the CRC is ours.
        """
        await self._write_registers([(_TX_MODE, 0), (_RX_MODE, 0), (_BIT_FRAMING, 0)])
        await self.thru(frame + _crc_a(frame), 1, _COMMAND_MS)

    async def set_rate(self, rate: int) -> None:
        """Set the speed on the air, kbit/s, until the next `select`."""
        speed = {106: 0, 212: 1, 424: 2}[rate] << 4
        values = await self.command(_READ_REGISTER, _addresses(_TX_MODE, _RX_MODE))
        if len(values) != 2:
            raise self._failed("not the registers that were asked for")
        settings = [(_TX_MODE, values[0] & 0x8F | speed), (_RX_MODE, values[1] & 0x8F | speed)]
        if rate in _ANALOG:
            settings += list(zip((_RX_THRESHOLD, _MOD_WIDTH, _MIF_NFC), _ANALOG[rate]))
        await self._write_registers(settings)

    async def check(self) -> None:
        """Is the chip alive? Writes and reads a register that must be zero when no odd bits are being sent."""
        await self._write_registers([(_BIT_FRAMING, 0)])
        if await self.command(_READ_REGISTER, _addresses(_BIT_FRAMING)) != b"\x00":
            raise self._failed("a register does not hold what was written")

    async def release(self, farewell: bytes) -> None:
        """Say `farewell` to the card, if it is not empty, and switch the field off. Nothing is tried twice: a chip
        that has failed must be found out before the next guest is there, and `start` does the rest."""
        if self._doubt:
            await self._certain(1)
        if farewell:
            self._timer = -1
            await self._once(_RF_CONFIGURATION, bytes((2, 0, 0x0B, _timer(_FAREWELL_MS))))
            await self._once(_IN_COMMUNICATE_THRU, farewell)
        await self._once(_RF_CONFIGURATION, _FIELD_OFF)

    # --- commands ----------------------------------------------------------------------------------------------------

    async def command(self, code: int, data: bytes = b"", timeout_ms: int = _COMMAND_MS) -> bytes:
        """What the chip answers to a command that may be repeated."""
        for _ in range(_TRIES):
            await self._clear_doubt()
            answer = await self._ask(code, data, timeout_ms)
            if answer is not None:
                return answer
        raise self._failed("the chip does not answer")

    async def _once(self, code: int, data: bytes) -> None:
        if await self._ask(code, data, _FAREWELL_MS + _WAY_MS) is None:
            raise self._failed("the chip does not answer")

    def _failed(self, why: str) -> TransportError:
        self.ready = False
        return TransportError("nfc.reader", why)

    async def _write_registers(self, settings: "list[tuple[int, int]]") -> None:
        await self.command(_WRITE_REGISTER, b"".join(_addresses(name) + bytes((value,)) for name, value in settings))

    async def _configure(self, item: int, data: bytes) -> None:
        await self.command(_RF_CONFIGURATION, bytes((item,)) + data)

    async def _set_timer(self, setting: int) -> None:
        if setting != self._timer:
            self._timer = -1
            await self._configure(0x02, bytes((0, 0x0B, setting)))
            self._timer = setting

    async def _ask(self, code: int, data: bytes, timeout_ms: int) -> "bytes | None":
        """One command, once. None if its answer was not seen, which leaves the line in doubt."""
        self._doubt = True
        self.commands += 1
        await self._line.write(frames.encode(bytes((frames.TO_CHIP, code)) + data))
        return await self._answer(code, timeout_ms)

    async def _answer(self, code: int, timeout_ms: int) -> "bytes | None":
        self._acknowledged, nacks = False, 0
        started, limit = ticks.now(), _ACK_MS
        head = bytes((frames.FROM_CHIP, code + 1))
        while True:
            frame = await self._frame(limit - ticks.since(ticks.now(), started))
            if frame is None:
                return None
            kind, content = frame
            if not self._acknowledged:
                # Whatever comes before the ACK belongs to an earlier question.
                if kind == frames.ACK:
                    self._acknowledged, started, limit = True, ticks.now(), timeout_ms
            elif kind == frames.CONTENT and content[:2] == head:
                self._doubt = False
                return content[2:]
            elif kind == frames.ERROR:
                return None
            elif kind == frames.BROKEN and nacks < _NACKS:
                nacks += 1
                await self._line.write(frames.NACK_BYTES)

    async def _frame(self, timeout_ms: int) -> "tuple[int, bytes] | None":
        started, over = ticks.now(), False
        while True:
            frame = self._frames.take()
            if frame is not None:
                return frame
            if over:
                return None
            left = timeout_ms - ticks.since(ticks.now(), started)
            # One look more when the time is over: another task may have had all of it, and the frame lies there.
            over = left <= 0
            self._frames.push(await self._line.read(1 if over else left))

    # --- certainty ---------------------------------------------------------------------------------------------------

    async def _clear_doubt(self) -> None:
        if self._doubt:
            await self._certain()

    async def _certain(self, tries: int = _TRIES) -> None:
        """Stop what the chip may be doing, and read until nothing old can be on its way any more.

        The line keeps order, so all that comes before the echo of a fresh number is old, and nothing after it is.
        """
        self._doubt = True
        for _ in range(tries):
            await self._line.write(frames.ACK_BYTES)
            await asyncio.sleep(0.001)
            self._echo = (self._echo + 1) & 0xFFFFFF
            said = bytes((0,)) + self._echo.to_bytes(3, "big")
            self.commands += 1
            await self._line.write(frames.encode(bytes((frames.TO_CHIP, _DIAGNOSE)) + said))
            started = ticks.now()
            while True:
                frame = await self._frame(_ECHO_MS - ticks.since(ticks.now(), started))
                if frame is None:
                    break
                if frame == (frames.CONTENT, bytes((frames.FROM_CHIP, _DIAGNOSE + 1)) + said):
                    self._doubt = False
                    return
        raise self._failed("the chip does not answer")


def _addresses(*registers: int) -> bytes:
    return b"".join(register.to_bytes(2, "big") for register in registers)


def _crc_a(data: bytes) -> bytes:
    """CRC_A (ISO/IEC 14443-3, annex B)."""
    crc = 0x6363
    for byte in data:
        byte ^= crc & 0xFF
        byte = (byte ^ byte << 4) & 0xFF
        crc = crc >> 8 ^ byte << 8 ^ byte << 3 ^ byte >> 4
    return crc.to_bytes(2, "little")
