"""The door: what happens between somebody's arrival and the strike.

    phone ─▶ read ─▶ verify ─┐
                             ├─▶ decide ─▶ record (durable) ─▶ strike
    (any other way to come) ─┘      │          │
                                    └──────────┴─▶ stays shut, says so in a colour and a tone

However somebody comes, they end in the same decide, record, open. Opening and recording are one act: the strike moves
only after the record is in flash. Nothing here waits for a network. Every way out that is not an opening ends in
`_refuse`, and what it tells is in `refusals`. The rules by which it is decided are in docs/door-rules.md.
"""

import gc

from firmware.door import documents, policy, refusals
from firmware.hardware import ticks
from firmware.hardware.console import log
from firmware.mdoc_reader.asking import Asking
from firmware.mdoc_reader.reader import Reading
from protocol.errors import MooringError
from protocol.record import READER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Any

    from firmware.door.claims import Claim
    from firmware.door.documents import LockMemory
    from firmware.door.policy import Decision
    from firmware.hardware.signals import Signals
    from firmware.hardware.strike import Strike
    from firmware.mdoc_ble import MdocBle
    from firmware.nfc import Card


ASK_MS = 600
"""A phone that answers sooner than this wants nothing of its holder."""


class Door:
    """One door. `on_record` is called after each new record, to wake the link to the edge agent. `mdoc_ble` is the
    radio for phones that are read over BLE; without it this door reads over NFC alone.
    """

    def __init__(
        self,
        lock: "LockMemory",
        strike: "Strike",
        signals: "Signals",
        on_record: "Callable[[], None]",
        mdoc_ble: "MdocBle | None" = None,
    ) -> None:
        self._lock = lock
        self._strike = strike
        self._signals = signals
        self._on_record = on_record
        self._mdoc_ble = mdoc_ble
        self.asking = Asking()

    async def tap(self, card: "Card") -> None:
        """Serve one presented phone from first contact to the light it leaves with. Never raises."""
        lock = self._lock
        reading = Reading(card, lock.crypto, lock.session_keys.take, self._on_phase, self._mdoc_ble)
        try:
            await self.serve(documents.read_claims(lock, card, reading, self.asking, self._decide))
        finally:
            await reading.close()

    def obstructed(self) -> None:
        """Tell that something lies on the reader that is no phone."""
        log("reader.obstructed")
        self._lock.recorder.event(READER, "obstructed")

    async def enter(self, pin: str) -> None:
        """Serve what was typed on the keypad, as `tap` does a phone."""
        await self.serve(self._judge(pin))

    async def _judge(self, pin: str) -> "Decision":
        return self._decide(await self._lock.reentry.by_pin(pin))

    def _on_phase(self, event: str, **facts: "Any") -> None:
        """A phase of a read has come."""
        log(event, **facts)
        if event == "mdoc.asked":
            self._signals.show("ask", ASK_MS)  # it is the holder's turn, and most phones need nothing of them
        elif event == "mdoc.response":
            self._signals.show("reading")

    # --- however they came -------------------------------------------------------------------------------------------

    async def serve(self, arrival: "Awaitable[Decision]") -> None:
        """Serve somebody who comes in any way; `arrival` brings the opening they may have, or raises. Never raises."""
        started = ticks.now()
        decision: Decision | None = None
        log("tap.start")
        # Whoever types a PIN while a phone is being read is answered in between: its holder sees the same light again.
        alone = self._lock.visits.begin()
        say = self._signals.answer if alone else self._signals.aside
        if alone:
            self._signals.show("reading")
        try:
            decision = await self._admit(arrival)
            self._strike.open()
        except Exception as error:  # noqa: BLE001  the last line of a door that must stay shut and stay alive
            signal, reason = refusals.meaning(error)
            say(signal)
            self._refuse(error, reason, ticks.since(ticks.now(), started))
        else:
            say("allowed")
            self.asking.forget()
            log("tap.opened", kind=decision.kind, ms=ticks.since(ticks.now(), started))
            self._on_record()
            self._lock.reentry.remember(decision)
        finally:
            decision = None
            self._lock.visits.end()  # and what the guest showed is dead: it does not linger on the heap

    async def _admit(self, arrival: "Awaitable[Decision]") -> "Decision":
        """The opening, returned only when it is allowed and its record durable. Raises any MooringError."""
        decision = await arrival
        self._lock.recorder.opening(decision, decision.interval)
        return decision

    def _decide(self, claims: "Sequence[Claim]") -> "Decision":
        """The opening that the rules allow to whoever made `claims`. Raises RefusedError."""
        gc.collect()  # what outlives this visit comes to lie together, and not among what it leaves behind
        lock = self._lock
        placement, profile = lock.standing.in_force()
        decision = policy.decide(placement, profile, lock.stays.all(), lock.clock.interval(), claims)
        log("door.decided", kind=decision.kind, guest=decision.number)
        return decision

    def _refuse(self, error: Exception, reason: "str | None", ms: int) -> None:
        """The one place that every refusal passes: nothing has moved, and nothing will."""
        if isinstance(error, MooringError):
            log("tap.refused", code=error.code, ms=ms)
        else:
            # A defect, or memory exhausted by a hostile phone. Named by type only: its text might hold a guest's data.
            log("tap.failed", error=type(error).__name__, ms=ms)
        if reason is not None:
            self._lock.recorder.refused(reason)
