"""Read rows of queued records, with the columns of `edge_agent.checksum.ROW` and whether the index finds the row."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from edge_agent import database
from edge_agent.checksum import ROW


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
            size += len(row[3])
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
                size += len(row[3])
                if taken and size > max_bytes:
                    cursor.close()
                    return taken
                taken.append(row)
            if len(taken) >= max_records:
                break
    return taken


def lock_ids(connection: database.Connection) -> list[bytes]:
    """Return the ids of all locks with queued records. Raises StorageError."""
    with database.errors(connection):
        # This reads one entry of the index for each lock, and not one for each record.
        rows = connection.execute(
            "WITH RECURSIVE found(id) AS (SELECT min(lock_id) FROM records UNION ALL "
            "SELECT (SELECT min(lock_id) FROM records WHERE lock_id > found.id) FROM found WHERE found.id IS NOT NULL) "
            "SELECT id FROM found WHERE id IS NOT NULL"
        ).fetchall()
    return [row[0] for row in rows]


def _as_json(locks: Collection[bytes]) -> str:
    return json.dumps([lock_id.hex().upper() for lock_id in locks])
