"""Addresses that claim to be one of our locks and have not proven it: which of them is tried next.

An advertisement proves nothing, and anybody can advertise any number of addresses. So these addresses share two places
for attempts. Turns go round the locks that are claimed, and for each lock round the addresses that claim it. The first
place takes the address that has waited longest: one that stays on the air must not wait behind new ones of each scan.
The second place takes first the addresses that were never tried: a new lock must not wait behind those that never prove
anything.
"""

import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from edge_agent.backoff import Backoff

LIFETIME_SECONDS: Final = 600.0
"""An address that was not heard for this long is forgotten."""
MOST: Final = 256
"""Most addresses kept for one lock. Those that are on the air now are kept first; among equals chance decides."""
AGAIN: Final = Backoff(first=1.0, limit=60.0)
"""Waits between two attempts at one address. They are those of a proven address: a lock may be busy or rebooting."""


@dataclass
class _Sighting:
    """An address: the lock that it claims to be, when it was last heard, and how often it was tried."""

    lock_id: bytes
    seen: float
    turn: int
    """Its place in the line: the end of the line when it was first heard, and again after each attempt."""
    scan: int
    due: float = 0.0
    failures: int = 0
    busy: bool = False


class Sightings:
    """The unproven addresses that were heard. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: dict[str, _Sighting] = {}
        self._served: dict[bytes, float] = {}
        """By lock: when one of the addresses that claim it last had a turn."""
        self._scan = 0
        self._places = itertools.count()

    def __len__(self) -> int:
        return len(self._seen)

    def heard(self, found: Iterable[tuple[str, bytes]]) -> None:
        """Take the result of one scan: (address, id of the lock that it claims to be). Old addresses are forgotten."""
        self._scan += 1
        now = self._clock()
        for address, lock_id in found:
            known = self._seen.get(address)
            if known is not None and known.lock_id == lock_id:
                known.seen, known.scan = now, self._scan
            elif known is None or not known.busy:
                self._seen[address] = _Sighting(lock_id, now, next(self._places), self._scan)
        self._expire()
        for lock_id in {known.lock_id for known in self._seen.values()}:
            self._thin_out(lock_id)

    def _expire(self) -> None:
        now = self._clock()
        self._seen = {
            address: known for address, known in self._seen.items() if known.busy or now - known.seen < LIFETIME_SECONDS
        }
        claimed = {known.lock_id for known in self._seen.values()}
        self._served = {lock_id: at for lock_id, at in self._served.items() if lock_id in claimed}

    def _thin_out(self, lock_id: bytes) -> None:
        """Keep MOST of the addresses that claim to be this lock.

        Addresses of the last scan are kept first. Among equals chance decides, so that a flood keeps no address out for
        ever.
        """
        claimants = [address for address, known in self._seen.items() if known.lock_id == lock_id and not known.busy]
        if len(claimants) > MOST:
            claimants.sort(key=lambda address: (self._seen[address].scan, random.random()))
            for address in claimants[:-MOST]:
                del self._seen[address]

    def next(self, wanted: Callable[[bytes], bool], newcomers: bool = False) -> str | None:
        """The address whose turn it is; None if there is none now. The turn lasts until `failed` or `forget`.

        It is in the last scan and claims to be a lock that is `wanted`. With `newcomers`, addresses that were never
        tried come first.
        """
        now = self._clock()
        self._expire()
        ready = [
            (self._served.get(known.lock_id, 0.0), newcomers and known.failures > 0, known.turn, address)
            for address, known in self._waiting(wanted)
            if known.due <= now
        ]
        if not ready:
            return None
        address = min(ready)[3]
        known = self._seen[address]
        known.busy, self._served[known.lock_id] = True, now
        return address

    def _waiting(self, wanted: Callable[[bytes], bool]) -> Iterator[tuple[str, _Sighting]]:
        for address, known in self._seen.items():
            if not known.busy and known.scan == self._scan and wanted(known.lock_id):
                yield address, known

    def pause(self, wanted: Callable[[bytes], bool], most: float) -> float:
        """Seconds until `next` may give another answer, but not more than `most`."""
        now = self._clock()
        dues = [known.due - now for _, known in self._waiting(wanted)]
        return max(min([most, *dues]), 0.001)

    def failed(self, address: str) -> None:
        """Say that the address did not prove itself. Its turn is over."""
        known = self._seen.get(address)
        if known is not None:
            now = self._clock()
            known.busy, known.turn, known.failures = False, next(self._places), known.failures + 1
            known.due = now + AGAIN.wait(known.failures)

    def forget(self, address: str) -> None:
        """Forget the address: it has proven itself, or nobody needs it any more."""
        self._seen.pop(address, None)
