"""The SQLite file under the outbox: durable settings, schema, and SQLite's errors in words that help.

Losing this file loses no record: each lock keeps its own until a receipt covers them, and sends them again.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from protocol import cbor
from protocol.errors import StorageError

APPLICATION_ID = 0x4D6F6F72
SCHEMA_VERSION = 3
BUSY_MS = 5000
"""The agent is the only writer; a `queue` command beside it holds no lock longer than a read."""
WAL_LIMIT_BYTES = 4_000_000
"""The write-ahead log is cut back to this after a burst."""

# What is read here was bounded before, at the entrances; the checks find a file that something else has written in.
_SCHEMA = f"""
CREATE TABLE records (
    id INTEGER PRIMARY KEY AUTOINCREMENT,   -- order of arrival; never used again, so that a cursor stays good
    lock_id BLOB NOT NULL, counter INTEGER NOT NULL CHECK (counter BETWEEN 1 AND {cbor.LARGEST}),
    payload_hash BLOB NOT NULL, previous BLOB NOT NULL,
    record BLOB NOT NULL, stored_at REAL NOT NULL,
    disputed TEXT,                          -- code under which the province refuses it, against our own check
    UNIQUE (lock_id, counter)
);
CREATE TABLE damaged (                      -- records that this disk has changed, to be fetched from the lock again
    lock_id BLOB NOT NULL, counter INTEGER NOT NULL CHECK (counter BETWEEN 1 AND {cbor.LARGEST}),
    PRIMARY KEY (lock_id, counter)
);
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    lock_id BLOB NOT NULL, counter INTEGER NOT NULL CHECK (counter BETWEEN 1 AND {cbor.LARGEST}),
    record_hash BLOB NOT NULL, payload_hash BLOB, authentic INTEGER NOT NULL,
    record BLOB NOT NULL, code TEXT NOT NULL, stored_at REAL NOT NULL,
    UNIQUE (lock_id, counter, record_hash)
);
CREATE TABLE statements (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    lock_id BLOB NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
    serial INTEGER NOT NULL CHECK (serial BETWEEN 0 AND {cbor.LARGEST}),
    until INTEGER NOT NULL CHECK (until BETWEEN 0 AND {cbor.LARGEST}),
    verified INTEGER NOT NULL, statement BLOB NOT NULL, queued_at REAL NOT NULL,
    UNIQUE (lock_id, kind, name)
);
CREATE TABLE placements (                   -- what the newest placement seen of a lock says
    lock_id BLOB PRIMARY KEY, serial INTEGER NOT NULL CHECK (serial BETWEEN 1 AND {cbor.LARGEST}),
    platform_key BLOB NOT NULL, profile TEXT NOT NULL
);
CREATE TABLE locks (
    lock_id BLOB PRIMARY KEY,
    identity_public BLOB,
    next_counter INTEGER NOT NULL DEFAULT 0 CHECK (next_counter BETWEEN 0 AND {cbor.LARGEST}),
    told_through INTEGER NOT NULL DEFAULT 0       -- what the lock itself says a receipt covered
        CHECK (told_through BETWEEN 0 AND {cbor.LARGEST}),
    receipted_through INTEGER NOT NULL DEFAULT 0  -- what the last receipt that we accepted covers
        CHECK (receipted_through BETWEEN 0 AND {cbor.LARGEST}),
    receipted_head BLOB, seen_at REAL,
    address TEXT                                  -- where it proved itself last
);
"""

_ADVICE = {
    sqlite3.SQLITE_FULL: ("outbox.full", "the disk is full; free some space, nothing that is held is lost"),
    sqlite3.SQLITE_BUSY: ("outbox.busy", "another process holds the outbox; stop it"),
    sqlite3.SQLITE_LOCKED: ("outbox.busy", "another process holds the outbox; stop it"),
    sqlite3.SQLITE_READONLY: ("outbox.access", "cannot write; check owner and permissions of state_dir"),
    sqlite3.SQLITE_CANTOPEN: ("outbox.access", "cannot open; check that state_dir exists and its permissions"),
    sqlite3.SQLITE_PERM: ("outbox.access", "cannot open; check owner and permissions of state_dir"),
    sqlite3.SQLITE_IOERR: ("outbox.io", "the disk does not read or write; check it, an SD card may be worn out"),
}
_CORRUPT = (
    "outbox.corrupt",
    "the outbox is damaged; stop the agent, move the file aside, start again: locks send again what has no receipt",
)


@contextlib.contextmanager
def errors() -> Iterator[None]:
    """SQLite's errors as StorageError with a stable code and what to do."""
    try:
        yield
    except sqlite3.Error as error:
        primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
        code, advice = _ADVICE.get(primary, _CORRUPT)
        raise StorageError(code, advice) from error


def open_for_writing(path: Path) -> sqlite3.Connection:
    """The outbox at `path`, made if missing. Raises StorageError, `outbox.version` for a newer schema."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Records are sealed, yet what is not for others to copy should not be theirs to read.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        advice = f"cannot make {path}: {error.strerror}; check state_dir and its permissions"
        raise StorageError("outbox.access", advice) from error
    with errors():
        connection = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None)
        try:
            _check_version(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            # FULL, not NORMAL: a commit in WAL mode must reach the disk before the lock is told to go on.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
            if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise StorageError(*_CORRUPT)
            if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
                connection.executescript(
                    f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA application_id = {APPLICATION_ID};"
                    f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
                )
        except BaseException:
            connection.close()
            raise
    return connection


def no_access(place: Path, error: OSError) -> StorageError:
    """`outbox.access`, for a command that may not look at `place`."""
    advice = f"cannot look into {place}: {error.strerror}; run as the user of the agent: sudo -u USER …"
    return StorageError("outbox.access", advice)


def open_for_reading(path: Path) -> sqlite3.Connection:
    """The outbox for a look beside a running agent.

    Raises StorageError, `outbox.missing` if there is none, `outbox.access` if it is not for us to see.
    """
    try:
        # SQLite has one word for all that keeps it from opening a file.
        os.close(os.open(path, os.O_RDONLY))
    except FileNotFoundError:
        raise StorageError(
            "outbox.missing", f"{path} does not exist; the agent has not run with this state_dir"
        ) from None
    except OSError as error:
        raise no_access(path, error) from error
    with errors():
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_MS / 1000)
        connection.isolation_level = None
        try:
            if _check_version(connection) == 0:
                raise StorageError("outbox.missing", f"{path} is empty; the agent has not run with this state_dir")
        except BaseException:
            connection.close()
            raise
    return connection


def _check_version(connection: sqlite3.Connection) -> int:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise StorageError(
            "outbox.version", f"made by a newer agent (schema {version}, this one knows {SCHEMA_VERSION}); update"
        )
    if 0 < version < SCHEMA_VERSION:
        raise StorageError(
            "outbox.version",
            f"made by an older agent (schema {version}, this one knows {SCHEMA_VERSION}); let that one deliver what it "
            "holds, then move the file aside: locks send again what has no receipt",
        )
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application != APPLICATION_ID and tables:
        raise StorageError("outbox.foreign", "a SQLite file of some other program; choose another state_dir")
    return int(version)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, and on disk when it returns. Raises StorageError."""
    with errors():
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            # A full disk may have ended the transaction already.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
