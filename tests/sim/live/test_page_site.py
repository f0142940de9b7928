"""The live page in a browser, before a real site: each button does what it says, and the page shows the result."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.sim.live.conftest import Opener
from tests.support import live_site
from tests.support.live_site import free, guest, saw, tapped, witness

if TYPE_CHECKING:
    from playwright.sync_api import Page

# The lock counts a guest's third entry within ten minutes instead of recording it. So the tests that follow a record
# are at door-2, and all others at door-1.


@pytest.fixture(scope="module")
def address(browser: object) -> Iterator[str]:
    """The address of a real site that this module's tests share. The site is built only where there is a browser."""
    with live_site.running() as found:
        yield found


def at_door(open_window: Opener, address: str, door: str = "door-1") -> "Page":
    page: Page = open_window(address).page
    page.click(f"#tab-{door}")
    page.wait_for_selector(guest("guest-1"))
    free(page)
    return page


def caption(page: "Page") -> str:
    text: str = page.locator("#moments caption").inner_text()
    return text


def test_a_guest_who_taps_is_let_in_and_the_receipt_comes_back(address: str, open_window: Opener) -> None:
    page = at_door(open_window, address, "door-2")
    assert tapped(page, guest("guest-1")) == "opened"
    page.wait_for_selector('#stations[data-envelope="province"][data-receipt="lock"]')
    page.wait_for_selector('[data-station="lock"] .state[data-held="true"]')
    page.wait_for_selector('[data-station="province"] li:has-text("check-in")')
    page.wait_for_selector('[data-station="edge"] .store-title:has-text("0")')
    milliseconds = re.search(r"opened after (\d+) ms", caption(page))
    assert milliseconds is not None
    assert page.locator('tr[data-moment="opened"] td').first.inner_text() == milliseconds[1]
    assert "1760 Hz" in page.locator("#tone").inner_text()


def test_every_party_of_that_record_shows_its_own_bytes(address: str, open_window: Opener) -> None:
    page = at_door(open_window, address, "door-2")
    if not page.locator(live_site.NEWEST).count():
        tapped(page, guest("guest-1"))
    page.click("#taps [data-tap] >> nth=0")
    page.wait_for_selector('#stations[data-receipt="lock"]')
    held, read = {}, {}
    for party in ("phone", "air", "lock-ram", "lock-flash", "edge", "broker", "platform", "province"):
        box = page.locator(f'details[data-party="{party}"]')
        box.locator("summary").click()
        box.locator("h3").first.wait_for()
        lines = box.locator("pre").inner_text().splitlines() if box.locator("pre").count() else []
        held[party] = "".join(line[6:].replace(" ", "") for line in lines)
        read[party] = " ".join(box.locator("dl.reads dd").all_inner_texts())
    name = page.locator("#people .who").first.evaluate("one => one.firstChild.data").split()[-1]
    assert held["edge"] and held["edge"] in held["lock-flash"]
    assert held["edge"] in held["broker"]
    assert name in read["province"] and name in read["lock-ram"]
    assert [party for party in ("air", "lock-flash", "edge", "broker") if name in read[party]] == []
    assert {party for party, raw in held.items() if name.encode().hex() in raw} == {"phone", "lock-ram", "province"}


def test_axe_finds_nothing_in_what_a_real_site_shows(address: str, open_window: Opener) -> None:
    window = open_window(address)
    page = window.page
    live_site.free(page)
    assert tapped(page, '[data-act="stranger"]') == "refused"
    page.click('details[data-party="platform"] summary')
    for language in ("en", "zh"):
        page.click(f'[data-language="{language}"]')
        assert window.complaints() == []


@pytest.mark.parametrize("person", ["guest-2", "child-1"])
def test_each_other_guest_has_a_button_of_their_own(person: str, address: str, open_window: Opener) -> None:
    page = at_door(open_window, address)
    assert tapped(page, guest("guest-1")) == "opened"  # an adult answers for the minor
    assert tapped(page, guest(person)) == "opened"
    name = page.locator(f"li:has({guest(person)}) .who").evaluate("one => one.firstChild.data")
    assert name in caption(page)


