"""The queue of statements that province and platform sent for locks.

A statement is kept until its lock has sent a RESULT. The statement's place in the queue is fixed by its lock, kind and
name. Only a newer statement with the same place replaces an older statement. Each kind of each lock has a fixed number
of places. So a flood of statements of one kind cannot take the places of another kind. Answers about the time are not
queued on disk. Such an answer is good for one nonce only. After a restart of the agent, the lock's next HELLO asks for
the time again.
"""

import sqlite3
import time
from dataclasses import dataclass
from typing import Final, Literal

from edge_agent import database
from edge_agent.lock_statements import KINDS, PLACES, LockStatement
from protocol import grant, profile
from protocol.placement import Placement
from protocol.receipt import KIND as RECEIPT

UNKNOWN_PLACES: Final = 8
"""Number of places, for each lock and kind, for signed statements in a form that this agent does not know."""
UNVERIFIED_PLACES: Final = 16
"""Number of places, for each lock, for grants that come before the lock's placement. Only the placement says who must
sign the grants. So these grants are not handed over before the placement comes."""
ALL_UNVERIFIED_PLACES: Final = 128
"""Number of places for such grants, for all locks together."""

_ORDER: Final = (RECEIPT, *KINDS)

Outcome = Literal["queued", "older", "full"]


@dataclass(frozen=True)
class QueuedStatement:
    """A statement that waits for its lock."""

    id: int
    kind: str
    signed: bytes


