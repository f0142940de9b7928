"""Records go up to the province through real brokers, to a real consumer."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_agent import database
from protocol import record, uplink
from sim.broker import Broker
from sim.ports import ReservedPort
from tests.support import stepped_time
from tests.support.counting_province import CountingProvince
from tests.support.signing_lock import SigningLock
from tests.support.stepped_time import STEP_SECONDS, time_passes
from tests.support.uplink_edge import running


async def _off_loop(call: Callable[..., object], *arguments: object) -> None:
    await asyncio.to_thread(call, *arguments)


def test_every_record_arrives_once_and_the_outbox_is_empty_after_the_receipts(broker: Broker, tmp_path: Path) -> None:
    async def story() -> None:
        lock = SigningLock()
        with CountingProvince(broker.port, lock) as province:
            async with running(tmp_path, broker.port) as edge:
                edge.store(lock, 100)
                await edge.until_empty()
            assert sorted(counter for _, counter in province.committed) == list(range(1, 101))
            assert sum(map(len, province.batches())) == 100, "nothing was sent twice"

    stepped_time.run(story)


def test_batches_keep_to_their_size(broker: Broker, tmp_path: Path) -> None:
    async def story() -> None:
        lock = SigningLock()
        with CountingProvince(broker.port, lock) as province:
            async with running(tmp_path, broker.port, batch_bytes=4096) as edge:
                edge.store(lock, 60)
                await edge.until_empty()
            assert max(province.sizes) <= 4096 + 64
            assert max(map(len, province.batches())) > 3, "large batches are used"

    stepped_time.run(story)


def test_a_lone_record_does_not_wait_for_company(broker: Broker, tmp_path: Path) -> None:
    async def story() -> None:
        lock = SigningLock()
        with CountingProvince(broker.port, lock):
            async with running(tmp_path, broker.port, batch_ms=3_600_000) as edge:
                await edge.online.wait()
                edge.store(lock, 1)
                await edge.until_empty()  # an agent that waits for a second record would wait an hour

    stepped_time.run(story)


def test_without_receipts_no_more_than_the_window_is_under_way(broker: Broker, tmp_path: Path) -> None:
    async def story() -> None:
        lock = SigningLock()
        with CountingProvince(broker.port, lock, mute=True) as province:
            async with running(tmp_path, broker.port, batch_bytes=1024, batch_ms=0, window=3) as edge:
                edge.store(lock, 20)
                await _off_loop(province.wait, lambda: len(province.batches()) >= 3)
                assert edge.uplink.under_way == 3
                assert len(province.batches()) == 3
                # The province answers again. One receipt makes room for the other records.
                province.mute = False
                through = max(max(batch) for batch in province.batches())
                message = uplink.Receipts([lock.receipt(through)]).encode()
                province.send("edge", uplink.RECEIPT, message)
                await edge.until_empty()
            assert len(province.committed) == 20

    stepped_time.run(story)


def test_what_the_broker_acknowledged_and_lost_is_sent_again(broker: Broker, tmp_path: Path) -> None:
    async def story() -> None:
        lock = SigningLock()
        with CountingProvince(broker.port, lock) as province:
            province.lose_batches = 1
            async with running(tmp_path, broker.port, receipt_timeout_seconds=1) as edge:
                edge.store(lock, 5)
                await time_passes(edge.emptied.is_set)
            assert len(province.committed) == 5
            assert len(province.batches()) >= 2

    stepped_time.run(story)


def test_an_outage_of_the_broker_heals_with_nothing_lost_and_nothing_twice(broker: Broker, tmp_path: Path) -> None:
    async def story() -> None:
        lock = SigningLock()
        with CountingProvince(broker.port, lock) as province:
            # The edge may connect again before the consumer does. rumqttd acknowledges messages without a consumer.
            async with running(tmp_path, broker.port, receipt_timeout_seconds=1) as edge:
                edge.store(lock, 3)
                await edge.until_empty()
                await _off_loop(broker.kill)
                await edge.offline.wait()
                edge.store(lock, 7)
                assert len(edge.outbox.batch(0, 10**6, 100)) == 7
                await _off_loop(broker.start)
                await time_passes(edge.emptied.is_set)
            assert sorted(counter for _, counter in province.committed) == list(range(1, 11))

    stepped_time.run(story)


def test_an_agent_that_starts_before_its_broker_waits_for_it(tmp_path: Path) -> None:
    async def story() -> None:
        lock, reserved = SigningLock(), ReservedPort()
        port = reserved.port
        async with running(tmp_path, port, receipt_timeout_seconds=1) as edge:
            edge.store(lock, 2)
            with await asyncio.to_thread(Broker, "iotcore", port), CountingProvince(port, lock):
                await time_passes(edge.emptied.is_set)
        reserved.close()

    stepped_time.run(story)


def test_a_poison_record_is_kept_aside_and_blocks_nothing(broker: Broker, tmp_path: Path) -> None:
    async def story() -> None:
        lock, other = SigningLock(), SigningLock()
        with CountingProvince(broker.port, lock, other) as province:
            province.refuse[(lock.lock_id, 2)] = "record.equivocation"
            async with running(tmp_path, broker.port) as edge:
                edge.store(lock, 4)
                edge.store(other, 2)
                await edge.until_empty()
                with contextlib.closing(database.open_for_reading(edge.settings.outbox_path)) as look:
                    aside = look.execute("SELECT counter, code, record FROM quarantine").fetchall()
            assert aside == [(2, "record.equivocation", lock.records[1].raw)]
            assert len(province.committed) == 5

    stepped_time.run(story)


def test_records_that_never_get_a_receipt_do_not_keep_another_locks_records_waiting(
    broker: Broker, tmp_path: Path
) -> None:
    async def story() -> None:
        stuck, other = SigningLock(), SigningLock()
        # The province gives no receipts for a lock that it does not know.
        with CountingProvince(broker.port, other) as province:
            async with running(tmp_path, broker.port, batch_bytes=1024, window=2, receipt_timeout_seconds=1) as edge:
                edge.store(stuck, 6)
                edge.store(other, 2)
                await time_passes(lambda: (other.lock_id, 2) in province.committed)
                assert edge.uplink.online

    stepped_time.run(story)


def _locks_of(batch: uplink.Batch) -> set[bytes]:
    return {record.parse(raw).lock_id for raw in batch.records}


class _SendTimes(logging.Handler):
    """Log handler that keeps the loop's time of each batch that the uplink sent."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.times: list[float] = []

    async def until(self, number: int) -> None:
        """Let time pass until `number` batches were sent."""
        await time_passes(lambda: len(self.times) >= number)

    def emit(self, entry: logging.LogRecord) -> None:
        if entry.getMessage() == "batch.sent":
            self.times.append(asyncio.get_running_loop().time())


