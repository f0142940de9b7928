"""The checksum of a queued record.

An SD card may change a bit years after it was written. So the checksum of a row is compared before the record goes out.
A damaged row is dropped, and the lock is asked for the record again: the lock keeps the record until a receipt.
"""

import zlib
from collections.abc import Sequence
from typing import Any, Final

ROW: Final = "id, lock_id, counter, record, payload_hash, previous, checksum"
"""The columns of a queued record that `is_whole` takes, in this order."""


def checksum(lock_id: bytes, counter: int, payload_hash: bytes, previous: bytes, record: bytes) -> int | None:
    """Return a CRC-32 of all columns that matter. This is a check of the disk and no protection against people.

    Return None if a value has another type: damage may change the type too.
    """
    try:
        return zlib.crc32(b"".join((lock_id, counter.to_bytes(8, "big"), payload_hash, previous, record)))
    except (TypeError, AttributeError, OverflowError):
        return None


def is_whole(row: Sequence[Any]) -> bool:
    """Return True if a row with the columns ROW is still as it was stored."""
    _id, lock_id, counter, record, payload_hash, previous, stored = row
    return stored is not None and checksum(lock_id, counter, payload_hash, previous, record) == stored
