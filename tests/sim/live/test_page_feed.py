"""The live page in a browser, with a feed that the tests write: the page shows what the feed tells, in the order of the
feed.
"""

import re
from typing import TYPE_CHECKING, Any

from tests.sim.live.conftest import Opener
from tests.support import live_scene as scene
from tests.support.browser import Window
from tests.support.live_feed import TOKEN, Feed
from tests.support.live_site import saw, witness

if TYPE_CHECKING:
    from playwright.sync_api import Page

MOMENTS = len(scene.MOMENTS)
WAY = {
    1: ("phone", "none"),
    9: ("phone", "none"),
    10: ("lock", "none"),
    12: ("edge", "none"),
    13: ("broker", "none"),
    14: ("province", "province"),
    15: ("province", "broker"),
    16: ("province", "edge"),
    17: ("province", "lock"),
}
"""Maps each number of known moments to the place of the envelope and the place of the receipt."""


SIGNALS = {
    "reading": ([0, 0, 1], "blue, steady: hold the phone still", 1),
    "ask": ([0, 1, 1], "cyan, 2 short: agree on the phone", 2),
    "allowed": ([0, 1, 0], "green, 6 short: open, push", 6),
    "refused_stay": ([1, 0, 0], "red, 1 long: not expected now; ask the host or the platform", 1),
    "refused_document": ([1, 0, 0], "red, 2 long: use another document", 2),
    "refused_phone": ([1, 0, 0], "red, 3 long: look at the phone, tap again", 3),
    "again": ([1, 1, 0], "amber, 1 short, 1 long: connection lost, try again", 2),
    "busy": ([1, 1, 1], "white, 3 short: one guest at a time", 3),
    "fault": ([1, 0, 1], "magenta, 1 long, 2 short: the lock has a fault; call the host", 3),
    "obstructed": ([1, 1, 0], "amber, 1 short: something lies on the reader", 1),
    "idle": ([0, 0, 0], "dark: waits for a phone", 0),
}
"""Maps each signal of the door to its lamp, the words beside the lamp, and the number of beats."""


def played(feed: Feed, *messages: scene.Message) -> None:
    for kind, data in messages:
        feed.send(kind, data)


def shown(open_window: Opener, feed: Feed, moments: int = MOMENTS, **settings: Any) -> "Page":
    """Open the page after the first `moments` moments of a check-in."""
    played(feed, *scene.check_in(moments))
    window: Window = open_window(feed.address, **settings)
    feed.drawn(window.page)
    return window.page


def column(page: "Page", number: int) -> list[str]:
    cells: list[str] = page.locator(f"#moments tbody tr td:nth-child({number})").all_inner_texts()
    return cells


def test_the_timeline_has_the_moments_in_the_order_in_which_they_were_sent(feed: Feed, open_window: Opener) -> None:
    played(feed, scene.site(), scene.board())
    backwards = [*reversed(scene.MOMENTS)]
    kind, data = scene.tap()
    feed.send(kind, {**data, "moments": backwards})
    page = open_window(feed.address).page
    feed.drawn(page)
    assert column(page, 4) == [moment["text"]["en"] for moment in backwards]


def test_the_timeline_has_the_numbers_of_the_console(feed: Feed, open_window: Opener) -> None:
    halves = [{**scene.MOMENTS[0], "at": 5000.0 + at, "id": f"m {at}", "took": at, "after": []}
              for at in (0.0, 0.5, 1.5, 2.5, 284.49, 284.51)]  # fmt: skip
    kind, data = scene.tap()
    played(feed, scene.site(), scene.board(), (kind, {**data, "moments": halves}))
    page = open_window(feed.address).page
    feed.drawn(page)
    # The console rounds numbers as Python does: a half is rounded to the even neighbour.
    assert column(page, 1) == [f"{one['at'] - 5000:.0f}" for one in halves]
    assert column(page, 5) == [f"{one['took']:.0f} ms" for one in halves]


