"""Statements held for locks: what province and platform sent down, kept until the lock has given its RESULT.

The edge judges no statement; the lock does. A signed time is not held on disk: it answers one nonce of one waking
of the lock, so after a restart of the agent the lock's next HELLO asks anew.
"""

import hashlib
import sqlite3
import time
from dataclasses import dataclass
from typing import Final

from edge_agent import database
from protocol.errors import StorageError
from protocol.receipt import KIND as RECEIPT

PER_LOCK_LIMIT: Final = 512
"""Statements held for one lock. Grants of a year's stays are some hundred; more is a fault or a flood."""


@dataclass(frozen=True)
class HeldStatement:
    """A statement that waits for its lock."""

    id: int
    kind: str
    statement: bytes


class Held:
    """The statements in an outbox's database, of which this class alone reads and writes their table.

    What is about receipts is for the outbox, inside a transaction of its own.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def add(self, lock_id: bytes, kind: str, statement: bytes) -> bool:
        """Hold `statement` durably; False if it is held already. Raises StorageError, `held.limit`."""
        with database.transaction(self._db):
            held = self._db.execute("SELECT count(*) FROM statements WHERE lock_id = ?", (lock_id,)).fetchone()[0]
            if held >= PER_LOCK_LIMIT:
                raise StorageError("held.limit", "too many statements wait for this lock; is it in reach?")
            return self._insert(lock_id, kind, statement)

    def _insert(self, lock_id: bytes, kind: str, statement: bytes) -> bool:
        done = self._db.execute(
            "INSERT OR IGNORE INTO statements (lock_id, kind, digest, statement, held_at) VALUES (?,?,?,?,?)",
            (lock_id, kind, hashlib.sha256(statement).digest(), statement, time.time()),
        )
        return done.rowcount > 0

    def hold_receipt(self, lock_id: bytes, statement: bytes) -> None:
        """Hold a receipt instead of an earlier one: the newest is enough, for receipts are cumulative."""
        self.drop_receipt(lock_id)
        self._insert(lock_id, RECEIPT, statement)

    def drop_receipt(self, lock_id: bytes) -> None:
        """The lock has what the receipt says."""
        self._db.execute("DELETE FROM statements WHERE lock_id = ? AND kind = ?", (lock_id, RECEIPT))

    def has_receipt(self, lock_id: bytes) -> bool:
        """Does a receipt wait for the lock?"""
        query = "SELECT 1 FROM statements WHERE lock_id = ? AND kind = ?"
        return self._db.execute(query, (lock_id, RECEIPT)).fetchone() is not None

    def waiting(self, lock_id: bytes) -> list[HeldStatement]:
        """What waits for a lock: receipts first, since they free its journal, then in order of arrival."""
        with database.errors():
            rows = self._db.execute(
                "SELECT id, kind, statement FROM statements WHERE lock_id = ? ORDER BY kind != ?, id",
                (lock_id, RECEIPT),
            ).fetchall()
        return [HeldStatement(*row) for row in rows]

    def settle(self, statement: HeldStatement) -> None:
        """The lock has given its RESULT: forget the statement."""
        with database.transaction(self._db):
            self._db.execute("DELETE FROM statements WHERE id = ?", (statement.id,))
