"""The live page in a browser shows what is going on, what is possible, what is known and what is unknown. The tests
write the feed for this page."""

import time
from typing import TYPE_CHECKING, Any

from tests.sim.live.conftest import Opener
from tests.support import live_scene as scene
from tests.support.live_feed import Feed

if TYPE_CHECKING:
    from playwright.sync_api import Page

ANY_TIME = {"network", "take-away", "power", "open-door"}
"""Acts that are possible while a phone is at the reader."""


def shown(open_window: Opener, feed: Feed, *messages: scene.Message, **settings: Any) -> "Page":
    """Open the page after a check-in and these messages."""
    for kind, data in [*scene.check_in(), *messages]:
        feed.send(kind, data)
    page: Page = open_window(feed.address, **settings).page
    feed.drawn(page)
    return page


def buttons(page: "Page") -> dict[str, str]:
    """Return, for each act that cannot begin now, the reason that its button gives."""
    found: dict[str, str] = page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll("#acts button, .story button")]
            .filter((one) => one.getAttribute("aria-disabled") === "true")
            .map((one) => [one.dataset.act ?? one.dataset.switch ?? "story", one.title]))"""
    )
    return found


def test_a_story_says_what_it_builds_and_for_how_long_and_every_button_waits_for_it(
    feed: Feed, open_window: Opener
) -> None:
    booting = scene.both("booting the lock", "启动门锁")
    page = shown(open_window, feed, scene.story("building", booting, since=int(time.time() * 1000) - 7000))
    page.wait_for_selector("#story-clock .seconds")
    assert page.locator("#promises-title").inner_text() == "first-checkin: building its site (booting the lock)"
    began = int(page.locator("#story-clock").inner_text().removesuffix(" s"))
    assert began >= 7
    page.wait_for_function("n => parseInt(document.querySelector('#story-clock').textContent) > n", arg=began)
    assert page.locator("[aria-live] .seconds, [role=status] .seconds").count() == 0  # nobody hears each second
    page.click('[data-language="zh"]')
    assert page.locator("#promises-title").inner_text() == "“first-checkin”：正在搭建现场（启动门锁）"
    assert page.locator("#story-clock").inner_text().endswith(" 秒")
    feed.send(*scene.story("playing"))
    feed.drawn(page)
    page.click('[data-language="en"]')
    assert set(buttons(page).values()) == {"A story plays. Wait until it is over."}
    assert len(buttons(page)) == page.locator("#acts .buttons button").count() + 3  # tap, tear away, story
    assert page.locator("#story-tells").inner_text() == "A story plays. Wait until it is over."
    feed.send(*scene.story("over", ok=False))
    feed.drawn(page)
    assert page.locator("#story-clock").inner_text() == ""
    assert page.locator("#promises-title").inner_text().startswith("first-checkin: stopped before its end.")


def test_during_a_tap_power_network_and_phone_can_be_taken_and_nothing_else_begins(
    feed: Feed, open_window: Opener
) -> None:
    page = shown(open_window, feed, scene.tap(3, number=2), scene.act("tap"))
    waits = buttons(page)
    assert waits.keys() == {"tap", "tear", "tap-pin", "stranger", "tampered", "tag", "story"}
    assert waits["story"] == "An act is going on. Wait until it is over."
    assert waits["tap"] == waits["tag"] and waits["tap"].startswith("Somebody is at this door.")
    for name in ("take-away", "power"):
        with page.expect_response("**/act"):
            page.click(f'[data-act="{name}"]')
    assert feed.acts == [{"action": "take-away", "door": "door-1"}, {"action": "power", "door": "door-1"}]
    feed.send(*scene.act("power", number=2))
    feed.drawn(page)
    assert buttons(page)["power"] == "This is just happening."
    for number, action in ((1, "tap"), (2, "power")):
        feed.send(*scene.act(action, number=number, state="done"))
    feed.send(*scene.refused())
    feed.drawn(page)
    assert buttons(page) == {"take-away": "no phone is at the reader. Let somebody tap first."}


def test_without_a_server_nothing_of_the_door_is_known_and_afterwards_it_is(feed: Feed, open_window: Opener) -> None:
    page = shown(open_window, feed)
    page.wait_for_selector('#scene[data-colour="green"][data-strike="open"]')
    page.route("**/events", lambda route: route.abort())
    feed.hang_up()
    page.wait_for_selector('#scene[data-power="unknown"][data-colour="off"][data-strike="unknown"]')
    assert page.locator('.lamp:not([data-colour="off"])').count() == 0
    for part in ("lamp", "tone", "strike", "contact"):
        assert page.locator(f"#{part}").inner_text() == "not known: not connected"
    assert page.locator("#notice").inner_text().startswith("Not connected: the site does not answer.")
    assert set(buttons(page).values()) == {"Not connected to the site."}
    page.unroute("**/events")
    page.wait_for_selector('#scene[data-colour="green"][data-strike="open"]')
    assert page.locator("#notice").inner_text() == ""


def test_a_page_whose_command_was_started_again_says_so_and_takes_the_new_address(
    feed: Feed, open_window: Opener
) -> None:
    page = shown(open_window, feed)
    feed.token = "another-token"
    feed.hang_up()
    page.wait_for_selector("#notice:has-text('live.token: this address has no valid token.')")
    page.click('[data-language="zh"]')
    page.wait_for_selector("#notice:has-text('请打开新地址')")
    assert set(buttons(page).values()) == {"地址里没有有效的令牌。如果命令重新启动过，它会打印新的地址，请打开新地址。"}
    page.goto(feed.address)  # only the part after the # is new, so the browser loads nothing
    page.wait_for_selector("#notice:empty", state="attached")
    with page.expect_response("**/act"):
        page.click('[data-act="stranger"]')
    assert feed.acts == [{"action": "stranger", "door": "door-1"}]


def explained(page: "Page", *states: str) -> None:
    """Check that the page shows these states of records, and explains each of them."""
    words = page.locator(".explains").inner_text().lower()
    assert [state for state in states if state not in words] == []
    assert [state for state in states if not page.locator(f".state:has-text('{state}')").count()] == []


def test_who_tapped_and_the_states_of_a_record_are_explained_in_both_languages(feed: Feed, open_window: Opener) -> None:
    kind, data = scene.refused()
    records = scene.stores(journal=3, receipted=1, outbox=1)
    page = shown(open_window, feed, (kind, {**data, "person": "p4"}), records)
    assert page.locator('#taps [data-tap="2"]').inner_text().strip().startswith("2 Astrid Sandell (stranger)")
    explained(page, "waits for the receipt", "receipt signed", "receipted")
    page.click('[data-language="zh"]')
    explained(page, "等回执", "已签回执", "有回执")
    caption = "第 2 次，Astrid Sandell（陌生人）：未开门：这里没有这份证件的预订（grant.none）"
    assert page.locator("#moments caption").inner_text() == caption
    assert page.locator('#doors [role="tab"]').first.inner_text().startswith("1 号门")
    assert page.locator('#doors [role="tab"]').first.get_attribute("title") == "door-1"


def test_only_the_newest_taps_and_the_chosen_one_can_be_chosen(feed: Feed, open_window: Opener) -> None:
    page = shown(open_window, feed)
    for number in range(2, 10):
        feed.send(*scene.refused(number))
    feed.drawn(page)
    chips = page.locator("#taps [data-tap]")
    assert [one.get_attribute("data-tap") for one in chips.all()] == ["4", "5", "6", "7", "8", "9"]
    assert page.locator("#taps-earlier").inner_text() == "earlier: 3"
    page.click('#taps [data-tap="4"]')
    for number in range(10, 40):
        feed.send(*scene.refused(number))
    feed.drawn(page)
    assert [one.get_attribute("data-tap") for one in chips.all()] == ["4", "34", "35", "36", "37", "38", "39"]
    assert page.locator("#moments caption").inner_text().startswith("Tap 4, ")
