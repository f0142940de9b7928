"""Each act of the live page, over HTTP, at a real site: what it does at the door, and what it tells."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest

from firmware.boards import esp32_c6_devkitc_1 as pins
from protocol.record import CHECK_IN
from sim import timeline
from sim.bookings import taken
from tests.support.live_http import Listener, LivePage

SITE = {"runtime": "micropython", "doors": 2}


def tap(listener: Listener, act: dict[str, Any], over: bool = True) -> dict[str, Any]:
    """Wait until the newest tap at the door of `act` is over. Return the last message about this tap."""
    taps = listener.of_door("tap", act["door"])
    newest = max(told["tap"] for told in taps)  # the receipt of an earlier tap may have come last
    if over:
        return listener.until("tap", lambda data: data["tap"] == newest and data["over"], since=0)
    return [told for told in taps if told["tap"] == newest][-1]


def board(listener: Listener, door: str, after: float, where: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until a board has looked like this after the moment `after`, in milliseconds of the page. Return how it
    looked.
    """
    return listener.until("board", lambda face: face["door"] == door and face["at"] > after and where(face), since=0)


def steps(told: dict[str, Any]) -> list[str]:
    return [moment["id"] for moment in told["moments"]]


def agreed(told: dict[str, Any]) -> bool:
    """Return whether a moment of the tap tells that the phone agrees."""
    return any(moment["text"]["en"].startswith("agrees, and") for moment in told["moments"])


@contextmanager
def hesitating(page: LivePage, heard: Listener, person: str, door: str = "door-1") -> Iterator[int]:
    """Let a person tap. This person agrees on the phone only when the block ends. Yields the number of the act."""
    phone = next(guest.visitor.phone for guest in page.stage.guests if guest.id == person)
    phone.agrees = agrees = asyncio.Event()

    async def agree() -> None:
        agrees.set()
        phone.agrees = None

    status, told = page.post({"action": "tap", "door": door, "person": person})
    assert status == 202
    heard.until("tap", lambda data: data["outcome"] is None and agreed(data))
    try:
        yield told["act"]
    finally:
        page.run(agree())


def ended(heard: Listener, *acts: int) -> None:
    """Wait until these acts are over, in any order."""
    assert [heard.over(act)["state"] for act in acts] == ["done"] * len(acts)


def test_a_tap_is_told_from_its_first_moment_to_the_receipt_in_the_order_of_the_timeline(
    page: LivePage, heard: Listener
) -> None:
    act = page.act(heard, "tap", door="door-1", person="guest-1")
    assert (act["state"], act["code"]) == ("done", None)
    told = tap(heard, act)
    assert (told["outcome"], told["code"], told["person"]) == ("opened", None, "guest-1")
    assert [steps(told)[0], steps(told)[-1]] == ["phone.tap", "journal.receipted 1"]

    async def said() -> list[timeline.Moment]:
        site = page.stage.site
        return timeline.moments(site, site.doors[0], site.doors[0].taps[told["number"] - 1])

    again = page.run(said())
    assert steps(told) == [moment.name for moment in again]
    assert [moment["text"] for moment in told["moments"]] == [moment.what.in_all() for moment in again]
    # The table on the console is made from the same times. The page rounds each to a microsecond.
    shown = [moment["at"] - told["began"] for moment in told["moments"]]
    assert shown == pytest.approx([(moment.at - again[0].at) * 1000 for moment in again], abs=0.01)
    assert [moment["took"] for moment in told["moments"]] == [moment.took for moment in again]


def test_a_tap_grows_and_no_moment_goes_away(page: LivePage, heard: Listener) -> None:
    told = tap(heard, page.act(heard, "tap", door="door-2", person="guest-1"))
    grown = [set(steps(said.data)) for said in heard.heard if said.kind == "tap" and said.data["tap"] == told["tap"]]
    assert len(grown) > 5 and grown[0] < grown[-1]
    assert all(earlier <= later for earlier, later in pairwise(grown))


def test_what_the_guest_perceives_is_told(page: LivePage, heard: Listener) -> None:
    told = tap(heard, page.act(heard, "tap", door="door-1", person="guest-2"), over=False)
    opened = board(heard, "door-1", told["began"], lambda face: face["strike"])
    shut = board(heard, "door-1", opened["at"], lambda face: not face["strike"])
    faces = [face for face in heard.of_door("board", "door-1") if face["at"] > told["began"]]
    assert {"reading", "allowed"} <= {face["pattern"] for face in faces}
    assert any(face["strike"] and face["lamp"] == [0, 1, 0] for face in faces)
    assert any(face["tone"] == 1760 for face in faces)
    assert shut["power"] and not shut["contact"] and not shut["tag"]


