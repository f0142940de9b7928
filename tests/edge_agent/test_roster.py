"""A flood of fakes does not delay proven locks. All other addresses share two places for attempts.

Time is virtual, so a test covers hours. Roster, link and handshake are the real code. The radio is simulated, and each
test decides who is on the air.
"""

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from edge_agent import config, discovery
from edge_agent.credentials import Credentials
from edge_agent.faults import Faults
from edge_agent.lock_link import LockLink
from edge_agent.lock_state import LockState, OnHello
from edge_agent.outbox import Outbox
from edge_agent.roster import Roster
from edge_agent.rotation import Rotation
from edge_agent.sightings import LIFETIME_SECONDS, MOST
from protocol import crypto_cpython as crypto
from protocol.link import Hello
from protocol.record import Record
from tests.support import virtual_time
from tests.support.link_keys import NOW, LinkKeys
from tests.support.scripted_radio import Ether, Peer, lock_of

KEYS = LinkKeys(crypto)
REAL = "F0:00:00:00:00:01"
MINUTE = 60.0


class OtherKeys(LinkKeys):
    """Keys of a fake lock."""

    def __init__(self) -> None:
        super().__init__(crypto)
        self.lock = crypto.generate("P-256")
        self.lock_id = crypto.digest("SHA-256", self.lock[1])[:16]


class House:
    """An edge with a roster. The roster's files are in one folder. `hellos` holds the HELLOs of the edge's locks."""

    def __init__(self, folder: Path, ether: Ether, *addresses: str, passes: bytes | None = b"") -> None:
        (folder / "link.key").write_bytes(KEYS.edge[0])
        named = ",".join(addresses)
        environment = {"MOORING_EDGE_STATE_DIR": str(folder), "MOORING_EDGE_LOCKS_ADDRESSES": named}
        environment["MOORING_EDGE_PROVINCE_PUBLIC_KEY"] = KEYS.province[1].hex()
        self.settings = config.load(None, environment)
        self.ether, self.hellos = ether, list[Hello]()
        self.credentials = Credentials(folder, KEYS.province[1])
        if passes is not None:
            self.credentials.take(passes or KEYS.passes())
        self.outbox = Outbox(self.settings.outbox_path, is_own=self.credentials.admits)
        self.faults = Faults()
        self.rotation = Rotation()
        self.roster = Roster(
            self.settings.locks,
            self.credentials,
            self.outbox,
            self.faults,
            rotation=self.rotation,
            locks={},
            make=self._make,
            deliver=self._deliver,
            search=discovery.discover,
        )

    def _make(self, address: str, lock_id: bytes) -> LockState:
        async def on_record(_record: Record) -> None:
            raise AssertionError("nobody here has records")

        def make_link(on_hello: OnHello) -> LockLink:
            return LockLink(
                address,
                on_hello=on_hello,
                on_record=on_record,
                next_counter=lambda _hello: 1,
                credentials=self.credentials,
                rotation=self.rotation,
                faults=self.faults,
            )

        return LockState(address, make_link, self._on_hello, lock_id)

    def _on_hello(self, lock: LockState, hello: Hello) -> None:
        self.outbox.lock_seen(hello, lock.address)
        lock.keep_hello(hello)
        self.hellos.append(hello)

    async def _deliver(self, lock: LockState) -> None:
        await asyncio.get_running_loop().create_future()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["House"]:
        """Run the roster until the block ends."""
        with self.ether.installed():
            running = asyncio.ensure_future(self.roster.run())
            try:
                yield self
                assert not running.done() and self.faults.counts == {}
            finally:
                running.cancel()
                await asyncio.wait({running})
                self.outbox.close()

    @property
    def serving(self) -> list[str]:
        """The addresses that have a link."""
        return sorted(self.roster.locks)