def test_envelope_and_receipt_stand_where_the_last_known_moment_put_them(feed: Feed, open_window: Opener) -> None:
    page = shown(open_window, feed, 1)
    for moments, (envelope, receipt) in WAY.items():
        feed.send(*scene.tap(moments))
        feed.drawn(page)
        assert page.locator("#moments tbody tr").count() == moments
        stations = page.locator("#stations")
        assert (stations.get_attribute("data-envelope"), stations.get_attribute("data-receipt")) == (envelope, receipt)
        for lane, expected in (("up", envelope.replace("phone", "none")), ("back", receipt)):
            there = page.locator(f".lane.{lane} .cover").evaluate_all(
                "all => all.map(e => e.closest('li').dataset.station)"
            )
            assert there == ([] if expected == "none" else [expected])


def test_a_moment_that_comes_moves_the_envelope_and_one_that_does_not_come_leaves_it(
    feed: Feed, open_window: Opener
) -> None:
    page = shown(open_window, feed, 12)
    assert page.locator("#stations").get_attribute("data-envelope") == "edge"
    feed.send(*scene.stores(journal=1))  # news of something else
    page.wait_for_selector('[data-station="edge"] .store-title:has-text("0")')
    assert page.locator("#stations").get_attribute("data-envelope") == "edge"
    feed.send(*scene.tap(14))
    page.wait_for_selector('#stations[data-envelope="province"]')


def test_each_signal_has_a_colour_a_sign_of_its_own_and_words(feed: Feed, open_window: Opener) -> None:
    played(feed, scene.site(), scene.board())
    page = open_window(feed.address).page
    for pattern, (lamp, words, beats) in SIGNALS.items():
        feed.send(*scene.board(pattern=pattern, lamp=lamp))
        feed.drawn(page)
        assert page.locator("#glyph").get_attribute("href") == f"#g-{pattern}"
        assert page.locator("#lamp").inner_text() == words
        assert page.locator("#lamp .beats rect").count() == beats
        assert page.locator("#scene").get_attribute("data-colour") == re.split("[:,]", words)[0].replace("dark", "off")


def test_a_lamp_that_is_dark_between_two_beats_is_drawn_dark_and_keeps_its_words(
    feed: Feed, open_window: Opener
) -> None:
    played(feed, scene.site(), scene.board(pattern="allowed", lamp=[0, 1, 0]))
    page = open_window(feed.address).page
    page.wait_for_selector('#scene[data-colour="green"]')
    feed.send(*scene.board(pattern="allowed"))
    page.wait_for_selector('#scene[data-colour="off"]')
    assert page.locator("#lamp").inner_text() == "green, 6 short: open, push"


def test_tones_are_counted_and_named_as_a_note_with_their_frequency(feed: Feed, open_window: Opener) -> None:
    played(feed, scene.site(), scene.board())
    page = open_window(feed.address).page
    feed.drawn(page)
    assert page.locator("#tone").inner_text() == "silent"
    for tone in (220, 0, 220):
        feed.send(*scene.board(pattern="refused_document", lamp=[1, 0, 0], tone=tone))
    feed.drawn(page)
    assert page.locator("#tone .staff.sounds").count() == 1
    assert page.locator("#tone").inner_text() == "220 Hz (A3), sounding"
    feed.send(*scene.board(pattern="refused_document", lamp=[1, 0, 0]))
    feed.drawn(page)
    assert page.locator("#tone .staff.sounds").count() == 0
    assert page.locator("#tone").inner_text() == "silent; last 220 Hz (A3), times: 2"
    assert page.locator("#tone ellipse").get_attribute("cy") == "24"  # one octave above the lowest line, 110 Hz


