"""Driver of the PN532: polls for cards and speaks ISO-DEP to them on the host, in frames of 256 bytes.

The field is on only while it looks and while a card is in use. What the chip forgets, mangles or never says is put
right here, or ends as one error; nothing waits without end but for a card to come.
"""

import asyncio

from firmware.hardware import ticks
from firmware.hardware.console import log
from firmware.nfc.iso_dep import DESELECT, activate, exchange
from firmware.nfc.pn532_chip import Pn532
from protocol import const
from protocol.errors import FormatError, TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.nfc.iso_dep import Ats, IsoDep
    from firmware.nfc.pn532_chip import Line, Target

MAX_COMMAND = 4096
MAX_APDU_RESPONSE = 4096
"""Most data bytes in an APDU here. The memory of the lock sets it; longer messages are chained."""

POLL_MS = 50
"""Rest between two looks for a card, with the field off."""
ABSENT_POLLS = 3
"""Looks in a row that must find nothing before a card counts as taken away: a phone at the edge of the field blinks."""

CHECK_MS = 10 * 1000
"""How often the chip must prove that it is alive."""
REFRESH_MS = 10 * 60 * 1000
"""How often an idle chip is set up anew. Some go deaf on the air alone after hours, and still answer the host."""

_OBSTRUCTED_MS = const(10000)
"""How long something that is passed over may lie there before it is told; people hold a wallet there for less."""
_LEFT_MS = const(60000)
"""How long a card may lie there unserved, as one does that the lock found there at its start, before it is passed over
if its UID tells it from those who come, and told in any case."""
_PHONE = const(b"\x08")
_DEAD_LOOKS = const(3)
"""Looks in a row in which a card that claims ISO-DEP must fail to speak it before it is passed over."""

_BACKOFF_MS = const(250)
_LONGEST_BACKOFF_MS = const(8000)
_OVERHEAD = const(2)  # the status word of a response


def _nothing(_: bool) -> bool:
    return True


class Pn532Card:
    """A `firmware.nfc.Card` in the field of a PN532."""

    max_command = MAX_COMMAND
    max_response = MAX_APDU_RESPONSE

    def __init__(self, chip: Pn532, protocol: "IsoDep", ats: "Ats", lies: "_Lying | None") -> None:
        self._no_mdoc = False
        self._held = lies
        self._chip = chip
        self._protocol = protocol
        self._ats = ats
        self._gone = False
        self._released = False

    async def transceive(self, command: bytes, timeout_ms: int = 1000) -> bytes:
        """See `firmware.nfc.Card`."""
        if self._gone or self._released:
            raise TransportError("nfc.gone", "the card is gone")
        self._gone = True  # until an answer says otherwise: half an exchange cannot be gone on with
        response = await exchange(self._protocol, self._ats.fwt_ms, command, self._chip.thru, timeout_ms)
        self._gone = False
        return response

    def pass_over(self) -> None:
        """See `firmware.nfc.Card`."""
        self._no_mdoc = True

    async def release(self) -> None:
        """See `firmware.nfc.Card`."""
        if self._released:
            return
        self._released = True
        if self._held is not None:
            self._held.passed = self._no_mdoc
        if not self._chip.ready:
            return  # the next look sets it up anew, and that begins with the field off
        try:
            await self._chip.release(b"" if self._gone else DESELECT)
        except TransportError as error:
            log("nfc.release_failed", code=error.code)


class _Lying:
    """What is in the field: `since` when, the `count` of looks that missed it, how many `tries` to speak to it failed,
    whether it is `passed` over, and whether it stands in the way so long that it was told."""

    def __init__(self) -> None:
        self.since = ticks.now()
        self.count = self.tries = 0
        self.passed = self._told = False