def test_the_record_fills_journal_outbox_and_province_and_its_receipt_empties_the_outbox(
    page: LivePage, heard: Listener
) -> None:
    told = tap(heard, page.act(heard, "tap", door="door-1", person="guest-2"))
    assert told["counter"] is not None
    full = heard.until(
        "stores",
        lambda data: (
            data["door"] == "door-1"
            and any((one["counter"], one["state"]) == (told["counter"], "receipted") for one in data["journal"])
        ),
        since=0,
    )
    seen = heard.of_door("stores", "door-1")
    assert any(told["counter"] in [one["counter"] for one in stores["outbox"]] for stores in seen)
    assert full["outbox"] == []
    [row] = [one for one in full["province"] if one["counter"] == told["counter"]]
    assert row == {"counter": told["counter"], "kind": row["kind"], "verdict": "ok", "receipt": True}
    assert row["kind"] in ("check-in", "entry")


@pytest.mark.parametrize(
    ("action", "code", "pattern"),
    [("stranger", "grant.none", "refused_stay"), ("tampered", "mdoc.digest", "refused_document")],
)
def test_who_is_not_let_in_is_told_with_code_and_signal(
    page: LivePage, heard: Listener, action: str, code: str, pattern: str
) -> None:
    told = tap(heard, page.act(heard, action, door="door-2"))
    assert (told["outcome"], told["code"], told["counter"]) == ("refused", code, None)
    assert steps(told)[-1] == "tap.refused 1" and "opened" not in steps(told)
    assert code in told["moments"][-1]["text"]["en"] and code in told["moments"][-1]["text"]["zh"]
    shown = board(heard, "door-2", told["began"], lambda face: face["pattern"] == pattern)
    board(heard, "door-2", shown["at"], lambda face: face["pattern"] == "idle")


def test_after_the_check_in_a_pin_opens(page: LivePage, heard: Listener) -> None:
    tap(heard, page.act(heard, "tap", door="door-1", person="guest-2"))
    told = tap(heard, page.act(heard, "tap-pin", door="door-1"), over=False)
    assert (told["outcome"], told["who"]["en"]) == ("opened", "somebody at the keypad")
    assert steps(told)[0] == "tap.start 1" and told["who"]["zh"] != told["who"]["en"]


def test_a_phone_that_is_taken_away_in_the_middle_opens_nothing(page: LivePage, heard: Listener) -> None:
    told = tap(heard, page.act(heard, "tear", door="door-1", person="guest-1"))
    assert told["outcome"] == "refused" and told["code"].startswith("nfc.")
    assert {"phone.removed", "tap.refused 1"} <= set(steps(told)) and "opened" not in steps(told)


def test_a_guest_gets_in_beside_a_sticker_on_the_reader(page: LivePage, heard: Listener) -> None:
    page.act(heard, "tag", door="door-2", on=True)
    board(heard, "door-2", 0, lambda face: face["tag"] and face["pattern"] == "obstructed")
    told = tap(heard, page.act(heard, "tap", door="door-2", person="guest-2"), over=False)
    assert told["outcome"] == "opened"
    page.act(heard, "tag", door="door-2", on=False)
    assert heard.of_door("board", "door-2")[-1]["tag"] is False


def test_the_door_itself_can_be_opened_and_shut(page: LivePage, heard: Listener) -> None:
    for on in (True, False):
        page.act(heard, "open-door", door="door-1", on=on)
        assert heard.of_door("board", "door-1")[-1]["contact"] is on


def test_a_lock_without_power_shows_nothing_and_boots_again(page: LivePage, heard: Listener) -> None:
    page.act(heard, "power", door="door-2")
    power = [face["power"] for face in heard.of_door("board", "door-2")]
    assert False in power and power[-1] is True