def test_the_tone_is_heard_only_by_who_asks_for_it(feed: Feed, open_window: Opener) -> None:
    played(feed, scene.site(), scene.board(tone=880, pattern="ask", lamp=[0, 1, 1]))
    counting = (
        "window.made = []; const Real = OscillatorNode;"
        "OscillatorNode = class extends Real { constructor(...all) { super(...all); window.made.push(this); } };"
    )
    window = open_window(feed.address, script=counting)
    window.page.wait_for_selector("#tone .staff.sounds")
    assert window.page.evaluate("made.length") == 0
    window.page.click("#sound")
    window.page.wait_for_function("() => made.length == 1 && made[0].frequency.value == 880")
    assert window.page.locator("#sound").get_attribute("aria-pressed") == "true"
    window.page.click("#sound")
    assert window.page.locator("#sound").get_attribute("aria-pressed") == "false"


def test_a_door_without_power_shows_nothing_and_says_so(feed: Feed, open_window: Opener) -> None:
    played(feed, scene.site(), scene.board(power=False, lamp=[1, 1, 1], pattern=None))
    page = open_window(feed.address).page
    page.wait_for_selector('#scene[data-power="off"][data-colour="off"]')
    assert page.locator("#lamp").inner_text() == "dark: no power"


def test_each_door_has_its_own_tab_and_the_rest_of_the_page_follows(feed: Feed, open_window: Opener) -> None:
    page = shown(open_window, feed)
    feed.send(*scene.board("door-2", lamp=[1, 0, 0], pattern="refused_stay"))
    # The tab shows this although the page shows the other door.
    page.wait_for_selector('#tab-door-2 .lamp[data-colour="red"]')
    assert page.locator("#people li").count() == 3
    page.click("#tab-door-2")
    page.wait_for_selector('#scene[data-colour="red"]')
    assert page.locator("#people li").count() == 1
    assert page.locator("#moments").inner_text() == "Nobody has been at this door yet."
    assert page.locator("#stations").get_attribute("data-envelope") == "none"


def test_what_the_server_refuses_is_said_with_its_code(feed: Feed, open_window: Opener) -> None:
    page = shown(open_window, feed)
    feed.refusal = (409, "live.busy", "another act is going on there. Wait until it is over")
    page.click('[data-act="stranger"]')
    page.wait_for_selector("#said:has-text('live.busy')")
    assert page.locator("#said").inner_text() == "live.busy: this door is busy. Wait until the act is over."
    feed.refusal = (400, "live.door", "there is no such door at this site.")
    page.click('[data-act="tampered"]')
    page.wait_for_selector("#said:has-text('live.door: there is no such door at this site.')")
    assert feed.acts == []


def test_without_the_token_no_act_is_done_and_the_page_says_what_to_do(feed: Feed, open_window: Opener) -> None:
    played(feed, *scene.check_in())
    page = open_window(feed.address.replace(TOKEN, "wrong")).page
    page.wait_for_selector("#notice:has-text('live.token')")
    page.locator('[data-act="stranger"]').press("Enter")
    page.wait_for_selector("#said:has-text('live.token')")
    assert "it printed a new address: open that one" in page.locator("#said").inner_text()
    assert feed.acts == []


def test_while_an_act_goes_on_its_door_takes_no_other(feed: Feed, open_window: Opener) -> None:
    page = shown(open_window, feed)
    feed.send(*scene.act("tap"))
    page.wait_for_selector('[data-act="stranger"][aria-disabled="true"]')
    page.locator('[data-act="stranger"]').press("Enter")
    assert page.locator("#said").inner_text().startswith("Somebody is at this door. Wait until the act is over.")
    page.click("#tab-door-2")
    assert page.locator('[data-act="stranger"]').get_attribute("aria-disabled") == "false"
    page.click("#tab-door-1")
    feed.send(*scene.act("tap", state="failed", code="site.waited"))
    page.wait_for_selector('[data-act="stranger"][aria-disabled="false"]')
    assert page.locator("#said").inner_text() == "Tap: did not work (site.waited)."
    assert feed.acts == []


def test_a_switch_says_which_of_its_two_acts_was_done(feed: Feed, open_window: Opener) -> None:
    page = shown(open_window, feed)
    for text, said in (
        ("the network fails", "The network fails"),
        ("the network comes back", "The network comes back"),
    ):
        feed.send(*scene.act("network", None, text=scene.both(text, "网络")))
        page.wait_for_selector(f"#said:has-text('{said}: under way.')")
        feed.send(*scene.act("network", None, state="done", text=scene.both(text, "网络")))
        page.wait_for_selector(f"#said:has-text('{said}: done.')")


