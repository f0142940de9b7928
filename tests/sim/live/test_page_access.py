"""The live page is for everybody: axe finds nothing, the keyboard reaches everything, and the page fits a phone."""

from itertools import pairwise, product

import pytest

from tests.sim.live.conftest import Opener
from tests.support import live_scene as scene
from tests.support.browser import NARROW, WIDE, Window
from tests.support.live_feed import Feed

LOOKS = list(product(("en", "zh"), ("light", "dark"), (WIDE, NARROW)))
STORY = {
    "name": "first-checkin",
    "state": "over",
    "ok": False,
    "promises": [
        {"claim": scene.both("the door opened", "门打开了"), "held": True},
        {"claim": scene.both("nothing was lost", "没有丢失"), "held": False},
    ],
}


def full(feed: Feed) -> None:
    """Let the page show as much of a site as possible at once."""
    feed.records["door-1/1"] = scene.record()
    for kind, data in [*scene.check_in(), scene.refused(), ("story", STORY)]:
        feed.send(kind, data)


@pytest.mark.parametrize(("language", "scheme", "size"), LOOKS, ids=str)
def test_axe_finds_nothing(language: str, scheme: str, size: tuple[int, int], feed: Feed, open_window: Opener) -> None:
    full(feed)
    window = open_window(feed.address, scheme=scheme, size=size)
    page = window.page
    feed.drawn(page)
    page.click(f'[data-language="{language}"]')
    page.click('#taps [data-tap="1"]')
    page.click('details[data-party="lock-flash"] summary')
    page.wait_for_selector("pre")
    assert window.complaints() == []
    feed.send(*scene.board(power=False, pattern=None, tag=True))
    feed.send("network", {"up": False})
    feed.send(*scene.act("tap"))
    page.wait_for_selector('[data-act="stranger"][aria-disabled="true"]')
    assert window.complaints() == []
    # Nothing is wider than the window, so nobody has to scroll sideways.
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]


def test_axe_would_find_something(feed: Feed, open_window: Opener) -> None:
    full(feed)
    window = open_window(feed.address)
    feed.drawn(window.page)
    window.page.evaluate("document.querySelector('#sound').replaceChildren()")
    assert [one.partition(":")[0] for one in window.complaints()] == ["button-name"]


def focused(window: Window) -> str:
    """Return what has the focus, and whether its outline can be seen."""
    return str(
        window.page.evaluate(
            """() => {
              const here = document.activeElement;
              const seen = getComputedStyle(here).outlineStyle !== "none";
              const name = here.id || here.dataset.act && here.dataset.act + " " + (here.dataset.person ?? "")
                || here.dataset.switch || here.dataset.language || here.dataset.tap
                || here.closest("details")?.dataset.party || here.closest("form")?.id || here.tagName;
              return seen ? name.trim() : "unseen " + name;
            }"""
        )
    )


def test_the_keyboard_reaches_everything_in_the_order_of_the_page_and_the_focus_is_seen(
    feed: Feed, open_window: Opener
) -> None:
    full(feed)
    window = open_window(feed.address)
    feed.drawn(window.page)
    reached: list[str] = []
    while "BODY" not in "".join(reached[-1:]):  # after the last element, the focus leaves the page
        window.page.keyboard.press("Tab")
        reached.append(focused(window))
        assert len(reached) < 60
    assert reached[:-1] == [
        *("skip", "sound", "zh", "en", "tour", "story-name", "story-form", "tab-door-1"),
        *("tap p1", "tear p1", "tap p2", "tear p2", "tap p3", "tear p3", "tap-pin", "stranger", "tampered"),
        *("network", "power", "take-away", "tag", "open-door", "1", "2"),
        *("phone", "air", "lock-ram", "lock-flash", "edge", "broker", "platform", "province"),
    ]


def test_a_button_works_by_the_keyboard_and_the_focus_stays_on_it(feed: Feed, open_window: Opener) -> None:
    full(feed)
    page = open_window(feed.address).page
    feed.drawn(page)
    page.focus('[data-act="tap"][data-person="p2"]')
    with page.expect_response("**/act"):
        page.keyboard.press("Enter")
    assert feed.acts == [{"action": "tap", "door": "door-1", "person": "p2"}]
    feed.send(*scene.act("tap"))
    page.wait_for_selector('[data-act="stranger"][aria-disabled="true"]')
    feed.send(*scene.refused(3))
    page.wait_for_selector('#taps [data-tap="3"]')
    assert page.evaluate("document.activeElement.dataset.person") == "p2"


