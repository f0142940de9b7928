"""Count and list what is in an outbox, for commands that people use while the agent runs."""

import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from edge_agent import database, queue_rows


@dataclass(frozen=True)
class Counts:
    """Number and bytes of the records in the queue, age of the oldest record in seconds, and rows of the other tables.
    The bytes of a long queue are an estimate (`edge_agent.queue_rows.sizes`).

    `disputed` counts the records in the queue that the province refuses although the lock's signature is good.
    `damaged` counts the records that this disk has ever changed, and `rebuilt` counts the files that were made in place
    of a damaged one. `absent` counts the records that no receipt covers and that their locks do not have.
    """

    records: int
    bytes: int
    oldest_seconds: float | None
    disputed: int
    quarantined: int
    statements: int
    locks: int
    damaged: int
    rebuilt: int
    absent: int


def counts(connection: sqlite3.Connection) -> Counts:
    """Return the counts of the outbox behind `connection`. Raises StorageError."""
    with database.errors():
        sizes = queue_rows.sizes(connection)
        oldest = connection.execute("SELECT stored_at FROM records ORDER BY id LIMIT 1").fetchone()
        disputed = connection.execute("SELECT count(*) FROM records WHERE disputed IS NOT NULL").fetchone()[0]
        others = connection.execute(
            "SELECT (SELECT count(*) FROM quarantine), (SELECT count(*) FROM statements), "
            "(SELECT count(*) FROM locks), "
            "coalesce((SELECT count FROM tally WHERE name = 'damaged'), 0), "
            "coalesce((SELECT count FROM tally WHERE name = 'rebuilt'), 0), "
            "(SELECT coalesce(sum(last - first + 1), 0) FROM absent)"
        ).fetchone()
    records, size = sum(each.records for each in sizes), sum(each.bytes for each in sizes)
    return Counts(records, size, _age(oldest[0] if oldest else None), disputed, *others)


def queue_by_lock(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """List the queue of each lock: `lock`, `records`, `first` and `last` counter, `receipted_through`, `disputed`.

    Raises StorageError.
    """
    with database.errors():
        rows = connection.execute(
            "SELECT hex(r.lock_id), count(*), min(r.counter), max(r.counter), coalesce(max(l.receipted_through), 0), "
            "(SELECT count(*) FROM records d WHERE d.lock_id = r.lock_id AND d.disputed IS NOT NULL) "
            "FROM records r LEFT JOIN locks l USING (lock_id) GROUP BY r.lock_id ORDER BY 1"
        ).fetchall()
    names = ("lock", "records", "first", "last", "receipted_through", "disputed")
    return [dict(zip(names, (row[0].lower(), *row[1:]), strict=True)) for row in rows]


def locks(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """List all locks that were ever seen: `lock`, `address`, `seen_seconds` (time since the last HELLO), `records` in
    the queue, `statements` that wait for the lock, `next_counter` and `receipted_through`.

    Raises StorageError.
    """
    with database.errors():
        rows = connection.execute(
            "SELECT hex(lock_id), address, seen_at, "
            "(SELECT count(*) FROM records r WHERE r.lock_id = l.lock_id), "
            "(SELECT count(*) FROM statements s WHERE s.lock_id = l.lock_id), "
            "next_counter, receipted_through FROM locks l ORDER BY 1"
        ).fetchall()
    names = ("lock", "address", "seen_seconds", "records", "statements", "next_counter", "receipted_through")
    return [dict(zip(names, (row[0].lower(), row[1], _age(row[2]), *row[3:]), strict=True)) for row in rows]


def _age(at: float | None) -> float | None:
    return None if at is None else max(0.0, round(time.time() - at, 3))


def quarantine(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """List the records that were set aside, with the `lock`, `counter`, `code` and `bytes` of each.

    Raises StorageError.
    """
    with database.errors():
        rows = connection.execute(
            "SELECT hex(lock_id), counter, code, length(record) FROM quarantine ORDER BY id"
        ).fetchall()
    names = ("lock", "counter", "code", "bytes")
    return [dict(zip(names, (row[0].lower(), *row[1:]), strict=True)) for row in rows]


def disputed(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """List the disputed records, with the `lock`, `counter` and `code` of each.

    The province refuses a disputed record, but our own check finds it good. The record stays in the queue. Raises
    StorageError.
    """
    with database.errors():
        rows = connection.execute(
            "SELECT hex(lock_id), counter, disputed FROM records WHERE disputed IS NOT NULL ORDER BY lock_id, counter"
        ).fetchall()
    return [dict(zip(("lock", "counter", "code"), (row[0].lower(), *row[1:]), strict=True)) for row in rows]
