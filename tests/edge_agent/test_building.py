"""A building of 200 locks on one adapter. Roster, rotation, link, connection and handshake are the real code; bleak and
the locks' messages too. The radio is simulated, and time is virtual.
"""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from edge_agent.faults import Faults
from edge_agent.lock_link import CHECK_SECONDS, QUIET_SECONDS, LockLink
from edge_agent.rotation import REVISIT_SECONDS, Rotation, bound
from protocol import crypto_cpython as crypto
from protocol.errors import TransportError
from protocol.link import Hello
from protocol.record import Record
from tests.support import virtual_time
from tests.support.link_keys import LinkKeys
from tests.support.link_store import losses, without_pass
from tests.support.scripted_radio import Client, Ether, Peer, lock_of, record_of

KEYS = LinkKeys(crypto)


class DoorKeys(LinkKeys):
    """Keys of one lock. The province's and the edge's keys are those of KEYS."""

    def __init__(self) -> None:
        self.crypto, self.province, self.edge, self.link = crypto, KEYS.province, KEYS.edge, KEYS.link
        self.lock = crypto.generate("P-256")
        self.lock_id = crypto.digest("SHA-256", self.lock[1])[:16]


class Tower:
    """`count` locks with one record each, and the links to them. `stored` has the last counter of each lock, by
    address; `when` has the times at which records were stored."""

    def __init__(self, count: int, connections: int, client: type[Client] | None = None) -> None:
        self.ether = Ether(client, connections)
        self.rotation = Rotation(connections)
        self.faults = Faults()
        self.keys = {f"F0:00:00:00:00:{number:02X}": DoorKeys() for number in range(count)}
        self.links: dict[str, LockLink] = {}
        self.stored: dict[str, int] = {}
        self.when: dict[tuple[str, int], float] = {}
        self.hellos: list[str] = []
        self.waiting: dict[str, list[bytes]] = {}
        self.news = asyncio.Condition()
        self.credentials = without_pass()
        ids = [keys.lock_id for keys in self.keys.values()]
        self.credentials.take(KEYS.passes(*(ids[at : at + 64] for at in range(0, count, 64))))
        for address, keys in self.keys.items():
            peer = self.ether.peers[address] = lock_of(keys)
            peer.thinks = 0.4
            peer.records = [record_of(keys, 1)]

    def peer(self, address: str) -> Peer:
        return self.ether.peers[address]

    def _link(self, address: str) -> LockLink:
        async def on_hello(_hello: Hello) -> None:
            self.hellos.append(address)
            for statement in self.waiting.pop(address, []):
                deliveries.append(asyncio.create_task(self.links[address].deliver(statement)))

        async def on_record(item: Record) -> None:
            async with self.news:
                self.stored[address] = item.counter
                self.when[address, item.counter] = asyncio.get_running_loop().time()
                self.news.notify_all()

        deliveries: list[asyncio.Task[str | None]] = []
        return LockLink(
            address,
            on_hello=on_hello,
            on_record=on_record,
            next_counter=lambda _hello: self.stored.get(address, 0) + 1,
            credentials=self.credentials,
            faults=self.faults,
            rotation=self.rotation,
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Tower"]:
        with self.ether.installed():
            self.links = {address: self._link(address) for address in self.keys}
            work = [asyncio.create_task(one.run()) for one in self.links.values()]
            try:
                yield self
                assert not any(task.done() for task in work) and self.faults.counts == {}
            finally:
                for task in work:
                    task.cancel()
                await asyncio.wait(work)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with self.news:
            await self.news.wait_for(condition)


def told(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    random.seed(5)
    virtual_time.run(story())


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("connections", [5, 7])
def test_every_one_of_200_locks_is_served_in_time_and_the_adapter_is_never_full(connections: int) -> None:
    async def story() -> None:
        async with Tower(200, connections).open() as tower:
            await tower.until(lambda: len(tower.stored) == 200)
            assert now() <= bound(connections, 200)
            assert tower.ether.full == 0 and tower.ether.most_connected == connections - 2

    told(story)


def test_of_eight_locks_on_an_adapter_with_seven_connections_none_waits_for_ever() -> None:
    async def story() -> None:
        async with Tower(8, 7).open() as tower:
            await tower.until(lambda: len(tower.stored) == 8)
            assert now() < bound(7, 8)
            for address, keys in tower.keys.items():
                tower.peer(address).records.append(record_of(keys, 2))
            made = now()
            await tower.until(lambda: set(tower.stored.values()) == {2})
            assert now() - made < bound(7, 8)

    told(story)


def test_while_there_are_places_for_all_the_links_stay_open() -> None:
    async def story() -> None:
        async with Tower(3, 5).open() as tower:
            await asyncio.sleep(3600)
            assert len(tower.ether.tries) == 3 and all(one.connected for one in tower.links.values())
            first, *_ = tower.keys
            assert await tower.links[first].deliver(b"a grant") is None
            assert tower.peer(first).statements == [b"a grant"]

    told(story)


def test_a_visit_brings_all_records_and_hands_everything_over_before_it_leaves() -> None:
    async def story() -> None:
        tower = Tower(12, 5)
        address = list(tower.keys)[7]
        tower.peer(address).records = [record_of(tower.keys[address], counter) for counter in range(1, 21)]
        tower.waiting[address] = [b"a", b"grant"]
        async with tower.open():
            await tower.until(lambda: len(tower.stored) == 12)
            await asyncio.sleep(bound(5, 12))
            tries = tower.ether.moments(address)
            assert tower.when[address, 20] < tries[1], "one visit was enough"
            assert tower.peer(address).statements == [b"a", b"grant"]
            assert tower.links[address].last_error is None

    told(story)


def test_a_lock_with_more_to_say_than_a_visit_holds_delays_others_by_no_more_than_a_visit() -> None:
    async def story() -> None:
        tower = Tower(10, 5)
        talker, *others = tower.keys
        tower.peer(talker).records = [record_of(tower.keys[talker], counter) for counter in range(1, 100)]
        async with tower.open():
            await tower.until(lambda: len(tower.stored) == 10)
            assert now() <= bound(5, 10)
            await tower.until(lambda: tower.stored[talker] == 99)
            assert len(tower.ether.moments(talker)) > 2
            for address in others:
                tries = tower.ether.moments(address)
                assert max(later - before for before, later in itertools.pairwise(tries)) <= bound(5, 10)

    told(story)


def test_after_a_visit_has_left_a_statement_waits_for_the_next_visit() -> None:
    async def story() -> None:
        tower = Tower(12, 5)
        async with tower.open():
            first, *_ = tower.keys
            await tower.until(lambda: len(tower.stored) == 12)
            assert not tower.links[first].connected
            with pytest.raises(TransportError, match=r"lock\.not_connected"):
                await tower.links[first].deliver(b"early")
            tower.waiting[first] = [b"grant"]
            queued = now()
            await asyncio.sleep(bound(5, 12))
            assert tower.peer(first).statements == [b"grant"] and now() - queued <= bound(5, 12)

    told(story)


def test_the_order_of_visits_is_the_same_whoever_has_how_much_to_say() -> None:
    orders = []
    for much in (False, True):

        async def story(much: bool = much) -> None:
            tower = Tower(20, 5)
            numbers = {address: number for number, address in enumerate(tower.keys)}
            for address, keys in tower.keys.items():
                if much and random.random() < 0.5:
                    tower.peer(address).records = [record_of(keys, counter) for counter in range(1, 12)]
            async with tower.open():
                await asyncio.sleep(100)
                orders.append([numbers[address] for _, address in tower.ether.tries][:40])

        told(story)
    assert orders[0] == orders[1] == list(range(20)) * 2


def test_locks_out_of_reach_cost_the_others_only_their_first_attempt() -> None:
    async def story() -> None:
        tower = Tower(24, 5)
        dead = list(tower.keys)[::2]
        for address in dead:
            tower.ether.leave(address)
        async with tower.open():
            await tower.until(lambda: len(tower.stored) == 12)
            await asyncio.sleep(200)
            assert tower.rotation.silent == 12
            living = [address for address in tower.keys if address not in dead]
            for address in living:
                tries = [at for at in tower.ether.moments(address) if at > 100]
                gaps = [later - before for before, later in itertools.pairwise(tries)]
                # A visit takes 0.5 s to connect, 0.8 s for the handshake, and then it is quiet for a while.
                assert max(gaps) < REVISIT_SECONDS + 4 * (QUIET_SECONDS + 2.0)

    told(story)


def test_a_write_that_never_returns_costs_only_its_own_lock_a_visit() -> None:
    stuck: list[str] = []

    class Stuck(Client):
        async def write_gatt_char(self, *arguments: Any, **kwargs: Any) -> None:
            if self.address in stuck and self._session is not None:
                stuck.remove(self.address)
                await asyncio.get_running_loop().create_future()
            await super().write_gatt_char(*arguments, **kwargs)

    async def story() -> None:
        tower = Tower(12, 5, Stuck)
        first, *_ = tower.keys
        stuck.append(first)
        async with tower.open():
            await tower.until(lambda: len(tower.stored) == 12)
            assert stuck == [] and now() <= bound(5, 12)

    told(story)


def test_a_connection_that_has_ended_without_a_notice_is_found_and_made_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> None:
        async with Tower(1, 5).open() as tower:
            (address,) = tower.keys
            await tower.until(lambda: len(tower.stored) == 1)
            gone, tower.peer(address).responder = tower.peer(address).responder, None
            await asyncio.sleep(CHECK_SECONDS + 15)
            assert not tower.links[address].connected
            tower.peer(address).responder = gone
            await asyncio.sleep(120)
            assert tower.links[address].connected

    told(story)
    assert losses(caplog)[0]["code"] == "lock.silent"
