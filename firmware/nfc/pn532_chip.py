"""The PN532 itself: commands over a line, and recovery when the line or the chip fails (user manual UM0701-02).

Clause numbers without the name of a document refer to the user manual. Clauses of ISO/IEC 14443-3 and 14443-4 refer to
the editions of 2018.

**One command** (6.2.2): the host sends a command, and the chip answers with an ACK and later with a response. A
response does not say which command it belongs to. So a command is sent only if no old response can still arrive:

| state | event | action | next state |
| --- | --- | --- | --- |
| CLEAR | a command is to be sent | send it | ASKED (`_doubt` is set) |
| ASKED | an ACK within `_ACK_MS` | wait for the response | ACKNOWLEDGED |
| ASKED | any other frame | ignore it: it belongs to an earlier command | ASKED |
| ACKNOWLEDGED | the response with the command's code + 1 | return it | CLEAR |
| ACKNOWLEDGED | a broken frame | send NACK, so that the chip repeats it; `_NACKS` times at most | ACKNOWLEDGED |
| ASKED, ACKNOWLEDGED | the time is over; or an error frame after the ACK | return no answer | DOUBT |
| DOUBT | a command is to be sent | abort by ACK, then Diagnose (7.2.1) with a new number | DOUBT |
| DOUBT | the chip echoes that number | everything before the echo was old | CLEAR |
| DOUBT | no echo, several times in a row | raise `nfc.reader`; call `start` to recover | not `ready` |

`command` sends commands that may be repeated, and tries `_TRIES` times. `thru` sends a block to a card, and never
repeats it, because the card may have received the block.

**Start** (`start`): wake the chip and find the speed that it uses (`_find`), check that it is a PN532, set it up, and
switch the field off.
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
        """Carries frames to and from the chip: an `Hsu`, or SPI or I2C, where each read begins with a status check."""

        @property
        def fixed(self) -> bool:
            """True if the driver must not set the speed of this line."""

        async def write(self, data: bytes) -> None:
            """Send a whole frame. Raises TransportError `nfc.reader` if the line fails."""

        async def read(self, timeout_ms: int) -> bytes:
            """Wait for bytes, and return those that have arrived. Return no bytes after `timeout_ms`.

            Raises TransportError `nfc.reader` if the line fails.
            """

        async def wake(self) -> None:
            """Wake the chip from power-down."""

        async def set_baudrate(self, baudrate: int) -> None:
            """Change the speed to `baudrate`. Do nothing on a line with its own clock."""


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
"""Maximum number of cards that one poll finds. Further cards are not seen."""

_ACK_MS = const(50)
"""Longest wait for the chip's ACK. The chip sends the ACK at once (6.2.2). The rest of this time is for a busy event
loop.
"""
_COMMAND_MS = const(250)
_ECHO_MS = const(100)
_TRIES = const(3)
_NACKS = const(2)
_FAREWELL_MS = const(6)
"""Longest wait for the card's answer to S(DESELECT). The card may take 4.8 ms (ISO/IEC 14443-4, 8.1)."""
_WAY_MS = const(150)
"""Time added to the card's waiting time, for long blocks on the air and on a slow line, and for a busy event loop."""
_RESET_SECONDS = 0.006
"""All cards are reset if the field is off for this long. A card is off after 5 ms at most (ISO/IEC 14443-3, 5.2.4)."""

_BIT_FRAMING = const(0x633D)
_TX_MODE = const(0x6302)
_RX_MODE = const(0x6303)
_RX_THRESHOLD = const(0x6308)
_MOD_WIDTH = const(0x6314)
_MIF_NFC = const(0x630C)
_ANALOG = {212: (0x85, 0x15, 0x8A), 424: (0x85, 0x08, 0xB2)}
"""The chip's register values at these rates (7.3.1, item 0D). The chip sets these registers by itself only for its own
ISO-DEP."""

_SILENCE = const(0x01)
_DAMAGED = const(0x02)
"""Two status codes of InCommunicateThru (7.1): no answer, and a CRC error, which stands for any damaged answer."""

_NO_TIMEOUT = const(0)
_LONGEST_TIMER = const(16)


def _timer(milliseconds: int) -> int:
    """Return the shortest timer setting that covers `milliseconds`. Setting n means 100 us * 2**(n - 1). For more than
    3.2 s, return _NO_TIMEOUT, which switches the timer off.
    """
    setting = 1
    while 100 << (setting - 1) < milliseconds * 1000:
        setting += 1
        if setting > _LONGEST_TIMER:
            return _NO_TIMEOUT
    return setting


