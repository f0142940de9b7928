"""Driver of the PN532. The driver polls for cards, and speaks ISO-DEP to them on the host, in frames of 256 bytes.

The field is on only during a poll and while a card is in use. If the chip loses its settings, damages data or stops
answering, this file and `pn532_chip` recover the chip or report an error. Only the wait for a card has no time limit.

**One poll** (`_look`): set the chip up or check it, if that is due; list the cards in the field; remove from this list
the cards that are to be passed over; then decide by this table. ARMED means that `_armed` is True.

| state | cards left in the list | action | next state |
| --- | --- | --- | --- |
| either | none | send `announce`, unless it is empty | ARMED after ABSENT_POLLS such polls in a row |
| ARMED | one | activate it | UNARMED, and the card is returned; ARMED if the activation failed |
| ARMED | several | raise `nfc.collision`, once until the field was empty | ARMED |
| UNARMED | any | none: a phone that is left on the reader must not open twice | UNARMED |
| UNARMED | any, after a card with a fixed UID that is passed over now | as ARMED | as ARMED |

The lock starts UNARMED. If the lock was reset during a tap, the phone that is still there must not count as a new card.

**To pass over** (`_passed`): the driver passes over a card that does not claim ISO-DEP (SAK bit 6, ISO/IEC 14443-3,
6.5.3.4), and a card with a fixed UID whose presence is marked `passed`. A presence is marked when

- the card is released after `pass_over`,
- the card has stayed for `_LEFT_MS`, or
- more than `_DEAD_LOOKS` activations in a row have failed.

`_present` has one presence for each fixed UID, one (under an empty UID) for all random UIDs, and one (under `_PHONE`)
for all cards that are not to be passed over. A presence ends after ABSENT_POLLS polls without such a card.

**Blocked**: a card that is passed over blocks the reader when it has stayed for `_OBSTRUCTED_MS`. Any other card blocks
the reader when it has stayed for `_LEFT_MS`. `on_obstructed` is called when the blocking begins and when it ends.

**Errors** (`_back_off`): after the first `nfc.reader`, the driver tries again at once. After each further `nfc.reader`,
the driver resets the chip, if the reset line is wired. Then the driver waits, and then reports the error to the caller.
Each wait is twice as long as the wait before it.
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

    from firmware.nfc import Sink
    from firmware.nfc.iso_dep import Ats, IsoDep
    from firmware.nfc.pn532_chip import Line, Target

MAX_COMMAND = 4096
MAX_APDU_RESPONSE = 4096
"""Maximum number of data bytes in an APDU, limited by the lock's memory. Longer messages are chained."""

POLL_MS = 50
"""Pause between two polls, with the field off."""
ABSENT_POLLS = 3
"""After this many polls in a row without a card, the card counts as taken away. At the edge of the field, some polls
miss a card that is still there.
"""

CHECK_MS = 10 * 1000
"""Time between two checks whether the chip still works."""
REFRESH_MS = 10 * 60 * 1000
"""Time after which the chip is set up again. After hours, some chips no longer find cards but still answer the host."""

_OBSTRUCTED_MS = const(10000)
"""A card that is passed over counts as blocking after this time. People hold a wallet to the reader for a shorter time.
"""
_LEFT_MS = const(60000)
"""Any card counts as blocking after this time, for example a card that was there when the lock started. If the card's
UID is fixed, the card is then passed over.
"""
_PHONE = const(b"\x08")
"""Key in `_present` for all cards that are not to be passed over. This key is shorter than any UID."""
_DEAD_LOOKS = const(3)
"""Maximum number of failed activations in a row. After more failures, a card that claims ISO-DEP is passed over."""

_BACKOFF_MS = const(250)
_LONGEST_BACKOFF_MS = const(8000)
_OVERHEAD = const(2)  # the status word of a response


class Pn532Card:
    """A `firmware.nfc.Card` in the field of a PN532."""

    max_command = MAX_COMMAND
    max_response = MAX_APDU_RESPONSE

    def __init__(self, chip: Pn532, protocol: "IsoDep", ats: "Ats", presence: "_Presence | None") -> None:
        self._no_mdoc = False
        self._presence = presence
        self._chip = chip
        self._protocol = protocol
        self._ats = ats
        self._gone = False
        self._released = False

    async def transceive(
        self, command: "bytes | memoryview", timeout_ms: int = 1000, sink: "Sink | None" = None
    ) -> bytes:
        """See `firmware.nfc.Card`."""
        if self._gone or self._released:
            raise TransportError("nfc.gone", "the card is gone")
        self._gone = True  # True until the answer is complete, because an interrupted exchange cannot be continued
        response = await exchange(self._protocol, self._ats.fwt_ms, command, self._chip.thru, timeout_ms, sink)
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
        if self._presence is not None:
            self._presence.passed = self._no_mdoc
        if not self._chip.ready:
            return  # the next poll sets the chip up again, which first switches the field off
        try:
            await self._chip.release(b"" if self._gone else DESELECT)
        except TransportError as error:
            log("nfc.release_failed", code=error.code)


