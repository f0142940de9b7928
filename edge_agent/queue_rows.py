"""Read rows of queued records, with the columns of `edge_agent.checksum.ROW` and whether the index finds the row."""

import itertools
import json
import sqlite3
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from edge_agent import database
from edge_agent.checksum import ROW

_MOST_LOCKS: Final = 100_000
SAMPLE: Final = 64
FEW: Final = 1000
"""A queue with fewer records than this is read as a whole to know its size."""


class Size(NamedTuple):
    """How much of a lock is queued: the number of its records, their bytes, and whether these bytes are exact."""

    lock_id: bytes
    records: int
    bytes: int
    exact: bool


def in_order_of_arrival(
    connection: database.Connection,
    after: int,
    max_bytes: int,
    max_records: int,
    only: Collection[bytes] | None,
    without: Collection[bytes],
) -> list[tuple[Any, ...]]:
    """Return rows with an `id` above `after`, as `Outbox.batch` does. Raises StorageError."""
    taken: list[tuple[Any, ...]] = []
    size = 0
    with database.errors(connection):
        cursor = connection.execute(
            # Compare with the index too: a changed index hides a row from receipts, or shows one that is gone.
            f"SELECT {ROW}, id IS (SELECT id FROM records AS found WHERE found.lock_id = records.lock_id "  # noqa: S608
            "AND found.counter = records.counter) FROM records WHERE id > :after "
            "AND (:only IS NULL OR hex(lock_id) IN (SELECT value FROM json_each(:only))) "
            "AND hex(lock_id) NOT IN (SELECT value FROM json_each(:without)) ORDER BY id LIMIT :most",
            {
                "after": after,
                "only": None if only is None else _as_json(only),
                "without": _as_json(without),
                "most": max_records,
            },
        )
        for row in cursor:
            size += length(row[3])
            if taken and size > max_bytes:
                break
            taken.append(row)
        cursor.close()
    return taken


def lowest_first(
    connection: database.Connection,
    reached: Mapping[bytes, int],
    max_bytes: int,
    max_records: int,
    of_each: int,
) -> list[tuple[Any, ...]]:
    """Return rows of the locks in `reached`, as `Outbox.lowest` does. Raises StorageError."""
    taken: list[tuple[Any, ...]] = []
    size = 0
    with database.errors(connection):
        for lock_id, counter in reached.items():
            cursor = connection.execute(
                # The values come from the row, but the index chooses it: they must agree.
                f"SELECT {ROW}, +lock_id = :lock AND +counter > :above FROM records "  # noqa: S608  our own names
                "WHERE lock_id = :lock AND counter > :above ORDER BY counter LIMIT :most",
                {"lock": lock_id, "above": counter, "most": min(of_each, max_records - len(taken))},
            )
            for row in cursor:
                size += length(row[3])
                if taken and size > max_bytes:
                    cursor.close()
                    return taken
                taken.append(row)
            if len(taken) >= max_records:
                break
    return taken


def lock_ids(connection: sqlite3.Connection) -> list[bytes]:
    """Return the ids of all locks with queued records. Raises StorageError."""
    with database.errors(connection):
        # This reads one entry of the index for each lock, and not one for each record.
        rows = connection.execute(
            "WITH RECURSIVE found(id) AS (SELECT min(lock_id) FROM records UNION ALL "
            "SELECT (SELECT min(lock_id) FROM records WHERE lock_id > found.id) FROM found WHERE found.id IS NOT NULL) "
            "SELECT id FROM found WHERE id IS NOT NULL LIMIT ?",
            (_MOST_LOCKS,),
        ).fetchall()
    found = [row[0] for row in rows]
    if not all(isinstance(lock_id, bytes) for lock_id in found) or any(
        one >= other for one, other in itertools.pairwise(found)
    ):
        raise database.corrupt(connection)  # in a damaged index, the search would go round for ever
    return found


def sizes(connection: sqlite3.Connection, sample: int = SAMPLE) -> list[Size]:
    """Return how much of each lock is queued. Raises StorageError.

    The records of a lock have nearly the same length, because they are padded. So of a long queue only `sample` records
    of each lock are read, and the index says how many there are.
    """
    found = []
    for lock_id in lock_ids(connection):
        with database.errors(connection):
            ((count,),) = connection.execute("SELECT count(*) FROM records WHERE lock_id = ?", (lock_id,)).fetchall()
            ((read, size),) = connection.execute(
                "SELECT count(*), total(length(record)) FROM "
                "(SELECT record FROM records WHERE lock_id = ? ORDER BY counter LIMIT ?)",
                (lock_id, sample),
            ).fetchall()
        found.append(Size(lock_id, count, round(size * count / (read or 1)), count == read))
    return found


def room_taken(connection: sqlite3.Connection, sample: int) -> tuple[list[tuple[bytes | None, int]], bool]:
    """Return (lock id, bytes) of all records, the quarantine included, and whether this is an estimate. None stands for
    records that no lock has signed. Raises StorageError."""
    queued = sizes(connection, sample)
    with database.errors(connection):
        aside = connection.execute("SELECT CASE WHEN authentic THEN lock_id END, length(record) FROM quarantine")
        taken = [*((each.lock_id, each.bytes) for each in queued), *aside]
    return taken, not all(each.exact for each in queued)


def are_few(connection: sqlite3.Connection) -> bool:
    """Return True if fewer than FEW records are queued. Raises StorageError."""
    with database.errors(connection):
        rows = connection.execute("SELECT count(*) FROM (SELECT 1 FROM records LIMIT ?)", (FEW,)).fetchall()
    return int(rows[0][0]) < FEW


def length(record: object) -> int:
    """Return the length of a record. Damage may change its type too, and the checksum then drops the row."""
    return len(record) if isinstance(record, bytes) else 0


def _as_json(locks: Collection[bytes]) -> str:
    return json.dumps([lock_id.hex().upper() for lock_id in locks])
