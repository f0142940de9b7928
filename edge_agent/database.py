"""The SQLite file of the outbox: settings that make it durable, the schema, and advice for each error of SQLite.

No record is lost if this file is lost. Each lock keeps its records until a receipt covers them. Until then, the lock
can send the records again. `edge_agent.damage` makes a new file when this one is damaged.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from edge_agent.checksum import checksum
from protocol import cbor
from protocol.errors import StorageError

APPLICATION_ID = 0x4D6F6F72
SCHEMA_VERSION = 5
BUSY_MS = 5000
"""How long to wait for another process. Only the agent writes. A `queue` command reads the file for a short time."""
CHECKED_BYTES = 32_000_000
"""A file up to this size is checked as a whole when it is opened. In a larger file, the rows of the queue are checked
when they are read: a check of a million rows takes half a minute."""
WAL_LIMIT_BYTES = 4_000_000
"""The write-ahead log is cut back to this size after a burst."""

_NEW_IN_4 = f"""
CREATE TABLE absent (                       -- records that their lock has skipped, although it was asked for them twice
    lock_id BLOB NOT NULL, first INTEGER NOT NULL CHECK (first BETWEEN 1 AND {cbor.LARGEST}),
    last INTEGER NOT NULL CHECK (last BETWEEN 1 AND {cbor.LARGEST}),
    PRIMARY KEY (lock_id, first)
);
CREATE TABLE tally (name TEXT PRIMARY KEY, count INTEGER NOT NULL);
"""
_NEW_IN_5 = "CREATE INDEX disputed_records ON records (lock_id) WHERE disputed IS NOT NULL;"

_VERSIONS_AT = 18
"""Where a file has its two format versions, each 1 or 2 (https://sqlite.org/fileformat2.html, section 1.3)."""

# Other modules check all values before they are stored. If another program has written to the file, the CHECKs notice
# it.
_SCHEMA = f"""
CREATE TABLE records (
    id INTEGER PRIMARY KEY AUTOINCREMENT,   -- order of arrival; no number is used twice, so a cursor stays valid
    lock_id BLOB NOT NULL, counter INTEGER NOT NULL CHECK (counter BETWEEN 1 AND {cbor.LARGEST}),
    payload_hash BLOB NOT NULL, previous BLOB NOT NULL,
    record BLOB NOT NULL, stored_at REAL NOT NULL,
    disputed TEXT,                          -- code of the province's refusal, if our own check disagrees
    checksum INTEGER,                       -- see edge_agent.checksum
    UNIQUE (lock_id, counter)
);
{_NEW_IN_5}
{_NEW_IN_4}
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
CREATE TABLE placements (                   -- from the newest placement of a lock that was seen
    lock_id BLOB PRIMARY KEY, serial INTEGER NOT NULL CHECK (serial BETWEEN 1 AND {cbor.LARGEST}),
    platform_key BLOB NOT NULL, profile TEXT NOT NULL
);
CREATE TABLE locks (
    lock_id BLOB PRIMARY KEY,
    identity_public BLOB,
    next_counter INTEGER NOT NULL DEFAULT 0 CHECK (next_counter BETWEEN 0 AND {cbor.LARGEST}),
    told_through INTEGER NOT NULL DEFAULT 0       -- covered by a receipt, as the lock itself says
        CHECK (told_through BETWEEN 0 AND {cbor.LARGEST}),
    receipted_through INTEGER NOT NULL DEFAULT 0  -- covered by the last receipt that was accepted here
        CHECK (receipted_through BETWEEN 0 AND {cbor.LARGEST}),
    receipted_head BLOB, seen_at REAL,
    address TEXT                                  -- where the lock proved itself last
);
"""

_ADVICE = {
    sqlite3.SQLITE_FULL: ("outbox.full", "the disk is full. Free some space; nothing stored is lost."),
    sqlite3.SQLITE_BUSY: ("outbox.busy", "another process uses the outbox. Stop it."),
    sqlite3.SQLITE_LOCKED: ("outbox.busy", "another process uses the outbox. Stop it."),
    sqlite3.SQLITE_READONLY: ("outbox.access", "cannot write. Check owner and permissions of state_dir."),
    sqlite3.SQLITE_CANTOPEN: ("outbox.access", "cannot open. Check that state_dir exists, and its permissions."),
    sqlite3.SQLITE_PERM: ("outbox.access", "cannot open. Check owner and permissions of state_dir."),
    sqlite3.SQLITE_IOERR: ("outbox.io", "the disk cannot be read or written. Check it; an SD card may be worn out."),
}
_CORRUPT = (
    "outbox.corrupt",
    "the outbox is damaged. The agent makes a new one, and locks send their records again. Check the disk.",
)

_TO_4 = """
ALTER TABLE records ADD COLUMN checksum INTEGER;
UPDATE records SET checksum = checksum_of(lock_id, counter, payload_hash, previous, record);
"""

_STEPS = {
    2: "ALTER TABLE statements RENAME COLUMN held_at TO queued_at;",
    3: f"{_TO_4} DROP TABLE damaged; {_NEW_IN_4}",
    4: _NEW_IN_5,
}
"""What brings a file of an older schema to the next one."""


FAILURES = (sqlite3.Error, UnicodeDecodeError)
"""What a damaged file makes the module sqlite3 raise. It quotes a damaged schema in its message, as UTF-8."""


class Connection(sqlite3.Connection):
    """A connection that remembers whether SQLite has found the file damaged."""

    damaged = False


def corrupt(connection: sqlite3.Connection) -> StorageError:
    """Return the error of a damaged file, and let the outbox's own connection remember the damage."""
    if isinstance(connection, Connection):
        connection.damaged = True
    return StorageError(*_CORRUPT)


@contextlib.contextmanager
def errors(connection: sqlite3.Connection | None = None) -> Iterator[None]:
    """Turn SQLite's errors into StorageErrors with a stable code and advice. Set `connection.damaged` if the error
    shows damage."""
    try:
        yield
    except FAILURES as error:
        primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
        damage = primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or isinstance(error, UnicodeDecodeError)
        if isinstance(connection, Connection) and damage:
            connection.damaged = True
        code, advice = _ADVICE.get(primary, _CORRUPT)
        raise StorageError(code, advice) from error


def open_for_writing(path: Path, checked_bytes: int = CHECKED_BYTES) -> Connection:
    """Open the outbox at `path`; make it if it is missing. A file of more than `checked_bytes` is not checked as a
    whole. Raises StorageError: `outbox.version` for a newer schema, `outbox.corrupt` for a damaged file.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Keep other users from reading the file. The records are sealed, but other users do not need them.
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            versions, size = os.pread(handle, 2, _VERSIONS_AT), os.fstat(handle).st_size
        finally:
            os.close(handle)
    except OSError as error:
        advice = f"cannot make {path}: {error.strerror}. Check state_dir and its permissions."
        raise StorageError("outbox.access", advice) from error
    if not set(versions) <= {1, 2}:
        # SQLite takes such a file for one of a later SQLite, and only reads it.
        raise StorageError(*_CORRUPT)
    with errors():
        connection = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None, factory=Connection)
        # Damage may make a text of any column. Then the checksum must see it, and not an error that hides the row.
        connection.text_factory = lambda raw: raw.decode(errors="replace")
        try:
            version = _check_version(connection, oldest=min(_STEPS))
            connection.execute("PRAGMA journal_mode = WAL")
            # In WAL mode with NORMAL, a commit may not be on disk yet when the agent asks the lock for more records.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
            _check(connection, whole=size <= checked_bytes)
            connection.create_function("checksum_of", 5, checksum, deterministic=True)
            for step in range(version or SCHEMA_VERSION, SCHEMA_VERSION):
                connection.executescript(f"BEGIN IMMEDIATE; {_STEPS[step]} PRAGMA user_version = {step + 1}; COMMIT;")
            if version == 0:
                connection.executescript(
                    f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA application_id = {APPLICATION_ID};"
                    f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
                )
        except BaseException:
            connection.close()
            raise
    return connection


def _check(connection: sqlite3.Connection, *, whole: bool) -> None:
    """Raise StorageError `outbox.corrupt` if SQLite finds the file damaged. Unless `whole` is true, leave the records
    out."""
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    for part in [""] if whole else [f"('{name}')" for name in names if name != "records"]:
        if connection.execute(f"PRAGMA quick_check{part}").fetchone()[0] != "ok":
            raise StorageError(*_CORRUPT)


def no_access(place: Path, error: OSError) -> StorageError:
    """Return the error `outbox.access`, which says that this command may not read the path `place`."""
    advice = f"cannot look into {place}: {error.strerror}. Run this as the user of the agent, with: sudo -u USER."
    return StorageError("outbox.access", advice)


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open the outbox for reading. An agent may be using the file meanwhile.

    Raises StorageError: `outbox.missing` if the file does not exist, `outbox.access` if this user may not read it.
    """
    try:
        # Open the file without SQLite first, because SQLite has only one error for all reasons why a file does not
        # open.
        os.close(os.open(path, os.O_RDONLY))
    except FileNotFoundError:
        raise StorageError(
            "outbox.missing", f"{path} does not exist. Check state_dir, or run the agent first."
        ) from None
    except OSError as error:
        raise no_access(path, error) from error
    with errors():
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_MS / 1000)
        connection.isolation_level = None
        try:
            if _check_version(connection) == 0:
                raise StorageError("outbox.missing", f"{path} is empty. Check state_dir, or run the agent first.")
        except BaseException:
            connection.close()
            raise
    return connection


