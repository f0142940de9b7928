"""Light and tone at the pins, in virtual time. Each state is shown as the table says, and ends as it should."""

import asyncio
import importlib
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from firmware.boards import esp32_c6_devkitc_1 as pins
from sim.board.interpreter import ROOT, STAND_INS
from tests.support import pn532_scene as scene

LIGHTS = pins.LIGHTS
COLOURS = {
    "idle": (0, 0, 0),
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
TONE = re.compile(r"^\| `(\w+)` \| [^|]+ \| .*\((\d+) Hz\), (\d+) ms, (once|twice|three times) \|", re.MULTILINE)
OFTEN = ["", "once", "twice", "three times"]
TONES = {
    name: (int(hertz), int(length), OFTEN.index(often))
    for name, hertz, length, often in TONE.findall((ROOT / "docs/door-signals.md").read_text())
}
"""Tones in docs/door-signals.md, as (Hz, milliseconds, number of times) by the name of the state."""


class Panel:
    """The light and the tones of the door. They are read from the stand-in for `machine`."""

    def __init__(self, machine: Any, signals: Any) -> None:
        self._pins = machine._bus.pins
        self.signals = signals
        self.tones: list[tuple[int, int]] = []
        """All tones so far, as (Hz, milliseconds)."""
        duty = signals._buzzer.duty_u16
        sounding: list[tuple[int, float]] = []

        def sound(value: int) -> None:
            duty(value)
            if sounding:
                hertz, began = sounding.pop()
                self.tones.append((hertz, round((scene.now() - began) * 1000)))
            if value:
                sounding.append((signals._buzzer.freq(), scene.now()))

        signals._buzzer.duty_u16 = sound
        self.buzzer = signals._buzzer

    @property
    def light(self) -> tuple[int, ...]:
        return tuple(self._pins[number].value() for number in LIGHTS)

    @property
    def silent(self) -> bool:
        return bool(self.buzzer._duty == 0)


@pytest.fixture
def panel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Panel]]:
    monkeypatch.syspath_prepend(str(STAND_INS))
    for name in ("machine", "firmware.hardware.signals"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    machine: Any = importlib.import_module("machine")
    signals = importlib.import_module("firmware.hardware.signals")
    yield lambda: Panel(machine, signals.Signals(pins.LIGHTS, pins.BUZZER))
    for name in ("machine", "firmware.hardware.signals"):
        sys.modules.pop(name, None)


def test_the_page_tells_of_every_tone() -> None:
    assert COLOURS.keys() - TONES.keys() == {"idle", "reading"}


@pytest.mark.parametrize("name", COLOURS)
def test_a_state_is_lit_until_the_next_and_its_tone_sounds_as_often_as_it_should_and_then_stops(
    panel: Callable[[], Panel], name: str
) -> None:
    async def story() -> None:
        here = panel()
        here.signals.show(name)
        assert here.light == COLOURS[name]
        await asyncio.sleep(30)
        assert here.light == COLOURS[name] and here.silent
        hertz, milliseconds, often = TONES.get(name, (0, 0, 0))
        assert here.tones == [(hertz, milliseconds)] * often

    scene.run(story())


def test_an_answer_is_lit_for_two_seconds_and_then_the_door_is_idle(panel: Callable[[], Panel]) -> None:
    async def story() -> None:
        here = panel()
        here.signals.answer("refused_phone")
        await asyncio.sleep(1.9)
        assert here.light == COLOURS["refused_phone"] and here.silent
        await asyncio.sleep(0.2)
        assert here.light == COLOURS["idle"]

    scene.run(story())


def test_a_state_to_come_is_shown_only_if_nothing_else_was_by_then(panel: Callable[[], Panel]) -> None:
    async def story() -> None:
        here = panel()
        here.signals.show("reading")
        here.signals.show("ask", 600)
        await asyncio.sleep(0.5)
        assert here.light == COLOURS["reading"] and not here.tones
        here.signals.answer("allowed")
        await asyncio.sleep(1)
        assert here.light == COLOURS["allowed"]
        here.signals.show("ask", 600)
        await asyncio.sleep(0.7)
        assert here.light == COLOURS["ask"]

    scene.run(story())


def test_a_word_to_somebody_else_is_followed_by_what_it_interrupted(panel: Callable[[], Panel]) -> None:
    async def story() -> None:
        here = panel()
        here.signals.show("ask")
        await asyncio.sleep(1)
        here.signals.aside("busy")
        assert here.light == COLOURS["busy"]
        await asyncio.sleep(1.1)
        assert here.light == COLOURS["ask"]
        here.signals.aside("busy")
        here.signals.answer("allowed")
        await asyncio.sleep(1.1)
        assert here.light == COLOURS["allowed"], "a signal for a second person does not hide the answer"

    scene.run(story())


def test_a_lock_that_cannot_work_shows_it_without_a_loop_and_without_a_sound(panel: Callable[[], Panel]) -> None:
    here = panel()
    here.signals.halt()
    assert here.light == COLOURS["fault"] and here.silent and not here.tones


def test_a_door_with_something_on_its_reader_flashes_while_it_waits_and_shows_guests_what_it_always_shows(
    panel: Callable[[], Panel],
) -> None:
    async def flashes(here: Panel, seconds: int) -> int:
        lit, before = 0, here.light
        for _ in range(seconds * 20):
            await asyncio.sleep(0.05)
            lit += here.light == COLOURS["again"] != before
            before = here.light
        return lit

    async def story() -> None:
        here = panel()
        here.signals.show("idle")
        here.signals.show("obstructed")
        assert here.light == COLOURS["idle"] and await flashes(here, 12) == 4
        here.signals.show("reading")
        assert here.light == COLOURS["reading"] and await flashes(here, 12) == 0 and here.light == COLOURS["reading"]
        here.signals.answer("allowed")
        await asyncio.sleep(1.9)
        assert here.light == COLOURS["allowed"]
        assert await flashes(here, 12) >= 3 and not [hertz for hertz, _ in here.tones if hertz == 440]
        here.signals.answer("refused_stay")
        here.signals.show("idle")  # the obstacle is gone while the last guest's answer is still lit
        assert here.light == COLOURS["refused_stay"]
        assert await flashes(here, 12) == 0 and here.light == COLOURS["idle"]

    scene.run(story())
