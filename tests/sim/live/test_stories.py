"""The page plays a story with the story's promises, on a separate site. Then the page shows its own site again."""

import asyncio
from dataclasses import replace
from itertools import groupby
from typing import Any

import pytest

from sim.scenarios import stories
from sim.scenarios.story import Script
from tests.support.live_http import Listener, LivePage

SITE = {"runtime": "cpython", "doors": 2}


def test_every_scenario_can_be_chosen_by_name_and_the_tour_comes_first(heard: Listener) -> None:
    site = heard.until("site")
    assert [story["name"] for story in site["stories"]] == ["tour", *stories]
    assert all(story["tells"]["en"] != story["tells"]["zh"] for story in site["stories"])


def play(page: LivePage, heard: Listener, name: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Play a story. Returns the sites that were shown meanwhile, and the last message about the story."""
    before = len(heard.heard)
    assert page.act(heard, "story", name=name)["state"] == "done"
    told = [said for said in heard.heard[before:] if said.kind in ("site", "story")]
    return [said.data for said in told if said.kind == "site"], [said.data for said in told if said.kind == "story"][-1]


def test_the_tour_keeps_its_promises_at_two_doors(page: LivePage, heard: Listener) -> None:
    own = heard.until("site")
    sites, over = play(page, heard, "tour")
    assert (over["name"], over["state"], over["ok"]) == ("tour", "over", True)
    assert len(over["promises"]) > 10 and all(promise["held"] for promise in over["promises"])
    played, back = sites
    assert (played["own"], played["people"], len(played["doors"])) == (False, [], 2)
    assert {door["lock"] for door in played["doors"]}.isdisjoint(door["lock"] for door in own["doors"])
    assert back == own
    told = [said.data for said in heard.heard if said.kind == "story"]
    assert [state for state, _ in groupby(one["state"] for one in told)] == ["building", "playing", "ending", "over"]
    steps = [one["step"]["zh"] for one in told if one["state"] == "building"]
    assert len(steps) == 5 and steps[-1].startswith("启动门锁")
    grown = [len(one["promises"]) for one in told]
    assert grown == sorted(grown) and len(set(grown)) > 5
    taps = [said.data for said in heard.heard if said.kind == "tap"]
    assert {"opened", "refused"} <= {tap["outcome"] for tap in taps}
    waited = {moment["id"] for tap in taps for moment in tap["moments"]}
    assert {"edge.waits", "edge.back", "journal.receipted 1"} <= waited


def test_while_a_story_plays_no_other_act_is_taken_and_a_new_page_sees_the_story(
    page: LivePage, heard: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, stranger = asyncio.Event(), stories["stranger"]

    async def held(script: Script) -> None:
        await go_on.wait()  # the story is not over before the test has looked, however slow the machine is
        await stranger.play(script)

    async def let_go() -> None:
        go_on.set()

    monkeypatch.setitem(stories, "stranger", replace(stranger, play=held))
    status, told = page.post({"action": "story", "name": "stranger"})
    assert status == 202
    heard.until("site", lambda data: not data["own"])
    for busy in ({"action": "stranger", "door": "door-1"}, {"action": "story", "name": "tour"}):
        refused, answer = page.post(busy)
        assert (refused, answer["code"]) == (409, "live.busy")
    late = page.listen()
    assert late.until("site")["own"] is False
    assert late.until("story")["name"] == "stranger"
    late.close()
    page.run(let_go())
    assert heard.over(told["act"])["state"] == "done"
    after = page.listen()
    assert after.until("site")["own"] is True
    assert after.until("story")["state"] == "over"
    after.close()
