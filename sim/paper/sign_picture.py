"""A picture of one signal of the door: what its light and its tone do in the first seconds.

The upper line is the light, and the lower line is the tone. A block is a time in which the light is lit or the tone
sounds. A higher block is a higher tone. Everything that matters is black, so the picture also works without colours.
"""

import math

from sim.paper import pictograms
from sim.paper.sheet import Shape, Sheet
from sim.signs import UNITS, Sign, in_words

WIDTH, HEIGHT = 132.0, 47.0
LEFT, UNIT = 26.0, 2.8
"""The place at which the time axis begins, and the width of one unit of time."""
SHOWN = 36
"""Number of units of time that are shown."""
LIGHT_TOP, LIGHT_HEIGHT = 5.0, 13.0
_TONE_BOTTOM, _TONE_STEP, _TONE_HEIGHT = 43.0, 3.5, 3.5
_LOWEST_HERTZ = 110
_EDGE = 0.8
_INKS = {
    "000": "#ffffff",
    "001": "#1f6feb",
    "010": "#1a9e3f",
    "011": "#00b8c4",
    "100": "#d1242f",
    "101": "#c026b8",
    "110": "#f2a900",
    "111": "#ffffff",
}
ON = ("obstructed", "reading", "ask", "fault")
"""Signals that go on until the next signal."""


def drawn(sign: Sign) -> Sheet:
    """Return the picture of a signal."""
    title = f"{sign.meaning}: light {in_words(sign.light)}, tone {in_words(sign.tone) if sign.hertz else 'none'}"
    sheet = Sheet(WIDTH, HEIGHT, title, "en")
    ink = _INKS[sign.colour]
    lamp = pictograms.lamp(ink) if blocks(sign.light, True) else pictograms.dark_lamp()
    sheet.draw(*pictograms.placed(lamp, 2, 1, 21))
    sheet.draw(*pictograms.placed(pictograms.loudspeaker(bool(sign.hertz)), 4, 27, 17))
    for line in (LIGHT_TOP + LIGHT_HEIGHT, _TONE_BOTTOM):
        sheet.draw(Shape(pictograms.lines((LEFT, line), (LEFT + SHOWN * UNIT, line)), line=_EDGE))
    for begin, end in blocks(sign.light, sign.name in ON):
        block = pictograms.box(LEFT + begin * UNIT, LIGHT_TOP, (end - begin) * UNIT, LIGHT_HEIGHT)
        sheet.draw(Shape(block, ink=ink), Shape(block, line=_EDGE))
    if sign.hertz:
        up = _TONE_STEP * math.log2(sign.hertz / _LOWEST_HERTZ)
        for begin, end in blocks(sign.tone, False):
            top = _TONE_BOTTOM - _TONE_HEIGHT - up
            sheet.draw(Shape(pictograms.box(LEFT + begin * UNIT, top, (end - begin) * UNIT, _TONE_HEIGHT)))
    if sign.name in ON:
        sheet.draw(*_arrow(LEFT + SHOWN * UNIT + 1, LIGHT_TOP + LIGHT_HEIGHT))
    return sheet


def blocks(rhythm: str, goes_on: bool) -> list[tuple[int, int]]:
    """Return (begin, end) of each time in which the light or the tone is on. Begin and end are in units of time. What
    comes after SHOWN units is left out. If `goes_on` is true, the rhythm repeats.
    """
    if rhythm == "=":
        return [(0, SHOWN)]
    found, now = [], 0
    while now < SHOWN:
        for mark in rhythm:
            on, off = UNITS[mark]
            if on and now < SHOWN:
                found.append((now, min(now + on, SHOWN)))
            now += on + off
        if not goes_on:
            break
    return found


def _arrow(x: float, y: float) -> list[Shape]:
    return [Shape([("M", x, y - 1.8), ("L", x + 3.2, y), ("L", x, y + 1.8), ("Z",)])]
