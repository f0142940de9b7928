"""The clock under any sequence of reboots, drifts and tricks of a courier.

Afterwards the true time is in the clock's interval, and the clock's floor has not gone back.
"""

import json
import random
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.on_micropython.clock_story import play
from tests.support.on_lock import run_on_lock

HOUR = 3_600_000
INDEX = st.integers(0, 7)


def steps(ppm: int) -> st.SearchStrategy[list[list[Any]]]:
    """Return stories in which the crystal is wrong by at most `ppm`."""
    kinds = {
        "run": st.one_of(st.integers(0, 100_000), st.integers(0, 48 * HOUR)),
        "cut": st.one_of(st.integers(0, 60_000), st.integers(0, 60 * 24 * HOUR)),
        "ask": INDEX,
        "answer": INDEX,
        "bring": INDEX,
        "sign": INDEX,
        "tell": INDEX,
        "settle": st.integers(-10_000, 10_000),
        "ppm": st.integers(-ppm, ppm),
    }
    step = st.one_of([st.tuples(st.just(kind), amount).map(list) for kind, amount in kinds.items()])
    # The order of steps in which a nonce leads to a signed time. Stories contain these steps in this order, among steps
    # in random order.
    useful = st.builds(asked, kinds["run"], kinds["run"])
    return st.lists(st.one_of(st.lists(step, max_size=4), useful), max_size=20).map(
        lambda parts: list(chain.from_iterable(parts))
    )


def asked(before: int, after: int) -> list[list[Any]]:
    """Return steps that bring the lock a signed time for its nonce. There are delays before and after the answer."""
    return [["ask", 0], ["run", before], ["answer", -1], ["run", after], ["bring", -1]]


@given(steps(100))
def test_the_true_time_is_always_inside_and_the_floor_never_goes_back(story: list[list[Any]]) -> None:
    assert play(story) == []


@given(steps(20_000))
def test_a_crystal_beyond_its_limits_is_never_believed_against_an_answer(story: list[list[Any]]) -> None:
    assert play(story) == []


def test_a_broken_clock_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    honest: list[list[Any]] = [["ask", 0], ["answer", 0], ["bring", 0], ["ppm", 100], ["run", 48 * HOUR]]
    assert play(honest) == []
    monkeypatch.setattr("firmware.memory.clock.DRIFT_PPM", 50)
    assert play(honest) == ["run: earliest is beyond the true time"]


ON_LOCK = """
import time
from tests.on_micropython.clock_story import play
period = time.ticks_add(0, -1) + 1
answer([play(story) + play(story, period, time.ticks_diff) for story in given])
"""


def invented(seed: int) -> list[list[Any]]:
    """Return a long story that is the same in each run."""
    chance = random.Random(seed)
    story: list[list[Any]] = []
    for _ in range(60):
        kind = chance.choice(("run", "run", "cut", "ask", "answer", "bring", "sign", "tell", "settle", "ppm", "honest"))
        if kind == "honest":
            story += asked(chance.randrange(0, 2000), chance.choice((0, chance.randrange(50 * HOUR))))
        elif kind in ("run", "cut"):
            story.append([kind, chance.choice((chance.randrange(100_000), chance.randrange(100 * HOUR)))])
        else:
            story.append([kind, chance.randrange(-100, 100) if kind == "ppm" else chance.randrange(8)])
    return story


def test_the_same_holds_on_the_locks_interpreter_over_the_wrap_of_its_ticks() -> None:
    stories = [invented(seed) for seed in range(40)]
    assert json.dumps(stories).count('"bring"') > 200
    assert run_on_lock(ON_LOCK, stories) == [[]] * len(stories)
    assert [play(story) for story in stories] == [[]] * len(stories)
