"""Counts the events at one door from the reports of all parties. Scenarios make promises about these counts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from firmware.boards import esp32_c6_devkitc_1 as pins
from protocol.record import OPENINGS
from sim.board.bus import BoardBus
from sim.board.openings import Opening, OpeningsSoFar, openings
from sim.lock import Lock
from sim.province.province import Province
from sim.province.store import Registration


class _Lag:
    """By how many seconds the clock of the event loop is ahead of the ticks of the lock. This is the smallest value
    that a line or a report has shown so far.
    """

    def __init__(self) -> None:
        self._lines = self._events = 0
        self._least = float("inf")

    def read(self, lock: Lock, bus: BoardBus) -> float:
        """Take the lines and reports that are new since the last call. Returns the difference."""
        for line in lock.console[self._lines :]:
            self._least = min(self._least, line.at - line.ticks / 1000)
        for event in bus.history[self._events :]:
            if event.ticks:
                self._least = min(self._least, event.at - event.ticks / 1000)
        self._lines, self._events = len(lock.console), len(bus.history)
        return self._least


@dataclass(frozen=True)
class Findings:
    """The counts for one lock. The sources are the lock's console, the lock's board, and the province's records of this
    lock.
    """

    province: Province
    lock_id: bytes
    lock: Lock
    bus: BoardBus
    _lag: _Lag = field(default_factory=_Lag)
    _openings: OpeningsSoFar = field(default_factory=OpeningsSoFar)

    def moment(self, ticks: int) -> float:
        """Return the time of the event loop, in seconds, at which the lock's clock showed `ticks`.

        The result is never too early. The result is too late by at most the time that the lock's quickest line took to
        arrive.
        """
        return ticks / 1000 + self._lag.read(self.lock, self.bus)

    def opened(self) -> Sequence[Opening]:
        """Return the openings so far. A call takes little time, even if the history is long."""
        return self._openings.read(self.bus.history)

    def defects(self) -> list[str]:
        """Return the type or the code of the error, for each tap that ended with a defect of the firmware or a lack of
        memory.
        """
        ends = [line.facts for line in self.lock.console if line.event in ("tap.failed", "tap.refused")]
        return [facts["error"] for facts in ends if "error" in facts] + [
            facts["code"] for facts in ends if facts.get("code", "").endswith(".memory")
        ]

    def openings(self) -> int:
        """Return the number of times that the strike opened, over all boots."""
        return sum(1 for event in self.bus.changes(pins.STRIKE) if event.facts.get("value") == 1)

    def early_openings(self) -> int:
        """Return how often the strike opened before the opening was in flash. Only the board's own reports count."""
        moved = openings(self.bus.history)
        return self.openings() - sum(1 for opening in moved if opening.durable is not None)

    def records(self) -> list[Registration]:
        """All records of this lock that the province has committed, accepted or not, in the order of their counters."""
        return self.province.store.records(lock_id=self.lock_id)

    def recorded(self) -> int:
        """Return the number of records of openings that the province committed, accepted or not."""
        return sum(1 for item in self.records() if item.kind in OPENINGS)

    def receipted(self) -> int:
        """Return the number of records of openings for which the lock holds a receipt."""
        through = self.receipted_through()
        return sum(1 for item in self.records() if item.kind in OPENINGS and item.counter <= through)

    def receipted_through(self) -> int:
        """Highest counter that a receipt at the lock covers. Records of all kinds count."""
        lines = [line for line in self.lock.console if line.event in ("journal.receipted", "lock.ready")]
        return max((int(line.facts.get("through", line.facts.get("receipted", 0))) for line in lines), default=0)

    def journaled(self) -> int:
        """Return the number of records of openings that the lock has reported as durable."""
        return len({line.facts["counter"] for line in self.lock.console if line.event == "journal.durable"})

    def next_counter(self) -> int:
        """Return the counter of the next record. The lock reported this counter at its last boot. If the lock has
        written records since then, the counter follows the last of these records.
        """
        boot = max(n for n, line in enumerate(self.lock.console) if line.event == "lock.ready")
        durable = ("journal.durable", "event.durable")
        written = [int(line.facts["counter"]) for line in self.lock.console[boot:] if line.event in durable]
        return max([int(self.lock.console[boot].facts["next"]), *(counter + 1 for counter in written)])

    def drained(self) -> bool:
        """Does the lock hold a receipt for every record that it has written?"""
        return self.receipted_through() >= self.next_counter() - 1

    def unbroken(self) -> bool:
        """Does the province hold every counter from 1 to the lock's last counter, each exactly once?"""
        return [item.counter for item in self.records()] == list(range(1, self.next_counter()))
