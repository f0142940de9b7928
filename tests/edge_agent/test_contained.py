"""A failure of a lock, a radio stack or a disk ends one link. The agent goes on, says why, and connects again."""

import asyncio
import functools
import itertools
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bleak.exc import BleakDBusError, BleakError

from edge_agent import config
from edge_agent.agent import Agent
from edge_agent.credentials import Credentials
from edge_agent.discovery import Heard
from edge_agent.faults import Faults
from edge_agent.lock_connection import CONNECT_SECONDS
from edge_agent.lock_link import LockLink
from edge_agent.notify import Notifier
from edge_agent.rotation import Rotation
from protocol import VERSION, cbor, link, uplink
from protocol.errors import TransportError
from protocol.record import Record
from sim.broker import Broker
from tests.support import rogue_lock, virtual_time
from tests.support.counting_province import CountingProvince
from tests.support.link_keys import EDGE_PRIVATE
from tests.support.link_store import HASTY, LinkStore, credentials, linked, losses
from tests.support.radio_world import radio_world
from tests.support.rogue_lock import KEYS, LOCK_ID, ROGUE_ADDRESS, Answer, RogueLock
from tests.support.scripted_radio import Client, Ether, lock_of

CALLS = ("connect", "start_notify", "write_gatt_char", "disconnect")
FAILURES: dict[str, Callable[[], BaseException]] = {
    "KeyError": lambda: KeyError("a device path"),
    "AssertionError": AssertionError,
    "RecursionError": RecursionError,
    "UnicodeDecodeError": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "a name"),
    "struct.error": lambda: struct.error("short"),
    "CancelledError": asyncio.CancelledError,
    "BleakError": lambda: BleakError("le-connection-abort-by-local"),
    "BleakDBusError": lambda: BleakDBusError("org.bluez.Error.InProgress", ["InProgress"]),
    "EOFError": EOFError,
    "TimeoutError": TimeoutError,
}
FORESEEN = ("CancelledError", "BleakError", "BleakDBusError", "EOFError", "TimeoutError")


def failing(call: str, failure: Callable[[], BaseException]) -> type[Client]:
    """Make a radio stack that fails at the first use of `call`."""
    left = [failure]

    class Failing(Client):
        def _fail(self, here: str) -> None:
            if here == call and left:
                raise left.pop()()

        async def connect(self, pair: bool = False, **kwargs: Any) -> None:
            self._fail("connect")
            await super().connect(pair, **kwargs)

        async def start_notify(self, *arguments: Any, **kwargs: Any) -> None:
            self._fail("start_notify")
            await super().start_notify(*arguments, **kwargs)

        async def write_gatt_char(self, *arguments: Any, **kwargs: Any) -> None:
            self._fail("write_gatt_char")
            await super().write_gatt_char(*arguments, **kwargs)

        async def disconnect(self) -> None:
            await super().disconnect()
            self._fail("disconnect")

    return Failing


def greeting(*hellos: bytes) -> Answer:
    """A lock that sends the next of `hellos` on each connection, and repeats the last HELLO. It has no records."""
    rest = itertools.chain(hellos, itertools.repeat(hellos[-1]))
    return lambda message: [next(rest)] if message[0] == link.PULL and message[2] == 0 else []


async def a_record_is_brought_twice(store: LinkStore, faults: Faults) -> None:
    """A lock has one record. Return as soon as the lock has sent the record on the second connection."""

    def answer(message: tuple[object, ...]) -> list[bytes]:
        return [rogue_lock.hello(2)] if message[2] == 0 else [rogue_lock.record(1)]

    async with radio_world() as air:
        await RogueLock(air.air, answer).start()
        await until_greeted(store, faults, times=2)