class StatementQueue:
    """The tables `statements` and `placements` of an outbox's database. Only this class reads and writes these tables.

    The outbox calls the methods for receipts inside its own transaction.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def move_to(self, connection: sqlite3.Connection) -> None:
        """From now on, use another file, because the earlier one was damaged."""
        self._db = connection

    # --- in ----------------------------------------------------------------------------------------------------------

    def add(self, lock_id: bytes, lock_statement: LockStatement) -> Outcome:
        """Queue a statement on disk and return "queued".

        Return "older" if the stored statement is not older. Return "full" if no place is free. Raises
        StorageError.
        """
        with database.transaction(self._db):
            self._learn(lock_id, lock_statement.placement)
            known = self._serial(lock_id, lock_statement)
            if known is not None and known >= lock_statement.serial:
                return "older"
            if known is None and not self._make_place(lock_id, lock_statement):
                return "full"
            self._replace(
                lock_id,
                lock_statement.kind,
                lock_statement.name,
                lock_statement.serial,
                lock_statement.until,
                lock_statement.verified,
                lock_statement.signed,
            )
        return "queued"

    def _serial(self, lock_id: bytes, lock_statement: LockStatement) -> int | None:
        """Return the serial of the statement that has this place now; None if the place is free."""
        row = self._db.execute(
            "SELECT serial FROM statements WHERE lock_id = ? AND kind = ? AND name = ?",
            (lock_id, lock_statement.kind, lock_statement.name),
        ).fetchone()
        return None if row is None else int(row[0])

    def _make_place(self, lock_id: bytes, lock_statement: LockStatement) -> bool:
        """Return True if a place is free, or can be freed.

        If all places are taken, remove the statement that ends first. If several statements end at that time, remove
        the oldest of them. But if all these statements end later than the new statement, remove none and return False.
        """
        if not lock_statement.verified:
            # Keep the statements that came first. Genuine statements and junk look the same now, but genuine statements
            # come again with the placement.
            of_lock, of_all = self._db.execute(
                "SELECT count(*) FILTER (WHERE lock_id = ?), count(*) FROM statements WHERE NOT verified", (lock_id,)
            ).fetchone()
            return bool(of_lock < UNVERIFIED_PLACES and of_all < ALL_UNVERIFIED_PLACES)
        if (
            lock_statement.kind == profile.KIND
            and lock_statement.known
            and self._other_profile(lock_id, lock_statement.name)
        ):
            return False
        rows = self._db.execute(
            "SELECT id, until FROM statements WHERE lock_id = ? AND kind = ? AND verified AND (serial > 0) = ? "
            "ORDER BY until, id",
            (lock_id, lock_statement.kind, lock_statement.known),
        ).fetchall()
        excess = len(rows) - (PLACES[lock_statement.kind] if lock_statement.known else UNKNOWN_PLACES) + 1
        if excess <= 0:
            return True
        if rows[0][1] > lock_statement.until:
            return False
        self._db.executemany("DELETE FROM statements WHERE id = ?", [row[:1] for row in rows[:excess]])
        return True

    def _other_profile(self, lock_id: bytes, name: str) -> bool:
        """Return True if the lock's placement names a different profile."""
        row = self._db.execute("SELECT profile FROM placements WHERE lock_id = ?", (lock_id,)).fetchone()
        return row is not None and row[0] != name

    def _replace(
        self, lock_id: bytes, kind: str, name: str, serial: int, until: int, verified: bool, statement: bytes
    ) -> None:
        # Give the new row a new id, because a RESULT for the old statement must not remove the new statement.
        self._db.execute("DELETE FROM statements WHERE lock_id = ? AND kind = ? AND name = ?", (lock_id, kind, name))
        self._db.execute(
            "INSERT INTO statements (lock_id, kind, name, serial, until, verified, statement, queued_at) "
            "VALUES (?,?,?,?,?,?,?,?)",
            (lock_id, kind, name, serial, until, verified, statement, time.time()),
        )

    # --- what the placement says -------------------------------------------------------------------------------------

    def learn(self, lock_id: bytes, lock_statement: LockStatement) -> None:
        """Store the content of a placement.

        Do not queue the placement, because the lock already holds it. Raises StorageError.
        """
        with database.transaction(self._db):
            self._learn(lock_id, lock_statement.placement)

    def _learn(self, lock_id: bytes, form: Placement | None) -> None:
        if form is None:
            return
        self._db.execute(
            "INSERT INTO placements (lock_id, serial, platform_key, profile) VALUES (?,?,?,?) ON CONFLICT (lock_id) DO "
            "UPDATE SET serial = excluded.serial, platform_key = excluded.platform_key, profile = excluded.profile "
            "WHERE excluded.serial > serial",
            (lock_id, form.serial, form.platform_key, form.profile_id),
        )

    def platform_key(self, lock_id: bytes) -> bytes | None:
        """Return the key that signs the lock's grants, a 65-byte point; None if the lock's placement is unknown."""
        with database.errors(self._db):
            row = self._db.execute("SELECT platform_key FROM placements WHERE lock_id = ?", (lock_id,)).fetchone()
        return None if row is None else bytes(row[0])

    def placement_serial(self, lock_id: bytes) -> int:
        """Return the serial of the lock's newest known placement; 0 if the lock's placement is unknown."""
        with database.errors(self._db):
            row = self._db.execute("SELECT serial FROM placements WHERE lock_id = ?", (lock_id,)).fetchone()
        return 0 if row is None else int(row[0])

    def grants(self, lock_id: bytes, *, verified: bool) -> list[QueuedStatement]:
        """Return the lock's queued grants that were verified; with `verified=False`, return the grants that are not
        verified yet."""
        with database.errors(self._db):
            rows = self._db.execute(
                "SELECT id, kind, statement FROM statements WHERE lock_id = ? AND kind = ? AND verified = ? "
                "ORDER BY id",
                (lock_id, grant.KIND, verified),
            ).fetchall()
        return [QueuedStatement(*row) for row in rows]

    # --- receipts, inside a transaction of the outbox ----------------------------------------------------------------

    def put_receipt(self, lock_id: bytes, through: int, statement: bytes) -> None:
        """Queue a receipt in place of the earlier receipt. A later receipt covers the same records and more."""
        self._replace(lock_id, RECEIPT, "", through, 0, True, statement)

    def drop_receipt(self, lock_id: bytes) -> None:
        """Remove the receipt, because the lock already has it."""
        self._db.execute("DELETE FROM statements WHERE lock_id = ? AND kind = ?", (lock_id, RECEIPT))

    def has_receipt(self, lock_id: bytes) -> bool:
        """Return True if a receipt waits for the lock."""
        query = "SELECT 1 FROM statements WHERE lock_id = ? AND kind = ?"
        return self._db.execute(query, (lock_id, RECEIPT)).fetchone() is not None

    # --- out ---------------------------------------------------------------------------------------------------------

    def waiting(self, lock_id: bytes) -> list[QueuedStatement]:
        """Return the statements to hand to a lock, in order.

        Receipts come first, because they free space in the lock's journal. The other statements follow in the order of
        KINDS.
        """
        with database.errors(self._db):
            rows = self._db.execute(
                "SELECT id, kind, statement FROM statements WHERE lock_id = ? AND verified ORDER BY id", (lock_id,)
            ).fetchall()
        # A bad SD card may have changed a kind. The province sends such a statement again after the lock's next HELLO.
        known = [QueuedStatement(*row) for row in rows if row[1] in _ORDER]
        return sorted(known, key=lambda queued: _ORDER.index(queued.kind))

    def settle(self, statement: QueuedStatement) -> None:
        """Remove a statement, because its lock has sent a RESULT or because the statement is of no use to the lock."""
        with database.transaction(self._db):
            self._db.execute("DELETE FROM statements WHERE id = ?", (statement.id,))