def test_a_page_that_comes_while_an_act_goes_on_is_told_of_it(page: LivePage, heard: Listener) -> None:
    with hesitating(page, heard, "guest-2") as tapping:
        late = page.listen()
        assert (late.until("act")["act"], late.heard[-1].data["state"]) == (tapping, "began")
    assert late.over(tapping)["state"] == "done"
    late.close()
    ended(heard, tapping)
    later = page.listen()
    while later.next().kind != "stores":  # the message `stores` is the last one of the state
        pass
    assert "act" not in [said.kind for said in later.heard]
    later.close()


def test_an_act_that_fails_is_told_with_its_code_and_the_door_is_free_again(page: LivePage, heard: Listener) -> None:
    image = page.stage.site.doors[1].image
    image.rename(image.with_suffix(".away"))  # a board without its flash does not boot
    failed = page.act(heard, "power", door="door-2")
    image.with_suffix(".away").replace(image)
    assert (failed["state"], failed["code"]) == ("failed", "lock.ended")
    assert page.act(heard, "power", door="door-2")["state"] == "done"


def test_the_network_fails_during_a_tap_and_the_door_opens_and_the_record_waits(
    page: LivePage, heard: Listener
) -> None:
    tap(heard, page.act(heard, "tap", door="door-1", person="guest-2"))  # the adult who answers for the child
    with hesitating(page, heard, "child-1") as tapping:
        page.act(heard, "network", up=False)
        assert [said.data["up"] for said in heard.heard if said.kind == "network"][-1] is False
    ended(heard, tapping)
    told = tap(heard, {"door": "door-1"}, over=False)
    assert told["outcome"] == "opened"
    # The record may have come to the edge before the act was told to be over.
    waits = heard.until("tap", lambda data: data["tap"] == told["tap"] and "edge.waits" in steps(data), since=0)
    assert "committed" not in steps(waits)
    page.act(heard, "network", up=True)
    over = heard.until("tap", lambda data: data["tap"] == told["tap"] and data["over"], since=0)
    later = steps(over)
    assert [name for name in later if name in ("edge.waits", "edge.back", "committed")] == [
        *("edge.waits", "edge.back", "committed")
    ]


def test_a_second_act_at_a_busy_door_is_refused_and_another_door_is_free(page: LivePage, heard: Listener) -> None:
    with hesitating(page, heard, "guest-2") as tapping:
        second = page.post({"action": "stranger", "door": "door-1"})
        elsewhere = page.post({"action": "stranger", "door": "door-2"})
        story = page.post({"action": "story", "name": "first-checkin"})
    assert [second[0], elsewhere[0], story[0]] == [409, 202, 409]
    assert second[1]["code"] == story[1]["code"] == "live.busy"
    ended(heard, tapping, elsewhere[1]["act"])


def test_the_power_is_cut_while_a_phone_is_read_and_the_door_stays_shut(page: LivePage, heard: Listener) -> None:
    lock = page.stage.site.doors[0].lock
    before = len(lock.console)
    with hesitating(page, heard, "guest-2") as tapping:
        status, cut = page.post({"action": "power", "door": "door-1"})
        assert status == 202
        heard.until("board", lambda data: data["door"] == "door-1" and not data["power"])
    ended(heard, tapping, cut["act"])
    told = tap(heard, {"door": "door-1"}, over=False)
    assert (told["outcome"], told["code"], told["counter"]) == ("unfinished", None, None)
    assert not {"opened", "durable"} & set(steps(told))
    page.run(taken(lock, "time", before))  # without the time, the lock takes no new guest
    assert tap(heard, page.act(heard, "tap", door="door-1", person="guest-2"), over=False)["outcome"] == "opened"


def test_a_power_cut_beside_an_opening_leaves_no_opening_that_was_not_in_flash_first(
    page: LivePage, heard: Listener
) -> None:
    tapping = page.post({"action": "tap", "door": "door-2", "person": "guest-2"})[1]["act"]
    heard.until("act", lambda data: data["act"] == tapping)
    earlier = {said.data["tap"] for said in heard.heard if said.kind == "tap"}
    heard.until("tap", lambda data: data["tap"] not in earlier and "door.decided 1" in steps(data))
    status, cut = page.post({"action": "power", "door": "door-2"})
    assert status == 202  # from here on, the lock writes its record, opens, and loses its power, in any order
    ended(heard, tapping, cut["act"])
    told = tap(heard, {"door": "door-2"}, over=False)
    assert told["outcome"] in ("opened", "unfinished")
    assert (told["outcome"] == "opened") == ("opened" in steps(told))
    door = page.stage.site.doors[1]
    page.run(door.drain())
    assert (door.findings.early_openings(), door.findings.unbroken()) == (0, True)
    page.run(door.until("the strike is shut", lambda: door.bus.values[pins.STRIKE] == 0))


