"""In which order records go out, how many batches a backlog takes, and what silence costs. There is no network here."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.lanes import REPEATS, RESEND_LIMIT, Lanes, UnderWay
from edge_agent.outbox import Outbox, Stored
from protocol.record import Record
from tests.support.signing_lock import SigningLock, opened

TIMEOUT = 10.0
WINDOW = 4
A_BATCH = 5
"""So many records fit into a batch here."""
LOCKS = [SigningLock() for _ in range(4)]
for _lock in LOCKS:
    _lock.journal(40)
MOST = A_BATCH * (len(LOCKS[0].records[0].raw) + 3)


class Site:
    """An outbox and its lanes, and a province that commits at once. `province` is False while the province is away."""

    def __init__(self, path: Path) -> None:
        self.outbox = Outbox(path)
        self.outbox._db.execute("PRAGMA synchronous = OFF")
        self.time = 1000.0
        self.province = True
        self.known = {lock.lock_id: lock for lock in LOCKS}
        self.committed: set[tuple[bytes, int]] = set()
        self.sent: list[list[tuple[bytes, int]]] = []
        for lock in LOCKS:
            self.outbox.lock_seen(lock.hello())

    def connect(self) -> None:
        self.lanes = Lanes(self.outbox, WINDOW, TIMEOUT, lambda: self.time)

    def put(self, *records: Record) -> None:
        for item in records:
            self.outbox.put(item)

    def publish(self) -> list[list[Stored]]:
        """Let each lane publish a batch, if it may."""
        batches = []
        self.lanes.expire()
        for lane in self.lanes.all:
            rows = [] if lane.is_full else self.lanes.find(lane, MOST, lambda _key: False)
            if rows:
                lane.under_way.append(UnderWay(os.urandom(8), 1, rows, self.time))
                self.lanes.take(lane, rows)
                batches.append(rows)
                self.sent.append([(row.lock_id, row.counter) for row in rows])
        return batches

    def answer(self, rows: list[Stored]) -> None:
        """Commit a batch, and let the outbox have the receipts."""
        receipts = []
        for lock_id in {row.lock_id for row in rows} & set(self.known):
            self.committed |= {(lock_id, row.counter) for row in rows if row.lock_id == lock_id}
            through = 0
            while (lock_id, through + 1) in self.committed:
                through += 1
            if through:
                signed = self.known[lock_id].receipt(through)
                receipts.append((opened(signed), signed))
        self.lanes.settle(self.outbox.apply_receipts(receipts)[0])

    def work(self, seconds: float = 0.0, rounds: int = 1000) -> None:
        """Publish and answer until there is nothing more to do, and so for some `seconds`."""
        until = self.time + seconds
        while rounds:
            rounds -= 1
            batches = self.publish()
            for rows in batches if self.province else []:
                self.answer(rows)
            if not batches and self.time >= until:
                return
            if not batches:
                self.time = min(max(self.lanes.deadline() or until, self.time + 0.01), until)

    def left(self) -> int:
        return len(self.outbox.batch(0, 10**9, 10**6))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "outbox.sqlite3")
    with closing(made.outbox):
        yield made


def everything(site: Site) -> None:
    for row in zip(*(lock.records for lock in LOCKS), strict=True):
        site.put(*row)


def test_a_backlog_goes_out_once_in_as_few_batches_as_there_can_be(site: Site) -> None:
    everything(site)
    site.connect()
    site.work()
    assert site.left() == 0 and sum(map(len, site.sent)) == 160 and len(site.sent) == 160 // A_BATCH


def test_after_an_outage_of_the_province_a_backlog_goes_out_as_fast_as_the_province_commits(site: Site) -> None:
    everything(site)
    site.connect()
    site.province = False
    site.work(seconds=3 * 3600, rounds=100_000)
    site.sent.clear()
    site.province = True
    site.work(seconds=RESEND_LIMIT)
    assert site.left() == 0
    assert len(site.sent) <= 160 // A_BATCH + 2 * len(LOCKS), "a probe for each lock, and the backlog once"


def test_while_the_province_is_away_little_is_sent(site: Site) -> None:
    everything(site)
    site.connect()
    site.province = False
    site.work(seconds=3600, rounds=100_000)
    assert sum(map(len, site.sent)) <= 2 * WINDOW * A_BATCH + len(LOCKS) * (3600 / RESEND_LIMIT + 8)


def test_a_fresh_record_does_not_wait_behind_a_backlog(site: Site) -> None:
    for lock in LOCKS:
        site.put(*lock.records[:30])
    site.connect()
    site.answer(site.publish()[0])
    site.put(LOCKS[3].records[30])
    assert (LOCKS[3].lock_id, 31) in [(row.lock_id, row.counter) for rows in site.publish() for row in rows]
    assert len(site.sent) == 3, "it is in the first batch after it came"
    for rows in [*site.lanes.under_way]:
        assert rows.size
    site.work(seconds=2 * TIMEOUT)
    assert site.left() == 0


def test_fresh_records_go_at_once_all_the_while_and_cost_the_backlog_no_batch(site: Site) -> None:
    """The outbox does not have to be long: a lane reads one batch at a time, whatever the queue holds."""
    for lock in LOCKS[:3]:
        site.put(*lock.records)
    site.connect()
    rounds = 0
    while site.left():
        item = LOCKS[3].records[rounds]
        rounds += 1
        site.put(item)
        batches = site.publish()
        assert [(item.lock_id, item.counter)] in [[(row.lock_id, row.counter) for row in rows] for rows in batches]
        for rows in batches:
            site.answer(rows)
    assert rounds == 120 // A_BATCH, "the backlog went out one batch a round, beside the fresh record of the round"


def test_the_lowest_counter_of_a_lock_goes_first_in_whatever_order_records_came(site: Site) -> None:
    lock = LOCKS[0]
    site.put(*lock.records[10:], *lock.records[:10])  # the first ten were fetched again after damage
    site.connect()
    site.work()
    assert [counter for batch in site.sent for _, counter in batch] == list(range(1, 41))
    assert site.left() == 0


def test_a_lock_that_the_province_does_not_know_takes_no_place_from_others(site: Site) -> None:
    unknown = LOCKS[0]
    del site.known[unknown.lock_id]
    everything(site)
    site.connect()
    site.work(seconds=TIMEOUT + 1)
    assert site.left() == 40, "only the records of the unknown lock are left"
    site.sent.clear()
    site.work(seconds=3600, rounds=100_000)
    assert len(site.sent) <= 3600 / RESEND_LIMIT + 8 and {len(batch) for batch in site.sent} == {1}
    site.known[unknown.lock_id] = unknown
    site.work(seconds=RESEND_LIMIT)
    assert site.left() == 0


def test_a_batch_that_the_broker_lost_is_sent_again_after_the_timeout_and_blocks_nothing(site: Site) -> None:
    everything(site)
    site.connect()
    site.publish()  # and no answer
    site.work(seconds=2 * TIMEOUT)
    assert site.left() == 0 and site.time <= 1000 + 2 * TIMEOUT + 2
    assert REPEATS == site.lanes.repeated.window
