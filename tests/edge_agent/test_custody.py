"""A broker may send anything in any order. A record leaves the edge only if the province signs a statement for this
record.
"""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.downlink import Downlink
from edge_agent.faults import Faults
from edge_agent.outbox import Outbox
from protocol import crypto_cpython as crypto
from protocol import record, uplink
from protocol.refusal import EQUIVOCATION, SIGNATURE
from tests.support.signing_lock import PROVINCE_PRIVATE, PROVINCE_PUBLIC, SigningLock

NOBODY = crypto.generate("P-256")[0]
LOCK = SigningLock()
LOCK.journal(3)
OTHERS = [LOCK.make(counter=number, previous=LOCK.records[number - 1].previous) for number in range(1, 4)]
"""Different records that the lock has signed with the same counters."""

numbers = st.integers(1, 3)
signers = st.sampled_from([PROVINCE_PRIVATE, PROVINCE_PRIVATE, NOBODY, LOCK.private])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("record"), numbers, st.booleans()),
        st.tuples(st.just("receipt"), numbers, signers),
        st.tuples(st.just("refusal"), numbers, signers, st.sampled_from([SIGNATURE, EQUIVOCATION]), st.booleans()),
        st.tuples(st.just("again"), numbers),
        st.tuples(st.just("restart")),
    ),
    min_size=8,
    max_size=30,
)


class Story:
    """An edge between a lock and a broker. `receipted` and `refused` hold what the real province has signed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stored: dict[bytes, int] = {}
        self.receipted = 0
        self.refused: set[bytes] = set()
        self.said: list[bytes] = []
        self._open()

    def _open(self) -> None:
        self.outbox = Outbox(self.path)
        self.outbox._db.execute("PRAGMA synchronous = OFF")
        self.outbox.lock_seen(LOCK.hello())
        self.down = Downlink(self.outbox, {}, PROVINCE_PUBLIC, Faults())

    def record(self, number: int, other: bool) -> None:
        item = (OTHERS if other else LOCK.records)[number - 1]
        if self.outbox.put(item) != "duplicate":
            self.stored[item.payload_hash] = number

    def receipt(self, through: int, signer: bytes) -> None:
        self._tell(LOCK.receipt(through, private=signer))
        if signer == PROVINCE_PRIVATE:
            self.receipted = max(self.receipted, through)

    def refusal(self, number: int, signer: bytes, code: str, other: bool) -> None:
        item = (OTHERS if other else LOCK.records)[number - 1]
        self._tell(LOCK.refusal(code, item, private=signer))
        if signer == PROVINCE_PRIVATE and code == EQUIVOCATION:
            self.refused.add(item.payload_hash)

    def again(self, number: int) -> None:
        """Let the broker repeat an earlier message."""
        if self.said:
            self._tell(self.said[number % len(self.said)])

    def restart(self) -> None:
        self.outbox.close()
        self._open()

    def _tell(self, signed: bytes) -> None:
        self.said.append(signed)
        self.down.on_receipts(uplink.Receipts([signed]))

    def kept(self) -> dict[bytes, str]:
        """Return the place of each record, by the record's payload hash. The place is "queue", or the code with which
        the record was set aside.
        """
        queued = {record.parse(row.record).payload_hash: "queue" for row in self.outbox.batch(0, 10**9, 100)}
        rows = self.outbox._db.execute("SELECT payload_hash, code FROM quarantine").fetchall()
        assert not queued.keys() & {row[0] for row in rows}
        return dict(rows) | queued


@settings(max_examples=30, deadline=None)
@given(steps)
def test_no_record_leaves_the_queue_but_by_the_provinces_word_and_none_the_disk_but_by_a_receipt(
    tmp_path_factory: pytest.TempPathFactory, story: list[tuple[object, ...]]
) -> None:
    edge = Story(tmp_path_factory.mktemp("custody") / "outbox.sqlite3")
    for name, *facts in story:
        getattr(edge, str(name))(*facts)
        kept = edge.kept()
        for payload_hash, number in edge.stored.items():
            assert payload_hash in kept or number <= edge.receipted
            # A record is set aside if the edge or the province saw another record with the same counter.
            place = kept.get(payload_hash, "queue")
            assert place in ("queue", "outbox.conflict") or (place == EQUIVOCATION and payload_hash in edge.refused)
    edge.outbox.close()