def test_how_a_tap_ended_is_said_once_it_is_known(feed: Feed, open_window: Opener) -> None:
    page = shown(open_window, feed, 3)
    assert page.locator("#said").inner_text() == ""
    feed.send(*scene.tap())
    page.wait_for_selector("#said:has-text('door 1, Gustav Bergström: opened after 285 ms.')")
    feed.send(*scene.tap(2, number=2, who="Astrid Sandell"))
    feed.send(*scene.refused())
    said = "door 1, Astrid Sandell: not let in: no stay here names this document (grant.none)."
    page.wait_for_selector(f"#said:has-text('{said}')")
    assert page.locator("#said").get_attribute("aria-live") == "polite"


def test_a_chosen_tap_stays_shown_while_others_come(feed: Feed, open_window: Opener) -> None:
    page = shown(open_window, feed)
    feed.send(*scene.refused())
    page.wait_for_selector('#moments caption:has-text("Tap 2")')  # the newest is shown
    page.click('#taps [data-tap="1"]')
    page.wait_for_selector('#moments caption:has-text("Tap 1")')
    feed.send(*scene.refused(3))
    feed.drawn(page)
    assert page.locator('#taps [data-tap="3"]').count() == 1
    assert page.locator("#moments caption").inner_text() == "Tap 1, Gustav Bergström: opened after 285 ms"


def test_another_site_replaces_everything_that_was_shown(feed: Feed, open_window: Opener) -> None:
    page = shown(open_window, feed)
    feed.send(*scene.site())
    page.wait_for_selector("#taps:not(:has([data-tap]))", state="attached")
    assert page.locator("#stations").get_attribute("data-envelope") == "none"
    assert page.locator("#stations .store").count() == 0


def test_the_page_comes_back_by_itself_when_the_line_breaks(feed: Feed, open_window: Opener) -> None:
    page = shown(open_window, feed)
    assert page.locator("#line").get_attribute("data-state") == "live"
    witness(page, "#line", "data-state")
    feed.hang_up()
    saw(page, "#line", "away")  # only for a moment: the page comes back after 100 ms
    page.wait_for_selector('#line[data-state="live"]')
    assert feed.connections == 2
    feed.send(*scene.refused())
    page.wait_for_selector('#taps [data-tap="2"]')


def test_a_server_that_was_started_again_frees_the_buttons(feed: Feed, open_window: Opener) -> None:
    page = shown(open_window, feed)
    feed.send(*scene.story("playing", name="tour"))
    page.wait_for_selector('[data-act="stranger"][aria-disabled="true"]')
    witness(page, "#line", "data-state")
    feed.hang_up(forget=True)
    saw(page, "#line", "away")
    feed.send(*scene.site())
    page.wait_for_selector('[data-act="stranger"][aria-disabled="false"]')
    assert page.locator("#promises").is_hidden()


def test_data_from_outside_is_text_and_never_markup(feed: Feed, open_window: Opener) -> None:
    nasty = '<img src=x onerror="document.title=1"><b id=planted>'
    kind, data = scene.tap(who=nasty)
    moments = [{**moment, "text": scene.both(nasty, nasty)} for moment in data["moments"]]
    played(feed, *scene.check_in(), (kind, {**data, "moments": moments}))
    page = open_window(feed.address).page
    page.wait_for_selector("#moments caption:has-text('onerror')")
    assert page.locator("#planted").count() == 0 and page.locator("#moments img").count() == 0
    assert page.title() == "Mooring, a door to look at"