def test_the_pin_of_a_guest_who_is_in_opens_too(address: str, open_window: Opener) -> None:
    page = at_door(open_window, address)
    assert tapped(page, guest("guest-1")) == "opened"
    assert tapped(page, '[data-act="tap-pin"]') == "opened"
    assert "somebody at the keypad: opened after" in caption(page)


@pytest.mark.parametrize(
    ("button", "code", "sign"),
    [("stranger", "grant.none", "#g-refused_stay"), ("tampered", "mdoc.digest", "#g-refused_document")],
)
def test_who_may_not_come_in_stays_outside_and_no_record_leaves(
    button: str, code: str, sign: str, address: str, open_window: Opener
) -> None:
    page = at_door(open_window, address)
    page.wait_for_selector('#scene[data-strike="shut"]')
    witness(page, "#glyph", "href")
    witness(page, "#scene", "data-strike")
    assert tapped(page, f'[data-act="{button}"]') == "refused"
    assert caption(page).endswith(f"({code})") and "not let in: " in caption(page)
    assert page.locator('tr[data-moment="opened"]').count() == 0
    assert page.locator("#stations").get_attribute("data-envelope") in ("none", "phone")
    saw(page, "#glyph", sign)
    page.wait_for_selector("#tone:has-text('220 Hz')")
    strike: list[str | None] = page.evaluate("witnessed['#scene']")
    assert "open" not in strike


def test_a_phone_that_is_torn_away_is_told_to_come_again(address: str, open_window: Opener) -> None:
    page = at_door(open_window, address)
    witness(page, "#glyph", "href")
    assert tapped(page, '[data-act="tear"][data-person="guest-2"]') == "refused"
    assert caption(page).endswith("not let in: the phone was taken away too early (nfc.gone)")
    saw(page, "#glyph", "#g-again")


def test_without_the_network_the_door_opens_and_the_envelope_waits_at_the_edge(
    address: str, open_window: Opener
) -> None:
    page = at_door(open_window, address, "door-2")
    page.click('[data-switch="network"]')
    page.wait_for_selector('[data-switch="network"][aria-pressed="true"]')
    page.wait_for_selector('[data-station="broker"][data-down="true"]')
    assert tapped(page, guest("guest-2")) == "opened"
    page.wait_for_selector('#stations[data-envelope="edge"]')
    page.wait_for_selector('[data-station="edge"] .store-title:has-text("1")')
    page.click('[data-switch="network"][aria-disabled="false"]')
    page.wait_for_selector('[data-station="broker"][data-down="false"]')
    page.wait_for_selector('#stations[data-envelope="province"][data-receipt="lock"]')


def test_a_power_cut_darkens_the_door_and_afterwards_it_opens_again(address: str, open_window: Opener) -> None:
    page = at_door(open_window, address)
    # Without the time, the lock takes no new guest. So this guest checks in before the cut.
    assert tapped(page, guest("guest-1")) == "opened"
    witness(page, "#scene", "data-power")
    witness(page, "#lamp")
    page.click('[data-act="power"]')
    saw(page, "#scene", "off")
    saw(page, "#lamp", "dark: no power")
    page.wait_for_selector('#scene[data-power="on"]')
    free(page)
    assert tapped(page, guest("guest-1")) == "opened"


def test_the_power_is_cut_while_a_guest_taps_and_an_opening_was_in_flash_first(
    address: str, open_window: Opener
) -> None:
    page = at_door(open_window, address)
    # This guest checks in now, and so can enter at once after the cut.
    assert tapped(page, guest("guest-2")) == "opened"
    witness(page, "#scene", "data-power")
    with page.expect_response("**/act"):
        page.click(guest("guest-2"))
    page.click('[data-act="power"]')
    saw(page, "#scene", "off")
    page.wait_for_selector('#scene[data-power="on"]')
    free(page)
    moments = {row.get_attribute("data-moment") for row in page.locator("#moments tbody tr").all()}
    assert "opened" not in moments or {"durable", "counted"} & moments
    assert tapped(page, guest("guest-2")) == "opened"


