"""How fast the outbox is: storing a record, and starting with a long queue. Each time stands beside the least that
SQLite takes for the same on the same disk."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent import database
from edge_agent.checksum import checksum
from edge_agent.outbox import Outbox
from protocol.record import Record
from tests.support.signing_lock import SigningLock

APPENDS, ROUNDS = 500, 5
QUEUED, LOCKS = 1_000_000, 200
RAW = (
    "CREATE TABLE records (id INTEGER PRIMARY KEY, lock_id BLOB, counter INTEGER, record BLOB, "
    "UNIQUE (lock_id, counter))"
)


def _seconds(store: Callable[[Record], object], records: list[Record]) -> float:
    start = time.monotonic()
    for each in records:
        store(each)
    return (time.monotonic() - start) / len(records)


@pytest.mark.bench
def test_the_time_to_store_a_record(tmp_path: Path) -> None:
    ours, bare = [], []
    with closing(Outbox(tmp_path / "outbox")) as box, closing(sqlite3.connect(tmp_path / "raw")) as raw:
        raw.isolation_level = None
        raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("PRAGMA synchronous = FULL")
        raw.execute(RAW)
        for _ in range(ROUNDS):
            lock = SigningLock()
            box.lock_seen(lock.hello())
            records = lock.journal(APPENDS)
            ours.append(_seconds(box.put, records))
            bare.append(
                _seconds(
                    lambda item: raw.execute(
                        "INSERT INTO records (lock_id, counter, record) VALUES (?,?,?)",
                        (item.lock_id, item.counter, item.raw),
                    ),
                    records,
                )
            )
    print(f"\nto store a record: {min(ours) * 1e6:.0f} us, {min(ours) / min(bare):.2f} times SQLite alone")


def _rows(locks: list[SigningLock]) -> Iterator[tuple[object, ...]]:
    """Yield QUEUED rows, the records of all locks in turn. They are as long as real ones, but unsigned."""
    size = len(locks[0].journal()[0].raw)
    for counter in range(1, QUEUED // len(locks) + 1):
        for lock in locks:
            row = (lock.lock_id, counter, os.urandom(32), bytes(32), bytes(size))
            yield (*row, time.time(), checksum(*row))


@pytest.mark.bench
def test_the_time_to_start_with_a_long_queue(tmp_path: Path) -> None:
    path = tmp_path / "outbox"
    Outbox(path).close()
    with closing(database.open_for_writing(path)) as filled:
        filled.execute("PRAGMA synchronous = OFF")
        filled.execute("BEGIN")
        filled.executemany(
            "INSERT INTO records (lock_id, counter, payload_hash, previous, record, stored_at, checksum) "
            "VALUES (?,?,?,?,?,?,?)",
            _rows([SigningLock() for _ in range(LOCKS)]),
        )
        filled.execute("COMMIT")
        filled.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    start = time.monotonic()
    with closing(Outbox(path)) as box:
        took = time.monotonic() - start
        start = time.monotonic()
        box.check()
        again = time.monotonic() - start
    print(
        f"\nto start with {QUEUED:,} records ({path.stat().st_size / 1e6:.0f} MB) out of memory: {took:.1f} s, "
        f"and a round of housekeeping {again * 1000:.1f} ms"
    )