def test_doors_are_chosen_with_the_arrow_keys(feed: Feed, open_window: Opener) -> None:
    full(feed)
    page = open_window(feed.address).page
    feed.drawn(page)
    page.focus("#tab-door-1")
    chosen = []
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "Home", "End"):
        page.keyboard.press(key)
        chosen.append(page.locator('[role="tab"][aria-selected="true"]').get_attribute("data-door"))
        assert page.evaluate("document.activeElement.dataset.door") == chosen[-1]
    assert chosen == ["door-2", "door-1", "door-2", "door-1", "door-2"]


def test_the_skip_link_leads_to_the_page_and_the_address_keeps_its_token(feed: Feed, open_window: Opener) -> None:
    full(feed)
    page = open_window(feed.address).page
    feed.drawn(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    assert page.url == feed.address


def test_the_language_changes_without_loading_and_stays_after_a_reload(feed: Feed, open_window: Opener) -> None:
    full(feed)
    window = open_window(feed.address)
    page = window.page
    feed.drawn(page)
    page.click('#taps [data-tap="1"]')
    before = len(window.requests)
    page.click('[data-language="zh"]')
    page.wait_for_selector("html[lang='zh-CN']", state="attached")
    assert len(window.requests) == before
    assert page.title() == "Mooring：看得见的一扇门"
    assert page.locator("#moments caption").inner_text() == "第 1 次，Gustav Bergström：285 毫秒后开门"
    first = page.locator("#moments tbody tr").first.locator("td.what")
    assert first.inner_text() == "靠近门锁"
    page.reload()
    page.wait_for_selector("#moments caption:has-text('第 2 次')")
    assert page.locator('[data-language="zh"]').get_attribute("aria-pressed") == "true"


@pytest.mark.parametrize(
    ("command", "browser_locale", "spoken"),
    [("zh", "en-GB", "zh-CN"), ("en", "zh-CN", "zh-CN"), ("en", "en-GB", "en")],
)
def test_the_page_begins_in_chinese_if_the_command_or_the_browser_speaks_it(
    command: str, browser_locale: str, spoken: str, feed: Feed, open_window: Opener
) -> None:
    feed.send(*scene.site(command))
    page = open_window(feed.address, locale=browser_locale).page
    page.wait_for_selector(".tab, [role='tab']")
    page.wait_for_selector(f"html[lang='{spoken}']", state="attached")
    assert page.locator("#door-title").inner_text() == {"zh-CN": "门", "en": "The door"}[spoken]


@pytest.mark.parametrize(("calm", "moving"), [(True, []), (False, ["bolt"])])
def test_who_wants_no_motion_sees_none(calm: bool, moving: list[str], feed: Feed, open_window: Opener) -> None:
    full(feed)
    page = open_window(feed.address, calm=calm).page
    feed.drawn(page)
    assert page.locator("#scene").get_attribute("data-strike") == "open"
    # Read the style, and do not look for a running transition, because a transition of 80 ms may be over before a busy
    # browser answers.
    found = page.evaluate(
        """[...document.querySelectorAll('*')]
            .filter((one) => ['', '::before', '::after'].some((part) => {
                const style = getComputedStyle(one, part);
                return style.animationName !== 'none' || !/^0s(, 0s)*$/.test(style.transitionDuration);
            }))
            .map((one) => one.getAttribute('class'))"""
    )
    assert found == moving


def test_headings_and_landmarks_lead_through_the_page(feed: Feed, open_window: Opener) -> None:
    full(feed)
    page = open_window(feed.address).page
    feed.drawn(page)
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((one) => Number(one.tagName[1]))")
    assert levels[0] == 1 and levels.count(1) == 1
    assert [pair for pair in pairwise(levels) if pair[1] > pair[0] + 1] == []
    landmarks = page.evaluate("['header', 'main', 'footer'].map((one) => document.querySelectorAll(one).length)")
    assert landmarks == [1, 1, 1]
    unnamed = page.evaluate(
        "[...document.querySelectorAll('section')].filter((one) => !one.ariaLabelledByElements).length"
    )
    assert unnamed == 0
