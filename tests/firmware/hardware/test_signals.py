"""Light and tone at the pins, in virtual time. Each state is shown and ends as docs/door-signals.md says."""

import asyncio
import re
from collections.abc import Callable

import pytest

from sim.board.interpreter import ROOT
from tests.support import pn532_scene as scene
from tests.support.panel import Panel

DARK = (0, 0, 0)
COLOURS = {
    "idle": (0, 0, 0),
    "obstructed": (1, 1, 0),
    "reading": (0, 0, 1),
    "ask": (0, 1, 1),
    "allowed": (0, 1, 0),
    "refused_stay": (1, 0, 0),
    "refused_document": (1, 0, 0),
    "refused_phone": (1, 0, 0),
    "again": (1, 1, 0),
    "busy": (1, 1, 1),
    "fault": (1, 0, 1),
}
NUMBERS = {"one": 1, "two": 2, "three": 3, "six": 6}
LENGTHS = {"short": 200, "long": 600}
TONE = re.compile(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \| .*\((\d+) Hz\), ([a-z, ]+) \|", re.MULTILINE)


def beats(words: str) -> list[int]:
    """Return the lengths in milliseconds of beats such as "one long, two short"."""
    return [LENGTHS[kind] for number, kind in re.findall(r"(\w+) (\w+)", words) for _ in range(NUMBERS[number])]


TONES = {
    name: [(int(hertz), length) for length in beats(words)]
    for name, hertz, words in TONE.findall((ROOT / "docs/door-signals.md").read_text())
}
"""Tones in docs/door-signals.md, as (Hz, milliseconds) for each beat, by the name of the state."""


def test_the_page_tells_of_every_tone() -> None:
    assert COLOURS.keys() - TONES.keys() == {"idle", "obstructed"}


@pytest.mark.parametrize("name", COLOURS)
def test_a_state_is_shown_until_the_next_and_its_tone_sounds_once(panel: Callable[[], Panel], name: str) -> None:
    async def story() -> None:
        here = panel()
        light, _ = await here.watched(30, lambda: here.signals.show(name))
        assert {state for _, state in light} - {None, DARK} == {COLOURS[name]} - {DARK}
        assert light[0][1] == COLOURS[name], "in the same moment"
        assert here.silent and here.tones == TONES.get(name, [])
        late = [state for at, state in light if at > 25000]
        assert (COLOURS[name] in late) == (name not in ("idle", "reading")), "it repeats its rhythm, or nothing changes"

    scene.run(story())


@pytest.mark.parametrize("name", ["no_such_signal", "refused", ""])
def test_a_signal_that_is_not_in_the_table_is_an_error_and_not_another_signal(
    panel: Callable[[], Panel], name: str
) -> None:
    here = panel()
    with pytest.raises(ValueError):
        here.signals.show(name)
    assert here.light == DARK and here.silent


def test_an_answer_is_shown_once_and_then_the_door_is_idle(panel: Callable[[], Panel]) -> None:
    async def story() -> None:
        here = panel()
        light, _ = await here.watched(30, lambda: here.signals.answer("refused_phone"))
        assert [state for _, state in light] == [COLOURS["refused_phone"], DARK] * 3 + [None]
        assert here.tones == TONES["refused_phone"] and not here.signals.answering

    scene.run(story())


def test_a_state_to_come_is_shown_only_if_nothing_else_was_by_then(panel: Callable[[], Panel]) -> None:
    async def story() -> None:
        here = panel()
        here.signals.show("reading")
        await asyncio.sleep(1)
        here.signals.show("ask", 600)
        await asyncio.sleep(0.5)
        assert here.light == COLOURS["reading"] and here.tones == TONES["reading"]
        here.signals.answer("allowed")
        await asyncio.sleep(1.1)
        assert here.light == COLOURS["allowed"] and here.tones[1:] == TONES["allowed"][:2]
        here.signals.show("ask", 600)
        await asyncio.sleep(0.7)
        assert here.light == COLOURS["ask"]

    scene.run(story())


def test_a_state_that_is_shown_again_in_silence_is_only_seen(panel: Callable[[], Panel]) -> None:
    async def story() -> None:
        here = panel()
        here.signals.show("ask")
        await asyncio.sleep(2)
        here.signals.show("reading", 0, False)
        assert here.light == COLOURS["reading"]
        await asyncio.sleep(10)
        assert here.light == COLOURS["reading"] and here.tones == TONES["ask"]

    scene.run(story())


def test_a_word_to_somebody_else_is_followed_by_what_it_interrupted(panel: Callable[[], Panel]) -> None:
    async def story() -> None:
        here = panel()
        here.signals.show("reading")
        await asyncio.sleep(1)
        light, _ = await here.watched(10, lambda: here.signals.aside("busy"))
        assert [state for _, state in light] == [COLOURS["busy"], DARK] * 3 + [COLOURS["reading"], None]
        assert here.tones == TONES["busy"], "the tone of the guest's signal does not sound again"
        here.signals.aside("busy")
        light, _ = await here.watched(10, lambda: here.signals.answer("allowed"))
        assert {state for _, state in light} == {COLOURS["allowed"], DARK, None}, "no second signal hides the answer"

    scene.run(story())


def test_a_lock_that_cannot_work_shows_it_without_a_loop_and_without_a_sound(panel: Callable[[], Panel]) -> None:
    here = panel()
    here.signals.halt()
    assert here.light == COLOURS["fault"] and here.silent and not here.tones


def test_a_door_with_something_on_its_reader_flashes_while_it_waits_and_shows_guests_what_it_always_shows(
    panel: Callable[[], Panel],
) -> None:
    async def flashes(here: Panel, seconds: int) -> int:
        light, _ = await here.watched(seconds, lambda: None)
        return sum(state == COLOURS["obstructed"] for _, state in light)

    async def story() -> None:
        here = panel()
        here.signals.show("idle")
        assert await flashes(here, 10) == 0
        light, _ = await here.watched(10, lambda: here.signals.show("obstructed"))
        assert [state for _, state in light] == [COLOURS["obstructed"], DARK] * 4 + [None]
        here.signals.show("reading")
        assert await flashes(here, 10) == 0 and here.light == COLOURS["reading"]
        here.signals.answer("allowed")
        assert await flashes(here, 3) == 0
        assert await flashes(here, 20) >= 7 and here.tones == []
        here.signals.answer("refused_stay")
        here.signals.show("idle")  # the obstacle is gone while the last guest's answer is still shown
        assert here.light == COLOURS["refused_stay"]
        assert await flashes(here, 10) == 0 and here.light == DARK

    scene.run(story())