class Target:
    """A card that the chip has listed: its number, SENS_RES (ATQA), SEL_RES (SAK) and UID."""

    def __init__(self, number: int, sens_res: bytes, sel_res: int, uid: bytes) -> None:
        self.number = number
        self.sens_res = sens_res
        self.sel_res = sel_res
        self.uid = uid

    @property
    def fixed(self) -> bool:
        """True if the UID is fixed. A UID of four bytes that begins with 08 is random (ISO/IEC 14443-3, 6.5.4)."""
        return len(self.uid) != 4 or self.uid[0] != 0x08

    @property
    def iso_dep(self) -> bool:
        """True if the card claims to speak ISO/IEC 14443-4."""
        return bool(self.sel_res & 0x20)


def _targets(answer: bytes) -> "list[Target]":
    """Return the cards in an InListPassiveTarget response. Raises TransportError `nfc.reader` if the response is
    incomplete."""
    found = []
    at = 1
    for _ in range(answer[0] if answer else 0):
        if len(answer) < at + 5 or len(answer) < at + 5 + answer[at + 4]:
            raise TransportError("nfc.reader", "the chip's list of cards is incomplete")
        end = at + 5 + answer[at + 4]
        found.append(Target(answer[at], answer[at + 1 : at + 3], answer[at + 3], answer[at + 5 : end]))
        at = end
    return found


