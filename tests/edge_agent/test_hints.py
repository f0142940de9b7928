"""Only the edge of a lock's last session can read the lock's hints. A hint costs one extra visit, and no other lock its
bound. Time is virtual."""

import asyncio
import random
from collections import Counter

import pytest

from edge_agent.hints import Hints
from edge_agent.rotation import REVISIT_SECONDS, VISIT_SECONDS, bound
from protocol import crypto_cpython as crypto
from protocol import link
from protocol.link_initiator import HINT_SECONDS, hint
from tests.support.house import House, names, open_house, told

KEY = b"\x05" * 32
DAY = 86400


def content(number: int, news: bool, key: bytes = KEY) -> bytes:
    return bytes(link.PREFIX_BYTES) + hint(crypto, key, number, news)


def test_a_hint_of_records_is_read_and_a_hint_of_none_is_not() -> None:
    hints = Hints(KEY, since=1000.0)
    for number in range(1, 200):
        now = 1000.0 + number * HINT_SECONDS
        assert hints.has_news(content(number, True), now)
        assert not hints.has_news(content(number, False), now)


def test_whenever_the_session_began_and_however_the_clocks_drift_for_three_days_hints_can_be_read() -> None:
    chance = random.Random(5)
    for _ in range(300):
        since, passed = chance.uniform(0, 1e6), chance.uniform(60, 3 * DAY)
        until_next = chance.uniform(0, HINT_SECONDS)  # from the session to the lock's next hint
        rate = 1 + chance.choice((-200e-6, 0, 200e-6))
        locks = passed * rate
        if locks < until_next:
            continue
        number = int((locks - until_next) // HINT_SECONDS) + 1
        assert Hints(KEY, since).has_news(content(number, True), since + passed)


@pytest.mark.parametrize("number", [1, 7, 13, 10**6])
def test_a_hint_from_another_time_says_nothing(number: int) -> None:
    assert not Hints(KEY, 0.0).has_news(content(number, True), 10 * HINT_SECONDS)


@pytest.mark.parametrize("wrong", [b"", bytes(4), bytes(6), content(10, True)[:5], content(10, True) + b"\x00"])
def test_what_is_no_hint_says_nothing(wrong: bytes) -> None:
    assert not Hints(b"\x07" * 32, 0.0).has_news(wrong, 10 * HINT_SECONDS)


def test_an_edge_with_another_session_reads_nothing() -> None:
    """Two edges serve the lock; or a passer-by guesses; or the key is that of an earlier session."""
    others = [Hints(bytes([number]) * 32, 0.0) for number in range(256) if number != KEY[0]]
    assert not any(other.has_news(content(10, True), 10 * HINT_SECONDS) for other in others)


def test_a_lock_that_hints_has_its_visit_within_two_minutes_and_not_within_a_quarter_of_an_hour() -> None:
    async def story() -> None:
        house = House(5, lambda _address: VISIT_SECONDS)
        async with open_house(house, *names(100)):
            await asyncio.sleep(1.5 * bound(5, 100))
            before = len(house.starts("L050"))
            last = house.sessions["L050"]
            assert house.members["L050"].turn is None
            house.rotation.heard([house.advertised(address, address == "L050") for address in names(100)])
            await asyncio.sleep(2 * VISIT_SECONDS + 1)
            assert len(house.starts("L050")) == before + 1 and house.sessions["L050"] > last
            assert house.inside["hint"] == 0 and house.most_inside == {"line": 3, "hint": 1}

    told(story)


def test_the_bound_holds_for_every_lock_while_many_locks_hint_all_the_time() -> None:
    async def story() -> None:
        house = House(5, lambda _address: VISIT_SECONDS)
        noisy = names(10)
        async with open_house(house, *names(60)):
            await asyncio.sleep(bound(5, 60))
            for _ in range(30):
                await asyncio.sleep(HINT_SECONDS)
                house.rotation.heard([house.advertised(address, True) for address in noisy])
            assert max(house.waits()) <= bound(5, 60) == house.rotation.bound_seconds
            assert house.rotation.longest_wait <= bound(5, 60)
            visits = Counter(address for _, _, address in house.visits)
            extra = [visits[address] for address in noisy]
            assert max(extra) - min(extra) <= 2, "those that hint share the extra visits"
            assert min(visits[address] for address in names(60)[10:]) >= 1800 // bound(5, 60)

    told(story)


def test_hints_and_silent_locks_share_the_side_lane() -> None:
    async def story() -> None:
        house = House(5, lambda _address: VISIT_SECONDS)
        house.dead.update(f"D{number}" for number in range(20))
        async with open_house(house, *names(30), *house.dead):
            await asyncio.sleep(2 * bound(5, 50))
            began, tries = asyncio.get_running_loop().time(), len(house.tries)
            for _ in range(30):
                await asyncio.sleep(HINT_SECONDS)
                house.rotation.heard([house.advertised(address, True) for address in names(30)])
            lately = [(start, address) for start, address in house.tries[tries:] if address in house.dead]
            spent = asyncio.get_running_loop().time() - began
            assert len({address for _, address in lately}) == 20
            assert spent / len(lately) <= VISIT_SECONDS + 10, "every second turn is one of a silent lock"
            assert house.most_inside["silent"] + house.most_inside["hint"] == 2 and max(house.waits()) <= bound(5, 50)

    told(story)


def test_one_hint_buys_one_visit_however_often_it_is_played_again() -> None:
    async def story() -> None:
        house = House(5, lambda _address: VISIT_SECONDS)
        async with open_house(house, *names(100)):
            await asyncio.sleep(bound(5, 100) + 200)
            before = len(house.starts("L001"))
            recorded = house.advertised("L001", True)
            for _ in range(20):
                house.rotation.heard([recorded])
                await asyncio.sleep(10)
            assert len(house.starts("L001")) <= before + 1, "beside the extra visit, its own turn is far away"

    told(story)


def test_a_lock_that_hints_and_does_not_answer_is_a_silent_lock_and_has_no_more_extra_visits() -> None:
    async def story() -> None:
        house = House(5, lambda _address: VISIT_SECONDS)
        async with open_house(house, *names(60)):
            await asyncio.sleep(bound(5, 60) + REVISIT_SECONDS)
            house.dead.add("L001")
            house.rotation.heard([house.advertised("L001", True)])
            await asyncio.sleep(VISIT_SECONDS + 11)
            assert house.rotation.is_silent("L001") and house.members["L001"].hints is None
            house.rotation.heard([house.advertised("L001", True)])
            assert not house.members["L001"].hinted

    told(story)


def test_spoofed_hints_for_all_addresses_change_no_visit() -> None:
    orders = []
    for spoofed in (False, True):

        async def story(spoofed: bool = spoofed) -> None:
            house = House(5, lambda _address: 5.0)
            async with open_house(house, *names(20)):
                for _ in range(15):
                    await asyncio.sleep(HINT_SECONDS)
                    if spoofed:
                        house.rotation.heard([(address, bytes(4) + b"\x00\x00") for address in names(20)])
                orders.append(sorted((start, address) for start, _, address in house.visits))

        told(story)
    assert orders[0] == orders[1] and len(orders[0]) > 50
