"""The door: what happens between somebody's arrival and the strike.

    phone ─▶ read ─▶ verify ─┐
                             ├─▶ decide ─▶ record (durable) ─▶ strike
    (any other way to come) ─┘      │          │
                                    └──────────┴─▶ stays shut, says so in a colour and a tone

However somebody comes, they end in the same decide, record, open. Opening and recording are one act: the strike moves
only after the record is in flash. Nothing here waits for a network. Every way out that is not an opening ends in a
MooringError with its code, and in `_refuse`. The rules by which it is decided are in docs/door-rules.md.
"""

import gc

from firmware import documents, policy, ticks
from firmware.console import log
from protocol.errors import MooringError, StorageError, TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from firmware.claims import Claim
    from firmware.lock import Lock
    from firmware.nfc import Card
    from firmware.policy import Decision
    from firmware.signals import Signals
    from firmware.strike import Strike


class Door:
    """One door. `on_record` is called after each new record, to wake the link to the edge agent."""

    def __init__(self, lock: "Lock", strike: "Strike", signals: "Signals", on_record: "Callable[[], None]") -> None:
        self._lock = lock
        self._strike = strike
        self._signals = signals
        self._on_record = on_record

    async def tap(self, card: "Card") -> None:
        """Serve one presented phone from first contact to the light it leaves with. Never raises."""
        await self.serve(documents.present(self._lock, card))

    # --- however they came -------------------------------------------------------------------------------------------

    async def serve(self, arrival: "Awaitable[Sequence[Claim]]") -> None:
        """Serve somebody who comes in any way; `arrival` says who they are, or raises. Never raises itself."""
        started = ticks.now()
        log("tap.start")
        self._lock.recorder.busy = True
        self._signals.show("reading")
        try:
            kind = await self._admit(arrival)
        except MooringError as error:
            self._refuse(error, _signal_for(error))
            log("tap.refused", code=error.code, ms=ticks.since(ticks.now(), started))
        except Exception as error:  # noqa: BLE001  the last line of a door that must stay shut and stay alive
            # A defect, or memory exhausted by a hostile phone. Named by type only: its text might hold a guest's data.
            self._refuse(error, "fault")
            log("tap.failed", error=type(error).__name__, ms=ticks.since(ticks.now(), started))
        else:
            self._strike.open()
            self._signals.answer("allowed")
            log("tap.opened", kind=kind, ms=ticks.since(ticks.now(), started))
            self._on_record()
        finally:
            self._lock.recorder.busy = False
            gc.collect()  # the guest's data is dead from here on: do not let it linger on the heap

    async def _admit(self, arrival: "Awaitable[Sequence[Claim]]") -> int:
        """Kind of the opening; returns only when it is allowed and its record durable. Raises any MooringError."""
        claims = await arrival
        interval = self._lock.clock.interval()
        decision = self._decide(claims, interval)
        self._lock.recorder.opening(decision, interval)
        return decision.kind

    def _decide(self, claims: "Sequence[Claim]", interval: "tuple[int, int | None]") -> "Decision":
        """The opening that the rules allow to whoever made `claims`. Raises RefusedError."""
        lock = self._lock
        placement, profile = lock.papers()
        decision = policy.decide(placement, profile, lock.stays.all(), interval, claims)
        log("door.decided", kind=decision.kind, guest=decision.number)
        return decision

    def _refuse(self, error: Exception, signal: str) -> None:
        """The one place that every refusal passes: nothing has moved, and nothing will."""
        self._signals.answer(signal)
        if isinstance(error, MooringError):
            self._lock.recorder.refused(error)


def _signal_for(error: MooringError) -> str:
    """A lost connection asks for another try; a flash that fails is a fault; everything else is a refusal."""
    if isinstance(error, TransportError):
        return "again"
    if isinstance(error, StorageError):
        return "fault"
    return "refused"
