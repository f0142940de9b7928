"""ISO-DEP, the half-duplex block protocol of ISO/IEC 14443-4:2018, in the reader's role, on the host.

`IsoDep` is the protocol itself, without input or output. `activate` and `exchange` run the protocol over any function
that sends a block and waits for the answer. Chips that do ISO-DEP themselves use frames of 64 bytes; here frames have
256 bytes.

Block numbers toggle between 0 and 1. "Number" in the table is the reader's current block number. The table says which
block `push` returns next, with the rules of clauses 7.6.5.1 and 7.6.5.2:

| state | answer of the card | next block, or end |
| --- | --- | --- |
| sending, more to send | R(ACK), same number | next I-block, number toggled (rule 7) |
| sending, after an R(NAK) | R(ACK), other number | the last I-block again: the card has not received it (rule 6) |
| all sent, or receiving | I-block, same number, no chaining | none: the response is complete |
| all sent, or receiving | I-block, same number, chaining | R(ACK), number toggled (rule 2); state: receiving |
| any | S(WTX) | the same S(WTX); the next answer may take that many times longer (clause 7.4) |
| any | silence, damage, anything else | R(NAK), or R(ACK) while receiving (rules 4 and 5) |

If the card is silent SILENCES times in a row, or makes no progress in FAILURES answers in a row, the exchange ends with
`nfc.gone`. An I-block is sent again only if the card reports that it has not received the block, so no command is
executed twice.
"""

import asyncio

from firmware.hardware import ticks
from protocol import const
from protocol.errors import FormatError, TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Protocol

    from firmware.nfc import Sink

    class Transceive(Protocol):
        """Sends one block, given without its CRC. Returns the answer: None for silence, empty if it arrived damaged."""

        async def __call__(self, block: bytes, wait_ms: int, limit_ms: int) -> "bytes | None":
            """Send `block`. `wait_ms` is the time that the card may take. `limit_ms` is the longest time that the
            caller waits."""


FSD = 256
"""Length of the longest frame that the reader accepts, including two bytes of CRC."""
_RATS = const(b"\xe0\x80")  # FSDI 8, CID 0
_SIZES = (16, 24, 32, 40, 48, 64, 96, 128, 256)

_ACTIVATION_MS = const(30)
"""Longest wait for a card's ATS. Clause 5.6 allows only 4.8 ms, but some phones need more, and other readers wait for
30 ms too."""
_LONGEST_WAIT_MS = const(4950)
"""The longest waiting time that the standard allows (FWTmax, clause 7.3)."""

_STATUS = const(2)
"""Number of status bytes. They are the last bytes of a response APDU, and are not data."""

_CHAINING = const(0x10)
_ACK = const(0xA2)
_NAK = const(0xB2)
_WTX = const(b"\xf2")
DESELECT = b"\xc2"

SILENCES = 4
"""After this many waits in a row without an answer, a card counts as gone. For a card with a long waiting time, the
number is smaller, but at least one.
"""
_ASKING_MS = const(1000)
"""Longest total time of the repeated waits for a silent card, as in nfcpy. According to clause 7.3, no wait may end
early."""
FAILURES = 8
"""After this many answers in a row without progress, a card counts as gone. Damaged answers are counted too."""

RATES = (106, 212, 424)
"""Bit rates that `activate` can negotiate, kbit/s."""