def test_the_phone_is_taken_away_while_it_is_read(page: LivePage, heard: Listener) -> None:
    with hesitating(page, heard, "guest-2") as tapping:
        for blocked in ({"action": "stranger"}, {"action": "tag", "on": True}):
            assert page.post({"door": "door-1", **blocked})[1]["code"] == "live.busy"
        for on in (True, False):
            assert page.act(heard, "open-door", door="door-1", on=on)["state"] == "done"
        assert page.act(heard, "take-away", door="door-1")["state"] == "done"
    ended(heard, tapping)
    told = tap(heard, {"door": "door-1"}, over=False)
    assert (told["outcome"], told["code"]) == ("refused", "nfc.gone")
    assert told["reason"] == {"en": "the phone was taken away too early", "zh": "手机拿开得太早"}
    assert "opened" not in steps(told)


def test_no_phone_can_be_taken_from_a_reader_where_there_is_none(page: LivePage) -> None:
    status, told = page.post({"action": "take-away", "door": "door-1"})
    assert (status, told["code"]) == (409, "live.nobody")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"action": "break-in", "door": "door-1"}, "live.action"),
        ({"action": 7, "door": "door-1"}, "live.action"),
        ({}, "live.action"),
        ({"action": "stranger", "door": "door-9"}, "live.door"),
        ({"action": "stranger", "door": "../door-1"}, "live.door"),
        ({"action": "tap", "door": "door-1", "person": "nobody"}, "live.person"),
        ({"action": "story", "name": "no-such-story"}, "live.story"),
        ({"action": "tap", "door": "door-1"}, "live.request"),
        ({"action": "stranger", "door": "door-1", "more": 1}, "live.request"),
        ({"action": "network", "up": 1}, "live.request"),
        ({"action": "tag", "door": "door-1", "on": "yes"}, "live.request"),
        ({"action": "stranger", "door": ["door-1"]}, "live.request"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused_with_a_code(page: LivePage, content: Any, code: str) -> None:
    status, told = page.post(content)
    assert (status, told["code"]) == (400, code)
    assert told["message"]


def test_each_party_could_read_what_the_project_says(page: LivePage, heard: Listener) -> None:
    tap(heard, page.act(heard, "tap", door="door-1", person="guest-1"))
    site, guest = page.stage.site, page.stage.guests[0].visitor.person
    [counter] = [
        item.counter
        for item in site.province.registrations(CHECK_IN)
        if item.lock_id == site.doors[0].lock_id and item.fields["id_number"] == guest.document_number
    ]
    status, told = page.record("door-1", counter)
    assert status == 200
    by_party = {one["party"]: one for one in told["parties"]}
    assert list(by_party) == ["phone", "air", "lock-ram", "lock-flash", "edge", "broker", "platform", "province"]
    number, name = guest.document_number.encode(), guest.family_name.encode()
    held = {party: bytes.fromhex(one["bytes"]) for party, one in by_party.items()}
    knows = {party for party, content in held.items() if number in content or name in content}
    assert knows == {"phone", "lock-ram", "province"}
    assert held["lock-flash"] == held["edge"] and held["edge"] in held["broker"]
    shown = {one["name"]: one for one in by_party["province"]["reads"] if isinstance(one["name"], str)}
    assert shown["id_type"]["value"]["zh"] == "驾驶证" and shown["id_type"]["code"] == "driving-licence"
    assert shown["verdict"]["value"]["zh"] == "没有问题" and shown["id_number"]["code"] is None
    fields = {one["name"]: one["value"]["en"] for one in by_party["province"]["reads"] if isinstance(one["name"], str)}
    assert fields["id_number"] == guest.document_number
    assert "portrait" in by_party["lock-ram"]["hidden"] and by_party["phone"]["hidden"] == []


def test_a_record_that_is_not_there_is_refused(page: LivePage) -> None:
    assert [page.record(door, counter)[0] for door, counter in (("door-9", 1), ("door-1", 0), ("door-1", 9999))] == [
        404,
        404,
        404,
    ]
    assert page.record("door-1", 9999)[1]["code"] == "live.record"
    assert page.record("door-9", 1)[1]["code"] == "live.door"