class Pn532Reader:
    """A `firmware.nfc.CardReader` on a PN532.

    line: an `Hsu`, or another `Line`. baudrate: what to speak once the chip is found. max_rate: fastest speed on the
    air, kbit/s; above 106 nothing has been tried on a chip that exists. announce: a frame sent into the field after
    each look that found nobody, for phones that wait for one. reset: pulls the chip's reset line, if it is wired.
    """

    def __init__(
        self,
        line: "Line",
        baudrate: int = 921600,
        max_rate: int = 106,
        announce: bytes = b"",
        reset: "Callable[[], None] | None" = None,
    ) -> None:
        # A second REQA would stand between the one that nobody answers and the frame that tells what this reader is.
        self.chip = Pn532(line, baudrate, once=bool(announce))
        self._max_rate = max_rate
        self._announce = announce
        self._reset = reset
        self._started = 0
        self._checked = 0
        self._failures = 0
        # From power-up on: a lock that was reset during a tap must not take the phone still lying there for a new one.
        self._absent = 0
        self._armed = False
        self._crowd_told = False
        # By UID. Under 08 stands that there is a phone, for their UIDs change from look to look.
        self._lying: dict[bytes, _Lying] = {}
        self._current: _Lying | None = None  # what was handed out last, if its UID tells it from what comes next
        self.obstructed = False
        self._on_obstructed: "Callable[[bool], bool]" = _nothing

    async def wait_for_card(self, on_obstructed: "Callable[[bool], bool]" = _nothing) -> Pn532Card:
        """See `firmware.nfc.CardReader`. Raises TransportError `nfc.collision` too, once, when there are several."""
        self._on_obstructed = on_obstructed
        while True:
            try:
                card = await self._look()
            except TransportError as error:
                if error.code != "nfc.reader":
                    raise
                await self._back_off()
                continue
            if card is not None:
                return card
            await asyncio.sleep(POLL_MS / 1000)

    async def _look(self) -> "Pn532Card | None":
        await self._keep_alive()
        found = await self.chip.look()
        self.remember(found)
        found = [target for target in found if not self.passed(target)]
        card = await self._judge(found)
        if card is None:
            if self._announce and not found:
                await self.chip.broadcast(self._announce)
            await self.chip.field_off()
        self._failures = 0
        return card

    async def _judge(self, found: "list[Target]") -> "Pn532Card | None":
        if not found:
            self._absent += 1
            if self._absent >= ABSENT_POLLS:
                self._armed = True
                self._crowd_told = False
            return None
        self._absent = 0
        served = self._current
        if not self._armed and (served is None or not served.passed):
            return None
        if len(found) > 1:
            if not self._crowd_told:
                self._crowd_told = True
                await self.chip.field_off()
                raise TransportError("nfc.collision", "more than one card in the field")
            return None
        return await self._activate()

    def remember(self, found: "list[Target]") -> None:
        """Bring what is known to lie there up to a look, and tell when it begins or ceases to stand in the way."""
        for uid, lies in list(self._lying.items()):
            lies.count += 1
            if lies.count >= ABSENT_POLLS:
                del self._lying[uid]
        for target in found:
            lies = self._find(target.uid if target.fixed else b"")
            lies.count = 0
            lies.passed = lies.passed or (target.fixed and ticks.age(lies.since) >= _LEFT_MS)
            wait = _OBSTRUCTED_MS
            if not self.passed(target):
                lies, wait = self._find(_PHONE), _LEFT_MS
                lies.count = 0
            lies._told = lies._told or ticks.age(lies.since) >= wait
        obstructed = any(lies._told for lies in self._lying.values())
        if obstructed != self.obstructed and self._on_obstructed(obstructed):
            self.obstructed = obstructed

    def _find(self, uid: bytes) -> _Lying:
        if uid not in self._lying:
            self._lying[uid] = _Lying()
        return self._lying[uid]

    def passed(self, target: "Target") -> bool:
        """Is it no phone? What does not speak ISO-DEP, and what lies there, has a UID of its own and held no mdoc."""
        return not target.iso_dep or (target.fixed and self._find(target.uid).passed)

    async def _activate(self) -> "Pn532Card | None":
        """The card just found, or None if it is not to be had this time; the next look tries again."""
        target = await self.chip.select(self.passed)
        if target is None:
            return None
        lies = self._find(target.uid if target.fixed else _PHONE)
        lies.tries += 1
        lies.passed = lies.tries > _DEAD_LOOKS
        try:
            protocol, ats = await activate(
                self.chip.thru, MAX_APDU_RESPONSE + _OVERHEAD, self._max_rate, self.chip.set_rate
            )
        except FormatError as error:
            log("nfc.not_activated", code=error.code)
            return None
        except TransportError as error:
            if error.code == "nfc.reader":
                raise
            log("nfc.not_activated", code=error.code)
            return None
        self._armed = False
        lies.tries = 0
        self._current = lies if target.fixed else None
        return Pn532Card(self.chip, protocol, ats, self._current)

    async def _keep_alive(self) -> None:
        now = ticks.now()
        if not self.chip.ready or ticks.since(now, self._started) >= REFRESH_MS:
            await self.chip.start()
            self._started = self._checked = ticks.now()
        elif ticks.since(now, self._checked) >= CHECK_MS:
            await self.chip.check()
            self._checked = ticks.now()

    async def _back_off(self) -> None:
        """Try once more at once, then after rests that double. Raises TransportError `nfc.reader` after each rest."""
        self.chip.ready = False
        self._failures += 1
        if self._failures == 1:
            return
        if self._reset is not None:
            self._reset()
        await asyncio.sleep(min(_BACKOFF_MS << min(self._failures - 2, 8), _LONGEST_BACKOFF_MS) / 1000)
        raise TransportError("nfc.reader", "the reader chip does not recover")