class Ats:
    """The content of a card's answer to select (clause 5.3).

    `fsc` is the length of the longest frame that the card accepts, in bytes. `fwt_ms` is the time that the card may
    take to answer. `guard_ms` is the time that the card needs before the first command. `rates` are the bit rates that
    the card supports in both directions, in kbit/s. Raises FormatError `nfc.ats` if the answer is malformed.
    """

    def __init__(self, raw: bytes) -> None:
        size = len(raw)
        if not size or raw[0] != size:
            raise FormatError("nfc.ats", "the answer to select does not have the length that it states")
        fsci, ta, tb = 2, 0, 0x40
        if size > 1:
            fsci, at = raw[1] & 0x0F, 2
            if size < 2 + (raw[1] >> 4 & 1) + (raw[1] >> 5 & 1) + (raw[1] >> 6 & 1):
                raise FormatError("nfc.ats", "the answer to select lacks bytes that it announces")
            if raw[1] & 0x10:
                ta, at = raw[at], at + 1
            if raw[1] & 0x20:
                tb = raw[at]
        fwi, sfgi = tb >> 4, tb & 0x0F
        # Reserved values count as the defaults (clauses 5.3.3, 5.3.5). Frames longer than 256 bytes are never used.
        self.fsc = _SIZES[min(fsci, 8)]
        self.fwt_ms = _milliseconds(4 if fwi == 15 else fwi)
        self.guard_ms = _milliseconds(sfgi) if 0 < sfgi < 15 else 0
        self.rates = [106] + [rate for bit, rate in ((1, 212), (2, 424)) if ta & bit and ta >> 4 & bit]


def _milliseconds(exponent: int) -> int:
    """Return 256 * 16 / fc * 2**exponent in milliseconds, rounded up (the formula of clauses 5.3.5 and 7.3)."""
    return (4096000 << exponent) // 13560000 + 1


class IsoDep:
    """The exchange of blocks with one activated card (see the head of this file).

    `fsc` is the length of the longest frame that the card accepts. `limit` is the length of the longest response that
    we accept. For `silences` see SILENCES.
    """

    def __init__(self, fsc: int, limit: int, silences: int = SILENCES) -> None:
        self.multiplier = 1
        """Number of frame waiting times that the card may take to answer the current block."""
        self.response = b""
        """The complete response, after `push` has returned None. If there is a sink, this is only the last two bytes.
        """
        self._piece = fsc - 3
        self._limit = limit
        self._most_silences = silences
        self._number = 0
        self._command: "bytes | memoryview" = b""
        self._at = 0
        self._taken = bytearray()
        self._size = 0
        self._sink: Sink | None = None
        self._receiving = False
        self._failures = 0
        self._silences = 0
        self._asked = False

    def start(self, command: "bytes | memoryview", sink: "Sink | None" = None) -> bytes:
        """Return the first block of `command`. Any earlier exchange must be complete. If there is a `sink`, the
        response except its last two bytes goes there."""
        self._command, self._at = command, 0
        self._taken = bytearray()
        self._size, self._sink = 0, sink
        self.response = b""
        self._receiving = False
        self._failures = self._silences = 0
        return self._information()

    def push(self, block: "bytes | None") -> "bytes | None":
        """Take the card's answer (None: silence, empty: damaged). Return the next block to send, or None at the end.

        Raises TransportError `nfc.gone` if recovery has failed, or `nfc.too_long` if the response is too long.
        """
        self.multiplier = 1
        self._silences = self._silences + 1 if block is None else 0
        if block and len(block) <= FSD - 2:
            kind = block[0]
            if kind & 0xEE == 0x02 and kind & 1 == self._number and (self._receiving or self._sent_all()):
                return self._information_taken(block)
            if kind & 0xFE == _ACK and not self._receiving and len(block) == 1:
                if kind & 1 != self._number:
                    # Follow rule 6 only after our R(NAK). Otherwise the card could take one block for two blocks.
                    if self._asked:
                        return self._recover(self._information)
                elif not self._sent_all():
                    self._failures = 0
                    self._at += self._piece
                    self._number ^= 1
                    return self._information()
            elif block[:1] == _WTX and len(block) == 2 and 1 <= block[1] & 0x3F <= 59:
                self._failures = 0
                self._asked = False
                self.multiplier = block[1] & 0x3F
                return _WTX + bytes((self.multiplier,))
        return self._recover(self._inquiry)

    def _sent_all(self) -> bool:
        return self._at + self._piece >= len(self._command)

    def _information(self) -> bytes:
        self._asked = False
        first = 0x02 | self._number | (0 if self._sent_all() else _CHAINING)
        return bytes((first,)) + self._command[self._at : self._at + self._piece]

    def _information_taken(self, block: bytes) -> "bytes | None":
        self._number ^= 1
        self._size += len(block) - 1
        if self._size > self._limit:
            raise TransportError("nfc.too_long", "the response is longer than we accept")
        self._taken.extend(memoryview(block)[1:])
        if self._sink is not None and len(self._taken) > _STATUS:
            self._sink.extend(memoryview(self._taken)[:-_STATUS])
            self._taken = self._taken[-_STATUS:]
        if not block[0] & _CHAINING:
            self.response = bytes(self._taken)
            self._taken = bytearray()
            return None
        self._receiving = True
        if len(block) > 1:
            self._failures = 0
            return self._inquiry()
        return self._recover(self._inquiry)  # an empty block counts as a failure, so that a chain of empty blocks ends

    def _inquiry(self) -> bytes:
        """Return R(ACK) while the card is chaining (rules 2 and 5), otherwise R(NAK) (rule 4)."""
        self._asked = not self._receiving
        return bytes(((_ACK if self._receiving else _NAK) | self._number,))

    def _recover(self, way: "Callable[[], bytes]") -> bytes:
        self._failures += 1
        if self._failures >= FAILURES or self._silences >= self._most_silences:
            raise TransportError("nfc.gone", "the card has stopped answering")
        return way()


