"""Measures how soon a browser draws a change at a door, and how much longer a scenario takes while a page is open."""

import asyncio
import time
from statistics import median
from typing import TYPE_CHECKING

import pytest

from sim.scenarios import perform, stories
from sim.tap import Tap
from tests.support.browser import Window, running
from tests.support.live_http import LivePage, live_page
from tests.support.live_site import guest, tapped

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.bench

_TAPS, _RUNS = 6, 5
_STORY = "first-checkin"

_DRAWN = """() => {
  window.drawn = {};  // for each tap and moment: when it was drawn, in milliseconds since 1970
  const look = () => {
    const tap = document.querySelector("#taps [data-tap]:last-child");
    if (tap?.getAttribute("aria-pressed") !== "true") return;
    const told = (drawn[tap.dataset.tap] ??= {});
    for (const row of document.querySelectorAll("#moments [data-moment]")) {
      const name = row.dataset.moment;
      if (name in told) continue;
      told[name] = null;
      // After the callbacks of an animation frame, the browser draws. A message that is posted in them comes next.
      requestAnimationFrame(() => {
        const channel = new MessageChannel();
        channel.port1.onmessage = () => { told[name] = Date.now(); };
        channel.port2.postMessage(null);
      });
    }
  };
  new MutationObserver(look).observe(document.querySelector("main"), {childList: true, subtree: true});
}"""
"""Remembers when each moment of the newest tap is drawn. A moment is drawn when the DOM has its row and the next
animation frame has run."""


def drawn(page: "Page", tap: str) -> dict[str, float]:
    """Wait until all moments of this tap are drawn. Return when each moment was drawn, in seconds since 1970."""
    page.wait_for_function("tap => Object.values(drawn[tap]).every((at) => at !== null)", arg=tap)
    found: dict[str, float] = page.evaluate("tap => drawn[tap]", tap)
    return {name: at / 1000 for name, at in found.items()}


def delays(tap: Tap, at: dict[str, float]) -> list[float]:
    """Return the milliseconds from the report to the drawing, for each moment of the lock.

    Reports have monotonic times. Browser and server are on one machine, so both have the same time of day.
    """
    reported = {f"{line.event} 1": line.at for line in reversed(tap.console)}
    if tap.moved is not None:
        reported["opened"] = tap.moved.at
    since_1970 = time.time() - time.monotonic()
    return [(at[name] - since_1970 - then) * 1000 for name, then in reported.items() if name in at]


def test_a_change_at_a_door_is_soon_drawn() -> None:
    found: list[float] = []
    with running() as browser, live_page(doors=1) as live:
        window = Window(browser)
        page = window.page
        page.goto(f"{live.address}#{live.token}")
        page.wait_for_selector(guest("guest-1"))
        page.evaluate(_DRAWN)
        for button in [guest("guest-1"), guest("guest-2"), '[data-act="stranger"]'] * (_TAPS // 3):
            tapped(page, button)
            newest = page.locator("#taps [data-tap]").last.get_attribute("data-tap")
            found += delays(live.stage.site.doors[0].taps[-1], drawn(page, str(newest)))
        window.close()
    assert len(found) > 4 * _TAPS and min(found) > -1
    print(
        f"\nfrom a report of lock or board to the screen: median {median(found):.1f} ms, "
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