class Pn532:
    """The chip on `line`, at `baudrate` if the driver may set the speed of the line.

    Every method raises TransportError `nfc.reader` within about a second if the chip does not answer as it should. Call
    `start` first, and again after such an error. Only one caller may use the chip at a time. Cancelling is safe. If
    `once` is true, a poll sends one REQA instead of two.
    """

    def __init__(self, line: "Line", baudrate: int = POWER_UP_BAUDRATE, once: bool = False) -> None:
        self.ready = False
        """True if `start` has succeeded and every command since then was answered."""
        self.version = b""
        """IC, version, revision and support byte, from GetFirmwareVersion (7.2.2)."""
        self.commands = 0
        """Number of commands sent, including repeated commands and Diagnose."""
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
        """Set up the chip, regardless of its state, and switch its field off."""
        self.ready = False
        await self._find()
        version = await self.command(_GET_FIRMWARE_VERSION)
        if version[:1] != b"\x32":
            raise self._failed("the chip is not a PN532")
        self.version = version
        await self.command(_SET_PARAMETERS, b"\x00")  # no automatic RATS, and no automatic answers as a target
        await self.field_off()
        self._timer = -1
        await self._set_timer(_timer(50))
        await self._configure(0x04, b"\x00")  # InCommunicateThru never repeats a block by itself.
        await self._configure(0x05, bytes((1, 0, self._more_tries)))  # A poll ends even if it has found no card.
        self.ready = True

    async def _find(self) -> None:
        """Wake the chip and set the speed. Try the most recently used speed first, then the other speed."""
        for _ in range(2 if self._baudrate == POWER_UP_BAUDRATE else 4):
            # After a reset of the lock, the chip still uses the fast speed. After a reset of the chip, the chip uses
            # the slow speed.
            await self._line.set_baudrate(self._spoken)
            # After a reset of the lock alone, the chip may be in the middle of a command. An ACK aborts it.
            await self._line.write(frames.ACK_BYTES)
            await self._line.wake()
            # The chip wakes in Low Battery mode, in which it refuses all RF commands until SAMConfiguration
            # (AN10609_3).
            if await self._ask(_SAM_CONFIGURATION, b"\x01\x00\x00", _COMMAND_MS) is not None:
                await self._certain()
                if self._spoken != self._baudrate:
                    await self._set_baudrate()
                return
            self._spoken = self._baudrate if self._spoken == POWER_UP_BAUDRATE else POWER_UP_BAUDRATE
        raise self._failed("the chip does not answer")

    async def _set_baudrate(self) -> None:
        await self.command(_SET_SERIAL_BAUDRATE, bytes((_BAUDRATES.index(self._baudrate),)))
        await self._line.write(frames.ACK_BYTES)  # the chip changes its speed after this ACK (7.2.8)
        self._spoken = self._baudrate
        await self._line.set_baudrate(self._baudrate)
        await asyncio.sleep(0.002)
        await self._certain()

    # --- what the reader uses ----------------------------------------------------------------------------------------

    async def field_off(self) -> None:
        """Switch the field off. Cards lose their power and are reset."""
        await self.command(_RF_CONFIGURATION, _FIELD_OFF)

    async def look(self) -> "list[Target]":
        """Switch the field on and list the type A cards in it, at most _MOST. Call `select` before using a card.

        The chip lists two cards at a time (7.3.5). It polls with REQA. A card that HLTA has put into HALT state answers
        no REQA until it loses power (ISO/IEC 14443-3, 6.3.5). So if two cards were found, both are put into HALT, and
        the next list has other cards.
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
        """Reset all cards, and select one for which `passed` is False. Return None if there is no such card.

        While the chip lists two cards, it puts the first card into HALT. We know of no other reader that wakes a phone
        from HALT and then sends RATS (nfcpy and libnfc always list one card), so phones may not support this sequence.
        Therefore the field is switched off, which resets all cards, and the cards are selected one by one. Only cards
        that are to be passed over are put into HALT.
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
        """Put the most recently listed card into HALT. No answer is expected (ISO/IEC 14443-3, 6.4.3)."""
        await self.thru(_HLTA, 1, _COMMAND_MS)

    async def thru(self, block: bytes, wait_ms: int, limit_ms: int) -> "bytes | None":
        """Send a block with a CRC. Return the answer without its CRC: None for silence, empty if it arrived damaged.

        The card may take `wait_ms`. The whole exchange takes at most `limit_ms`. If the line loses a frame, the block
        is lost, because this method never repeats a block.
        """
        await self._set_timer(_timer(wait_ms))
        await self._clear_doubt()
        answer = await self._ask(_IN_COMMUNICATE_THRU, block, min(limit_ms, wait_ms + _WAY_MS))
        if answer is None and self._acknowledged:
            return None  # the chip still waits for the card, because the chip's timer is coarse, and is off above 3.2 s
        status = _DAMAGED if not answer else answer[0] & 0x3F
        if status == _SILENCE:
            return None
        return b"" if status or not answer else answer[1:]

    async def broadcast(self, frame: bytes) -> None:
        """Send a frame that no card answers. Call this right after a `look` without cards, while the field is still on.

        After REQA, the chip is set to seven bits without CRC. So set it to eight bits, and append the CRC here.
        """
        await self._write_registers([(_TX_MODE, 0), (_RX_MODE, 0), (_BIT_FRAMING, 0)])
        await self.thru(frame + _crc_a(frame), 1, _COMMAND_MS)

    async def set_rate(self, rate: int) -> None:
        """Set the bit rate on the air, kbit/s. This rate lasts until the next `select`."""
        speed = {106: 0, 212: 1, 424: 2}[rate] << 4
        values = await self.command(_READ_REGISTER, _addresses(_TX_MODE, _RX_MODE))
        if len(values) != 2:
            raise self._failed("the chip returned the wrong number of registers")
        settings = [(_TX_MODE, values[0] & 0x8F | speed), (_RX_MODE, values[1] & 0x8F | speed)]
        if rate in _ANALOG:
            settings += list(zip((_RX_THRESHOLD, _MOD_WIDTH, _MIF_NFC), _ANALOG[rate]))
        await self._write_registers(settings)

    async def check(self) -> None:
        """Check that the chip still works: write a register and read it back. The value 0 stands for whole bytes."""
        await self._write_registers([(_BIT_FRAMING, 0)])
        if await self.command(_READ_REGISTER, _addresses(_BIT_FRAMING)) != b"\x00":
            raise self._failed("a register of the chip did not keep what was written")

    async def release(self, farewell: bytes) -> None:
        """Send `farewell` to the card, unless it is empty, and switch the field off.

        No command is repeated here. A failed chip must be noticed before the next guest comes, so that `start` can
        repair it in time.
        """
        if self._doubt:
            await self._certain(1)
        if farewell:
            self._timer = -1
            await self._once(_RF_CONFIGURATION, bytes((2, 0, 0x0B, _timer(_FAREWELL_MS))))
            await self._once(_IN_COMMUNICATE_THRU, farewell)
        await self._once(_RF_CONFIGURATION, _FIELD_OFF)

    # --- commands ----------------------------------------------------------------------------------------------------

    async def command(self, code: int, data: bytes = b"", timeout_ms: int = _COMMAND_MS) -> bytes:
        """Send a command that may be repeated, and return the chip's response."""
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
        """Send a command once, and return the response. If no response arrives, return None and leave `_doubt` set."""
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
                # Any frame before the ACK belongs to an earlier command.
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
            # Read once more after the time is over. If another task has used up the time, the frame may have arrived.
            over = left <= 0
            self._frames.push(await self._line.read(1 if over else left))

    # --- out of doubt ------------------------------------------------------------------------------------------------

    async def _clear_doubt(self) -> None:
        if self._doubt:
            await self._certain()

    async def _certain(self, tries: int = _TRIES) -> None:
        """Abort the current command, and read until no old response can still arrive.

        The line keeps frames in order. So all frames before the echo of a new number are old, and no later frame is
        old.
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
    """Return the CRC_A of `data` (ISO/IEC 14443-3, annex B)."""
    crc = 0x6363
    for byte in data:
        byte ^= crc & 0xFF
        byte = (byte ^ byte << 4) & 0xFF
        crc = crc >> 8 ^ byte << 8 ^ byte << 3 ^ byte >> 4
    return crc.to_bytes(2, "little")
