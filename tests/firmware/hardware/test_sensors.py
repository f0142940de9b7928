"""Only changes of the door's switches become events. The tests use the real interpreter."""

from typing import Any

import pytest

from protocol.fittings import INPUTS
from protocol.record import DOOR, EVENTS, MECHANICAL, TAMPER
from tests.support.on_lock import run_on_lock

_ON_LOCK = """
from firmware.hardware import ticks
clock = [1000]
ticks.now = lambda: clock[0]
from firmware.boards import esp32_c6_devkitc_1 as pins
from firmware.hardware import sensors
from firmware.hardware.strike import Strike
from protocol.fittings import Fittings
class Recorder:
    def __init__(self):
        self.events = []
    def event(self, kind, what):
        self.events.append([clock[0], kind, what])
recorder = Recorder()
strike = Strike(pins.STRIKE)
def wire(name, level):
    watched = looking._switches.get(name)
    if watched is not None:
        watched._pin.set_from_outside(level)
fitted = Fittings(False, tuple(given["inputs"]), given["held"])
looking = sensors.Sensors(pins.INPUTS, fitted, strike, recorder.event)
for name in given["inputs"]:
    wire(name, given["at_boot"].get(name, 0))
end = 0
for at, name, level in given["moves"] + [[given["until"], "", 0]]:
    while clock[0] - 1000 < at:
        clock[0] += sensors.LOOK_MS
        looking.look()
    if name == "strike":
        strike.open()
    elif name:
        wire(name, level)
answer([[at - 1000, kind, what] for at, kind, what in recorder.events])
"""


def seen(
    *moves: tuple[int, str, int],
    inputs: tuple[str, ...] = INPUTS,
    held: int = 60,
    until: int | None = None,
    at_boot: dict[str, int] | None = None,
) -> list[tuple[int, str]]:
    """Make `moves`, each of which is (ms, switch, level), and return the events.

    The lock reads the switches until the time `until`, or until 200 ms after the last move if `until` is not given.
    """
    end = until or (moves[-1][0] if moves else 0) + 200
    given: dict[str, Any] = {"moves": moves, "inputs": inputs, "held": held, "until": end, "at_boot": at_boot or {}}
    events = [(kind, what) for _, kind, what in run_on_lock(_ON_LOCK, given)]
    assert all(what in EVENTS[kind] for kind, what in events)
    return events


def test_a_door_at_rest_tells_nothing() -> None:
    assert seen(until=5000) == []


@pytest.mark.parametrize("cause", ["strike", "key", "handle"])
def test_a_door_that_opens_after_its_cause_was_opened_and_after_none_was_forced(cause: str) -> None:
    of_its_own = [(MECHANICAL, "key")] if cause == "key" else []
    moves = [(500, cause, 1), (700, cause, 0), (3000, "contact", 1), (4000, "contact", 0)]
    if cause == "strike":
        del moves[1]
    assert seen(*moves) == [*of_its_own, (DOOR, "opened"), (DOOR, "closed")]
    late = [(at + 12_000 if name == "contact" else at, name, level) for at, name, level in moves]
    assert seen(*late) == [*of_its_own, (DOOR, "forced"), (DOOR, "closed")]


def test_a_handle_or_key_that_is_held_explains_a_door_that_opens_much_later() -> None:
    assert seen((500, "handle", 1), (30_000, "contact", 1)) == [(DOOR, "opened")]


def test_a_lock_that_does_not_see_the_handle_calls_nobody_an_intruder_who_may_be_a_guest_leaving() -> None:
    assert seen((500, "contact", 1), inputs=("contact", "key", "tamper")) == [(DOOR, "opened")]


def test_a_door_held_open_is_told_once_each_time() -> None:
    once = [(DOOR, "forced"), (DOOR, "held"), (DOOR, "closed")]
    moves = [(500, "contact", 1), (9000, "contact", 0)]
    again = [(at + 20_000, name, level) for at, name, level in moves]
    assert seen(*moves, *again, held=5) == once + once
    assert seen(*moves, held=10) == [(DOOR, "forced"), (DOOR, "closed")]


def test_what_bounces_is_told_when_it_has_come_to_rest() -> None:
    bouncing = [(500 + 50 * number, "contact", number % 2) for number in range(21)]
    assert seen(*bouncing) == []
    assert seen(*bouncing, (1600, "contact", 1)) == [(DOOR, "forced")]


def test_cover_and_key_are_told_as_they_are() -> None:
    assert seen((500, "tamper", 1), (900, "tamper", 0)) == [(TAMPER, "opened"), (TAMPER, "closed")]
    assert seen((500, "key", 1), (900, "key", 0), (1300, "key", 1)) == [(MECHANICAL, "key")] * 2


def test_what_is_not_at_rest_when_the_lock_boots_is_told() -> None:
    at_boot = {"contact": 1, "tamper": 1, "key": 0}
    assert seen(until=500, at_boot=at_boot) == [(TAMPER, "opened"), (DOOR, "found-open")]
    assert seen(until=9000, at_boot=at_boot, held=5) == [(TAMPER, "opened"), (DOOR, "found-open"), (DOOR, "held")]


def test_a_wire_that_is_cut_reads_as_its_alarm_and_one_that_is_not_fitted_as_nothing() -> None:
    cut = dict.fromkeys(INPUTS, 1)  # the level of the pull-up
    assert (TAMPER, "opened") in seen(until=500, at_boot=cut)
    assert seen(until=500, inputs=(), at_boot=cut) == []


def test_an_opening_from_before_the_ticks_wrapped_explains_no_open_door() -> None:
    set_up = _ON_LOCK.split("end = 0")[0]
    later = """
def look(times):
    for _ in range(times):
        clock[0] += sensors.LOOK_MS
        looking.look()
look(20)
strike.open()
clock[0] -= 5000  # what days that nobody counted look like once ticks have wrapped
wire("contact", 1)
look(20)
answer([what for _, _, what in recorder.events])
"""
    given = {"inputs": INPUTS, "held": 60, "at_boot": {}}
    assert run_on_lock(set_up + later, given) == ["forced"]
