"""A wait for something that never comes ends, and its error names the line that waits."""

import asyncio
import signal
import threading
from pathlib import Path

import pytest

from tests.support.hanging import HungError, limited

SOON = 0.05
"""Seconds until a test that waits for ever is ended."""


def place(comment: str) -> str:
    """Return the place of the line of this file that ends with this comment."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return f"{__file__}:{next(number for number, line in enumerate(lines, 1) if line.endswith('# ' + comment))}"


def test_a_thread_that_waits_for_ever_is_ended_and_its_line_is_named() -> None:
    with pytest.raises(HungError) as hung, limited(SOON):
        threading.Event().wait()  # blocked
    assert place("blocked") in str(hung.value)


def test_a_task_that_waits_for_ever_is_ended_and_its_line_is_named() -> None:
    async def deep() -> None:
        await asyncio.Event().wait()  # waits

    async def story() -> None:
        await asyncio.gather(deep(), asyncio.sleep(0))

    with pytest.raises(HungError) as hung, limited(SOON):
        asyncio.run(story())
    assert place("waits") in str(hung.value)


def test_what_ends_in_time_is_left_alone_and_the_limit_around_it_holds_again() -> None:
    with limited(100_000):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 10_000
    assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] < 10_000


def test_each_test_has_such_a_limit_and_it_is_shorter_than_that_of_the_whole_run(
    request: pytest.FixtureRequest,
) -> None:
    left, _ = signal.getitimer(signal.ITIMER_REAL)
    assert 0 < left < float(str(request.config.getini("faulthandler_timeout")))
