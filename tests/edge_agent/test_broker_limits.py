"""Brokers with limits that they do not announce, and messages of a kind that nobody asked for."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from edge_agent.batch_size import FORGET_SECONDS, STRIKES, BatchSize
from protocol import cbor, record, uplink
from protocol import crypto_cpython as crypto
from tests.support.hostile_broker import HostileBroker, Session, publish
from tests.support.signing_lock import SigningLock
from tests.support.uplink_edge import running

LOCK = SigningLock()
LOCK.journal(40)
SIZE = len(LOCK.records[0].raw)


def _run(story: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(40):
            await story()

    asyncio.run(limited())


def counters(broker: HostileBroker) -> set[int]:
    """Return the counters of all records that the broker has taken."""
    said = [uplink.parse_up(payload) for payload in broker.taken if payload[:1] != b"{"]
    return {record.parse(raw).counter for each in said if isinstance(each, uplink.Batch) for raw in each.records}


async def acknowledged(session: Session, number: int) -> None:
    await session.until(lambda: len(session.acknowledged) >= number)


@pytest.mark.parametrize("leaf", [uplink.CMD, uplink.RECEIPT, uplink.PASS])
@pytest.mark.parametrize(("qos", "retain"), [(0, True), (0, False), (1, True)])
def test_a_message_of_qos_0_or_a_retained_one_does_not_end_the_connection(
    tmp_path: Path, leaf: str, qos: int, retain: bool
) -> None:
    command = uplink.Command(bytes(16), [b"statement"]).encode()

    async def attack(session: Session) -> None:
        for number in range(25):  # more than may wait for a PUBACK
            await session.send(publish(uplink.topic("edge", leaf), b"junk", mid=1, qos=qos, retain=retain))
            if qos:
                await acknowledged(session, number + 1)
        await session.send(publish(uplink.topic("edge", uplink.CMD), command, mid=2))

    async def story() -> None:
        broker = HostileBroker(attack)
        async with broker.open(), running(tmp_path, broker.port) as edge:
            await edge.commanded.wait()
            assert edge.commands[0].encode() == command and len(broker.sessions) == 1

    _run(story)


@pytest.mark.parametrize("over_limit", [None, b"\x95", b"\x83"], ids=["hangs up", "too large", "own reason"])
@pytest.mark.parametrize("limit", [2048, 16384])
def test_batches_shrink_until_a_broker_with_a_limit_takes_them(
    tmp_path: Path, limit: int, over_limit: bytes | None
) -> None:
    async def story() -> None:
        broker = HostileBroker(limit=limit, over_limit=over_limit)
        async with broker.open(), running(tmp_path, broker.port, batch_bytes=65536, window=40) as edge:
            for item in LOCK.records:
                edge.outbox.put(item)
            edge.uplink.wake()
            await broker.until(lambda: counters(broker) == set(range(1, 41)))
            assert edge.uplink.unsendable == 0
            if over_limit == b"\x83":
                assert len(broker.sessions) == 1, "a refusal in a PUBACK ends no connection"

    _run(story)


@pytest.mark.parametrize("over_limit", [None, b"\x95"], ids=["hangs up", "too large"])
def test_a_record_that_never_passes_is_told_and_blocks_no_other(
    tmp_path: Path, over_limit: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="edge_agent")
    lock = SigningLock()
    lock.journal(1)
    body = record.parse(lock.records[0].raw)
    payload = cbor.encode([1, lock.lock_id, 2, body.payload_hash, bytes(3000)])
    lock.records.append(record.parse(record.sign(crypto, lock.private, payload)))
    lock.journal(6)

    async def story() -> None:
        broker = HostileBroker(limit=2048, over_limit=over_limit)
        async with broker.open(), running(tmp_path, broker.port) as edge:
            for item in lock.records:
                edge.outbox.put(item)
            edge.uplink.wake()
            await broker.until(lambda: counters(broker) == {1, 3, 4, 5, 6, 7, 8} and edge.uplink.unsendable == 1)
            assert [row.counter for row in edge.outbox.batch(0, 10**6, 100)] == list(range(1, 9)), "it is kept"

    _run(story)
    told = [entry.__dict__["facts"] for entry in caplog.records if entry.getMessage() == "record.unsendable"]
    assert [facts["counter"] for facts in told] == [2]


def test_a_lost_connection_shrinks_no_size_that_has_passed_before_unless_it_happens_again_and_again() -> None:
    size = BatchSize(64000)
    size.passed(60000, 0)
    assert [size.ended(50000, 1) for _ in range(STRIKES - 1)] == [False] * (STRIKES - 1) and size.limit == 64000
    assert size.ended(50000, 2)
    assert (size.limit, size.probing) == (25000, True)
    size.passed(25000, 3)
    assert (size.limit, size.probing) == (25000, False)
    size.passed(25000, 2 + FORGET_SECONDS)
    assert size.limit == 50000, "longer ones are tried again after an hour"
    size.passed(25000, 2 + 2 * FORGET_SECONDS)
    assert size.limit == 64000


def test_a_size_never_shrinks_below_one_byte_and_a_refusal_needs_no_second_one() -> None:
    size = BatchSize(1000)
    size.passed(900, 0)
    for _ in range(12):
        size.refused(min(900, size.limit), 1)
    assert size.limit == 1
