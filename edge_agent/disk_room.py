"""Shares of the outbox. Records from strangers' radios never take the room of our own locks."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from protocol import record
from protocol.errors import StorageError

BALLAST_BYTES: Final = 8_000_000
"""Size of a file of zeros. It is deleted when another program has filled the disk, so that records can leave: the log
of SQLite grows to 1,000 pages of 4 KB and one transaction before it is used from its start again.
"""

STRANGERS_BYTES: Final = 1_000_000
"""Maximum size of all records from locks that no pass lists, plus all records that no lock has signed. This size is
enough for people to see who sends such records. This size is also enough for the last records of a lock that moved to
another edge agent.
"""


class Room:
    """Counts the bytes of records by lock. Own locks may use `max_bytes` in all, and all other locks together may use
    STRANGERS_BYTES.

    `is_own(lock_id)` returns True for one of our own locks. No record is accepted while less than `reserve_bytes` of
    the disk at `folder` is free, where `spare()` bytes inside the database's file count as free too. As a lock id, None
    stands for records without a lock's signature.
    """

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        reserve_bytes: int,
        is_own: Callable[[bytes], bool],
        spare: Callable[[], int],
    ) -> None:
        self._folder, self._max, self._reserve, self._is_own = folder, max_bytes, reserve_bytes, is_own
        self._spare = spare
        self._ballast = folder / "outbox.ballast"
        self._taken: Counter[bytes | None] = Counter()

    def clear(self) -> None:
        """Count from zero again."""
        self._taken.clear()

    def add(self, lock_id: bytes | None, size: int) -> None:
        """Add `size` bytes to the count of a lock. A negative `size` is for deleted records."""
        self._taken[lock_id] += size
        if self._taken[lock_id] <= 0:
            del self._taken[lock_id]

    @property
    def total(self) -> int:
        """Size of all records in bytes."""
        return self._taken.total()

    @property
    def strangers(self) -> int:
        """Size in bytes of all records that do not come from our own locks."""
        return sum(size for lock_id, size in self._taken.items() if not self._owns(lock_id))

    def _owns(self, lock_id: bytes | None) -> bool:
        return lock_id is not None and self._is_own(lock_id)

    def check(self, lock_id: bytes | None, size: int) -> None:
        """Check that `size` more bytes fit.

        Raises StorageError: `outbox.limit` if the share of our own locks is full, `outbox.strangers` if the share of
        all others is full, `outbox.reserve` if the disk is nearly full.
        """
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
                "outbox.max_mb is reached, so locks keep their records. Check that the province answers, or raise this "
                "limit.",
            )
        # To delete records, SQLite must first write to its log. So keep some disk free, and refuse records earlier.
        if self._is_short(size):
            raise StorageError("outbox.reserve", "less disk is free than outbox.disk_reserve_mb. Free some space.")

    def _is_short(self, size: int) -> bool:
        lacking = self._reserve + size - shutil.disk_usage(self._folder).free if self._reserve else 0
        return lacking > 0 and lacking > self._spare()

    def fits_again(self, code: str) -> bool:
        """Return True if the reason `code` for which a record was refused is certainly gone."""
        if code == "outbox.limit":
            return self.total - min(self.strangers, STRANGERS_BYTES) + record.MAX_BYTES <= self._max
        return code == "outbox.reserve" and not self._is_short(record.MAX_BYTES)

    def hold(self) -> None:
        """Make the ballast again if there is room for it. Without a reserve, there is no ballast."""
        if not self._reserve or self._ballast.exists():
            return
        if shutil.disk_usage(self._folder).free < self._reserve + BALLAST_BYTES:
            return
        try:
            # Write the bytes: a file that is only long takes no room.
            self._ballast.write_bytes(bytes(BALLAST_BYTES))
        except OSError:
            self.release()

    def release(self) -> bool:
        """Delete the ballast. Return True if this has made room on the disk."""
        try:
            self._ballast.unlink()
        except OSError:
            return False
        return True
