"""Tells what a guest perceives at a door: light, tone, strike and contact. The reports of the door's board tell all of
this."""

import time
from dataclasses import dataclass, replace

from firmware.boards import esp32_c6_devkitc_1 as pins
from sim.board.bus import BoardEvent
from sim.door import Door
from sim.shown import Light

_DARK = (0, 0, 0)
_SIGNS = {
    (0, 0, 1): ("reading",),
    (0, 1, 1): ("ask",),
    (0, 1, 0): ("allowed",),
    (1, 0, 0): ("refused_stay", "refused_document", "refused_phone"),
    (1, 1, 0): ("obstructed", "again"),
    (1, 1, 1): ("busy",),
    (1, 0, 1): ("fault",),
}
"""Maps each colour to the names of the signals in this colour. These signals differ in the number of beats
(docs/door-signals.md)."""


@dataclass(frozen=True)
class Face:
    """What can be perceived at one moment.

    `lamp` has the levels of red, green and blue. `tone` is in Hz, 0 for silence. `strike` is true if the strike is
    open, and `contact` is true if the door is open. The beats until now show the signal, and `pattern` is its name.
    Without power, `pattern` is None. `tag` is true while something other than a phone lies on the reader.
    """

    power: bool = False
    lamp: tuple[int, int, int] = _DARK
    tone: int = 0
    strike: bool = False
    contact: bool = False
    pattern: str | None = None
    tag: bool = False


class Panel:
    """Follows the reports of the board at one door. `face` is what the reports have shown so far."""

    def __init__(self, door: Door) -> None:
        self.face = Face()
        self._bus = door.bus
        self._antenna = door.reader.antenna
        self._read = 0
        self._light = Light()
        self._beats = 0
        self._sign = "idle"

    def read(self) -> list[tuple[float, Face]]:
        """Read the new reports. Returns each change: the monotonic time in seconds, and the new face."""
        changes: list[tuple[float, Face]] = []

        def show(at: float, face: Face) -> None:
            face = replace(face, pattern=self._sign if face.power else None)
            if face != self.face:
                self.face = face
                changes.append((at, face))

        for event in self._bus.history[self._read :]:
            show(event.at, self._after(event))
        self._read = len(self._bus.history)
        # The board does not report its power, its inputs or what lies on the reader. So read their present values.
        contact = bool(self._bus.inputs.get(pins.INPUTS["contact"], 0))
        tag = len(self._antenna.cards) > len(self._antenna.phones())
        show(time.monotonic(), replace(self.face, power=self._bus.powered, contact=contact, tag=tag))
        return changes

    def _after(self, event: BoardEvent) -> Face:
        """Return the face after `event`."""
        facts = event.facts
        if "journal" in facts or facts.get("power") == "off":
            self._light, self._sign, self._beats = Light(), "idle", 0
            return Face(power="journal" in facts, contact=self.face.contact, tag=self.face.tag)
        if facts.get("pin") == pins.STRIKE:
            return replace(self.face, strike=bool(facts["value"]))
        if facts.get("pin") in pins.LIGHTS:
            self._light.take(facts["pin"], facts["value"])
            # The firmware sets the three lights one after the other. Only after the last of them do the lights show a
            # colour.
            if facts["pin"] == pins.LIGHTS[-1]:
                return self._lit(self._light.levels)
        if facts.get("pwm") == pins.BUZZER:
            tone = facts["freq"] if facts["duty"] else 0
            if tone and self._sign == "obstructed":  # "obstructed" has the colour of "again", but no tone
                self._sign = "again"
            return replace(self.face, tone=tone)
        return self.face

    def _lit(self, lamp: tuple[int, int, int]) -> Face:
        signs = _SIGNS.get(lamp, ())
        if signs:
            again = self._sign in signs and self._beats > 0
            self._beats = self._beats + (self.face.lamp == _DARK) if again else 1
            self._sign = signs[min(self._beats, len(signs)) - 1]
        elif self._light.paused:
            self._sign, self._beats = "idle", 0
        return replace(self.face, lamp=lamp)
