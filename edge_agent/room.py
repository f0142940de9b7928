"""How much of the outbox is whose: what strangers' radios hold there never costs an own lock its room."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from protocol.errors import StorageError

STRANGERS_BYTES: Final = 1_000_000
"""All that may be held together of locks that no pass lists, and of records that no lock has signed: enough for a look
at what goes on, and for the last records of a lock that was just given to another edge."""


class Room:
    """Counts bytes of records by lock: at most `max_bytes` of own ones (`is_own(lock_id)`), and STRANGERS_BYTES beside.

    Nothing is taken in below `reserve_bytes` of free disk at `folder`. The lock None stands for records without a
    lock's signature.
    """

    def __init__(self, folder: Path, max_bytes: int, reserve_bytes: int, is_own: Callable[[bytes], bool]) -> None:
        self._folder, self._max, self._reserve, self._is_own = folder, max_bytes, reserve_bytes, is_own
        self._taken: Counter[bytes | None] = Counter()

    def add(self, lock_id: bytes | None, size: int) -> None:
        """So many bytes of a lock came, or, if negative, went."""
        self._taken[lock_id] += size
        if self._taken[lock_id] <= 0:
            del self._taken[lock_id]

    @property
    def total(self) -> int:
        """Bytes of all records."""
        return self._taken.total()

    @property
    def strangers(self) -> int:
        """Bytes of those that are no own lock's."""
        return sum(size for lock_id, size in self._taken.items() if not self._owns(lock_id))

    def _owns(self, lock_id: bytes | None) -> bool:
        return lock_id is not None and self._is_own(lock_id)

    def check(self, lock_id: bytes | None, size: int) -> None:
        """Is there room for so many more bytes? Raises StorageError `outbox.strangers`, `.limit`, `.reserve`."""
        strangers = self.strangers
        if not self._owns(lock_id):
            if strangers + size > STRANGERS_BYTES:
                raise StorageError("outbox.strangers", "no pass lists this lock, and such locks hold enough here")
        elif self.total - min(strangers, STRANGERS_BYTES) + size > self._max:
            raise StorageError(
                "outbox.limit", "outbox.max_mb is reached; is the province in reach? locks keep what does not fit"
            )
        # Deleting needs disk too (it writes the log first), so taking in stops while there is room left for that.
        if self._reserve and shutil.disk_usage(self._folder).free < self._reserve + size:
            raise StorageError("outbox.reserve", "less free disk than outbox.disk_reserve_mb; free some space")
