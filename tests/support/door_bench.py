"""A door for tests: real lock, journal, stays, clock and recorder on CPython. The test moves the time.

The bench keeps a list of events in place of the strike and the light. Documents that have already been read
replace the phone.
"""

import asyncio
import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from firmware.door.claims import DocumentClaim
from firmware.door.door import Door
from firmware.door.policy import Decision
from firmware.lock import Lock
from firmware.memory import entries
from firmware.memory.store import Store
from protocol import crypto_cpython as crypto
from protocol import record
from protocol.trust import Issuer, TrustList
from sim import pki
from sim.platform import RESIDENT_COUNTRY, RESIDENT_ID, Guest, Platform
from sim.province.registry import PROFILES
from tests.support import chip_ticks
from tests.support.placed_lock import SEALING, PlacedLock, why_refused

if TYPE_CHECKING:
    from firmware.door.claims import Claim

NOW = 1_795_000_000
SECTORS = 16

PLATFORM = Platform()
IACA = pki.authority("IACA", "SE").der


class Outputs:
    """Replaces both the strike and the signals.

    `seen` lists every command to the strike and the signals. Each command comes with the value that the journal's next
    counter had at that moment.
    """

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self.jammed = False  # if True, `open` fails, as if no hardware timer were free
        self.seen: list[tuple[str, int]] = []

    def open(self) -> None:
        if self.jammed:
            raise OSError(16)
        self.seen.append(("open", self._lock.journal.next_counter))

    def show(self, name: str, after_ms: int = 0, sound: bool = True) -> None:
        self.seen.append((name, self._lock.journal.next_counter))

    answer = show

    def aside(self, name: str) -> None:
        self.show("aside " + name)


class Bench(PlacedLock):
    """A lock that has a profile and a trust list and knows the time.

    `wait` lets time pass. After `reboot`, only what is in flash is left.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, primitives: Any = crypto) -> None:
        self._ms = 1000
        self._monkeypatch = monkeypatch
        # The door collects garbage three times for each guest. In pytest's large heap, each collection would take 0.1
        # s.
        monkeypatch.setattr(gc, "collect", lambda: self.on_collect())
        self.on_collect: Callable[[], None] = lambda: None
        chip_ticks.stand_in(monkeypatch, lambda: self._ms)
        self.now = NOW
        super().__init__(Store(str(folder)), SECTORS, PLATFORM.public, primitives)
        self.take("profile", PROFILES["CN"])
        self.take("trust-list", TrustList(1, NOW - 999, [Issuer(IACA, ["org.iso.18013.5.1.mDL"])]).body())
        self.tell_time(NOW)

    def reboot(self) -> Lock:
        super().reboot()
        self.outputs = Outputs(self.lock)
        self.door = Door(self.lock, self.outputs, self.outputs, lambda: None)  # type: ignore[arg-type]  # see Outputs
        return self.lock

    def record_each(self) -> None:
        """Give each entry a separate record from now on, for tests that are not about the counting of entries."""
        self._monkeypatch.setattr(entries, "_WINDOW_MS", 0)
        self._monkeypatch.setattr(entries, "_AT_ONCE", 10**6)
        self.reboot()
        self.tell_time(self.now)

    def wait(self, seconds: int) -> None:
        self.now += seconds
        self._ms += seconds * 1000
        self.lock.tick()

    def counted(self) -> int:
        """Number of entries in the tally."""
        return sum(line.count for line in self.lock.recorder._tally.lines() if line.kind == record.ENTRY)

    # --- who comes ---------------------------------------------------------------------------------------------------

    def claim(self, guest: Guest, stay_key: bytes | None = None) -> DocumentClaim:
        """Return a claim by a document of `guest`, as if it had been read and verified.

        The document is a Swedish driving licence unless `guest` names a different type or country.
        """
        shown = {
            "id_type": guest.id_type or "driving-licence",
            "name": guest.name or "X",
            "id_number": guest.document_number,
            "birth_date": guest.birth_date,
        }
        resident = shown["id_type"] == RESIDENT_ID
        country = guest.country or (RESIDENT_COUNTRY if resident else "SE")
        return DocumentClaim(self.primitives, self.lock.commitment_keys.of, shown, country, resident, stay_key=stay_key)

    def come(self, *guests: Guest, stay_key: bytes | None = None) -> dict[Any, Any] | str:
        """Let one person show the documents of `guests`. Return the body of the record, or the code of the refusal."""
        return self.serve([self.claim(guest, stay_key) for guest in guests])

    def typed(self, pin: str) -> "Sequence[Claim]":
        """Return the claims of somebody who types `pin`."""
        return asyncio.run(self.lock.reentry.by_pin(pin))

    def serve(self, claims: "Sequence[Claim] | Exception") -> dict[Any, Any] | str:
        """Let the door serve somebody who makes `claims`. If `claims` is an error, reading fails with this error.

        Return the code of the refusal, or the body of the record. If the entry was only counted in the tally, return
        the tally's line in the form of a record's body.
        """

        async def arrival() -> Decision:
            if isinstance(claims, Exception):
                raise claims
            return self.door._decide(claims)

        before, counter = len(self.outputs.seen), self.lock.journal.next_counter
        counted = self.counted()
        asyncio.run(self.door.serve(arrival()))
        happened = self.outputs.seen[before:]
        refused = why_refused()
        if refused is not None:
            assert "open" not in [name for name, _ in happened] and self.lock.journal.next_counter == counter
            return refused
        if self.counted() == counted + 1:
            assert happened == [("reading", counter), ("open", counter), ("allowed", counter)], "count, then strike"
            line = max(self.lock.recorder._tally.lines(), key=lambda line: line.number)
            told = {record.KIND: line.kind, record.GRANT_ID: line.grant_id, record.METHOD: line.what}
            return told | {record.GUEST: line.guest, record.COUNT: line.count}
        assert happened == [("reading", counter), ("open", counter + 1), ("allowed", counter + 1)], (
            "record, then strike"
        )
        sealed = list(self.lock.records_from(counter))
        assert [number for number, _ in sealed] == [counter]
        return record.open_body(
            crypto, record.verify(crypto, record.parse(sealed[0][1]), self.lock.identity.public), SEALING[0]
        )
