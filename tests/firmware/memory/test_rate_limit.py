"""A rate limit allows exactly the rate that it states, at all values of the chip's ticks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.hardware import ticks
from firmware.memory.rate_limit import RateLimit
from tests.support.chip_ticks import DAY_MS, ChipTicks

MOST, EVERY_MS = 3, 1000


def used(limit: RateLimit) -> bool:
    if not limit.allows():
        return False
    limit.use()
    return True


def test_it_gives_as_many_as_it_holds_and_one_more_each_time_span(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ChipTicks(monkeypatch)
    limit = RateLimit(MOST, EVERY_MS)
    assert [used(limit) for _ in range(MOST + 1)] == [True] * MOST + [False]
    clock.ms += EVERY_MS - 1
    assert not used(limit)
    clock.ms += 1
    assert used(limit) and not used(limit)


def test_what_is_put_back_is_no_more_than_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    ChipTicks(monkeypatch)
    limit = RateLimit(MOST, EVERY_MS)
    limit.give_back()
    assert [used(limit) for _ in range(MOST + 1)] == [True] * MOST + [False]


@given(st.lists(st.integers(0, 12 * DAY_MS), max_size=30))
def test_no_story_of_waits_gets_more_than_the_time_that_went_by_has_earned(waits: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clock = ChipTicks(patch)
        limit, got = RateLimit(MOST, EVERY_MS), 0
        for wait in waits:
            clock.ms += wait
            got += used(limit)
        assert got <= MOST + clock.ms // EVERY_MS


@pytest.mark.parametrize("days", [0.5, 6, 6.3, 12])
def test_an_age_is_right_for_six_days_and_then_very_long(monkeypatch: pytest.MonkeyPatch, days: float) -> None:
    clock = ChipTicks(monkeypatch)
    clock.ms = 5 * DAY_MS
    earlier = ticks.now()
    clock.ms += int(days * DAY_MS)
    assert ticks.age(earlier) == (days * DAY_MS if days < 6.2 else ticks.FOREVER)
