"""Pictograms, drawn for Mooring. Each pictogram fits into a square of 100 by 100 units, and `placed` puts it on a
sheet.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

from sim.paper.sheet import WHITE, Path, Shape, Step

SQUARE = 100.0
_ROUND = 0.5523
"""A Bézier curve draws a quarter of a circle of radius 1. Its two middle points are this far from its ends."""


def box(x: float, y: float, width: float, height: float, radius: float = 0.0) -> Path:
    """Return a rectangle with rounded corners of this radius."""
    right, bottom, r, k = x + width, y + height, radius, radius * (1 - _ROUND)
    if not r:
        return [("M", x, y), ("L", right, y), ("L", right, bottom), ("L", x, bottom), ("Z",)]
    return [
        ("M", x + r, y), ("L", right - r, y), ("C", right - k, y, right, y + k, right, y + r),
        ("L", right, bottom - r), ("C", right, bottom - k, right - k, bottom, right - r, bottom),
        ("L", x + r, bottom), ("C", x + k, bottom, x, bottom - k, x, bottom - r),
        ("L", x, y + r), ("C", x, y + k, x + k, y, x + r, y), ("Z",),
    ]  # fmt: skip


def disc(x: float, y: float, radius: float) -> Path:
    """Return a circle."""
    return box(x - radius, y - radius, 2 * radius, 2 * radius, radius)


def lines(*points: tuple[float, float]) -> Path:
    """Return a line through `points`."""
    return [("M", *points[0]), *(("L", *point) for point in points[1:])]


def arc(x: float, y: float, radius: float, begin: float, end: float) -> Path:
    """Return a part of a circle, between two angles in degrees. 0 points to the right, 90 downwards."""
    steps = [math.radians(begin + (end - begin) * step / 24) for step in range(25)]
    return lines(*((x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in steps))


def phone_with_id() -> list[Shape]:
    """A phone that shows an ID: a card with a face and lines of text."""
    return [
        Shape(box(24, 2, 52, 96, 9), line=6),
        Shape(lines((43, 90), (57, 90)), line=4),
        Shape(box(33, 26, 34, 48, 4), line=4),
        Shape(disc(50, 39, 6)),
        Shape([("M", 39.0, 56.0), ("C", 39.0, 44.0, 61.0, 44.0, 61.0, 56.0), ("Z",)]),
        Shape(lines((40, 66), (60, 66)), line=4),
    ]


def phone_at_reader() -> list[Shape]:
    """A phone that is held to a reader on the wall."""
    return [
        Shape(lines((4, 2), (4, 98)), line=8),
        Shape(box(8, 24, 22, 52, 4)),
        *(Shape(arc(22, 50, radius, -38, 38), line=6) for radius in (20, 32, 44)),
        *turned([Shape(box(66, 14, 34, 66, 7), line=6), Shape(lines((78, 73), (88, 73)), line=4)], 12, 83, 50),
    ]


def door_to_push() -> list[Shape]:
    """A door that stands ajar, and an arrow that pushes it."""
    return [
        Shape(lines((6, 98), (6, 4), (66, 4), (66, 98)), line=6),
        Shape([("M", 6.0, 4.0), ("L", 44.0, 18.0), ("L", 44.0, 98.0), ("L", 6.0, 98.0), ("Z",)]),
        Shape(disc(36, 58, 4), ink=WHITE),
        Shape(lines((98, 56), (58, 56)), line=8),
        Shape([("M", 50.0, 56.0), ("L", 66.0, 44.0), ("L", 66.0, 68.0), ("Z",)]),
        Shape(lines((0, 98), (100, 98)), line=4),
    ]


def handset() -> list[Shape]:
    """The handset of a telephone."""
    grip = arc(50, 92, 66, -135, -45)
    return [
        *turned([Shape(grip, line=17), Shape(box(-6, 38, 27, 24, 6)), Shape(box(79, 38, 27, 24, 6))], -45, 50, 50),
    ]


def lamp(ink: str) -> list[Shape]:
    """A shining lamp of the colour `ink`."""
    rays = [math.radians(step * 45) for step in range(8)]
    return [
        Shape(disc(50, 50, 25), ink=ink),
        Shape(disc(50, 50, 25), line=5),
        *(
            Shape(lines(*((50 + far * math.cos(ray), 50 + far * math.sin(ray)) for far in (34, 47))), line=5)
            for ray in rays
        ),
    ]


def dark_lamp() -> list[Shape]:
    """A lamp that is off."""
    return [Shape(disc(50, 50, 25), line=5)]


def loudspeaker(sounds: bool) -> list[Shape]:
    """A loudspeaker. If `sounds` is true, waves come from the loudspeaker. If not, the loudspeaker is crossed out."""
    horn: Path = [("M", 8.0, 36.0), ("L", 26.0, 36.0), ("L", 50.0, 14.0), ("L", 50.0, 86.0), ("L", 26.0, 64.0),
                  ("L", 8.0, 64.0), ("Z",)]  # fmt: skip
    if sounds:
        return [Shape(horn), *(Shape(arc(50, 50, radius, -45, 45), line=6) for radius in (18, 34))]
    return [Shape(horn), Shape(lines((62, 38), (86, 62)), line=6), Shape(lines((62, 62), (86, 38)), line=6)]


def placed(shapes: Iterable[Shape], x: float, y: float, size: float) -> list[Shape]:
    """Return a pictogram as a square of `size`, whose upper left corner is at `x`, `y`."""
    scale = size / SQUARE
    return [
        replace(shape, path=_moved(shape.path, lambda a, b: (x + a * scale, y + b * scale)), line=shape.line * scale)
        for shape in shapes
    ]


def turned(shapes: Iterable[Shape], degrees: float, x: float, y: float) -> list[Shape]:
    """Return `shapes` turned clockwise around the point `x`, `y`."""
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))

    def turn(a: float, b: float) -> tuple[float, float]:
        return x + (a - x) * cosine - (b - y) * sine, y + (a - x) * sine + (b - y) * cosine

    return [replace(shape, path=_moved(shape.path, turn)) for shape in shapes]


def _moved(path: Path, move: Callable[[float, float], tuple[float, float]]) -> list[Step]:
    moved: list[Step] = []
    for kind, *numbers in path:
        points = zip(numbers[::2], numbers[1::2], strict=True)
        moved.append((kind, *(number for point in points for number in move(*point))))
    return moved