class _Presence:
    """A card, or a kind of card, that stays in the field.

    `since` is the tick of the first poll that found the card. `count` is the number of polls in a row that have missed
    the card. `tries` is the number of failed activations in a row. `passed` says whether the card is to be passed over.
    `blocks` says whether the card blocks the reader.
    """

    def __init__(self) -> None:
        self.since = ticks.now()
        self.count = self.tries = 0
        self.passed = self.blocks = False


class Pn532Reader:
    """A `firmware.nfc.CardReader` on a PN532.

    `line` is an `Hsu` or another `Line`. `baudrate` is the speed of the line after the chip was found. `max_rate` is
    the fastest speed on the air, in kbit/s. No rate above 106 was tried with a real chip. `announce` is a frame that is
    sent into the field after each poll without cards, for phones that wait for such a frame. `reset` is a function that
    pulls the chip's reset line, or None if the line is not wired.
    """

    def __init__(
        self,
        line: "Line",
        baudrate: int = 921600,
        max_rate: int = 106,
        announce: bytes = b"",
        reset: "Callable[[], None] | None" = None,
    ) -> None:
        # If there is a frame to announce, poll with only one REQA, because this frame must follow the REQA that no card
        # has answered.
        self.chip = Pn532(line, baudrate, once=bool(announce))
        self._max_rate = max_rate
        self._announce = announce
        self._reset = reset
        self._started = 0
        self._checked = 0
        self._failures = 0
        self._absent = 0
        self._armed = False
        self._crowd_told = False
        self._present: dict[bytes, _Presence] = {}  # The key is a fixed UID, b"" for random UIDs, or _PHONE.
        self._current: _Presence | None = None  # The presence of the most recently returned card, if its UID is fixed.
        self._obstructed = False

    async def wait_for_card(self, on_obstructed: "Callable[[bool], bool] | None" = None) -> Pn532Card:
        """See `firmware.nfc.CardReader`."""
        while True:
            try:
                card = await self._look(on_obstructed)
            except TransportError as error:
                if error.code != "nfc.reader":
                    raise
                await self._back_off()
                continue
            if card is not None:
                return card
            await asyncio.sleep(POLL_MS / 1000)

    async def _look(self, on_obstructed: "Callable[[bool], bool] | None") -> "Pn532Card | None":
        await self._keep_alive()
        found = await self.chip.look()
        blocked = self._remember(found)
        if on_obstructed is not None and blocked != self._obstructed and on_obstructed(blocked):
            self._obstructed = blocked
        found = [target for target in found if not self._passed(target)]
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

    def _remember(self, found: "list[Target]") -> bool:
        """Update the presences after a poll. `found` are the cards that the poll found. Return whether one of the
        presences blocks the reader."""
        for uid, presence in list(self._present.items()):
            presence.count += 1
            if presence.count >= ABSENT_POLLS:
                del self._present[uid]
        for target in found:
            presence = self._find(target.uid if target.fixed else b"")
            presence.count = 0
            presence.passed = presence.passed or (target.fixed and ticks.age(presence.since) >= _LEFT_MS)
            wait = _OBSTRUCTED_MS
            if not self._passed(target):
                presence, wait = self._find(_PHONE), _LEFT_MS
                presence.count = 0
            presence.blocks = presence.blocks or ticks.age(presence.since) >= wait
        return any(presence.blocks for presence in self._present.values())

    def _find(self, uid: bytes) -> _Presence:
        if uid not in self._present:
            self._present[uid] = _Presence()
        return self._present[uid]

    def _passed(self, target: "Target") -> bool:
        """Return whether this card is to be passed over (see the head of this file)."""
        return not target.iso_dep or (target.fixed and self._find(target.uid).passed)

    async def _activate(self) -> "Pn532Card | None":
        """Activate the card just found. Return None if the activation fails; the next poll then tries again."""
        target = await self.chip.select(self._passed)
        if target is None:
            return None
        presence = self._find(target.uid if target.fixed else _PHONE)
        presence.tries += 1
        presence.passed = presence.tries > _DEAD_LOOKS
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
        presence.tries = 0
        self._current = presence if target.fixed else None
        return Pn532Card(self.chip, protocol, ats, self._current)

    async def _keep_alive(self) -> None:
        now = ticks.now()
        if self._failures or not self.chip.ready or ticks.since(now, self._started) >= REFRESH_MS:
            await self.chip.start()
            self._started = self._checked = ticks.now()
        elif ticks.since(now, self._checked) >= CHECK_MS:
            await self.chip.check()
            self._checked = ticks.now()

    async def _back_off(self) -> None:
        """Return at once after the first failure. After each further failure, wait twice as long as before. Then raise
        TransportError `nfc.reader`."""
        self._failures += 1
        if self._failures == 1:
            return
        if self._reset is not None:
            self._reset()
        await asyncio.sleep(min(_BACKOFF_MS << min(self._failures - 2, 8), _LONGEST_BACKOFF_MS) / 1000)
        raise TransportError("nfc.reader", "the reader chip does not recover")
