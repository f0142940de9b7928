"""The edge's end of the link continues where it stopped, gives credit after storage, and survives any failure."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from edge_agent import discovery, lock_connection
from edge_agent.faults import Faults
from edge_agent.lock_link import LockLink
from edge_agent.rotation import Rotation
from protocol import link
from protocol.errors import TransportError
from protocol.statement import MAX_BYTES as LONGEST_STATEMENT
from tests.support.link_keys import NOW
from tests.support.link_store import LinkStore, credentials, error_code, error_of, linked, losses, without_pass
from tests.support.radio_world import ADDRESS, RadioWorld, radio_world
from tests.support.rogue_lock import KEYS, LOCK_ID


def run(records: int, scenario: Callable[[RadioWorld, LinkStore], Awaitable[None]], **settings: str) -> None:
    async def world() -> None:
        async with radio_world() as air:
            await air.boot(records, **settings)
            await scenario(air, LinkStore())

    asyncio.run(world())


def test_discovery_names_locks_and_only_locks() -> None:
    async def scenario(world: RadioWorld, _store: LinkStore) -> None:
        other = await world.another_adapter(7)
        await other.device.start_advertising(advertising_data=b"\x02\x01\x06", advertising_interval_min=20)
        found: list[discovery.Heard] = []
        while not found:  # on a slow machine, the lock may advertise only after the first search
            found = await discovery.discover(timeout=0.3)
        ((address, content, signal),) = found
        assert (address, content[: link.PREFIX_BYTES], len(content)) == (ADDRESS, LOCK_ID[: link.PREFIX_BYTES], 6)
        assert signal is not None and signal < 0

    run(0, scenario)


def test_every_record_comes_once_and_in_order() -> None:
    async def scenario(_world: RadioWorld, store: LinkStore) -> None:
        async with linked(store) as lock:
            await store.until(lambda: len(store.counters) == 40)
            assert lock.connected and lock.last_error is None
        assert store.counters == list(range(1, 41))

    run(40, scenario)


def test_credit_is_renewed_only_after_storage() -> None:
    async def scenario(world: RadioWorld, store: LinkStore) -> None:
        store.hold.clear()
        async with linked(store, credit=4) as lock:
            await store.until(lambda: bool(store.hellos))
            assert await lock.deliver(b"marker") is None  # the lock answers after it has used all its credit
            sent = world.air.data_packets
            assert await lock.deliver(b"marker") is None
            assert world.air.data_packets - sent < 20  # two messages with acknowledgements, but no record
            store.hold.set()
            await store.until(lambda: len(store.counters) == 12)
        assert store.counters == list(range(1, 13))

    run(12, scenario)


@pytest.mark.parametrize("fault", ["cut", "out of range", "power"])
def test_after_a_loss_the_stream_resumes_at_the_right_record(fault: str) -> None:
    async def scenario(world: RadioWorld, store: LinkStore) -> None:
        async with linked(store):
            await store.until(lambda: len(store.counters) >= 10)
            if fault == "cut":
                world.air.cut_after = 5
            elif fault == "out of range":
                world.air.set_in_range(ADDRESS, False)
                await asyncio.sleep(0.1)  # the radio is out of range for this time, and there is no event to wait for
                world.air.set_in_range(ADDRESS, True)
            else:
                await world.kill()
                await world.boot(100)
            await store.until(lambda: len(store.counters) >= 100)
            assert len(store.hellos) >= 2
        assert store.counters == list(range(1, 101))

    run(100, scenario)


def test_many_cuts_at_any_point_lose_and_repeat_nothing() -> None:
    async def scenario(world: RadioWorld, store: LinkStore) -> None:
        async with linked(store):
            for packets in (1, 3, 12, 30, 47, 60):
                world.air.cut_after = packets
                seen = len(store.hellos)
                await store.until(lambda seen=seen: len(store.hellos) > seen or len(store.counters) == 60)  # type: ignore[misc]
            await store.until(lambda: len(store.counters) == 60)
        assert store.counters == list(range(1, 61))

    run(60, scenario)


def test_a_store_that_fails_gets_the_same_record_again() -> None:
    async def scenario(_world: RadioWorld, store: LinkStore) -> None:
        store.failures = 2
        async with linked(store):
            await store.until(lambda: len(store.counters) == 5)
        assert store.counters == [1, 2, 3, 4, 5]

    run(5, scenario)


def test_a_statement_is_answered_and_a_record_made_meanwhile_follows() -> None:
    async def scenario(_world: RadioWorld, store: LinkStore) -> None:
        async with linked(store) as lock:
            await store.until(lambda: bool(store.hellos))
            assert await lock.deliver(b"grow") is None
            await store.until(lambda: store.counters == [1, 2])
            assert await lock.deliver(b"no") == "grant.window"
            answers = await asyncio.gather(*(lock.deliver(s) for s in (b"no", b"yes" * 900, b"no", b"fresh")))
            assert answers == ["grant.window", None, "grant.window", None]
            await store.until(lambda: store.hellos[-1].time_nonce == bytes(16))

    run(1, scenario)


def test_statements_are_refused_without_a_connection_and_fail_with_it() -> None:
    async def scenario(world: RadioWorld, store: LinkStore) -> None:
        async with linked(store) as lock:
            with pytest.raises(TransportError, match=r"lock\.not_connected"):
                await lock.deliver(b"early")
            await store.until(lambda: bool(store.hellos))
            world.air.cut_after = 1
            with pytest.raises(TransportError, match=r"lock\.gone"):
                await lock.deliver(b"late")

    run(0, scenario)


def test_a_lock_that_is_not_there_is_named_unreachable(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lock_connection, "SEEK_SECONDS", 0.2)

    async def scenario(_world: RadioWorld, store: LinkStore) -> None:
        async with linked(store, address="F0:00:00:00:00:77") as lock:
            assert await error_code(lock) == "lock.unreachable"
            assert not lock.connected

    run(0, scenario)
    facts = losses(caplog)[0]
    assert (facts["address"], facts["lock"], facts["code"]) == ("F0:00:00:00:00:77", "", "lock.unreachable")


@pytest.mark.parametrize("credit", [0, link.CREDIT_LIMIT + 1])
def test_a_credit_beyond_the_protocols_limit_is_a_mistake(credit: int) -> None:
    store = LinkStore()
    with pytest.raises(ValueError, match="credit"):
        LockLink(
            ADDRESS,
            on_hello=store.on_hello,
            on_record=store.on_record,
            next_counter=store.next_counter,
            credentials=credentials(),
            faults=Faults(),
            rotation=Rotation(),
            credit=credit,
        )


# --- passes and pieces -----------------------------------------------------------------------------------------------


def test_without_a_pass_no_lock_is_connected_and_with_one_it_is() -> None:
    async def scenario(world: RadioWorld, store: LinkStore) -> None:
        known = without_pass()
        before = world.air.data_packets
        async with linked(store, known=known):
            await asyncio.sleep(0.2)  # in this time, the link could try several times, but it must not try
            assert world.air.data_packets == before
            known.take(KEYS.passes())
            await store.until(lambda: bool(store.hellos))

    run(0, scenario)


def test_a_lock_that_refuses_the_pass_says_why_and_a_newer_pass_mends_it() -> None:
    async def scenario(_world: RadioWorld, store: LinkStore) -> None:
        known = credentials(KEYS.passes(issued_at=NOW - 1000, not_after=NOW - 1))
        async with linked(store, known=known) as lock:
            error = await error_of(lock)
            assert error.code == "lock.pass_refused" and "edge-pass.expired" in error.message
            assert known.refused and not store.hellos
            known.take(KEYS.passes())
            await store.until(lambda: bool(store.hellos))
            assert not known.refused

    run(0, scenario, MOORING_TEST_TIME=str(NOW))


def test_a_lock_that_the_pass_does_not_list_is_left_before_it_learns_who_asks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(_world: RadioWorld, store: LinkStore) -> None:
        known = credentials(KEYS.passes(locks=[bytes(16)]))
        async with linked(store, known=known) as lock:
            assert await error_code(lock) == "lock.foreign_pass"
            assert not store.hellos

    run(0, scenario)
    facts = losses(caplog)[0]
    assert (facts["address"], facts["lock"], facts["code"]) == (ADDRESS, LOCK_ID.hex(), "lock.foreign_pass")


@pytest.mark.parametrize("size", [1, link.PIECE_BYTES, link.PIECE_BYTES + 1, LONGEST_STATEMENT])
def test_a_statement_of_any_size_is_delivered(size: int) -> None:
    async def scenario(_world: RadioWorld, store: LinkStore) -> None:
        async with linked(store) as lock:
            await store.until(lambda: bool(store.hellos))
            assert await lock.deliver(b"s" * size) is None
            assert await lock.deliver(b"no" + b"s" * (size - 2) if size > 2 else b"no") == "grant.window"

    run(0, scenario)


@pytest.mark.parametrize("packets", [5, 40, 80])
def test_a_long_statement_cut_off_anywhere_arrives_and_goes_on_where_it_was(packets: int) -> None:
    async def scenario(world: RadioWorld, store: LinkStore) -> None:
        statement = random.Random(packets).randbytes(LONGEST_STATEMENT)
        world.adapter.mtu = 100
        async with linked(store) as lock:
            await store.until(lambda: bool(store.hellos))
            before = world.air.data_packets
            world.air.cut_after = packets
            with pytest.raises(TransportError):
                await lock.deliver(statement)
            spent, hellos = world.air.data_packets - before, len(store.hellos)
            await store.until(lambda: len(store.hellos) > hellos)
            before = world.air.data_packets
            assert await lock.deliver(statement) is None
            rest = world.air.data_packets - before
        whole = 2 * len(statement) / 93  # each part of 93 bytes takes a packet and its acknowledgement
        assert rest < whole - spent + 2 * 2 * link.PIECE_BYTES / 93, "only the piece under way may be sent again"

    run(0, scenario)
