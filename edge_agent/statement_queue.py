"""Statements held for locks: what province and platform sent down, kept until the lock has given its RESULT.

Each has its place, by kind and name, and only a newer one takes it. Each kind of each lock has its own number of
places, so that nothing that comes in numbers takes those of something else. A signed time is not held on disk: it
answers one nonce of one waking of the lock, so after a restart of the agent the lock's next HELLO asks anew.
"""

import sqlite3
import time
from dataclasses import dataclass
from typing import Final, Literal

from edge_agent import database
from edge_agent.lock_statements import KINDS, LockStatement
from protocol import grant, placement, profile, revocation_list, trust
from protocol.placement import Placement
from protocol.receipt import KIND as RECEIPT

PLACES: Final = {
    placement.KIND: 1,
    profile.KIND: 4,
    trust.KIND: 1,
    revocation_list.KIND: trust.MAX_LISTS,
    grant.KIND: 256,
}
"""Places of one lock for each kind. A year's stays are some hundred grants; of those the ones that end last stay."""
UNKNOWN_PLACES: Final = 8
"""Places of one lock and kind for what is signed, and of a form that this agent does not know."""
UNVERIFIED_PLACES: Final = 16
"""Grants of one lock held before its placement says whose signature they need. They are not handed over till then."""
ALL_UNVERIFIED_PLACES: Final = 128
"""The same, of all locks together."""

Outcome = Literal["queued", "older", "full"]


@dataclass(frozen=True)
class QueuedStatement:
    """A statement that waits for its lock."""

    id: int
    kind: str
    signed: bytes


class StatementQueue:
    """The statements in an outbox's database, of which this class alone reads and writes their tables.

    What is about receipts is for the outbox, inside a transaction of its own.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    # --- in ----------------------------------------------------------------------------------------------------------

    def add(self, lock_id: bytes, lock_statement: LockStatement) -> Outcome:
        """Hold a statement durably: "queued", "older" if one as new is here, "full" if it finds no place.

        Raises StorageError.
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
        """Serial of what is held in this lock_statement's place, None if nothing is."""
        row = self._db.execute(
            "SELECT serial FROM statements WHERE lock_id = ? AND kind = ? AND name = ?",
            (lock_id, lock_statement.kind, lock_statement.name),
        ).fetchone()
        return None if row is None else int(row[0])

    def _make_place(self, lock_id: bytes, lock_statement: LockStatement) -> bool:
        """Is there a free place, or one whose holder is over sooner?"""
        if not lock_statement.verified:
            # First come: none of them can be told from junk, and the genuine ones come again with the placement.
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
        """Does the lock's placement name another profile?"""
        row = self._db.execute("SELECT profile FROM placements WHERE lock_id = ?", (lock_id,)).fetchone()
        return row is not None and row[0] != name

    def _replace(
        self, lock_id: bytes, kind: str, name: str, serial: int, until: int, verified: bool, statement: bytes
    ) -> None:
        # A new row with a new id: the RESULT for the one that was here must not settle this one.
        self._db.execute("DELETE FROM statements WHERE lock_id = ? AND kind = ? AND name = ?", (lock_id, kind, name))
        self._db.execute(
            "INSERT INTO statements (lock_id, kind, name, serial, until, verified, statement, queued_at) "
            "VALUES (?,?,?,?,?,?,?,?)",
            (lock_id, kind, name, serial, until, verified, statement, time.time()),
        )

    # --- what the placement says -------------------------------------------------------------------------------------

    def learn(self, lock_id: bytes, lock_statement: LockStatement) -> None:
        """Note what a placement says that the lock holds already, and hold nothing. Raises StorageError."""
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
        """The key that signs the lock's grants, a 65-byte point; None while no placement of it was seen here."""
        with database.errors():
            row = self._db.execute("SELECT platform_key FROM placements WHERE lock_id = ?", (lock_id,)).fetchone()
        return None if row is None else bytes(row[0])

    def placement_serial(self, lock_id: bytes) -> int:
        """Serial of the newest placement of the lock that was seen here, 0 for none."""
        with database.errors():
            row = self._db.execute("SELECT serial FROM placements WHERE lock_id = ?", (lock_id,)).fetchone()
        return 0 if row is None else int(row[0])

    def grants(self, lock_id: bytes, *, verified: bool) -> list[QueuedStatement]:
        """The grants held for a lock that were, or were not, verified."""
        with database.errors():
            rows = self._db.execute(
                "SELECT id, kind, statement FROM statements WHERE lock_id = ? AND kind = ? AND verified = ? "
                "ORDER BY id",
                (lock_id, grant.KIND, verified),
            ).fetchall()
        return [QueuedStatement(*row) for row in rows]

    # --- receipts, inside a transaction of the outbox ----------------------------------------------------------------

    def put_receipt(self, lock_id: bytes, through: int, statement: bytes) -> None:
        """Hold a receipt instead of an earlier one: the newest is enough, for receipts are cumulative."""
        self._replace(lock_id, RECEIPT, "", through, 0, True, statement)

    def drop_receipt(self, lock_id: bytes) -> None:
        """The lock has what the receipt says."""
        self._db.execute("DELETE FROM statements WHERE lock_id = ? AND kind = ?", (lock_id, RECEIPT))

    def has_receipt(self, lock_id: bytes) -> bool:
        """Does a receipt wait for the lock?"""
        query = "SELECT 1 FROM statements WHERE lock_id = ? AND kind = ?"
        return self._db.execute(query, (lock_id, RECEIPT)).fetchone() is not None

    # --- out ---------------------------------------------------------------------------------------------------------

    def waiting(self, lock_id: bytes) -> list[QueuedStatement]:
        """What may be handed to a lock: receipts first, since they free its journal, then in the order of KINDS."""
        with database.errors():
            rows = self._db.execute(
                "SELECT id, kind, statement FROM statements WHERE lock_id = ? AND verified ORDER BY id", (lock_id,)
            ).fetchall()
        order = (RECEIPT, *KINDS)
        return sorted((QueuedStatement(*row) for row in rows), key=lambda queued: order.index(queued.kind))

    def settle(self, statement: QueuedStatement) -> None:
        """The lock has given its RESULT, or the statement turned out not to be for it: forget it."""
        with database.transaction(self._db):
            self._db.execute("DELETE FROM statements WHERE id = ?", (statement.id,))
