"""Each lock of a building has its turn within the stated bound, whatever the others do. Time is virtual."""

import asyncio
import random

import pytest

from edge_agent.rotation import (
    BEGIN_SECONDS,
    REVISIT_SECONDS,
    VISIT_SECONDS,
    WORK_SECONDS,
    Turn,
    bound,
)
from tests.support.house import House, names, open_house, told

HOUR = 3600.0


@pytest.mark.parametrize(("connections", "seconds"), [(5, 2040.0), (7, 1230.0)])
def test_each_of_200_locks_has_its_turn_within_the_bound_although_every_visit_takes_all_the_time_it_may(
    connections: int, seconds: float
) -> None:
    async def story() -> None:
        house = House(connections, lambda _address: VISIT_SECONDS)
        async with open_house(house, *names(200)):
            await asyncio.sleep(2 * seconds)
            assert house.rotation.bound_seconds == bound(connections, 200) == seconds
            assert 0.9 * seconds < max(house.waits()) <= seconds
            assert house.rotation.longest_wait == max(house.waits())
            ages = house.rotation.unseen_seconds().values()
            assert all(age is not None and age <= seconds for age in ages)
            assert house.rotation.oldest_visit_seconds == max(age for age in ages if age is not None)
            assert all(len(house.starts(address)) >= 1 for address in names(200))
            assert house.most_inside == {"line": connections - 2}

    told(story)


def test_a_visit_that_ignored_the_request_to_leave_would_break_the_bound() -> None:
    async def story() -> None:
        house = House(5, lambda _address: 3 * VISIT_SECONDS)
        async with open_house(house, *names(12)):
            await asyncio.sleep(HOUR)
            assert max(house.waits()) > bound(5, 12)

    told(story)


def test_the_order_of_visits_does_not_depend_on_how_long_they_take() -> None:
    orders = []
    for seed in (1, 2):

        async def story(seed: int = seed) -> None:
            chance = random.Random(seed)
            house = House(7, lambda _address: chance.uniform(1, VISIT_SECONDS))
            async with open_house(house, *names(60)):
                await asyncio.sleep(HOUR / 2)
                orders.append([address for _, address in house.tries][:150])

        told(story)
    assert orders[0] == orders[1] and orders[0][:120] == names(60) * 2


def test_while_there_are_places_for_all_nobody_is_asked_to_leave() -> None:
    async def story() -> None:
        house = House(5)
        async with open_house(house, *names(3)):
            await asyncio.sleep(HOUR)
            assert len(house.tries) == 3 and house.visits == []
            assert house.rotation.bound_seconds is None

    told(story)


def test_with_one_lock_too_many_they_take_turns_and_not_more_often_than_need_be() -> None:
    async def story() -> None:
        house = House(5)
        async with open_house(house, *names(4)):
            await asyncio.sleep(HOUR)
            assert max(house.waits()) <= REVISIT_SECONDS + 3.1
            assert len(house.visits) <= HOUR / REVISIT_SECONDS + 3, "each visit costs the lock a handshake"

    told(story)


def test_locks_that_do_not_answer_cost_the_others_nothing_once_they_have_been_tried() -> None:
    longest = {}
    for dead in (0, 150):

        async def story(dead: int = dead) -> None:
            house = House(5, lambda _address: 10)
            silent = [f"D{number}" for number in range(dead)]
            house.dead.update(silent)
            async with open_house(house, *names(50), *silent):
                await asyncio.sleep(HOUR / 2)
                longest[dead] = max(house.waits(after=HOUR / 4))
                assert house.rotation.silent == dead and house.rotation.bound_seconds == bound(5, 50)
                assert house.most_inside["silent"] == (1 if dead else 0)
                assert all(house.rotation.is_silent(address) for address in silent)
                assert not any(house.rotation.is_silent(address) for address in names(50))

        told(story)
    assert longest[150] == pytest.approx(longest[0])


@pytest.mark.parametrize("way", ["a scan hears it", "its turn among the silent comes"])
def test_a_silent_lock_that_is_back_is_soon_visited_although_150_others_are_silent(way: str) -> None:
    async def story() -> None:
        house = House(5, lambda _address: 10)
        house.dead.update(["back", *(f"D{number}" for number in range(150))])
        async with open_house(house, *names(20), *house.dead):
            await asyncio.sleep(HOUR / 2)
            house.dead.discard("back")
            left = asyncio.get_running_loop().time()
            if way == "a scan hears it":
                house.rotation.heard([("back", bytes(6)), ("an unknown address", bytes(6))])
            await house.until_answered("back")
            limit = 60 + bound(5, 21) if way == "a scan hears it" else 60 + 2 * 151 * 10 + VISIT_SECONDS
            assert asyncio.get_running_loop().time() - left <= limit

    told(story)


def test_a_lock_that_was_away_for_a_moment_is_tried_before_those_that_are_long_silent() -> None:
    async def story() -> None:
        house = House(5)
        house.dead.update(f"D{number}" for number in range(150))
        async with open_house(house, "short", *house.dead):
            await asyncio.sleep(HOUR / 2)
            member = house.members["short"]
            assert member.turn is not None
            house.dead.add("short")
            member.turn.ask_to_leave(asyncio.get_running_loop().time())
            await asyncio.sleep(3 + REVISIT_SECONDS + 10.5)
            assert house.rotation.is_silent("short")
            house.dead.discard("short")
            await asyncio.sleep(3 * 10 + 2)
            assert not house.rotation.is_silent("short")

    told(story)


def test_after_an_outage_of_the_adapter_all_locks_are_back_in_the_line_with_the_first_that_answers() -> None:
    async def story() -> None:
        house = House(5)
        house.dead.update(names(60))
        async with open_house(house, *names(60)):
            await asyncio.sleep(HOUR)
            assert house.rotation.silent == 60
            house.dead.clear()
            await asyncio.sleep(60 + 10 + bound(5, 60))
            assert house.rotation.silent == 0 and {address for _, _, address in house.visits} == set(names(60))

    told(story)


def test_what_a_scan_hears_does_not_make_a_lock_due_earlier() -> None:
    async def story() -> None:
        house = House(5)
        house.dead.add("D")
        async with open_house(house, "D"):
            for _ in range(int(HOUR)):
                await asyncio.sleep(1)
                house.rotation.heard([("D", bytes(6))])
            assert len(house.tries) < HOUR / 70 + 10

    told(story)


def test_a_visit_is_cut_off_in_time_and_only_after_it_was_asked_to_leave() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        turn = Turn("line")
        loop.call_at(100, turn.ask_to_leave, 100)
        loop.call_at(110, turn.ask_to_leave, 110)
        with pytest.raises(TimeoutError):
            async with turn.limited():
                await asyncio.sleep(HOUR)
        assert loop.time() == pytest.approx(100 + WORK_SECONDS) and turn.cut_off
        assert turn.begin_until == 100 + BEGIN_SECONDS
        staying = Turn("silent")
        staying.ask_to_leave(loop.time())
        staying.stay()
        async with staying.limited():
            await asyncio.sleep(HOUR)
        assert not staying.cut_off and not staying.leave.is_set()

    told(story)


def test_a_lock_that_leaves_the_rotation_gives_its_place_back() -> None:
    async def story() -> None:
        house = House(5)
        async with open_house(house, *names(9)):
            await asyncio.sleep(HOUR)
            async with open_house(house, "gone"):
                await asyncio.sleep(100)
            await asyncio.sleep(HOUR)
            assert len(house.rotation.unseen_seconds()) == 9
            assert max(house.waits()) <= bound(5, 9)

    told(story)
