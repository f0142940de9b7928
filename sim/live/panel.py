"""What a guest perceives at a door: light, tone, strike and contact, from the reports of the door's board."""

import time
from dataclasses import dataclass, replace

from firmware.boards import esp32_c6_devkitc_1 as pins
from sim.board.bus import BoardBus, BoardEvent

_DARK = (0, 0, 0)
_RED = (1, 0, 0)
_AMBER = (1, 1, 0)
_PATTERNS = {
    _DARK: "idle",
    (0, 0, 1): "reading",
    (0, 1, 1): "ask",
    (0, 1, 0): "allowed",
    (1, 1, 1): "busy",
    (1, 0, 1): "fault",
}
_REDS = ("refused_stay", "refused_document", "refused_phone")
"""Names of the red signals. The number of tones tells them apart (docs/door-signals.md)."""


@dataclass(frozen=True)
class Face:
    """What can be perceived at one moment.

    `lamp` has the levels of red, green and blue. `tone` is in Hz, 0 for silence. `strike` is true if it is open, and
    `contact` if the door is. `pattern` is the name of the signal, or None without power.
    """

    power: bool = False
    lamp: tuple[int, int, int] = _DARK
    tone: int = 0
    strike: bool = False
    contact: bool = False
    pattern: str | None = None


class Panel:
    """Follows the reports of one board. `face` is what they say so far."""

    def __init__(self, bus: BoardBus) -> None:
        self.face = Face()
        self._bus = bus
        self._read = 0
        self._levels = dict.fromkeys(pins.LIGHTS, 0)
        self._tones = 0

    def read(self) -> list[tuple[float, Face]]:
        """Read the new reports. Returns each change: the monotonic time in seconds, and the new face."""
        changes: list[tuple[float, Face]] = []

        def show(at: float, face: Face) -> None:
            face = replace(face, pattern=self._pattern(face))
            if face != self.face:
                self.face = face
                changes.append((at, face))

        for event in self._bus.history[self._read :]:
            show(event.at, self._after(event))
        self._read = len(self._bus.history)
        # Power and inputs are no reports of the board. They are as they are now.
        contact = bool(self._bus.inputs.get(pins.INPUTS["contact"], 0))
        show(time.monotonic(), replace(self.face, power=self._bus.powered, contact=contact))
        return changes

    def _after(self, event: BoardEvent) -> Face:
        """Return the face after `event`."""
        facts = event.facts
        if "journal" in facts:
            self._levels = dict.fromkeys(pins.LIGHTS, 0)
            return Face(power=True, contact=self.face.contact)
        if facts.get("power") == "off":
            return Face(contact=self.face.contact)
        if facts.get("pin") == pins.STRIKE:
            return replace(self.face, strike=bool(facts["value"]))
        if facts.get("pin") in self._levels:
            self._levels[facts["pin"]] = facts["value"]
            # The firmware sets the three lights one after the other. Only after the last one they show a colour.
            if facts["pin"] == pins.LIGHTS[-1]:
                red, green, blue = (self._levels[light] for light in pins.LIGHTS)
                return self._lit((red, green, blue))
        if facts.get("pwm") == pins.BUZZER:
            tone = facts["freq"] if facts["duty"] else 0
            self._tones += bool(tone) and tone != self.face.tone
            return replace(self.face, tone=tone)
        return self.face

    def _lit(self, lamp: tuple[int, int, int]) -> Face:
        if lamp != self.face.lamp:
            self._tones = 0
        return replace(self.face, lamp=lamp)

    def _pattern(self, face: Face) -> str | None:
        if not face.power:
            return None
        if face.lamp == _RED:
            return _REDS[min(max(self._tones, 1), 3) - 1]
        if face.lamp == _AMBER:
            return "again" if self._tones else "obstructed"
        return _PATTERNS.get(face.lamp)
