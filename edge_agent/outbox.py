"""The outbox: records on their way from lock to province. A record is on disk before the lock is asked for more.

Each record is committed separately, so it is either stored or not. A building makes less than a megabyte a day, so a
disk flush for each record is cheap. A record leaves the queue when a receipt of the province covers it. The outbox sets
a record aside if it contradicts a stored record, if the lock did not sign it, or if the province refuses it and our own
check agrees. A record that was set aside is never overwritten.
"""

import hashlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from edge_agent import damage, database, gaps, log, queue_rows, receipting
from edge_agent.checksum import ROW, checksum, is_whole
from edge_agent.disk_room import Room
from edge_agent.statement_queue import StatementQueue
from protocol import uplink
from protocol.errors import StorageError, VerificationError
from protocol.link import Hello
from protocol.receipt import Receipt
from protocol.record import Record

Key = tuple[bytes, int]
"""(lock id, counter). The lock, the edge agent and the province identify a record by this pair."""

MEGABYTE: Final = 1_000_000
FORGED_LIMIT: Final = 1000
"""Maximum number of records in the outbox that their lock has not signed. These records are kept for people to look at.
Anyone in radio range can make such records, and they must not fill the disk."""


_COUNT_UP: Final = "INSERT INTO tally VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET count = count + 1"


@dataclass(frozen=True)
class Stored:
    """A queued record; `id` gives the order of arrival."""

    id: int
    lock_id: bytes
    counter: int
    record: bytes


