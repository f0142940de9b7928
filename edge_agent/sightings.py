"""Choose the next address to try, among the addresses that claim to be one of our locks but have not proven it.

An advertisement proves nothing, and anybody can advertise any number of addresses. So all these addresses share two
places for attempts. The claimed locks take turns. When a lock has its turn, the addresses that claim to be this lock
take turns.

The first place takes the address that has waited longest. So an address that stays on the air does not wait behind the
new addresses of each scan. The second place prefers addresses that were never tried. So a new lock does not wait behind
old addresses that never prove anything.
"""

import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from edge_agent.backoff import Backoff

LIFETIME_SECONDS: Final = 600.0
"""An address is forgotten if it was not heard for this long."""
MOST: Final = 256
"""Maximum number of addresses kept for one lock. Addresses that are on the air come first. Otherwise chance decides."""
AGAIN: Final = Backoff(first=1.0, limit=60.0)
"""How long to wait between two attempts at one address. The waits are the same as for a proven address, because a lock
may be busy or rebooting.
"""


@dataclass
class _Sighting:
    """An address: the lock that it claims to be, when it was last heard, and how often it was tried."""

    lock_id: bytes
    seen: float
    turn: int
    """Place in the line. The address goes to the end of the line when it is first heard and after each attempt."""
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
        """For each lock, the time of the latest turn of an address that claims to be this lock."""
        self._scan = 0
        self._places = itertools.count()

    def __len__(self) -> int:
        return len(self._seen)

    def heard(self, found: Iterable[tuple[str, bytes]]) -> None:
        """Take the result of one scan: each address with the lock id that it claims. Forget old addresses."""
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
        """Keep at most MOST addresses that claim to be this lock.

        Addresses of the last scan are kept before older addresses. Among the others, chance decides, so a flood of
        addresses cannot keep an address out for ever.
        """
        claimants = [address for address, known in self._seen.items() if known.lock_id == lock_id and not known.busy]
        if len(claimants) > MOST:
            claimants.sort(key=lambda address: (self._seen[address].scan, random.random()))
            for address in claimants[:-MOST]:
                del self._seen[address]

    def next(self, wanted: Callable[[bytes], bool], newcomers: bool = False) -> str | None:
        """Return the next address to try, or None if no address may be tried now.

        The address was heard in the last scan. It claims to be a lock for which `wanted` returns True. If `newcomers`
        is true, addresses that were never tried come first. The turn lasts until `failed` or `forget`.
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
        """Return the seconds until `next` may give a different answer, but never more than `most`."""
        now = self._clock()
        dues = [known.due - now for _, known in self._waiting(wanted)]
        return max(min([most, *dues]), 0.001)

    def failed(self, address: str) -> None:
        """End the turn of an address that did not prove itself."""
        known = self._seen.get(address)
        if known is not None:
            now = self._clock()
            known.busy, known.turn, known.failures = False, next(self._places), known.failures + 1
            known.due = now + AGAIN.wait(known.failures)

    def forget(self, address: str) -> None:
        """Forget the address, because it has proven itself or nobody needs it any more."""
        self._seen.pop(address, None)
