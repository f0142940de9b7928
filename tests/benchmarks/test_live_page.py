"""How soon a change at a door reaches a page, and how much longer a scenario takes while a page is open."""

import asyncio
import time
from statistics import median

import pytest

from sim.scenarios import perform, stories
from sim.tap import Tap
from tests.support.live_http import Listener, LivePage, live_page

pytestmark = pytest.mark.bench

_TAPS, _RUNS = 6, 5
_STORY = "first-checkin"


def arrivals(heard: Listener, act: int) -> dict[str, float]:
    """Read until the act is over. Return when each moment of its tap was first here, in monotonic seconds."""
    found: dict[str, float] = {}
    while True:
        said = heard.next()
        now = time.monotonic()
        if said.kind == "tap":
            for moment in said.data["moments"]:
                found.setdefault(moment["id"], now)
        if said.kind == "act" and said.data["act"] == act and said.data["state"] == "done":
            return found


def delays(tap: Tap, here: dict[str, float]) -> list[float]:
    """Return, in milliseconds, how long after its report each moment of the lock was on the page."""
    reported = {f"{line.event} 1": line.at for line in reversed(tap.console)}
    if tap.moved is not None:
        reported["opened"] = tap.moved.at
    return [(here[name] - at) * 1000 for name, at in reported.items() if name in here]


def test_a_change_at_a_door_is_soon_on_the_page() -> None:
    found: list[float] = []
    with live_page(doors=1) as page:
        heard = page.listen()
        heard.until("stores")
        for person in ["guest-1", "guest-2", "stranger"] * (_TAPS // 3):
            status, told = page.post({"action": "tap", "door": "door-1", "person": person})
            assert status == 202
            here = arrivals(heard, told["act"])
            found += delays(page.stage.site.doors[0].taps[-1], here)
        heard.close()
    assert len(found) > 4 * _TAPS
    print(
        f"\nfrom a report of lock or board to the page: median {median(found):.1f} ms, "
        f"longest {max(found):.1f} ms, of {len(found)} moments (aim: 100 ms)"
    )


def seconds_with(page: LivePage) -> float:
    """Return the seconds that a scenario takes at the site of an open page."""
    began = time.monotonic()
    page.run(page.stage.play(_STORY))
    return time.monotonic() - began


def seconds_without() -> float:
    began = time.monotonic()
    assert asyncio.run(perform(stories[_STORY])).ok
    return time.monotonic() - began


def test_a_scenario_takes_as_long_with_the_page_as_without() -> None:
    with live_page() as page:
        heard = page.listen()
        seconds_with(page)
        with_page = []
        for _ in range(_RUNS):
            with_page.append(seconds_with(page))
            while heard.next().kind != "story" or heard.heard[-1].data["state"] != "over":
                pass
        heard.close()
    seconds_without()
    without = [seconds_without() for _ in range(_RUNS)]
    print(
        f"\n{_STORY}: {median(with_page):.2f} s with the page, {median(without):.2f} s without: "
        f"ratio {median(with_page) / median(without):.2f}"
    )
