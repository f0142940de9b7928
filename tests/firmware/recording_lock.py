"""A placed lock on flash that may lose its power, and a province that opens its records: for tests of the recorder."""

from pathlib import Path
from typing import Any

import pytest

from firmware import identity, ticks
from firmware.lock import Lock
from firmware.policy import Decision
from firmware.stays import Guest
from firmware.store import Store
from protocol import crypto_cpython as crypto
from protocol import record, statement
from protocol.grant import Grant
from protocol.placement import Placement
from protocol.receipt import Receipt
from protocol.signed_time import SignedTime
from tests.firmware.flash_device import FlashDevice
from tests.firmware.rules import Somebody, who

PROVINCE = crypto.generate("P-256")
PLATFORM = crypto.generate("P-256")
SEALING = crypto.generate("P-256")
NOW = 1_800_000_000
STAY = b"G" * 16
FIELDS = {"id_type": "passport", "name": "Nobody At All", "id_number": "X1234567"}


class RecordingLock:
    """`lock` is the one of this boot; folder and flash survive `reboot`. `elapse` moves its clock and nothing else."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, sectors: int = 16) -> None:
        self.store = Store(str(folder))
        self.flash = FlashDevice(sectors)
        self.ms = 0
        monkeypatch.setattr(ticks, "now", lambda: self.ms)
        identity.enrol(crypto, self.store, PROVINCE[1])
        self.lock = self.reboot()
        placed = Placement(
            *(1, self.lock.identity.lock_id, "HZ-1", "active", PLATFORM[1], SEALING[1], "CN", "302", [b"c"], "named", 1)
        )
        self.take("placement", placed.body())
        until = NOW + 10**7
        grant = Grant(STAY, 1, "HZ-1", NOW - 100, until, 2, [who("a"), who("b")], False, until, bytes(4))
        self.take("grant", grant.body(), PLATFORM)

    def reboot(self) -> Lock:
        """Boot again from what the flash holds."""
        own = identity.load(crypto, self.store)
        assert own is not None
        self.flash.cut_at = None
        self.lock = Lock(crypto, self.store, own, self.flash)
        return self.lock

    def take(self, kind: str, body: dict[Any, Any], signer: tuple[bytes, bytes] = PROVINCE) -> None:
        """Deliver a statement, which must be taken."""
        assert self.lock.deliver(statement.sign(crypto, signer[0], kind, body)) == (kind, None)

    def answer_time(self, now: int) -> str | None:
        """Answer the lock's question for the time; the code of the refusal, or None."""
        nonce = self.lock.clock.nonce()
        assert nonce is not None
        body = SignedTime(nonce, now, self.lock.identity.lock_id).body()
        return self.lock.deliver(statement.sign(crypto, PROVINCE[0], "time", body))[1]

    def tell_time(self, now: int = NOW) -> None:
        """Answer it with a time that is taken."""
        assert self.answer_time(now) is None

    def receipt(self, through: int | None = None) -> None:
        """The province has all records, or those up to `through`."""
        journal = self.lock.journal
        reached = journal.next_counter - 1 if through is None else through
        held = {number: data for number, data, _ in journal.entries_from(reached)}
        head = record.parse(held[reached]).payload_hash
        self.take("receipt", Receipt(self.lock.identity.lock_id, reached, head, NOW).body())

    def elapse(self, seconds: float) -> None:
        """Let time pass."""
        self.ms += int(seconds * 1000)

    def rest(self, steps: int = 1000) -> None:
        """Let the recorder do all that it can do now, the door being idle."""

        for _ in range(steps):
            if not self.lock.recorder.work():
                return
        raise AssertionError("the recorder never comes to rest")

    def enter(self, guest: int = 1) -> None:
        """A registered guest's opening."""
        self._open(record.ENTRY, guest, self.lock.clock.interval())

    def check_in(self, guest: int = 1) -> None:
        """A guest's first opening."""
        self._open(record.CHECK_IN, guest, (NOW, NOW + 1), Guest(who("ab"[guest - 1]), True, True), FIELDS)

    def _open(
        self,
        kind: int,
        number: int,
        interval: tuple[int, int | None],
        guest: Guest | None = None,
        fields: dict[str, str] | None = None,
    ) -> None:
        decided = Decision(kind, self.lock.stays.all()[0], Somebody("a"), number, guest, fields)
        self.lock.recorder.opening(decided, interval)

    def bodies(self) -> list[dict[Any, Any]]:
        """Bodies of all records in the journal, as the province opens them."""
        return [record.open_body(crypto, data, SEALING[0]) for _, data, _ in self.lock.journal.entries_from(1)]

    def told(self, *kinds: int) -> list[tuple[int, str, int]]:
        """(kind, what, count) of the events in the journal, of those kinds, or all."""
        bodies = [body for body in self.bodies() if body[record.KIND] in (kinds or record.EVENTS)]
        return [(body[record.KIND], body[record.WHAT], body[record.COUNT]) for body in bodies]

    def signed_by_it(self) -> bool:
        """Is every record in the journal signed by the lock, and chained to the one before?"""
        previous = None
        for number, data, _ in self.lock.journal.entries_from(1):
            parsed = record.verify(crypto, data, self.lock.identity.public)
            if parsed.counter != number or previous not in (None, parsed.previous):
                return False
            previous = parsed.payload_hash
        return True