async def until_greeted(store: LinkStore, faults: Faults, times: int = 1) -> None:
    lock = LockLink(
        ROGUE_ADDRESS,
        on_hello=store.on_hello,
        on_record=store.on_record,
        next_counter=store.next_counter,
        credentials=credentials(),
        rotation=Rotation(),
        backoff=HASTY,
        faults=faults,
    )
    running = asyncio.create_task(lock.run())
    try:
        await store.until(lambda: len(store.hellos) == times)
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.wait({running})
    assert running.cancelled(), "the link can still be stopped"


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("failure", FAILURES)
def test_whatever_a_call_of_the_radio_raises_ends_that_connection_and_no_more(
    call: str, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    faults = Faults()

    async def world() -> None:
        ether = Ether(failing(call, FAILURES[failure]))
        peer = ether.peers[ROGUE_ADDRESS] = lock_of(KEYS)
        # The first HELLO names a different lock, so the first connection is always closed.
        peer.hellos.insert(0, rogue_lock.hello(1, lock_id=bytes(16)))
        with ether.installed():
            await until_greeted(LinkStore(), faults)

    virtual_time.run(world())
    codes = [facts["code"] for facts in losses(caplog)]
    if call == "disconnect":
        assert codes == ["lock.protocol"], "a failure to close does not hide why the connection ended"
        assert len(faults.counts) == (0 if failure in FORESEEN else 1)
    elif failure not in FORESEEN:
        assert codes == ["edge.fault", "lock.protocol"]
        assert list(faults.counts.values()) == [1]
        assert "a device path" not in caplog.text and "short" not in str(losses(caplog))
    else:
        assert codes in (["lock.unreachable", "lock.protocol"], ["lock.gone", "lock.protocol"])
        assert faults.counts == {}


def hanging(call: str, deaf: bool) -> type[Client]:
    """Make a radio stack whose first use of `call` hangs for an hour. A deaf stack does not even notice a
    cancellation."""

    async def never() -> None:
        while (left := 3600 - asyncio.get_running_loop().time()) > 0:
            try:
                await asyncio.sleep(left)
            except asyncio.CancelledError:
                if not deaf:
                    raise

    left = [call]

    def hangs(here: str) -> bool:
        return here in left and left.pop() == here

    class Hanging(Client):
        async def connect(self, pair: bool = False, **kwargs: Any) -> None:
            await (never() if hangs("connect") else super().connect(pair, **kwargs))

        async def start_notify(self, *arguments: Any, **kwargs: Any) -> None:
            await (never() if hangs("start_notify") else super().start_notify(*arguments, **kwargs))

        async def write_gatt_char(self, *arguments: Any, **kwargs: Any) -> None:
            await (never() if hangs("write_gatt_char") else super().write_gatt_char(*arguments, **kwargs))

        async def disconnect(self) -> None:
            await super().disconnect()
            if hangs("disconnect"):
                await never()

    return Hanging


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("deaf", [False, True], ids=["and can be cancelled", "and cannot be cancelled"])
def test_a_call_of_the_radio_that_never_returns_ends_that_connection_in_time(
    call: str, deaf: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def world() -> float:
        ether = Ether(hanging(call, deaf))
        peer = ether.peers[ROGUE_ADDRESS] = lock_of(KEYS)
        peer.hellos.insert(0, rogue_lock.hello(1, lock_id=bytes(16)))
        with ether.installed():
            await until_greeted(LinkStore(), Faults())
            return asyncio.get_running_loop().time()

    assert virtual_time.run(world()) < CONNECT_SECONDS + 5
    first = losses(caplog)[0]
    if call == "disconnect":
        assert first["code"] == "lock.protocol", "a close that hangs does not hide why the connection ended"
    else:
        assert (first["code"], first["reason"]) == (
            "lock.gone" if call == "write_gatt_char" else "lock.unreachable",
            "the radio did not answer in time",
        )


def test_a_write_that_never_returns_in_the_middle_of_a_delivery_ends_the_link_and_the_next_one_works(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stuck: list[str] = []

    class Stuck(Client):
        async def write_gatt_char(self, *arguments: Any, **kwargs: Any) -> None:
            if stuck:
                stuck.clear()
                await asyncio.get_running_loop().create_future()
            await super().write_gatt_char(*arguments, **kwargs)

    async def world() -> None:
        ether, store = Ether(Stuck), LinkStore()
        ether.peers[ROGUE_ADDRESS] = lock_of(KEYS)
        with ether.installed():
            async with linked(store, address=ROGUE_ADDRESS) as lock:
                await store.until(lambda: len(store.hellos) == 1)
                stuck.append("write")
                with pytest.raises(TransportError, match=r"lock\.gone"):
                    await lock.deliver(b"a statement")
                await store.until(lambda: len(store.hellos) == 2)

    virtual_time.run(world())
    assert [facts["code"] for facts in losses(caplog)] == ["lock.gone"]


class Broken(LinkStore):
    """A store that fails in an unforeseen way at the first HELLO, and again at the first record."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: list[str] = ["hello", "record"]

    async def on_hello(self, hello: link.Hello) -> None:
        if "hello" in self.kinds:
            self.kinds.remove("hello")
            raise OverflowError("what the lock said")
        await super().on_hello(hello)

    async def on_record(self, item: Record) -> None:
        if "record" in self.kinds:
            self.kinds.remove("record")
            raise ZeroDivisionError("what the lock said")
        await super().on_record(item)


def test_an_error_that_nobody_foresaw_is_counted_by_type_and_told_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    faults, store = Faults(), Broken()
    asyncio.run(a_record_is_brought_twice(store, faults))
    assert faults.counts == {"OverflowError": 1, "ZeroDivisionError": 1}
    told = [entry.__dict__["facts"] for entry in caplog.records if entry.getMessage() == "agent.fault"]
    assert [facts["type"] for facts in told] == ["OverflowError", "ZeroDivisionError"]
    assert all(facts["place"].startswith("test_contained.py:") for facts in told)
    assert "what the lock said" not in str([entry.__dict__.get("facts") for entry in caplog.records])


# --- a whole agent and a homemade lock -------------------------------------------------------------------------------


def odd_hello(at: int, value: object) -> bytes:
    """Make a HELLO with the member at index `at` replaced.

    Index 3 is the next counter, 4 the receipted counter, 5 the held statements, 7 the identity key.
    """
    items = cbor.decode(rogue_lock.hello(1))
    items[at] = value
    return cbor.encode(items)


ODD_HELLOS = (
    [odd_hello(3, number) for number in (2**53, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1)]
    + [cbor.encode([1, link.LINK_VERSION, LOCK_ID, 2**63 + 1, 2**63, {}, None, KEYS.lock[1], VERSION])]
    + [odd_hello(5, {"grant": number}) for number in (2**53, 2**63, 2**64 - 1, -1)]
    + [odd_hello(5, {name: 1}) for name in ("Grant", "grant ", "gr\u00e4nt", "grant\n", "", "x" * 65, "\U0001f512")]
    + [odd_hello(5, {f"kind{number}": 1 for number in range(33)})]
    + [odd_hello(7, KEYS.lock[1][:-1]), odd_hello(2, bytes(15)), b"", b"\xff", cbor.encode([1])]
)


def agent_settings(folder: Path, port: int) -> config.Config:
    (folder / "link.key").write_bytes(EDGE_PRIVATE)
    known = Credentials(folder, KEYS.province[1])
    known.take(KEYS.passes(edge="edge", not_after=2_000_000_000))
    return config.load(
        None,
        {
            "MOORING_EDGE_STATE_DIR": str(folder),
            "MOORING_EDGE_PROVINCE_PUBLIC_KEY": KEYS.province[1].hex(),
            "MOORING_EDGE_MQTT_HOSTS": "127.0.0.1",
            "MOORING_EDGE_MQTT_PORT": str(port),
            "MOORING_EDGE_LOCKS_ADDRESSES": ROGUE_ADDRESS,
        },
    )


def test_no_hello_ends_the_agent_and_the_next_good_one_is_told_to_the_province(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = rogue_lock.hello(2**53 - 1, 2**53 - 2)

    async def world(port: int, province: CountingProvince) -> None:
        async with radio_world() as air:
            await RogueLock(air.air, greeting(*ODD_HELLOS, good)).start()
            stop = asyncio.Event()
            hasty = functools.partial(LockLink, backoff=HASTY)
            with Agent.open(agent_settings(tmp_path, port), Notifier({}), make_link=hasty) as agent:
                running = asyncio.ensure_future(agent.run(stop))
                try:
                    await asyncio.to_thread(
                        province.wait, lambda: any(isinstance(said, uplink.LockSeen) for said in province.heard)
                    )
                    assert not running.done()
                finally:
                    stop.set()
                    await running

    with Broker() as broker, CountingProvince(broker.port) as province:
        asyncio.run(world(broker.port, province))
    assert [facts["code"] for facts in losses(caplog)] == ["lock.protocol"] * len(ODD_HELLOS)
    assert not [entry for entry in caplog.records if entry.getMessage() == "agent.fault"]


def test_what_a_library_leaves_to_the_event_loop_is_counted_and_the_agent_lives(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def world() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        told = asyncio.Event()

        async def search(_seconds: float) -> list[Heard]:
            loop.call_soon(lambda: 1 // 0)
            loop.call_soon(told.set)
            raise LookupError("what a neighbour advertises")

        settings = replace(agent_settings(tmp_path, 1), locks=config.Locks((), 5, 1, 60, 16))
        with Agent.open(settings, Notifier({}), search=search) as agent:
            running = asyncio.ensure_future(agent.run(stop))
            await told.wait()
            assert agent.faults.counts == {"ZeroDivisionError": 1, "LookupError": 1} and not running.done()
            stop.set()
            await running

    asyncio.run(world())
    assert "neighbour" not in str([entry.__dict__.get("facts") for entry in caplog.records])


def test_a_disk_that_fails_ends_a_link_as_before() -> None:
    store, faults = LinkStore(), Faults()
    store.failures = 1
    asyncio.run(a_record_is_brought_twice(store, faults))
    assert faults.counts == {} and len(store.hellos) == 2
