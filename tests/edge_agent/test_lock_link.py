"""The edge's end of the link: resumes where it stopped, asks only for what is stored, survives radio and lock."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

import pytest

from edge_agent import lock_link
from edge_agent.lock_link import Backoff, LockLink
from protocol import link, record
from protocol.errors import StorageError, TransportError
from tests.edge_agent import rogue_lock
from tests.edge_agent.rogue_lock import ROGUE_ADDRESS, RogueLock
from tests.radio_world import ADDRESS, RadioWorld, radio_world

LOCK_ID = bytes(range(16))
HASTY = Backoff(first=0.02, limit=0.1)


class Store:
    """A durable store as the outbox is one: it knows which record comes next."""

    def __init__(self) -> None:
        self.counters: list[int] = []
        self.hellos: list[link.Hello] = []
        self.changed = asyncio.Condition()
        self.failures = 0
        self.hold = asyncio.Event()
        self.hold.set()

    async def on_hello(self, hello: link.Hello) -> None:
        async with self.changed:
            self.hellos.append(hello)
            self.changed.notify_all()

    async def on_record(self, lock_id: bytes, data: bytes) -> None:
        await self.hold.wait()
        if self.failures:
            self.failures -= 1
            raise StorageError("outbox.full", "no room")
        assert lock_id == LOCK_ID
        async with self.changed:
            self.counters.append(record.parse(data).counter)
            self.changed.notify_all()

    def next_counter(self, _hello: link.Hello) -> int:
        return max(self.counters, default=0) + 1

    async def until(self, condition: Callable[[], bool], timeout: float = 10) -> None:
        async with asyncio.timeout(timeout), self.changed:
            await self.changed.wait_for(condition)


@asynccontextmanager
async def linked(store: Store, credit: int = 8, address: str = ADDRESS) -> AsyncIterator[LockLink]:
    lock = LockLink(
        address,
        on_hello=store.on_hello,
        on_record=store.on_record,
        next_counter=store.next_counter,
        credit=credit,
        backoff=HASTY,
    )
    running = asyncio.create_task(lock.run())
    try:
        yield lock
    finally:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


def run(records: int, scenario: Callable[[RadioWorld, Store], Awaitable[None]]) -> None:
    async def world() -> None:
        async with radio_world() as air:
            await air.boot(records)
            await scenario(air, Store())

    asyncio.run(world())


def test_discovery_names_locks_and_only_locks() -> None:
    async def scenario(world: RadioWorld, _store: Store) -> None:
        other = await world.another_adapter(7)
        await other.device.start_advertising(advertising_data=b"\x02\x01\x06", advertising_interval_min=20)
        assert await lock_link.discover(timeout=0.3) == [(ADDRESS, LOCK_ID[: link.PREFIX_BYTES])]

    run(0, scenario)


def test_every_record_comes_once_and_in_order() -> None:
    async def scenario(_world: RadioWorld, store: Store) -> None:
        async with linked(store) as lock:
            await store.until(lambda: len(store.counters) == 40)
            assert lock.connected and lock.last_error is None
        assert store.counters == list(range(1, 41))

    run(40, scenario)


def test_credit_is_renewed_only_after_storage() -> None:
    async def scenario(world: RadioWorld, store: Store) -> None:
        store.hold.clear()
        async with linked(store, credit=4) as lock:
            await store.until(lambda: bool(store.hellos))
            assert await lock.deliver(b"marker") is None  # all that credit allows was sent before this answer
            sent = world.air.data_packets
            assert await lock.deliver(b"marker") is None
            assert world.air.data_packets - sent < 8  # question, answer and their acknowledgements: no record
            store.hold.set()
            await store.until(lambda: len(store.counters) == 12)
        assert store.counters == list(range(1, 13))

    run(12, scenario)


@pytest.mark.parametrize("fault", ["cut", "out of range", "power"])
def test_after_a_loss_the_stream_resumes_at_the_right_record(fault: str) -> None:
    async def scenario(world: RadioWorld, store: Store) -> None:
        async with linked(store):
            await store.until(lambda: len(store.counters) >= 10)
            if fault == "cut":
                world.air.cut_after = 5
            elif fault == "out of range":
                world.air.set_in_range(ADDRESS, False)
                await asyncio.sleep(0.1)  # the outage itself, not a wait for something
                world.air.set_in_range(ADDRESS, True)
            else:
                await world.kill()
                await world.boot(100)
            await store.until(lambda: len(store.counters) >= 100)
            assert len(store.hellos) >= 2
        assert store.counters == list(range(1, 101))

    run(100, scenario)


def test_many_cuts_at_any_point_lose_and_repeat_nothing() -> None:
    async def scenario(world: RadioWorld, store: Store) -> None:
        async with linked(store):
            for packets in (1, 3, 12, 30, 47, 60):
                world.air.cut_after = packets
                seen = len(store.hellos)
                await store.until(lambda seen=seen: len(store.hellos) > seen or len(store.counters) == 60)  # type: ignore[misc]
            await store.until(lambda: len(store.counters) == 60)
        assert store.counters == list(range(1, 61))

    run(60, scenario)


def test_a_store_that_fails_gets_the_same_record_again() -> None:
    async def scenario(_world: RadioWorld, store: Store) -> None:
        store.failures = 2
        async with linked(store):
            await store.until(lambda: len(store.counters) == 5)
        assert store.counters == [1, 2, 3, 4, 5]

    run(5, scenario)


def test_a_statement_is_answered_and_a_record_made_meanwhile_follows() -> None:
    async def scenario(_world: RadioWorld, store: Store) -> None:
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
    async def scenario(world: RadioWorld, store: Store) -> None:
        async with linked(store) as lock:
            with pytest.raises(TransportError, match=r"lock\.not_connected"):
                await lock.deliver(b"early")
            await store.until(lambda: bool(store.hellos))
            world.air.cut_after = 1
            with pytest.raises(TransportError, match=r"lock\.gone"):
                await lock.deliver(b"late")

    run(0, scenario)


def test_a_lock_that_is_not_there_is_named_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_link, "CONNECT_SECONDS", 0.2)

    async def scenario(_world: RadioWorld, store: Store) -> None:
        async with linked(store, address="F0:00:00:00:00:77") as lock:
            assert await error_code(lock) == "lock.unreachable"
            assert not lock.connected

    run(0, scenario)


def test_backoff_grows_to_its_limit_with_jitter() -> None:
    backoff = Backoff(first=1, limit=60)
    for failures, ceiling in ((1, 1), (2, 2), (5, 16), (7, 60), (1000, 60)):
        waits = {backoff.wait(failures) for _ in range(20)}
        assert len(waits) > 1 and all(ceiling / 2 <= wait <= ceiling for wait in waits)


@pytest.mark.parametrize("credit", [0, link.CREDIT_LIMIT + 1])
def test_a_credit_beyond_the_protocols_limit_is_a_mistake(credit: int) -> None:
    store = Store()
    with pytest.raises(ValueError, match="credit"):
        LockLink(
            ADDRESS, on_hello=store.on_hello, on_record=store.on_record, next_counter=store.next_counter, credit=credit
        )


# --- locks that are not what they claim ------------------------------------------------------------------------------

Answer = Callable[[tuple[object, ...]], Iterable[bytes]]


def whole(message: bytes) -> bytes:
    """`message` as one part."""
    return b"\x00" + message


def polite_until(pull_answer: Iterable[bytes]) -> Answer:
    """Greets as a lock should, and answers the pull for records with `pull_answer`."""
    parts = list(pull_answer)
    return lambda message: [whole(rogue_lock.hello(100))] if message[2] == 0 else parts


def run_rogue(
    answer: Answer, scenario: Callable[[Store, LockLink], Awaitable[None]], with_service: bool = True
) -> None:
    async def world() -> None:
        async with radio_world() as air:
            await RogueLock(air.air, answer).start(with_service)
            store = Store()
            async with linked(store, address=ROGUE_ADDRESS) as lock:
                await scenario(store, lock)

    asyncio.run(world())


async def error_code(lock: LockLink) -> str:
    async with asyncio.timeout(5):
        while lock.last_error is None:  # noqa: ASYNC110 -- the link tells its state, and no more
            await asyncio.sleep(0.01)
    return lock.last_error.code


@pytest.mark.parametrize(
    "pull_answer",
    [
        [b"\x07garbage"],
        [whole(b"\xff")],
        [whole(link.pull(1, 1))],
        [whole(rogue_lock.record(1)), whole(rogue_lock.record(2, lock_id=bytes(16)))],
        [whole(rogue_lock.hello(100, lock_id=bytes(16)))],
        [whole(rogue_lock.record(1))] * 400,
        [b"\x01" + bytes(300)] * 40,
    ],
    ids=["part", "message", "direction", "other lock", "other identity", "flood", "endless"],
)
def test_a_lock_that_breaks_the_protocol_is_left(pull_answer: list[bytes]) -> None:
    async def scenario(_store: Store, lock: LockLink) -> None:
        assert await error_code(lock) == "lock.protocol"

    run_rogue(polite_until(pull_answer), scenario)


def test_a_record_without_a_records_form_is_left_to_the_lock() -> None:
    async def scenario(store: Store, lock: LockLink) -> None:
        assert await error_code(lock) == "record.form"
        assert store.counters == []

    run_rogue(polite_until([whole(link.record(b"\x84\x40\xa0\x40\x40"))]), scenario)


def test_a_radio_without_the_service_is_foreign() -> None:
    async def scenario(_store: Store, lock: LockLink) -> None:
        assert await error_code(lock) == "lock.foreign"

    run_rogue(lambda _: [], scenario, with_service=False)


def test_a_lock_that_says_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_link, "HELLO_SECONDS", 0.1)

    async def scenario(_store: Store, lock: LockLink) -> None:
        assert await error_code(lock) == "lock.silent"

    run_rogue(lambda _: [], scenario)


def test_a_statement_without_an_answer_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_link, "RESULT_SECONDS", 0.1)

    def answer(message: tuple[object, ...]) -> list[bytes]:
        return [whole(rogue_lock.hello(1))] if message[0] == link.PULL and message[2] == 0 else []

    async def scenario(store: Store, lock: LockLink) -> None:
        await store.until(lambda: bool(store.hellos))
        with pytest.raises(TransportError, match=r"lock\.silent"):
            await lock.deliver(b"statement")
        assert await error_code(lock) == "lock.silent"

    run_rogue(answer, scenario)


def test_a_missing_record_is_asked_for_again_and_passed_over_only_if_it_does_not_exist() -> None:
    pulls: list[object] = []

    def answer(message: tuple[object, ...]) -> list[bytes]:
        if message[2] == 0:
            return [whole(rogue_lock.hello(5))]
        pulls.append(message[1])
        # Record 2 is lost on the way at first; record 4 never existed.
        counters = {1: [1, 3], 2: [2, 3, 5], 4: [5]}.get(message[1], []) if isinstance(message[1], int) else []
        return [whole(rogue_lock.record(counter)) for counter in counters]

    async def scenario(store: Store, _lock: LockLink) -> None:
        await store.until(lambda: store.counters == [1, 2, 3, 5])
        assert pulls[:3] == [1, 2, 4]

    run_rogue(answer, scenario)


def test_records_that_a_receipt_covers_are_not_asked_for() -> None:
    pulls: list[object] = []

    def answer(message: tuple[object, ...]) -> list[bytes]:
        if message[2] == 0:
            return [whole(rogue_lock.hello(9, receipted_through=6))]
        pulls.append(message[1])
        return [whole(rogue_lock.record(7)), whole(rogue_lock.record(8))]

    async def scenario(store: Store, _lock: LockLink) -> None:
        await store.until(lambda: store.counters == [7, 8])
        assert pulls[0] == 7

    run_rogue(answer, scenario)
