"""A new outbox in place of a file that SQLite cannot read any more.

The damaged file is renamed, and its rows that are still whole are copied to a new file. The locks are asked for the
records that are gone: each lock keeps its records until a receipt.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from edge_agent import database
from edge_agent.checksum import ROW, is_whole
from protocol.errors import StorageError

ASIDE: Final = ".damaged"
"""A damaged file gets this ending. There is at most one such file, because the disk must not fill up."""
_ROWS_A_COMMIT: Final = 500
_TABLES: Final = ("locks", "tally", "absent", "placements", "statements", "quarantine", "records")


def rebuild(path: Path) -> tuple[database.Connection, int]:
    """Set the damaged file at `path` aside, and return a new file in its place, open for writing. Also return the
    number of records that were saved. Raises StorageError.
    """
    aside = path.with_name(path.name + ASIDE)
    try:
        for ending in ("", "-wal"):
            aside.with_name(aside.name + ending).unlink(missing_ok=True)
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + ending).rename(aside.with_name(aside.name + ending))
        path.with_name(path.name + "-shm").unlink(missing_ok=True)
    except OSError as error:
        advice = f"cannot set the damaged {path} aside: {error.strerror}. Check state_dir and its permissions."
        raise StorageError("outbox.access", advice) from error
    connection = database.open_for_writing(path)
    try:
        return connection, _save(aside, connection)
    except BaseException:
        connection.close()
        raise


def _save(aside: Path, connection: sqlite3.Connection) -> int:
    """Copy what is whole. Return the number of records. If the disk is full, copy less: the locks have the rest."""
    with contextlib.suppress(*database.FAILURES, StorageError), contextlib.closing(sqlite3.connect(aside)) as damaged:
        for table in _TABLES:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            into = f"INSERT OR IGNORE INTO {table} VALUES ({','.join('?' * len(columns))})"  # noqa: S608
            for rows in _readable(damaged, table, columns):
                with database.transaction(connection):
                    connection.executemany(into, rows)
    return int(connection.execute("SELECT count(*) FROM records").fetchone()[0])


def _readable(damaged: sqlite3.Connection, table: str, columns: list[str]) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the whole rows that SQLite can read, in portions. A row may come twice.

    SQLite stops at a page that it cannot read. Then the table is read again from its other end.
    """
    for order in ("ASC", "DESC"):
        rows: list[tuple[Any, ...]] = []
        at_end = False
        with contextlib.suppress(*database.FAILURES):
            for row in damaged.execute(f"SELECT {','.join(columns)} FROM {table} ORDER BY rowid {order}"):  # noqa: S608
                named = dict(zip(columns, row, strict=True))
                if table == "records" and not is_whole([named[name] for name in ROW.split(", ")]):
                    continue
                rows.append(row)
                if len(rows) == _ROWS_A_COMMIT:
                    yield rows
                    rows = []
            at_end = True
        if rows:
            yield rows
        if at_end:
            return
