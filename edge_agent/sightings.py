"""Addresses that claim to be one of our locks and have not proven it: which of them is tried next.

What is advertised proves nothing, and anybody can advertise any number of addresses. So these share a small lane, in
turns: among the locks that are claimed, and for each lock among the addresses that claim it. Half of the lane takes who
has waited longest, so that an address which is there scan after scan is not behind those that are new at each; the
other half takes first who was never tried, so that a new lock is not behind those that are there and never prove it.
"""

import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from edge_agent.backoff import Backoff

LIFETIME_SECONDS: Final = 600.0
"""An address that was not heard of for so long is forgotten."""
MOST: Final = 256
"""Addresses kept for one lock. Of more, chance decides, but those on the air stay before those that have left it."""
AGAIN: Final = Backoff(first=1.0, limit=60.0)
"""Between two attempts at one address, as for a proven one: it may be a lock that is busy or reboots."""


@dataclass
class _Sighting:
    """An address: the lock it claims to be, when it was last heard of, and how often it was tried."""

    lock_id: bytes
    seen: float
    turn: int
    """Its place among those that wait: taken when it was first heard of, and anew when it was tried."""
    scan: int
    due: float = 0.0
    failures: int = 0
    busy: bool = False


class Sightings:
    """What was heard of unproven addresses. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: dict[str, _Sighting] = {}
        self._served: dict[bytes, float] = {}
        """When a lock's claimants last had a turn."""
        self._scan = 0
        self._places = itertools.count()

    def __len__(self) -> int:
        return len(self._seen)

    def heard(self, found: Iterable[tuple[str, bytes]]) -> None:
        """Take the (address, id of the lock it claims to be) of one scan. What was long not heard of is forgotten."""
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
        """Keep MOST of those that claim to be this lock: first who is on the air, and of these whom chance decides, so
        that nobody is kept out for good by sheer number."""
        claimants = [address for address, known in self._seen.items() if known.lock_id == lock_id and not known.busy]
        if len(claimants) > MOST:
            claimants.sort(key=lambda address: (self._seen[address].scan, random.random()))
            for address in claimants[:-MOST]:
                del self._seen[address]

    def next(self, wanted: Callable[[bytes], bool], newcomers: bool = False) -> str | None:
        """The address whose turn it is, of those of the last scan that claim to be a lock which is `wanted`; None if
        there is none now. With `newcomers` those come first that were never tried. A turn lasts until `failed` or
        `forget`."""
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
        """Seconds until `next` may have another answer, `most` at most."""
        now = self._clock()
        dues = [known.due - now for _, known in self._waiting(wanted)]
        return max(min([most, *dues]), 0.001)

    def failed(self, address: str) -> None:
        """It has not proven to be the lock; its turn is over."""
        known = self._seen.get(address)
        if known is not None:
            now = self._clock()
            known.busy, known.turn, known.failures = False, next(self._places), known.failures + 1
            known.due = now + AGAIN.wait(known.failures)

    def forget(self, address: str) -> None:
        """It has proven itself, or is not of interest any more."""
        self._seen.pop(address, None)