@pytest.fixture
def sent() -> Iterator[_SendTimes]:
    logger, sent = logging.getLogger("edge_agent"), _SendTimes()
    level = logger.level
    logger.addHandler(sent)
    logger.setLevel(logging.INFO)
    yield sent
    logger.removeHandler(sent)
    logger.setLevel(level)


def test_a_lock_without_answers_takes_no_place_from_another_however_much_it_holds(
    broker: Broker, tmp_path: Path, sent: _SendTimes
) -> None:
    async def story() -> None:
        stuck, other = SigningLock(), SigningLock()
        with CountingProvince(broker.port, other) as province:
            async with running(tmp_path, broker.port, batch_bytes=1024, window=1, receipt_timeout_seconds=3) as edge:
                edge.store(stuck, 20)
                for before in range(2):
                    await sent.until(before + 1)
                    # Time stands still until the province has heard the batch, however slow this machine is.
                    await _off_loop(province.wait, lambda before=before: len(province.batches()) > before)
                assert edge.uplink.under_way == 1, "one of its records is repeated, and the window is free again"
                for number in range(1, 6):
                    edge.store(other, 1)
                    await _off_loop(province.wait, lambda number=number: (other.lock_id, number) in province.committed)
                heard = [_locks_of(said) for said in province.heard if isinstance(said, uplink.Batch)]
                assert heard[2:] == [{other.lock_id}] * 5, "answers do not make it repeat sooner"

    stepped_time.run(story)