class Outbox:
    """The outbox at `path`. The outbox takes at most `max_bytes` of records from own locks. `disk_room` limits others.

    `is_own(lock_id)` returns True for an own lock; by default every lock counts as an own lock. No record is accepted
    while less than `reserve_bytes` of the disk is free. `checked_bytes` is for `database.open_for_writing`.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int = 512 * MEGABYTE,
        reserve_bytes: int = 0,
        is_own: Callable[[bytes], bool] = lambda _lock_id: True,
        checked_bytes: int = database.CHECKED_BYTES,
    ) -> None:
        self._path = path
        self._room = Room(path.parent, max_bytes, reserve_bytes, is_own, self._spare)
        self.refusal: StorageError | None = None
        """Why the last record of an own lock was not taken in; None if it was, or if there is room again."""
        self.rebuilt = 0
        """How often this object has made a new file in place of a damaged one. Row ids start anew in a new file."""
        try:
            self._db = database.open_for_writing(path, checked_bytes)
            self._count()
        except StorageError as error:
            if hasattr(self, "_db"):
                self._db.close()
            if error.code != "outbox.corrupt":
                raise
            self._rebuild()
        self.statements = StatementQueue(self._db)
        """The statements that wait for locks, in the same database file."""
        self._room.hold()

    def _rebuild(self) -> None:
        self._db, saved = damage.rebuild(self._path)
        with database.transaction(self._db):
            self._db.execute(_COUNT_UP, ("rebuilt",))
        self.rebuilt += 1
        log.event("outbox.rebuilt", records=saved, aside=self._path.name + damage.ASIDE)
        self._count()

    def _count(self, sample: int = queue_rows.SAMPLE) -> None:
        self._room.clear()
        sizes, self._estimated = queue_rows.room_taken(self._db, sample)
        for lock_id, size in sizes:
            self._room.add(lock_id, size)

    def _spare(self) -> int:
        """Return the size of the file's free pages in bytes. New records go there first."""
        return self._one("SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _one(self, query: str, *values: object) -> int:
        with database.errors(self._db):
            row = self._db.execute(query, values).fetchone()
        return 0 if row is None or row[0] is None else int(row[0])

    # --- locks -------------------------------------------------------------------------------------------------------

    def lock_seen(self, hello: Hello, address: str = "") -> None:
        """Store the HELLO of a lock that proved itself at `address`.

        The HELLO may give a lower receipted counter than this outbox has. Then either the receipt still waits to be
        delivered, or the lock did not accept it. In the second case, the lock still has its records, and the agent
        fetches them again: the counter in the HELLO replaces the stored counter.
        """
        with database.transaction(self._db):
            self._db.execute(
                "INSERT INTO locks (lock_id, identity_public, next_counter, told_through, seen_at, address) "
                "VALUES (?,?,?,?,?,?) ON CONFLICT (lock_id) DO UPDATE SET identity_public = excluded.identity_public, "
                "seen_at = excluded.seen_at, next_counter = max(next_counter, excluded.next_counter), "
                "told_through = excluded.told_through, address = excluded.address",
                (
                    *(hello.lock_id, hello.identity_public, hello.next_counter, hello.receipted_through),
                    *(time.time(), address),
                ),
            )
            self._db.execute(
                "DELETE FROM absent WHERE lock_id = ? AND last <= ?", (hello.lock_id, hello.receipted_through)
            )
            if self._receipted_through(hello.lock_id) <= hello.receipted_through:
                self.statements.drop_receipt(hello.lock_id)
            elif not self.statements.has_receipt(hello.lock_id):
                self._db.execute(
                    "UPDATE locks SET receipted_through = told_through, receipted_head = NULL WHERE lock_id = ?",
                    (hello.lock_id,),
                )

    def proven(self) -> list[tuple[str, bytes]]:
        """Return (address, lock id) of each lock. At this address, the lock last proved its identity."""
        with database.errors(self._db):
            return self._db.execute(
                "SELECT address, lock_id FROM locks WHERE address != '' ORDER BY lock_id"
            ).fetchall()

    def knows(self, lock_id: bytes) -> bool:
        """Return True if this agent has ever seen the lock."""
        return self._one("SELECT count(*) FROM locks WHERE lock_id = ?", lock_id) > 0

    def identity(self, lock_id: bytes) -> bytes:
        """Return the identity key that the lock showed, a 65-byte point; empty if the lock was never seen."""
        with database.errors(self._db):
            row = self._db.execute("SELECT identity_public FROM locks WHERE lock_id = ?", (lock_id,)).fetchone()
        return row[0] if row is not None and row[0] is not None else b""

    def check(self) -> None:
        """Read from the disk, so that the watchdog notices a disk that hangs. If SQLite has found the file damaged,
        make a new one with all rows that are still whole. Raises StorageError.
        """
        try:
            self._one("SELECT id FROM records LIMIT 1")
        except StorageError:
            if not self._db.damaged:
                raise
        if self._db.damaged:
            self._db.close()
            self._rebuild()
            self.statements.move_to(self._db)
        elif self._estimated and queue_rows.are_few(self._db):
            self._count(queue_rows.FEW)
        self._room.hold()
        if self.refusal is not None and self._room.fits_again(self.refusal.code):
            self.refusal = None

    def known_through(self, lock_id: bytes) -> int:
        """Return the counter of the next record that the outbox needs from the lock, minus one."""
        return gaps.known_through(self._db, lock_id, max(self._receipted_through(lock_id), self._told_through(lock_id)))

    def note_absent(self, lock_id: bytes, first: int, last: int) -> None:
        """Note that the lock does not have these records. It skipped them twice. Raises StorageError."""
        gaps.note_absent(self._db, lock_id, first, last)

    # --- records in --------------------------------------------------------------------------------------------------

    def put(self, record: Record) -> Literal["stored", "duplicate", "conflict"]:
        """Store a record whose signature was verified. When this method returns, the record is on disk.

        If another payload with the same key is already stored, the record goes to quarantine. Raises StorageError:
        `outbox.limit` or `outbox.strangers` if the room for own locks or for others is full, `outbox.reserve` if the
        disk is nearly full, or an error of `edge_agent.database`. After an error, the record is not stored, and the
        lock must keep it.
        """
        try:
            outcome = self._put(record)
        except StorageError as error:
            if error.code != "outbox.strangers":
                self.refusal = error
            raise
        self.refusal = None if outcome == "stored" else self.refusal
        return outcome

    def _put(self, record: Record) -> Literal["stored", "duplicate", "conflict"]:
        receipted = self._receipted(record.lock_id)
        if receipted is not None and record.counter <= receipted[0]:
            if record.counter < receipted[0] or receipted[1] in (None, record.payload_hash):
                return "duplicate"
            return self._conflict(record)
        with database.errors(self._db):
            row = self._db.execute(
                "SELECT payload_hash FROM records WHERE lock_id = ? AND counter = ?", (record.lock_id, record.counter)
            ).fetchone()
        if row is not None:
            # Compare the payloads, not the signatures: with ECDSA, one payload may have several good signatures.
            if row[0] == record.payload_hash:
                return "duplicate"
            if not self._drop_damaged(record.lock_id, record.counter, record.counter):
                return self._conflict(record)
        if self._one(
            "SELECT count(*) FROM quarantine WHERE lock_id = ? AND counter = ? AND payload_hash = ? AND authentic",
            record.lock_id,
            record.counter,
            record.payload_hash,
        ):
            return "duplicate"
        self._room.check(record.lock_id, len(record.raw))
        columns = (record.lock_id, record.counter, record.payload_hash, record.previous, record.raw)
        with database.transaction(self._db):
            self._db.execute(
                "INSERT INTO records (lock_id, counter, payload_hash, previous, record, stored_at, checksum) "
                "VALUES (?,?,?,?,?,?,?)",
                (*columns, time.time(), checksum(*columns)),
            )
        self._room.add(record.lock_id, len(record.raw))
        return "stored"

    def keep_forged(self, lock_id: bytes, counter: int, record: bytes, code: str) -> bool:
        """Set aside a record that its lock did not sign. Return False if there are already too many such records."""
        if self._one("SELECT count(*) FROM quarantine WHERE NOT authentic") >= FORGED_LIMIT:
            return False
        try:
            self._room.check(None, len(record))
        except StorageError:
            return False
        with database.transaction(self._db):
            kept = self._quarantine((lock_id, counter), record, None, code, authentic=False)
        self._room.add(None, kept)
        return kept > 0

    def _conflict(self, record: Record) -> Literal["conflict"]:
        self._room.check(record.lock_id, len(record.raw))
        with database.transaction(self._db):
            key = (record.lock_id, record.counter)
            kept = self._quarantine(key, record.raw, record.payload_hash, "outbox.conflict", authentic=True)
        self._room.add(record.lock_id, kept)
        return "conflict"

    def _quarantine(self, key: Key, record: bytes, payload_hash: bytes | None, code: str, authentic: bool) -> int:
        """Insert into the quarantine, inside a transaction. Return how many bytes the caller must count after the
        transaction.
        """
        done = self._db.execute(
            "INSERT OR IGNORE INTO quarantine (lock_id, counter, record_hash, payload_hash, authentic, record, code, "
            "stored_at) VALUES (?,?,?,?,?,?,?,?)",
            (*key, hashlib.sha256(record).digest(), payload_hash, authentic, record, code, time.time()),
        )
        return len(record) if done.rowcount else 0

    # --- records out -------------------------------------------------------------------------------------------------

    def batch(
        self,
        after: int,
        max_bytes: int,
        max_records: int,
        *,
        only: Collection[bytes] | None = None,
        without: Collection[bytes] = (),
    ) -> list[Stored]:
        """Return records whose `id` is greater than `after`, in order of arrival, within both limits.

        The first such record is always included, even if it is above the limit. If `only` is given, only records of the
        locks in `only` are returned. Records of the locks in `without` are left out. A row that the disk has changed is
        dropped, and `known_through` asks the lock for it again.
        """
        while True:
            rows = queue_rows.in_order_of_arrival(self._db, after, max_bytes, max_records, only, without)
            whole = self._whole(rows)
            if whole or not rows:
                return whole
            after = rows[-1][0]

    def lowest(
        self, reached: Mapping[bytes, int], max_bytes: int, max_records: int, *, of_each: int = uplink.MAX_RECORDS
    ) -> list[Stored]:
        """Return records of the locks in `reached`, each with a counter above the one given there: all of the first
        lock, lowest counter first, then of the next, at most `of_each` of one lock, within both limits. The first such
        record is always included. A row that the disk has changed is dropped.
        """
        while True:
            rows = queue_rows.lowest_first(self._db, reached, max_bytes, max_records, of_each)
            whole = self._whole(rows)
            if whole or not rows:
                return whole
            reached = {**reached, **{row[1]: row[2] for row in rows}}

    def lock_ids(self) -> list[bytes]:
        """Return the ids of all locks with queued records."""
        return queue_rows.lock_ids(self._db)

    def _whole(self, rows: Sequence[tuple[Any, ...]]) -> list[Stored]:
        """Return the rows that are as they were stored, and drop the others."""
        if not all(row[-1] for row in rows):
            raise database.corrupt(self._db)
        whole = [row for row in rows if is_whole(row[:-1])]
        self._drop([row for row in rows if row not in whole])
        return [Stored(*row[:4]) for row in whole]

    def _drop(self, rows: Sequence[Sequence[Any]]) -> None:
        """Drop rows that the disk has changed. A full disk keeps them, and they still do not go out."""
        for row_id, lock_id, counter, record, *_ in rows:
            facts = {"lock": lock_id, "counter": counter}
            try:
                with database.transaction(self._db):
                    self._db.execute("DELETE FROM records WHERE id = ?", (row_id,))
                    self._db.execute(_COUNT_UP, ("damaged",))
            except StorageError as error:
                log.event("record.not_dropped", **facts, code=error.code, reason=error.message)
            else:
                self._room.add(lock_id, -queue_rows.length(record))
                log.event("record.rotten", **facts)

    def _drop_damaged(self, lock_id: bytes, first: int, last: int) -> bool:
        """Drop the lock's damaged rows with these counters. Return True if there was one."""
        with database.errors(self._db):
            rows = self._db.execute(
                f"SELECT {ROW} FROM records WHERE lock_id = ? AND counter BETWEEN ? AND ?",  # noqa: S608
                (lock_id, first, last),
            ).fetchall()
        damaged = [row for row in rows if not is_whole(row)]
        self._drop(damaged)
        return bool(damaged)

    def newest(self) -> int:
        """Return the highest `id` of a stored record; 0 if no record is stored."""
        return self._one("SELECT max(id) FROM records")

    def apply_receipts(
        self, receipts: Sequence[tuple[Receipt, bytes]]
    ) -> tuple[list[Key], list[tuple[Receipt, VerificationError]]]:
        """Delete the records that receipts of different locks cover, and queue each receipt (form, signed statement)
        for its lock. Up to 256 records leave in one transaction, whatever the number of locks.

        The caller has verified the signatures. Return the keys of the deleted records, and the receipts that changed
        nothing, with the reasons of `receipting`. Raises StorageError.
        """
        good: list[tuple[Receipt, bytes]] = []
        refused: list[tuple[Receipt, VerificationError]] = []
        for receipt, signed in receipts:
            try:
                self._judge(receipt)
                good.append((receipt, signed))
            except VerificationError as error:
                refused.append((receipt, error))
        rows = self._forget(good, good) if good else []
        gone = [(row[0], row[1]) for row in rows]
        while len(rows) == receipting.ROWS_AT_ONCE:
            rows = self._forget(good, [])
            gone += [(row[0], row[1]) for row in rows]
        return gone, refused

    def _judge(self, receipt: Receipt) -> None:
        receipting.judge(self._db, receipt)
        try:
            receipting.check_chain(self._db, receipt)
        except VerificationError:
            if not self._drop_damaged(receipt.lock_id, 1, receipt.through):
                raise
            receipting.check_chain(self._db, receipt)

    def _forget(
        self, receipts: Sequence[tuple[Receipt, bytes]], new: Sequence[tuple[Receipt, bytes]]
    ) -> list[tuple[bytes, int, int]]:
        """Note the `new` receipts and delete some records, in one transaction. A full disk gives up its ballast."""

        def step() -> list[tuple[bytes, int, int]]:
            with database.transaction(self._db):
                for receipt, signed in new:
                    receipting.note(self._db, self.statements, receipt, signed)
                return receipting.delete(self._db, [receipt for receipt, _ in receipts])

        try:
            rows = step()
        except StorageError as error:
            if error.code not in ("outbox.full", "outbox.io") or not self._room.release():
                raise
            rows = step()
        for lock_id, _counter, size in rows:
            self._room.add(lock_id, -size)
        return rows

    # --- records that the province refuses ---------------------------------------------------------------------------

    def queued(self, key: Key) -> tuple[bytes, bytes] | None:
        """Return (record, its payload hash at arrival) for the queued record with this key, else None."""
        with database.errors(self._db):
            row = self._db.execute(
                "SELECT record, payload_hash FROM records WHERE lock_id = ? AND counter = ?", key
            ).fetchone()
        return None if row is None else (bytes(row[0]), bytes(row[1]))

    def set_aside(self, key: Key, code: str, *, authentic: bool) -> None:
        """Move a record from the queue to the quarantine. If the record is not `authentic`, `known_through` asks the
        lock for it again."""
        with database.transaction(self._db):
            rows = self._db.execute(
                "DELETE FROM records WHERE lock_id = ? AND counter = ? RETURNING record, payload_hash", key
            ).fetchall()
            kept = sum(self._quarantine(key, record, payload_hash, code, authentic) for record, payload_hash in rows)
            if rows and not authentic:
                self._db.execute(_COUNT_UP, ("damaged",))
        self._room.add(key[0], -sum(len(row[0]) for row in rows))
        self._room.add(key[0] if authentic else None, kept)

    def dispute(self, key: Key, code: str) -> bool:
        """Mark a good record as refused by the province. The record stays queued. Return False if the record has this
        mark already."""
        with database.transaction(self._db):
            done = self._db.execute(
                "UPDATE records SET disputed = ? WHERE lock_id = ? AND counter = ? AND disputed IS NOT ?",
                (code, *key, code),
            )
        return done.rowcount > 0

    def _receipted(self, lock_id: bytes) -> tuple[int, bytes | None] | None:
        with database.errors(self._db):
            row = self._db.execute(
                "SELECT receipted_through, receipted_head FROM locks WHERE lock_id = ?", (lock_id,)
            ).fetchone()
        return None if row is None else (row[0], row[1])

    def _receipted_through(self, lock_id: bytes) -> int:
        return self._one("SELECT receipted_through FROM locks WHERE lock_id = ?", lock_id)

    def _told_through(self, lock_id: bytes) -> int:
        return self._one("SELECT told_through FROM locks WHERE lock_id = ?", lock_id)
