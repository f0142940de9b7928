"""How much of the outbox belongs to whom. Records from strangers' radios never take the room of an own lock."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from protocol.errors import StorageError

STRANGERS_BYTES: Final = 1_000_000
"""Most bytes of all records from locks that no pass lists, and of records that no lock has signed. It is enough to find
out what is going on, and for the last records of a lock that another edge agent has just taken over."""


class Room:
    """Counts bytes of records by lock: at most `max_bytes` from own locks, and at most STRANGERS_BYTES from others.

    `is_own(lock_id)` says which locks are own. No record is accepted while less than `reserve_bytes` of the disk at
    `folder` is free. The lock None stands for records without a lock's signature.
    """

    def __init__(self, folder: Path, max_bytes: int, reserve_bytes: int, is_own: Callable[[bytes], bool]) -> None:
        self._folder, self._max, self._reserve, self._is_own = folder, max_bytes, reserve_bytes, is_own
        self._taken: Counter[bytes | None] = Counter()

    def add(self, lock_id: bytes | None, size: int) -> None:
        """Count `size` more bytes of a lock; a negative number for bytes that are gone."""
        self._taken[lock_id] += size
        if self._taken[lock_id] <= 0:
            del self._taken[lock_id]

    @property
    def total(self) -> int:
        """Bytes of all records."""
        return self._taken.total()

    @property
    def strangers(self) -> int:
        """Bytes of the records that come from no own lock."""
        return sum(size for lock_id, size in self._taken.items() if not self._owns(lock_id))

    def _owns(self, lock_id: bytes | None) -> bool:
        return lock_id is not None and self._is_own(lock_id)

    def check(self, lock_id: bytes | None, size: int) -> None:
        """Check that `size` more bytes fit. Raises StorageError `outbox.strangers`, `.limit`, `.reserve`."""
        strangers = self.strangers
        if not self._owns(lock_id):
            if strangers + size > STRANGERS_BYTES:
                raise StorageError(
                    "outbox.strangers",
                    "no pass lists this lock, and the room for such locks is full. "
                    "If the lock is yours, ask the province for a pass.",
                )
        elif self.total - min(strangers, STRANGERS_BYTES) + size > self._max:
            raise StorageError(
                "outbox.limit",
                "outbox.max_mb is reached, so locks keep their records. Check that the province answers, or raise it.",
            )
        # Deleting needs disk too, because SQLite writes its log first. So records are refused before the disk is full.
        if self._reserve and shutil.disk_usage(self._folder).free < self._reserve + size:
            raise StorageError("outbox.reserve", "less disk is free than outbox.disk_reserve_mb. Free some space.")
