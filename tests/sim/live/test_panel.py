"""What the page shows of a door follows from the board's reports alone."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from firmware.boards import esp32_c6_devkitc_1 as pins
from sim.board.bus import BoardEvent
from sim.door import Door
from sim.live.panel import Face, Panel
from sim.nfc.antenna import Antenna
from sim.nfc.card import Card, Traits
from sim.nfc.faults import Chance, Faults
from sim.signs import signs


@dataclass
class Reports:
    """A board whose reports are written by the test."""

    history: list[BoardEvent] = field(default_factory=list)
    inputs: dict[int | str, int] = field(default_factory=dict)
    powered: bool = True

    def say(self, **facts: Any) -> None:
        self.history.append(BoardEvent(0.0, 0, facts))

    def light(self, colour: str) -> None:
        for pin, level in zip(pins.LIGHTS, colour, strict=True):
            self.say(pin=pin, value=int(level))

    def play(self, colour: str, word: str) -> None:
        """Show the light of a signal: a beat for each mark, the darkness between the beats, and the pauses."""
        for mark in word:
            if mark == "_":
                self.light("000")
                continue
            self.light(colour)
            if mark != "=":
                self.light("000")


def scene() -> tuple[Reports, Antenna, Panel]:
    reports, antenna = Reports(), Antenna(Faults(), Chance(0), paced=False)
    door = SimpleNamespace(bus=reports, reader=SimpleNamespace(antenna=antenna))
    reports.say(journal="")
    return reports, antenna, Panel(cast(Door, door))


@pytest.mark.parametrize("sign", [sign for sign in signs() if sign.light != "_"], ids=lambda sign: sign.name)
def test_each_signal_of_the_firmware_has_its_name_by_the_end_of_its_word(sign: Any) -> None:
    reports, _, panel = scene()
    word = sign.light.rstrip("_")
    reports.play(sign.colour, word)
    panel.read()
    assert panel.face.pattern == sign.name
    if sign.light != "=":
        reports.play(sign.colour, "__")
        panel.read()
        assert (panel.face.pattern, panel.face.lamp) == ("idle", (0, 0, 0))


def test_an_amber_light_with_a_tone_is_again_from_its_first_beat_on() -> None:
    reports, _, panel = scene()
    reports.light("110")
    panel.read()
    assert panel.face.pattern == "obstructed"
    reports.say(pwm=pins.BUZZER, freq=440, duty=32768)
    panel.read()
    assert panel.face.pattern == "again"


def test_no_colour_is_shown_that_the_light_never_had() -> None:
    reports, _, panel = scene()
    panel.read()
    reports.light("001")
    reports.light("110")  # on the way to yellow, the light is magenta for a moment
    assert [face.lamp for _, face in panel.read()] == [(0, 0, 1), (1, 1, 0)]


def test_strike_tone_contact_and_power_are_as_reported() -> None:
    reports, _, panel = scene()
    reports.say(pin=pins.STRIKE, value=1)
    reports.say(pwm=pins.BUZZER, freq=1760, duty=32768)
    reports.inputs[pins.INPUTS["contact"]] = 1
    panel.read()
    assert (panel.face.strike, panel.face.tone, panel.face.contact, panel.face.power) == (True, 1760, True, True)
    reports.say(pwm=pins.BUZZER, freq=1760, duty=0)
    reports.say(pin=pins.STRIKE, value=0, power="off")
    reports.powered = False
    panel.read()
    assert panel.face == Face(contact=True)
    assert panel.read() == []  # nothing new


def test_a_sticker_is_told_and_a_phone_is_none() -> None:
    _, antenna, panel = scene()
    phone, sticker = Card(b"\x08phone", Traits()), Card(b"\x04MOORED", Traits(sel_res=0))
    told = []
    for change, card in (
        (antenna.bring, phone),
        (antenna.bring, sticker),
        (antenna.take, phone),
        (antenna.take, sticker),
    ):
        change(card)
        panel.read()
        told.append(panel.face.tag)
    assert told == [False, True, True, False]
