"""Gaps among the stored records of a lock. A gap is a record that is neither stored nor receipted.

The disk may have lost it. So the lock is asked for its records from the first gap on. A lock may skip a counter
although it was asked for it twice: it does not have this record. Such counters are noted, and they are no gap.
"""

import sqlite3
from collections.abc import Sequence

from edge_agent import database


def known_through(connection: sqlite3.Connection, lock_id: bytes, receipted: int) -> int:
    """Return the counter before the first gap above the counter `receipted`. Raises StorageError."""
    through = receipted
    with database.errors(connection):
        absent = connection.execute("SELECT first, last FROM absent WHERE lock_id = ?", (lock_id,)).fetchall()
        held = connection.execute(
            "SELECT counter FROM records WHERE lock_id = :lock AND counter > :through UNION SELECT counter FROM "
            "quarantine WHERE lock_id = :lock AND counter > :through AND authentic ORDER BY counter",
            {"lock": lock_id, "through": through},
        )
        for (counter,) in held:
            while counter > through + 1 and (last := _end_of_absent(through + 1, absent)):
                through = last
            if counter > through + 1:
                break
            through = max(through, counter)
        held.close()
    return through


def note_absent(connection: sqlite3.Connection, lock_id: bytes, first: int, last: int) -> None:
    """Note that the lock does not have these records. Raises StorageError."""
    with database.transaction(connection):
        connection.execute(
            "INSERT OR REPLACE INTO absent (lock_id, first, last) VALUES (?,?,?)", (lock_id, first, last)
        )


def _end_of_absent(counter: int, absent: Sequence[tuple[int, int]]) -> int:
    """Return the last counter of the absent range that holds `counter`, else 0."""
    return max((last for first, last in absent if first <= counter <= last), default=0)
