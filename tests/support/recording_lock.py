"""A placed lock that records openings without a door, for tests of the recorder."""

import gc
from pathlib import Path

import pytest

from firmware.door.policy import Decision
from firmware.memory import recorder
from firmware.memory.stays import Guest
from firmware.memory.store import Store
from protocol import crypto_cpython as crypto
from protocol import record
from protocol.grant import Grant
from tests.support import chip_ticks
from tests.support.placed_lock import LISTING, PlacedLock
from tests.support.rules import Somebody, who

PLATFORM = crypto.generate("P-256")
NOW = 1_800_000_000
STAY = b"G" * 16
FIELDS = {"id_type": "passport", "name": "Nobody At All", "id_number": "X1234567"}


class RecordingLock(PlacedLock):
    """A lock that records openings. The lock's clock stands still, except during `elapse`.

    If `placed` is False, the lock has only been enrolled, and has no placement and no grant yet.
    """

    def __init__(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        sectors: int = 16,
        placed: bool = True,
        store: Store | None = None,
    ) -> None:
        self.ms = 0
        chip_ticks.stand_in(monkeypatch, lambda: self.ms)
        # A collection would take a tenth of a second in the large heap of a test run. Only the lock needs collections.
        monkeypatch.setattr(gc, "collect", lambda: 0)
        super().__init__(store or Store(str(folder)), sectors, PLATFORM[1], placed=placed)
        if placed:
            self._grant()

    def _grant(self) -> None:
        until = NOW + 10**7
        grant = Grant(STAY, 1, LISTING, NOW - 100, until, 2, [who("a"), who("b")], False, until, bytes(4))
        self.take("grant", grant.body(), PLATFORM[0])

    def elapse(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self.ms += int(seconds * 1000)

    def rest(self, steps: int = 1000) -> None:
        """Let the recorder do all its work, as it does while the door is idle."""

        for _ in range(steps):
            if not self.lock.recorder.work():
                return
        raise AssertionError("the recorder never comes to rest")

    def awake(self) -> "RecordingLock":
        """Tell the lock the time, and let it do its work after a boot."""
        self.tell_time(NOW)
        self.elapse(recorder.QUIET_MS / 1000)
        self.rest()
        return self

    def enter(self, guest: int = 1) -> None:
        """Record an opening of a guest who has already checked in."""
        self._open(record.ENTRY, guest, self.lock.clock.interval())

    def check_in(self, guest: int = 1) -> None:
        """Record the check-in of a guest, which is the guest's first opening."""
        self._open(record.CHECK_IN, guest, (NOW, NOW + 1), Guest.of(who("ab"[guest - 1]), True, True), FIELDS)

    def _open(
        self,
        kind: int,
        number: int,
        interval: tuple[int, int | None],
        guest: Guest | None = None,
        fields: dict[str, str] | None = None,
    ) -> None:
        decided = Decision(kind, interval, self.lock.stays.all()[0], Somebody("a"), number, guest, fields)
        self.lock.recorder.opening(decided)

    def told(self, *kinds: int) -> list[tuple[int, str, int]]:
        """Return (kind, what, count) of each event in the journal. If `kinds` are given, return only those kinds."""
        bodies = [body for body in self.bodies() if body[record.KIND] in (kinds or record.EVENTS)]
        return [(body[record.KIND], body[record.WHAT], body[record.COUNT]) for body in bodies]

    def signed_by_it(self) -> bool:
        """Return whether every record in the journal is signed by the lock and chained to the record before it."""
        previous = None
        for number, data, _ in self.lock.journal.entries_from(1):
            parsed = record.verify(crypto, record.parse(data), self.lock.identity.public)
            if parsed.counter != number or previous not in (None, parsed.previous):
                return False
            previous = parsed.payload_hash
        return True