def told(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    virtual_time.run(story())


def fake_address(number: int) -> str:
    return "C2:" + ":".join(f"{byte:02X}" for byte in number.to_bytes(5, "big"))


def flood(ether: Ether, count: int, until: float, anew: bool, **looks: Any) -> None:
    """Until the time `until`, let `count` addresses advertise as if each of them were the lock. With `anew`, each scan
    has new addresses.
    """
    numbers = itertools.count(1)

    def scan() -> None:
        if anew or asyncio.get_running_loop().time() >= until:
            for address in [address for address in ether.peers if address.startswith("C2:")]:
                del ether.peers[address]
        if asyncio.get_running_loop().time() < until:
            while len(ether.peers) <= count:
                peer = Peer(KEYS.lock_id[:6], rssi=random.randrange(-60, -30), **looks)
                ether.peers[fake_address(next(numbers))] = peer

    ether.on_scan = scan


def test_a_lock_on_the_air_is_found_proven_and_served(tmp_path: Path) -> None:
    async def story() -> None:
        ether = Ether()
        ether.peers[REAL] = lock_of(KEYS)
        async with House(tmp_path, ether).open() as house:
            await asyncio.sleep(15)
            assert house.serving == [REAL] and len(house.hellos) == 1
            assert house.roster.locks[REAL].connected and house.roster.strangers == 0
            assert len(ether.tries) == 1, "the lock is served on the connection on which it proved itself"

    told(story)


def schedule(ether: Ether) -> list[float]:
    """Return the waits between the attempts at the real lock."""
    return [after - before for before, after in itertools.pairwise(ether.moments(REAL))]


@pytest.mark.parametrize(
    ("anew", "answers"), [(True, True), (False, False)], ids=["new ones that are silent", "the same that are absent"]
)
def test_a_proven_lock_is_tried_on_its_schedule_as_if_a_hundred_fakes_were_not_there(
    tmp_path: Path, anew: bool, answers: bool
) -> None:
    waits: dict[int, list[float]] = {}

    def visit(fakes: int) -> None:
        async def story() -> None:
            ether = Ether()
            ether.peers[REAL] = lock_of(KEYS)
            folder = tmp_path / str(fakes)
            folder.mkdir()
            async with House(folder, ether).open() as house:
                await asyncio.sleep(15)
                ether.peers[REAL].refuses = True
                ether.clients[REAL].lost()
                flood(ether, fakes, 40 * MINUTE, anew, answers=answers)
                await asyncio.sleep(33 * MINUTE)
                waits[fakes] = schedule(ether)
                assert house.serving == [REAL]
                assert len(asyncio.all_tasks()) < 20 and ether.most_trying <= 2 + 1
                ether.peers[REAL].refuses = False
                await asyncio.sleep(2 * MINUTE)
                assert house.roster.locks[REAL].connected

        random.seed(1)
        told(story)

    for fakes in (0, 100):
        visit(fakes)
    # Both runs draw random parts from one source, so the waits of the two runs differ. In both runs, the waits grow to
    # 60 s.
    assert len(waits[100]) >= 33 and abs(len(waits[100]) - len(waits[0])) <= 8
    assert max(waits[100]) <= 61 and max(waits[0]) <= 61


def test_a_lock_that_cannot_prove_itself_yet_is_tried_on_its_schedule_among_ever_new_fakes(tmp_path: Path) -> None:
    tried: dict[int, list[float]] = {}

    def visit(fakes: int) -> None:
        async def story() -> None:
            ether = Ether()
            folder = tmp_path / str(fakes)
            folder.mkdir()
            async with House(folder, ether).open():
                ether.peers[REAL] = lock_of(KEYS)
                ether.peers[REAL].refuses = True
                # The fakes are on the air for a third of the time. An attempt without an answer takes 20 s.
                flood(ether, fakes, 11 * MINUTE, True, answers=False)
                await asyncio.sleep(33 * MINUTE)
                tried[fakes] = schedule(ether)

        random.seed(2)
        told(story)

    for fakes in (0, 100):
        visit(fakes)
    assert len(tried[100]) >= len(tried[0]) - 15 and len(tried[0]) > 40
    assert max(tried[0]) <= 61 and max(tried[100]) <= 61 + 21, "it waits for one attempt under way at most"


def test_while_a_lock_is_connected_whoever_claims_to_be_it_is_not_even_tried(tmp_path: Path) -> None:
    async def story() -> None:
        ether = Ether()
        ether.peers[REAL] = lock_of(KEYS)
        async with House(tmp_path, ether).open() as house:
            await asyncio.sleep(15)
            flood(ether, 100, 10 * MINUTE, True)
            await asyncio.sleep(10 * MINUTE)
            assert [address for _, address in ether.tries] == [REAL] and house.roster.locks[REAL].connected

    told(story)


def test_addresses_are_forgotten_within_ten_minutes_after_the_attacker_has_left(tmp_path: Path) -> None:
    async def story() -> None:
        ether = Ether()
        flood(ether, 100, 30 * MINUTE, True)
        async with House(tmp_path, ether).open() as house:
            await asyncio.sleep(30 * MINUTE)
            assert 0 < house.roster.strangers <= MOST + 2
            await asyncio.sleep(LIFETIME_SECONDS + 71)
            assert house.roster.strangers == 0 and house.serving == []
            tried = len(ether.tries)
            await asyncio.sleep(10 * MINUTE)
            assert len(ether.tries) == tried

    told(story)


@pytest.mark.parametrize("anew", [True, False], ids=["new at each scan", "the same"])
def test_a_new_lock_is_found_among_a_hundred_fakes(tmp_path: Path, anew: bool) -> None:
    async def story() -> None:
        ether = Ether()
        flood(ether, 100, 300 * MINUTE, anew)
        async with House(tmp_path, ether).open() as house:
            await asyncio.sleep(30 * MINUTE)
            ether.peers[REAL] = lock_of(KEYS, rssi=-90)
            await asyncio.sleep(3 * MINUTE)
            assert house.serving == [REAL] and house.roster.locks[REAL].connected

    told(story)


def test_a_lock_that_was_proven_is_served_at_once_after_a_restart_also_in_a_flood(tmp_path: Path) -> None:
    async def story() -> None:
        ether = Ether()
        ether.peers[REAL] = lock_of(KEYS)
        async with House(tmp_path, ether).open():
            await asyncio.sleep(15)
        flood(ether, 100, 30 * MINUTE, True)
        ether.tries.clear()
        async with House(tmp_path, ether).open() as house:
            await asyncio.sleep(2)
            assert house.roster.locks[REAL].connected
            assert [address for _, address in ether.tries] == [REAL]

    told(story)


def test_a_radio_that_proves_to_be_some_other_lock_is_not_served_and_gets_no_link(tmp_path: Path) -> None:
    async def story() -> None:
        ether, other = Ether(), OtherKeys()
        ether.peers["C2:00:00:00:00:07"] = lock_of(other)
        posing = lock_of(other)
        posing.prefix = KEYS.lock_id[:6]
        ether.peers["C2:00:00:00:00:08"] = posing
        async with House(tmp_path, ether).open() as house:
            await asyncio.sleep(10 * MINUTE)
            assert house.serving == [] and house.hellos == []
            assert {address for _, address in ether.tries} == {"C2:00:00:00:00:08"}, "no other address is connected"
            assert not house.outbox.knows(other.lock_id)

    told(story)


def test_a_lock_that_is_found_at_another_address_is_served_there_alone(tmp_path: Path) -> None:
    async def story() -> None:
        ether = Ether()
        ether.peers[REAL] = lock_of(KEYS)
        async with House(tmp_path, ether).open() as house:
            await asyncio.sleep(15)
            ether.leave(REAL)
            ether.peers["F0:00:00:00:00:02"] = lock_of(KEYS)
            await asyncio.sleep(3 * MINUTE)
            assert house.serving == ["F0:00:00:00:00:02"] and house.roster.locks["F0:00:00:00:00:02"].connected
            assert house.outbox.proven() == [("F0:00:00:00:00:02", KEYS.lock_id)]

    told(story)


def test_new_passes_end_the_link_to_a_lock_that_they_do_not_list_and_begin_that_to_one_they_do(tmp_path: Path) -> None:
    async def story() -> None:
        ether = Ether()
        ether.peers[REAL] = lock_of(KEYS)
        async with House(tmp_path, ether).open() as house:
            await asyncio.sleep(15)
            house.credentials.take(KEYS.passes(issued_at=NOW + 1, locks=[bytes(16)]))
            house.roster.passes_changed()
            await asyncio.sleep(MINUTE)
            assert house.serving == [] and ether.clients == {}
            house.credentials.take(KEYS.passes(issued_at=NOW + 2))
            house.roster.passes_changed()
            await asyncio.sleep(5)
            assert house.roster.locks[REAL].connected

    told(story)


def test_with_the_first_pass_the_air_is_searched_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        ether = Ether()
        ether.peers[REAL] = lock_of(KEYS)
        async with House(tmp_path, ether, passes=None).open() as house:
            await asyncio.sleep(20)
            assert ether.tries == []
            house.credentials.take(KEYS.passes())
            house.roster.passes_changed()
            await asyncio.sleep(15)
            assert house.roster.locks[REAL].connected

    told(story)


def test_addresses_that_the_configuration_names_are_served_and_nobody_is_searched_for(tmp_path: Path) -> None:
    async def story() -> None:
        ether = Ether()
        ether.peers[REAL] = lock_of(KEYS)
        flood(ether, 50, 30 * MINUTE, True)
        async with House(tmp_path, ether, REAL, "F0:00:00:00:00:09").open() as house:
            await asyncio.sleep(5 * MINUTE)
            assert house.serving == [REAL, "F0:00:00:00:00:09"] and house.roster.locks[REAL].connected
            assert {address for _, address in ether.tries} == {REAL, "F0:00:00:00:00:09"}

    told(story)


def test_a_scan_that_fails_is_tried_again(tmp_path: Path) -> None:
    async def story() -> None:
        ether = Ether()
        ether.peers[REAL] = lock_of(KEYS)
        failures: list[Exception] = [OSError("no adapter"), KeyError("a path"), EOFError()]

        def scan() -> None:
            if failures:
                raise failures.pop(0)

        ether.on_scan = scan
        house = House(tmp_path, ether)
        with ether.installed():
            running = asyncio.ensure_future(house.roster.run())
            await asyncio.sleep(5 * MINUTE)
            assert house.roster.locks[REAL].connected and house.faults.counts == {"KeyError": 1}
            running.cancel()
            await asyncio.wait({running})
            house.outbox.close()

    told(story)