def test_records_without_an_answer_are_sent_again_less_and_less_often(
    broker: Broker, tmp_path: Path, sent: _SendTimes
) -> None:
    async def story() -> None:
        lock = SigningLock()
        with CountingProvince(broker.port):
            async with running(tmp_path, broker.port, receipt_timeout_seconds=1) as edge:
                edge.store(lock, 2)
                await sent.until(4)
                waits = [after - before for before, after in itertools.pairwise(sent.times)]
                assert waits == pytest.approx([1, 2, 4], abs=2 * STEP_SECONDS)

    stepped_time.run(story)


def test_a_lock_that_is_registered_late_gets_everything_through(broker: Broker, tmp_path: Path) -> None:
    async def story() -> None:
        lock, other = SigningLock(), SigningLock()
        with CountingProvince(broker.port, other) as province:
            async with running(tmp_path, broker.port, batch_bytes=1024, window=2, receipt_timeout_seconds=1) as edge:
                edge.store(lock, 30)
                edge.store(other, 1)
                await time_passes(lambda: (other.lock_id, 1) in province.committed and len(province.batches()) >= 6)
                edge.store(lock, 5)
                province.register(lock)
                await time_passes(edge.emptied.is_set)
            assert {counter for lock_id, counter in province.committed if lock_id == lock.lock_id} == set(range(1, 36))

    stepped_time.run(story)


def test_a_later_record_of_a_lock_with_a_gap_is_sent_when_it_comes(
    broker: Broker, tmp_path: Path, sent: _SendTimes
) -> None:
    async def story() -> None:
        lock = SigningLock()
        lock.journal(1)
        with CountingProvince(broker.port, lock) as province:
            async with running(tmp_path, broker.port, receipt_timeout_seconds=1) as edge:
                edge.store(lock, 3)
                await sent.until(2)
                edge.store(lock, 1)
                await sent.until(3)
                assert sent.times[2] - sent.times[1] < 0.5, "long before the others are due again"
                await _off_loop(province.wait, lambda: (lock.lock_id, 5) in province.committed)
                assert province.batches()[2] == [5]
                edge.outbox.put(lock.records[0])
                edge.uplink.wake()
                await time_passes(edge.emptied.is_set)

    stepped_time.run(story)


def test_a_receipt_that_could_not_be_stored_comes_again(broker: Broker, tmp_path: Path) -> None:
    async def story() -> None:
        lock = SigningLock()
        with CountingProvince(broker.port, lock):
            async with running(tmp_path, broker.port, receipt_timeout_seconds=1) as edge:
                edge.fail_receipts = 1
                edge.store(lock, 2)
                await time_passes(edge.emptied.is_set)

    stepped_time.run(story)


def test_what_cannot_be_read_is_passed_over(broker: Broker, tmp_path: Path) -> None:
    async def story() -> None:
        lock = SigningLock()
        with CountingProvince(broker.port, lock) as province:
            async with running(tmp_path, broker.port) as edge:
                await edge.online.wait()
                for leaf in (uplink.RECEIPT, uplink.CMD):
                    province.send("edge", leaf, b"\x9f not a message")
                good = uplink.Command(lock.lock_id, [b"statement"])
                province.send("edge", uplink.CMD, good.encode())
                await edge.commanded.wait()
                assert edge.commands[0].encode() == good.encode()
                assert edge.uplink.online

    stepped_time.run(story)


def test_the_state_topic_tells_birth_and_death(broker: Broker, tmp_path: Path) -> None:
    async def story() -> None:
        with CountingProvince(broker.port) as province:
            async with running(tmp_path, broker.port) as edge:
                await edge.online.wait()
                await _off_loop(province.wait, lambda: (True, False) in province.states)
            await _off_loop(province.wait, lambda: (False, False) in province.states)
        with CountingProvince(broker.port) as late:
            await _off_loop(late.wait, lambda: late.states)
            assert late.states == [(False, True)], "it is retained for later readers"

    stepped_time.run(story)
