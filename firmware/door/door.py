"""The door: what happens between somebody's arrival and the strike.

    phone ─▶ read ─▶ verify ─┐
                             ├─▶ decide ─▶ record (durable) ─▶ strike
    (any other way to come) ─┘      │          │
                                    └──────────┴─▶ the door stays shut; a colour and a tone say why

Every visit that opens the door ends in the same three steps: decide, record, open. The strike moves only after the
record is in flash. Nothing here waits for a network. Every visit that does not open the door ends in `_refuse`. The
module `refusals` chooses the signal for the guest. The rules are in docs/door-rules.md.
"""

from firmware.door import documents, policy, refusals
from firmware.hardware import ticks
from firmware.hardware.console import log
from firmware.mdoc_reader.asking import Asking
from firmware.mdoc_reader.reader import Reading
from firmware.mdoc_reader.response_buffer import ResponseBuffer
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
"""Time between a request and the "ask" signal. If the phone answers before that signal, its holder need not do
anything.
"""


class Door:
    """One door.

    `on_record` is called after each opening and wakes the link to the edge agent. `mdoc_ble` is the radio for phones
    that are read over BLE. Without this radio, the door reads only over NFC. `waiting` is True while the door waits for
    a phone to connect over BLE.
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
        self._asking = Asking()
        self._buffer = ResponseBuffer()  # made at boot, and used by one phone after the other
        self.waiting = False

    async def tap(self, card: "Card") -> None:
        """Serve one phone, from the first contact to the last light signal. Never raises."""
        lock = self._lock
        self.waiting = False
        reading = Reading(card, lock.crypto, lock.session_keys.take, self._on_phase, self._mdoc_ble, self._buffer)
        try:
            await self.serve(documents.read_claims(lock, card, reading, self._asking, self._decide))
        finally:
            await reading.close()

    def obstructed(self) -> None:
        """Record that an object other than a phone lies on the reader."""
        log("reader.obstructed")
        self._lock.recorder.event(READER, "obstructed")

    async def enter(self, pin: str) -> None:
        """Serve somebody who typed `pin` on the keypad. Never raises."""
        await self.serve(self._judge(pin))

    async def _judge(self, pin: str) -> "Decision":
        return self._decide(await self._lock.reentry.by_pin(pin))

    def _on_phase(self, event: str, **facts: "Any") -> None:
        """Log the next phase of a read, and show its signal."""
        log(event, **facts)
        if event == "ble.waiting":
            self.waiting = True
        elif event == "ble.started":
            self.waiting = False
        elif event == "mdoc.asked":
            self._signals.show("ask", ASK_MS)
        elif event == "mdoc.response":
            # This signal has no tone. The lock is about to compute for a while, so it could not end a tone in time.
            self._signals.show("reading", 0, False)

    # --- however they came -------------------------------------------------------------------------------------------

    async def serve(self, arrival: "Awaitable[Decision]") -> None:
        """Serve one person, who came with a phone or typed a PIN. `arrival` returns the opening that this person may
        have, or raises an error.

        This method never raises.
        """
        started = ticks.now()
        decision: Decision | None = None
        log("tap.start")
        # If a PIN is typed while a phone is being read, the signal for the PIN is shown for a moment. Then the signal
        # for the phone's holder returns.
        alone = self._lock.visits.begin()
        say = self._signals.answer if alone else self._signals.aside
        if alone:
            self._signals.show("reading")
        try:
            decision = await self._admit(arrival)
            self._strike.open()
        except Exception as error:  # noqa: BLE001  after any failure the door stays shut and goes on serving
            signal, reason = refusals.meaning(error)
            say(signal)
            self._refuse(error, reason, ticks.since(ticks.now(), started))
        else:
            say("allowed")
            self._asking.forget()
            log("tap.opened", kind=decision.kind, ms=ticks.since(ticks.now(), started))
            self._on_record()
            self._lock.reentry.remember(decision)
        finally:
            decision = None  # drop the guest's data, so that `end` can free its memory
            self._lock.visits.end()

    async def _admit(self, arrival: "Awaitable[Decision]") -> "Decision":
        """Wait until the rules allow an opening and the opening's record is durable. Then return the opening. Raises
        any MooringError."""
        decision = await arrival
        self._lock.recorder.opening(decision)
        return decision

    def _decide(self, claims: "Sequence[Claim]") -> "Decision":
        """Return the opening that the rules allow for `claims`. Raises RefusedError if the rules allow no opening."""
        lock = self._lock
        placement, profile = lock.trusted.in_force()
        decision = policy.decide(placement, profile, lock.stays.all(), lock.clock.interval(), claims)
        log("door.decided", kind=decision.kind, guest=decision.number)
        return decision

    def _refuse(self, error: Exception, reason: "str | None", ms: int) -> None:
        """Log and record a refusal. Every refusal passes through this method. The strike has not moved."""
        if isinstance(error, MooringError):
            log("tap.refused", code=error.code, ms=ms)
        else:
            # The cause is a defect, or a hostile phone that used up the memory. The text of the error might contain a
            # guest's data, so only its type is logged.
            log("tap.failed", error=type(error).__name__, ms=ms)
        if reason is not None:
            self._lock.recorder.refused(reason)