def _check_version(connection: sqlite3.Connection, oldest: int = SCHEMA_VERSION) -> int:
    """Return the schema version of the file, or 0 for an empty file.

    Raises StorageError: `outbox.version` if the schema is older than `oldest` or newer than our schema,
    `outbox.foreign` if the file belongs to another program.
    """
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise StorageError(
            "outbox.version",
            f"made by a newer agent (schema {version}, this one knows {SCHEMA_VERSION}). Update this agent.",
        )
    if 0 < version < oldest and version >= 2:
        raise StorageError(
            "outbox.version",
            f"made by an older agent (schema {version}, this one knows {SCHEMA_VERSION}). Start this agent once: it "
            "brings the file up to date, and nothing in it is lost.",
        )
    if 0 < version < oldest:
        raise StorageError(
            "outbox.version",
            f"made by an older agent (schema {version}, this one knows {SCHEMA_VERSION}). Let the older agent "
            "deliver its records, then move the file aside. Locks send records without a receipt again.",
        )
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application != APPLICATION_ID and tables:
        raise StorageError("outbox.foreign", "a SQLite file of another program. Choose another state_dir.")
    return int(version)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block as one transaction: all or nothing. After the block, the data is on disk. Raises StorageError."""
    with errors(connection):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            # If the disk is full, SQLite may already have ended the transaction.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
