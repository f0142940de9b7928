"""The lights and tones of the door, from the board's reports of its lights and its buzzer."""

from collections.abc import Sequence
from dataclasses import dataclass

from firmware.boards import esp32_c6_devkitc_1 as pins
from sim.board.bus import BoardEvent
from sim.words import Phrase, phrase

_LIGHTS = pins.LIGHTS
_COLOURS = {
    (0, 0, 0): "no",
    (0, 0, 1): "blue",
    (0, 1, 0): "green",
    (0, 1, 1): "cyan",
    (1, 0, 0): "red",
    (1, 0, 1): "magenta",
    (1, 1, 0): "amber",
    (1, 1, 1): "white",
}
LIGHTS = {
    "no": phrase("no light"),
    "blue": phrase("blue light"),
    "green": phrase("green light"),
    "cyan": phrase("cyan light"),
    "red": phrase("red light"),
    "magenta": phrase("magenta light"),
    "amber": phrase("amber light"),
    "white": phrase("white light"),
}
"""For each colour, the name of the light for people."""
_TIMES = {1: phrase("once"), 2: phrase("twice"), 3: phrase("three times")}


@dataclass(frozen=True)
class Signal:
    """A tone of `hertz` that sounded `times` times, while the light had the colour `colour`."""

    colour: str
    hertz: int
    times: int

    def told(self) -> Phrase:
        """Return the signal in words."""
        times = _TIMES.get(self.times, phrase("{times} times", times=self.times))
        return phrase("{light}, {hertz} Hz {times}", light=LIGHTS[self.colour], hertz=self.hertz, times=times)

    def __str__(self) -> str:
        return str(self.told())


def signals(history: Sequence[BoardEvent], since: int = 0) -> list[Signal]:
    """Return the signals since the lock's ticks `since`, in order. Equal tones in the same light are one signal."""
    levels = dict.fromkeys(_LIGHTS, 0)
    found: list[Signal] = []
    fresh = True
    for event in history:
        facts = event.facts
        if facts.get("pin") in levels:
            fresh = fresh or levels[facts["pin"]] != facts["value"]
            levels[facts["pin"]] = facts["value"]
        elif facts.get("pwm") == pins.BUZZER and facts["duty"] and event.ticks >= since:
            colour = _COLOURS[levels[_LIGHTS[0]], levels[_LIGHTS[1]], levels[_LIGHTS[2]]]
            last = None if fresh or not found else found[-1]
            if last is not None and (last.colour, last.hertz) == (colour, facts["freq"]):
                found[-1] = Signal(colour, last.hertz, last.times + 1)
            else:
                found.append(Signal(colour, facts["freq"], 1))
            fresh = False
    return found


def dark(history: Sequence[BoardEvent]) -> bool:
    """Is every light off after the last event of `history`?"""
    levels = {event.facts["pin"]: event.facts["value"] for event in history if event.facts.get("pin") in _LIGHTS}
    return not any(levels.values())