def test_each_party_opens_with_its_own_bytes(feed: Feed, open_window: Opener) -> None:
    feed.records["door-1/1"] = scene.record()
    page = shown(open_window, feed)
    for party in scene.record()["parties"]:
        box = page.locator(f'details[data-party="{party["party"]}"]')
        box.locator("summary").click()
        box.locator("h3").first.wait_for()
        assert box.locator(".where").inner_text() == party["where"]
        read = box.locator("dl.reads dd").all_inner_texts()
        assert read == [one["value"] for one in party["reads"]]
        assert box.locator(".hidden-list li").count() == len(party["hidden"])
        lines = box.locator("pre").inner_text().splitlines() if party["bytes"] else []
        assert "".join(line[6:].replace(" ", "") for line in lines) == (party["bytes"] or "")
        assert box.locator("pre").count() == bool(party["bytes"])


def test_what_a_party_reads_is_named_in_the_language_of_the_page(feed: Feed, open_window: Opener) -> None:
    reads = [
        {"name": "kind", "value": "check-in", "code": None},
        {"name": "birth_date", "value": "1975-03-13", "code": None},
        {"name": "sex", "value": scene.both("male", "男"), "code": "male"},
    ]
    province = {"party": "province", "reads": reads, "hidden": ["portrait"], "bytes": None, "where": "here"}
    feed.records["door-1/1"] = {"parties": [province]}
    page = shown(open_window, feed)
    page.click('[data-language="zh"]')
    box = page.locator('details[data-party="province"]')
    box.locator("summary").click()
    box.locator("dl.reads").wait_for()
    assert box.locator("dl.reads").inner_text().split() == [
        *("记录种类", "入住登记", "check-in", "出生日期", "1975-03-13", "性别", "男", "male"),
    ]
    assert box.locator(".hidden-list").inner_text() == "人像"


def test_a_party_that_a_record_has_not_reached_says_only_that(feed: Feed, open_window: Opener) -> None:
    away: dict[str, object] = {
        "party": "province",
        "reads": [],
        "hidden": [],
        "bytes": None,
        "where": scene.both("not there yet", "无"),
    }
    feed.records["door-1/1"] = {"parties": [away]}
    page = shown(open_window, feed, 12)
    page.click('details[data-party="province"] summary')
    page.wait_for_selector('details[data-party="province"] .where')
    assert page.locator('details[data-party="province"] .party-box').inner_text() == "not there yet"


def test_a_record_that_nobody_has_is_said_to_be_missing(feed: Feed, open_window: Opener) -> None:
    page = shown(open_window, feed, 3)
    page.click('details[data-party="edge"] summary')
    page.wait_for_selector('details[data-party="edge"][open] .party-box:has-text("Let a guest tap.")')
    assert page.locator("#party-list pre").count() == 0


def test_promises_are_ticked_as_they_come_and_a_broken_one_is_not(feed: Feed, open_window: Opener) -> None:
    page = shown(open_window, feed)
    claims = [
        {"claim": scene.both("the door opened", "门打开了"), "held": True},
        {"claim": scene.both("nothing was lost", "没有丢失"), "held": False},
    ]
    feed.send(*scene.story("playing", promises=claims[:1]))
    page.wait_for_selector('#promise-list li[data-held="true"]')
    assert page.locator("#tour").get_attribute("aria-disabled") == "true"
    feed.send(*scene.story("over", ok=False, promises=claims))
    page.wait_for_selector('#promise-list li[data-held="false"]')
    assert page.locator("#promises-title").inner_text() == ("first-checkin: 1 of 2 promises held. Something is wrong.")
    assert [re.sub(r"\s+", " ", one) for one in page.locator("#promise-list li").all_inner_texts()] == [
        "held: the door opened",
        "broken: nothing was lost",
    ]


def test_the_story_buttons_ask_for_the_tour_and_for_the_chosen_scenario(feed: Feed, open_window: Opener) -> None:
    page = shown(open_window, feed)
    with page.expect_response("**/act"):
        page.click("#tour")
    page.select_option("#story-name", "network-outage")
    assert page.locator("#story-tells").inner_text() == "the network fails and comes back"
    with page.expect_response("**/act"):
        page.click("#story-form button")
    assert feed.acts == [{"action": "story", "name": "tour"}, {"action": "story", "name": "network-outage"}]
