"""What a receipt does to the tables of the outbox: judge it, note it, and delete what it covers.

The outbox calls `note` and `delete` inside its own transaction. A deletion writes each page that it touches to the log
of SQLite first. So a receipt over many records is applied in steps of ROWS_AT_ONCE, which a nearly full disk can take.
After a power cut between two steps, the remaining records are sent again, and the receipt comes again.
"""

from collections.abc import Iterable
from typing import Final

from edge_agent import database
from edge_agent.statement_queue import StatementQueue
from protocol.errors import VerificationError
from protocol.receipt import Receipt

ROWS_AT_ONCE: Final = 256
"""As many as the records of one batch, so that the answer to a batch is one transaction."""


def judge(connection: database.Connection, receipt: Receipt) -> None:
    """Check a receipt whose signature was verified. Raises StorageError and VerificationError: `receipt.regressed` if
    the counter is lower than in an earlier receipt; `receipt.conflict` if an earlier receipt has the same counter but a
    different head; `receipt.beyond` if the lock has never had a record with this counter.
    """
    with database.errors(connection):
        row = connection.execute(
            "SELECT receipted_through, receipted_head, next_counter - 1, "
            "(SELECT max(counter) FROM records WHERE records.lock_id = locks.lock_id) FROM locks WHERE lock_id = ?",
            (receipt.lock_id,),
        ).fetchone()
    earlier, earlier_head, last, stored = row or (0, None, -1, None)
    if receipt.through < earlier:
        raise VerificationError("receipt.regressed", "the receipt is below an earlier one")
    if receipt.through == earlier and earlier_head not in (None, receipt.head):
        raise VerificationError("receipt.conflict", "the receipt has another head than an earlier one")
    # A lock that was never seen has given no counter yet.
    if last >= 0 and receipt.through > max(last, stored or 0, earlier):
        raise VerificationError("receipt.beyond", "the lock has never had a record with this counter")


def check_chain(connection: database.Connection, receipt: Receipt) -> None:
    """Compare the hash of each stored record with the hash that the next record or the receipt gives for it.

    Raises VerificationError `receipt.chain` if two of them differ, and StorageError.
    """
    expected = {receipt.through: receipt.head}
    with database.errors(connection):
        rows = connection.execute(
            "SELECT counter, payload_hash, previous FROM records "
            "WHERE lock_id = ? AND counter <= ? ORDER BY counter DESC",
            (receipt.lock_id, receipt.through),
        ).fetchall()
    for counter, payload_hash, previous in rows:
        if expected.get(counter, payload_hash) != payload_hash:
            raise VerificationError(
                "receipt.chain", f"record {counter} in the outbox is not the one that was committed"
            )
        expected = {counter - 1: previous}


def note(connection: database.Connection, statements: StatementQueue, receipt: Receipt, signed: bytes) -> None:
    """Remember a receipt, and queue it for the lock unless the lock knows it."""
    lock_id, through = receipt.lock_id, receipt.through
    connection.execute("DELETE FROM absent WHERE lock_id = ? AND last <= ?", (lock_id, through))
    connection.execute(
        "INSERT INTO locks (lock_id, receipted_through, receipted_head) VALUES (?,?,?) ON CONFLICT (lock_id) DO UPDATE "
        "SET receipted_through = excluded.receipted_through, receipted_head = excluded.receipted_head",
        (lock_id, through, receipt.head),
    )
    ((told,),) = connection.execute("SELECT told_through FROM locks WHERE lock_id = ?", (lock_id,)).fetchall()
    if told < through:
        statements.put_receipt(lock_id, through, signed)


def delete(connection: database.Connection, receipts: Iterable[Receipt]) -> list[tuple[bytes, int, int]]:
    """Delete at most ROWS_AT_ONCE records that receipts cover. Return lock id, counter and size of each."""
    gone: list[tuple[bytes, int, int]] = []
    for receipt in receipts:
        gone += connection.execute(
            "DELETE FROM records WHERE id IN (SELECT id FROM records WHERE lock_id = ? AND counter <= ? "
            "ORDER BY counter LIMIT ?) RETURNING lock_id, counter, length(record)",
            (receipt.lock_id, receipt.through, ROWS_AT_ONCE - len(gone)),
        ).fetchall()
    return gone
