"""The province's database: SQLite in WAL mode with synchronous FULL, so a committed record is on the disk.

`(lock_id, counter)` is the key of a record everywhere. A second record with the same key goes to quarantine. Every
committed record is kept as the lock signed it, even if nobody can open it.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol import placement, record
from sim.province.edge_rows import SCHEMA as EDGES
from sim.province.quality import GOOD
from sim.province.sign_rows import SCHEMA as SIGNS
from sim.province.sign_rows import SignRows

UNOPENED = 0
"""`kind` of a committed record whose body could not be opened or read."""

CHAIN = "record.chain"
"""Verdict on a record that does not fit the chain, because its `previous` or the next record's `previous` is wrong."""

QUARANTINE_ROWS = 1000
"""Maximum number of rows in quarantine for one reason. Anyone can make records that a lock did not sign. Such records
must not fill the disk. There must also be room for two records that a lock signed with the same counter.
"""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS listings (code TEXT PRIMARY KEY, doors INTEGER NOT NULL, admits TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS locks (
  lock_id BLOB PRIMARY KEY, identity BLOB NOT NULL, listing TEXT NOT NULL, room TEXT NOT NULL, status TEXT NOT NULL,
  platform_key BLOB NOT NULL, profile TEXT NOT NULL, edge TEXT, through INTEGER NOT NULL DEFAULT 0,
  door INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS statements (
  kind TEXT NOT NULL, name TEXT NOT NULL, serial INTEGER NOT NULL, statement BLOB NOT NULL, PRIMARY KEY (kind, name));
CREATE TABLE IF NOT EXISTS grants (
  lock_id BLOB NOT NULL, grant_id BLOB NOT NULL, serial INTEGER NOT NULL, until INTEGER NOT NULL,
  statement BLOB NOT NULL, PRIMARY KEY (lock_id, grant_id));
CREATE TABLE IF NOT EXISTS records (
  lock_id BLOB NOT NULL, counter INTEGER NOT NULL, payload_hash BLOB NOT NULL, previous BLOB NOT NULL,
  record BLOB NOT NULL, kind INTEGER NOT NULL, earliest INTEGER, latest INTEGER, listing TEXT NOT NULL,
  grant_id BLOB, guest INTEGER, fields TEXT, method TEXT NOT NULL, what TEXT NOT NULL, count INTEGER NOT NULL,
  occupancy TEXT NOT NULL, verdict TEXT NOT NULL,
  committed_at INTEGER NOT NULL, PRIMARY KEY (lock_id, counter)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS chain_breaks ON records (lock_id, counter) WHERE verdict='record.chain';
CREATE TABLE IF NOT EXISTS quarantine (
  lock_id BLOB NOT NULL, counter INTEGER NOT NULL, payload_hash BLOB NOT NULL, code TEXT NOT NULL, record BLOB NOT NULL,
  seen INTEGER NOT NULL DEFAULT 1, first_seen INTEGER NOT NULL, PRIMARY KEY (lock_id, counter, payload_hash));
CREATE TABLE IF NOT EXISTS receipts (
  lock_id BLOB NOT NULL, through INTEGER NOT NULL, head BLOB NOT NULL, time INTEGER NOT NULL, statement BLOB NOT NULL,
  PRIMARY KEY (lock_id, through));
CREATE TABLE IF NOT EXISTS refusals (
  id INTEGER PRIMARY KEY, code TEXT NOT NULL, lock_id BLOB NOT NULL, time INTEGER NOT NULL, statement BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS refusals_by_reason ON refusals (code, time);
CREATE TABLE IF NOT EXISTS refused (
  lock_id BLOB NOT NULL, counter INTEGER NOT NULL, payload_hash BLOB NOT NULL, refusal INTEGER NOT NULL,
  PRIMARY KEY (lock_id, counter, payload_hash)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS refused_by_refusal ON refused (refusal);
CREATE TABLE IF NOT EXISTS tally (name TEXT PRIMARY KEY, count INTEGER NOT NULL);
"""


@dataclass(frozen=True)
class Listing:
    """A listing as declared: its number of doors, and which guests it admits (`protocol.placement`)."""

    code: str
    doors: int = 1
    admits: str = placement.NAMED


@dataclass(frozen=True)
class Lock:
    """A registered lock.

    `identity` is the lock's key (65-byte point). `edge` is the edge that last served the lock. The lock's records are
    committed without a gap up to the counter `through`. `door` is the number of the lock's door in the listing.
    """

    lock_id: bytes
    identity: bytes
    listing: str
    room: str
    status: str
    platform_key: bytes
    profile: str
    edge: str | None = None
    through: int = 0
    door: int = 1


@dataclass(frozen=True)
class Registration:
    """One committed record, opened: a registration, an entry or an event. Times are epoch seconds.

    Only a check-in has `fields`, and only an event has `what`. `count` says how often the entry or event happened, from
    `earliest` to `latest`. `guest` is None for an event, and for entries that were counted together. Openings have
    `occupancy` as in record.cddl. If a record could not be opened, `kind` is UNOPENED, `verdict` says why, and the rest
    of the body is empty.
    """

    lock_id: bytes
    counter: int
    payload_hash: bytes
    kind: int
    earliest: int | None
    latest: int | None
    listing: str
    grant_id: bytes | None
    guest: int | None
    fields: dict[str, str]
    method: str
    what: str
    count: int
    occupancy: list[int] | None
    verdict: str
    committed_at: int


class Store(SignRows):
    """All data of a province. Several stores may share one file, even in several processes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, EDGES + SIGNS + _SCHEMA)

    # --- locks and statements ----------------------------------------------------------------------------------------

    def put_lock(self, lock: Lock) -> None:
        """Add a lock, or change its placement. The lock keeps its edge and its counters."""
        self._write(
            "INSERT INTO locks (lock_id, identity, listing, room, status, platform_key, profile, door) "
            "VALUES (?,?,?,?,?,?,?,?) ON CONFLICT (lock_id) DO UPDATE SET listing=excluded.listing, "
            "room=excluded.room, status=excluded.status, platform_key=excluded.platform_key, "
            "profile=excluded.profile, door=excluded.door",
            *(lock.lock_id, lock.identity, lock.listing, lock.room, lock.status, lock.platform_key, lock.profile),
            lock.door,
        )

    def put_listing(self, listing: Listing) -> None:
        """Declare a listing, or change its declaration."""
        self._write("INSERT OR REPLACE INTO listings VALUES (?,?,?)", listing.code, listing.doors, listing.admits)

    def listing(self, code: str) -> Listing:
        """Return the listing with that code. An undeclared listing has one door and admits guests by name."""
        rows = self._rows("SELECT * FROM listings WHERE code=?", code)
        return Listing(*rows[0]) if rows else Listing(code)

    def locks(self) -> list[Lock]:
        """Every registered lock."""
        return [Lock(*row) for row in self._rows("SELECT * FROM locks ORDER BY listing, lock_id")]

    def lock(self, lock_id: bytes) -> Lock | None:
        """Return the lock with that id, or None."""
        rows = self._rows("SELECT * FROM locks WHERE lock_id=?", lock_id)
        return Lock(*rows[0]) if rows else None

    def heard(self, lock_id: bytes, edge: str, at: int) -> None:
        """Store the edge that serves a lock now. The lock worked or was connected at the time `at`, the edge says.

        What another edge said before is forgotten. Otherwise that edge could make this one answer for it.
        """
        self._write(
            "UPDATE watched SET heard_at=? WHERE lock_id=? AND "
            "(heard_at<? OR (SELECT edge FROM locks WHERE lock_id=watched.lock_id) IS NOT ?)",
            *(at, lock_id, at, edge),
        )
        self._write("UPDATE locks SET edge=? WHERE lock_id=? AND edge IS NOT ?", edge, lock_id, edge)

    def put_statement(self, kind: str, name: str, serial: int, statement: bytes) -> None:
        """Keep the current statement of that kind for `name` (a lock id in hex, a profile id, or empty)."""
        self._write("INSERT OR REPLACE INTO statements VALUES (?,?,?,?)", kind, name, serial, statement)

    def statement(self, kind: str, name: str) -> tuple[int, bytes] | None:
        """Return (serial, statement) of the current statement, or None."""
        rows = self._rows("SELECT serial, statement FROM statements WHERE kind=? AND name=?", kind, name)
        return (rows[0][0], rows[0][1]) if rows else None

    def put_grant(self, lock_id: bytes, grant_id: bytes, serial: int, until: int, statement: bytes) -> None:
        """Queue a grant for a lock. A grant with a higher serial replaces the earlier grant."""
        self._write(
            "INSERT INTO grants VALUES (?,?,?,?,?) "
            "ON CONFLICT (lock_id, grant_id) DO UPDATE SET serial=excluded.serial, "
            "until=excluded.until, statement=excluded.statement WHERE excluded.serial > grants.serial",
            *(lock_id, grant_id, serial, until, statement),
        )

    def grants(self, lock_id: bytes, now: int) -> list[bytes]:
        """Return the grants of a lock, except those whose stay has ended."""
        rows = self._rows("SELECT statement FROM grants WHERE lock_id=? AND until>=? ORDER BY until", lock_id, now)
        return [row[0] for row in rows]

    # --- records -----------------------------------------------------------------------------------------------------

    def hash_of(self, lock_id: bytes, counter: int) -> bytes | None:
        """Return the payload hash of the committed record, or None."""
        rows = self._rows("SELECT payload_hash FROM records WHERE lock_id=? AND counter=?", lock_id, counter)
        return rows[0][0] if rows else None

    def around(self, lock_id: bytes, counter: int) -> dict[int, tuple[bytes, bytes]]:
        """Return {counter: (payload hash, previous)} of the committed records with this counter, the one before it and
        the one after it."""
        rows = self._rows(
            "SELECT counter, payload_hash, previous FROM records WHERE lock_id=? AND counter BETWEEN ? AND ?",
            *(lock_id, counter - 1, counter + 1),
        )
        return {row[0]: row[1:] for row in rows}

    def put_record(self, item: record.Record, body: dict[Any, Any] | None, verdict: str, now: int) -> None:
        """Commit a verified record. `body` is the opened body of the record, or None if the body cannot be opened.

        Raises sqlite3.IntegrityError if a record with the same key is committed already.
        """
        told = body or {record.KIND: UNOPENED, record.LISTING_CODE: ""}
        fields = told.get(record.FIELDS)
        self._write(
            "INSERT INTO records VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            *(item.lock_id, item.counter, item.payload_hash, item.previous, item.raw),
            *(told[record.KIND], told.get(record.EARLIEST), told.get(record.LATEST), told[record.LISTING_CODE]),
            *(told.get(record.GRANT_ID), told.get(record.GUEST)),
            None if fields is None else json.dumps(fields, ensure_ascii=False, sort_keys=True),
            *(told.get(record.METHOD, ""), told.get(record.WHAT, ""), told.get(record.COUNT, 1)),
            *(json.dumps(told.get(record.OCCUPANCY)), verdict, now),
        )

    def advance(self, lock_id: bytes) -> int | None:
        """Raise a lock's `through` to the last counter before a gap. Returns the new value, or None if it is 0."""
        through: int = self._rows("SELECT through FROM locks WHERE lock_id=?", lock_id)[0][0]
        with self._lock:
            following = self._db.execute(
                "SELECT counter FROM records WHERE lock_id=? AND counter>? ORDER BY counter", (lock_id, through)
            )
            for (counter,) in following:
                if counter != through + 1:
                    break
                through = counter
            following.close()
        self._write("UPDATE locks SET through=? WHERE lock_id=?", through, lock_id)
        return through or None

    def chain_ends(self, lock_id: bytes, first: int, last: int) -> list[int]:
        """Return, in order, the counters from `first` to `last` after which the lock's chain may be broken."""
        rows = self._rows(
            "SELECT counter FROM records WHERE lock_id=? AND verdict='record.chain' AND counter BETWEEN ? AND ?",
            *(lock_id, first, last + 1),
        )
        # The chain breaks before or after a record with this verdict.
        ends = {end for row in rows for end in (row[0] - 1, row[0])}
        return sorted(end for end in ends if first <= end <= last)

    def quarantine(self, item: record.Record, code: str, now: int) -> None:
        """Keep a refused record, unless QUARANTINE_ROWS records with the same code are kept already.

        If this record is kept already, only count it.
        """
        self._write(
            "INSERT INTO quarantine (lock_id, counter, payload_hash, code, record, first_seen) SELECT ?,?,?,?,?,? "
            "WHERE (SELECT COUNT(*) FROM quarantine WHERE code=?) < ? "
            "OR EXISTS (SELECT 1 FROM quarantine WHERE lock_id=? AND counter=? AND payload_hash=?) "
            "ON CONFLICT (lock_id, counter, payload_hash) DO UPDATE SET seen=seen+1, code=excluded.code",
            *(item.lock_id, item.counter, item.payload_hash, code, item.raw, now, code, QUARANTINE_ROWS),
            *(item.lock_id, item.counter, item.payload_hash),
        )

    def registrations(self, kind: int | None = None) -> list[Registration]:
        """Return the good records of openings, of one kind or of both kinds, sorted by lock and counter."""
        return [item for item in self.records(kind) if item.verdict == GOOD and item.kind in record.OPENINGS]

    def events(self, kind: int | None = None) -> list[Registration]:
        """Return the good records of events, of one kind or of all kinds, sorted by lock and counter."""
        return [item for item in self.records(kind) if item.verdict == GOOD and item.kind in record.EVENTS]

    def records(self, kind: int | None = None, lock_id: bytes | None = None) -> list[Registration]:
        """Return the committed records, sorted by lock and counter.

        If a `kind` is given (it may be UNOPENED), only records of this kind are returned. If a `lock_id` is given, only
        records of this lock are returned.
        """
        rows = self._rows(
            "SELECT lock_id, counter, payload_hash, kind, earliest, latest, listing, grant_id, guest, fields, method, "
            "what, count, occupancy, verdict, committed_at FROM records "
            "WHERE (? IS NULL OR kind=?) AND (? IS NULL OR lock_id=?) ORDER BY lock_id, counter",
            *(kind, kind, lock_id, lock_id),
        )
        opened = (
            (*row[:9], json.loads(row[9]) if row[9] else {}, *row[10:13], json.loads(row[13]), *row[14:])
            for row in rows
        )
        return [Registration(*row) for row in opened]

    def record_bytes(self, lock_id: bytes, counter: int) -> bytes | None:
        """Return the committed record as the lock signed it. Such a record is evidence in a dispute."""
        rows = self._rows("SELECT record FROM records WHERE lock_id=? AND counter=?", lock_id, counter)
        return rows[0][0] if rows else None

    def count(self, lock_id: bytes | None = None) -> int:
        """Return the number of committed records, of one lock or of all locks."""
        rows = self._rows("SELECT COUNT(*) FROM records WHERE ? IS NULL OR lock_id=?", lock_id, lock_id)
        return int(rows[0][0])

    def quarantined(self) -> list[tuple[bytes, int, bytes, str, int]]:
        """Return (lock id, counter, payload hash, code, number of times seen) of each refused record."""
        rows = self._rows("SELECT lock_id, counter, payload_hash, code, seen FROM quarantine ORDER BY lock_id, counter")
        return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]

    # --- refusals ----------------------------------------------------------------------------------------------------

    def refusal(self, lock_id: bytes, counter: int, payload_hash: bytes) -> bytes | None:
        """Return the kept statement that refuses this record, or None."""
        rows = self._rows(
            "SELECT statement FROM refused JOIN refusals ON id=refusal WHERE refused.lock_id=? AND counter=? "
            "AND payload_hash=?",
            *(lock_id, counter, payload_hash),
        )
        return rows[0][0] if rows else None

    def refusals_about(self, now: int, seconds: int, code: str, lock_id: bytes) -> tuple[int, int]:
        """Count the refusals with this code that were signed less than `seconds` before or after `now`: (number for
        this lock, number for all locks).
        """
        # Refusals far after `now` do not count. Otherwise a clock that was set back would stop signing for a long time.
        rows = self._rows(
            "SELECT COUNT(*) FILTER (WHERE lock_id=?), COUNT(*) FROM refusals WHERE code=? AND time>? AND time<?",
            *(lock_id, code, now - seconds, now + seconds),
        )
        return rows[0][0], rows[0][1]

    def put_refusal(
        self, code: str, lock_id: bytes, time: int, statement: bytes, records: list[tuple[int, bytes]]
    ) -> None:
        """Keep a signed refusal of records. Each record is given as counter and payload hash."""
        ((row,),) = self._rows(
            "INSERT INTO refusals (code, lock_id, time, statement) VALUES (?,?,?,?) RETURNING id",
            *(code, lock_id, time, statement),
        )
        for counter, payload_hash in records:
            self._write("INSERT OR REPLACE INTO refused VALUES (?,?,?,?)", lock_id, counter, payload_hash, row)

    def drop_refusals(self, code: str, lock_id: bytes | None, most: int) -> None:
        """Delete the oldest refusals with this code, of one lock or of all locks, until at most `most` are left."""
        rows = self._rows(
            "SELECT id FROM refusals WHERE code=? AND (? IS NULL OR lock_id=?) ORDER BY id DESC LIMIT -1 OFFSET ?",
            *(code, lock_id, lock_id, most),
        )
        for (row,) in rows:
            self._write("DELETE FROM refused WHERE refusal=?", row)
            self._write("DELETE FROM refusals WHERE id=?", row)

    # --- receipts and tally ------------------------------------------------------------------------------------------

    def put_receipt(self, lock_id: bytes, through: int, head: bytes, time: int, statement: bytes) -> None:
        """Keep a signed receipt."""
        self._write("INSERT INTO receipts VALUES (?,?,?,?,?)", lock_id, through, head, time, statement)

    def receipt(self, lock_id: bytes, through: int | None = None) -> tuple[int, bytes] | None:
        """Return (through, statement) of one receipt of the lock: the receipt with the given `through`, or the latest
        receipt if `through` is None. Returns None if there is no such receipt.
        """
        rows = self._rows(
            "SELECT through, statement FROM receipts WHERE lock_id=? AND (? IS NULL OR through=?) "
            "ORDER BY through DESC LIMIT 1",
            *(lock_id, through, through),
        )
        return (rows[0][0], rows[0][1]) if rows else None

    def count_up(self, name: str, by: int = 1) -> None:
        """Add to a tally (of duplicates, of unreadable messages, ...)."""
        if by:
            self._write(
                "INSERT INTO tally VALUES (?,?) ON CONFLICT (name) DO UPDATE SET count=count+excluded.count", name, by
            )

    def tally(self) -> dict[str, int]:
        """Every tally by name."""
        return dict(self._rows("SELECT name, count FROM tally ORDER BY name"))