async def activate(
    transceive: "Transceive",
    limit: int,
    max_rate: int = 106,
    set_rate: "Callable[[int], Awaitable[None]] | None" = None,
) -> "tuple[IsoDep, Ats]":
    """Activate ISO-DEP on the card that was just selected. The card's responses may have at most `limit` bytes.

    For a rate above 106 kbit/s, `set_rate` is called after the card has agreed to the rate (PPS, clause 5.4). Raises
    TransportError `nfc.gone` if the card does not answer or does not agree, and FormatError `nfc.ats` if its answer is
    malformed. After either error, the card must be selected again.
    """
    answer = await transceive(_RATS, _ACTIVATION_MS, _ACTIVATION_MS + 100)
    if not answer:
        raise TransportError("nfc.gone", "no answer to select")
    ats = Ats(answer)
    if ats.guard_ms:
        await asyncio.sleep(ats.guard_ms / 1000)
    rate = max(rate for rate in ats.rates if rate <= max(max_rate, 106))
    if rate > 106 and set_rate is not None:
        step = RATES.index(rate)
        answer = await transceive(bytes((0xD0, 0x11, step << 2 | step)), ats.fwt_ms, ats.fwt_ms + 100)
        if answer != b"\xd0":
            raise TransportError("nfc.gone", "the card did not agree to a faster rate")
        await set_rate(rate)
    return IsoDep(ats.fsc, limit, 1 + min(SILENCES - 1, _ASKING_MS // ats.fwt_ms)), ats


async def exchange(
    protocol: IsoDep,
    fwt_ms: int,
    command: "bytes | memoryview",
    transceive: "Transceive",
    timeout_ms: int,
    sink: "Sink | None" = None,
) -> bytes:
    """Send `command`, and return the response. If there is a `sink`, the data of the response goes there, and only the
    status word is returned.

    Raises TransportError `nfc.timeout` if `timeout_ms` are over, `nfc.gone` if the card has stopped answering, or
    `nfc.too_long` if the response is too long. After an error, the card cannot be used again, because its state is
    unknown.
    """
    started = ticks.now()
    block: bytes | None = protocol.start(command, sink)
    while block is not None:
        left = timeout_ms - ticks.since(ticks.now(), started)
        if left <= 0:
            raise TransportError("nfc.timeout", "the card did not answer in time")
        wait = min(fwt_ms * protocol.multiplier, _LONGEST_WAIT_MS)
        answer = await transceive(block, wait, left)
        if answer is not None or ticks.since(ticks.now(), started) < timeout_ms:
            block = protocol.push(answer)
    return protocol.response
