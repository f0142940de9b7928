"""What the answer to a batch costs: transactions of the outbox, and checks of signatures."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge_agent.downlink import Downlink
from edge_agent.faults import Faults
from edge_agent.outbox import Outbox
from protocol import uplink
from protocol.record import Record
from protocol.statement import Statement
from tests.support.signing_lock import PROVINCE_PUBLIC, SigningLock, applied, opened

LOCKS = [SigningLock() for _ in range(10)]
for _lock in LOCKS:
    _lock.journal(12)
INTERLEAVED = [item for row in zip(*(lock.records for lock in LOCKS), strict=True) for item in row]
ORDERED = [item for lock in LOCKS for item in lock.records]


class CountingDownlink(Downlink):
    """A downlink that counts the signatures that it checks."""

    checks = 0

    def _open(self, signed: Statement, kind: str) -> dict[Any, Any]:
        self.checks += 1
        return super()._open(signed, kind)


class Edge:
    """An outbox with records, and a downlink. It counts transactions and checks of signatures."""

    def __init__(self, path: Path, records: list[Record]) -> None:
        self.transactions = 0
        self.outbox = Outbox(path)
        self.outbox._db.execute("PRAGMA synchronous = OFF")
        self.down = CountingDownlink(self.outbox, {}, PROVINCE_PUBLIC, Faults())
        for lock in LOCKS:
            self.outbox.lock_seen(lock.hello())
        for item in records:
            self.outbox.put(item)
        self.outbox._db.set_trace_callback(self._traced)

    def _traced(self, query: str) -> None:
        self.transactions += query == "COMMIT"

    def left(self) -> int:
        return len(self.outbox.batch(0, 10**9, 10**6))


@pytest.mark.parametrize("records", [ORDERED, INTERLEAVED], ids=["ordered", "interleaved"])
def test_the_receipts_of_many_locks_in_a_message_cost_one_transaction(tmp_path: Path, records: list[Record]) -> None:
    edge = Edge(tmp_path / "o.sqlite3", records)
    with closing(edge.outbox):
        gone = edge.down.on_receipts(uplink.Receipts([lock.receipt(12) for lock in LOCKS]))
        assert len(gone) == 120 and edge.left() == 0 and edge.transactions == 1


def test_the_receipts_of_one_lock_in_a_message_cost_one_transaction_and_one_check(
    tmp_path: Path,
) -> None:
    edge = Edge(tmp_path / "o.sqlite3", ORDERED)
    lock = LOCKS[0]
    with closing(edge.outbox):
        gone = edge.down.on_receipts(uplink.Receipts([lock.receipt(through) for through in range(1, 13)]))
        assert len(gone) == 12 and edge.transactions == 1 and edge.down.checks == 1


def test_a_forged_receipt_above_the_genuine_ones_hides_none_of_them(tmp_path: Path) -> None:
    edge = Edge(tmp_path / "o.sqlite3", ORDERED)
    lock = LOCKS[0]
    with closing(edge.outbox):
        message = [lock.receipt(4), lock.receipt(12, private=lock.private), lock.receipt(7)]
        assert len(edge.down.on_receipts(uplink.Receipts(message))) == 7


def test_a_receipt_over_many_records_is_applied_in_steps_and_whole(tmp_path: Path) -> None:
    lock = SigningLock()
    edge = Edge(tmp_path / "o.sqlite3", lock.journal(300))
    with closing(edge.outbox):
        signed = lock.receipt(300)
        assert applied(edge.outbox, opened(signed), signed) == [(lock.lock_id, number) for number in range(1, 301)]
        assert edge.transactions == 2 and edge.left() == 0