def test_a_tag_lies_on_the_reader_until_it_is_taken_off(address: str, open_window: Opener) -> None:
    page = at_door(open_window, address)
    page.click('[data-switch="tag"]')
    page.wait_for_selector('[data-switch="tag"][aria-pressed="true"]')
    page.wait_for_selector('#scene[data-tag="on"]')
    assert tapped(page, guest("guest-1")) == "opened"  # the door reads the phone although a sticker is there
    page.click('[data-switch="tag"]')
    page.wait_for_selector('#scene[data-tag="off"]')
    page.wait_for_selector('[data-switch="tag"][aria-pressed="false"]')


def test_the_door_leaf_opens_and_shuts_by_hand(address: str, open_window: Opener) -> None:
    page = at_door(open_window, address)
    page.click('[data-switch="open-door"]')
    page.wait_for_selector('#scene[data-contact="open"]')
    assert page.locator("#contact").inner_text() == "stands open"
    free(page)
    page.click('[data-switch="open-door"][aria-pressed="true"]')
    page.wait_for_selector('#scene[data-contact="closed"]')


def test_the_timeline_is_what_the_server_sends(address: str, open_window: Opener) -> None:
    page = at_door(open_window, address)
    tapped(page, guest("guest-1"))
    shown = int(page.locator(live_site.NEWEST).get_attribute("data-tap") or 0)

    def told() -> Any:
        return {one["tap"]: one for kind, one in live_site.state(address) if kind == "tap"}[shown]

    sent: dict[str, Any] | None = None
    rows: list[list[str]] = []
    while sent != told():  # a receipt may arrive while the rows are read
        sent = told()
        page.wait_for_selector(f"#moments tbody tr:nth-child({len(sent['moments'])})")
        rows = [row.locator("td").all_inner_texts() for row in page.locator("#moments tbody tr").all()]
    assert sent is not None
    # The page and the console print the same numbers in the same format.
    assert [[row[0], row[3]] for row in rows] == [
        [f"{one['at'] - sent['began']:.0f}", one["text"]["en"]] for one in sent["moments"]
    ]


def test_two_windows_see_the_same_door(address: str, open_window: Opener) -> None:
    one, other = at_door(open_window, address), at_door(open_window, address)
    tapped(one, '[data-act="stranger"]')
    shown = one.locator(live_site.NEWEST).get_attribute("data-tap")
    other.wait_for_selector(f'#taps [data-tap="{shown}"][data-outcome="refused"]')
    assert caption(other) == caption(one)


def test_an_address_without_the_token_shows_everything_and_moves_nothing(address: str, open_window: Opener) -> None:
    page = open_window(address.partition("#")[0]).page
    page.wait_for_selector("#notice:has-text('live.token')")
    page.wait_for_selector("#stations .store")
    page.locator(guest("guest-1")).press("Enter")
    page.wait_for_selector("#said:has-text('live.token')")


def test_a_story_plays_on_a_site_of_its_own_and_then_the_own_site_is_back(address: str, open_window: Opener) -> None:
    # `test_stories.py` plays the tour, and `test_page_feed.py` presses its button.
    name = "first-checkin"
    page = at_door(open_window, address)
    witness(page, "#promises-title")
    witness(page, "#people")
    witness(page, "#promise-list")
    page.select_option("#story-name", "first-checkin")
    page.click("#story-form button")
    saw(page, "#promises-title", f"{name}: building its site (booting the lock")
    saw(page, "#promises-title", f"{name} is playing")
    saw(page, "#people", "come by themselves")
    saw(page, "#promise-list", "held: ")
    page.wait_for_selector("#promises-title:has-text('promises held.')")
    assert re.fullmatch(rf"{name}: all \d+ promises held\.", page.locator("#promises-title").inner_text())
    assert page.locator('#promise-list li[data-held="false"]').count() == 0
    page.wait_for_selector(guest("guest-1"))
    free(page)
