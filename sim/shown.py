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
"""The names of the light in texts for people, by the colour of the light."""
_TIMES = {1: phrase("once"), 2: phrase("twice"), 3: phrase("three times")}


@dataclass(frozen=True)
class Signal:
    """A tone of `hertz` with `times` beats, while the light had the colour `colour`."""

    colour: str
    hertz: int
    times: int

    def told(self) -> Phrase:
        """Return the signal in words."""
        times = _TIMES.get(self.times, phrase("{times} times", times=self.times))
        return phrase("{light}, {hertz} Hz {times}", light=LIGHTS[self.colour], hertz=self.hertz, times=times)

    def __str__(self) -> str:
        return str(self.told())


class Light:
    """The light, from the reports of its three pins. `paused` is True if the light was dark, and was then switched off
    again.

    The lock always writes all three pins, in their order. Between two beats of a signal, the lock switches the light
    off once. In a pause, and at rest, the lock switches the dark light off once more (`firmware.hardware.signals`).
    """

    def __init__(self) -> None:
        self._levels = dict.fromkeys(_LIGHTS, 0)
        self._was_dark = True
        self.paused = False

    def take(self, pin: int, value: int) -> None:
        """Take one report."""
        if pin == _LIGHTS[0]:
            self._was_dark = not any(self._levels.values())
        self._levels[pin] = value
        if pin == _LIGHTS[-1]:
            self.paused = self._was_dark and not any(self._levels.values())

    @property
    def levels(self) -> tuple[int, int, int]:
        """The levels of red, green and blue."""
        return self._levels[_LIGHTS[0]], self._levels[_LIGHTS[1]], self._levels[_LIGHTS[2]]

    @property
    def colour(self) -> str:
        """The name of the colour."""
        return _COLOURS[self.levels]


def signals(history: Sequence[BoardEvent], since: int = 0) -> list[Signal]:
    """Return, in order, the signals since the moment at which the lock's ticks were `since`.

    Tones of the same pitch and colour are the beats of one signal, unless there is a pause between them.
    """
    light = Light()
    found: list[Signal] = []
    fresh = True
    for event in history:
        facts = event.facts
        if facts.get("pin") in _LIGHTS:
            light.take(facts["pin"], facts["value"])
            fresh = fresh or light.paused
        elif facts.get("pwm") == pins.BUZZER and facts["duty"] and event.ticks >= since:
            last = None if fresh or not found else found[-1]
            if last is not None and (last.colour, last.hertz) == (light.colour, facts["freq"]):
                found[-1] = Signal(light.colour, last.hertz, last.times + 1)
            else:
                found.append(Signal(light.colour, facts["freq"], 1))
            fresh = False
    return found


def paused(history: Sequence[BoardEvent]) -> bool:
    """Is the light dark after the last event of `history`, and not only between two beats of a signal?"""
    light = Light()
    for event in history:
        if event.facts.get("pin") in _LIGHTS:
            light.take(event.facts["pin"], event.facts["value"])
    return light.paused
