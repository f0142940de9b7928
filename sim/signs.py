"""The door's signals, as the firmware declares them (`firmware.hardware.signals`)."""

import ast
import re
from dataclasses import dataclass

from sim.board.interpreter import ROOT

UNITS = {".": (2, 3), "-": (6, 3), "_": (0, 5)}
"""For each mark of a rhythm, how many units the light or the tone is on, and how many units it is off after that."""


@dataclass(frozen=True)
class Sign:
    """A row of the firmware's table.

    `colour` has the levels of red, green and blue as three digits. `light` and `tone` are rhythms, in the marks that
    the firmware explains. `hertz` is 0 if there is no tone.
    """

    name: str
    colour: str
    light: str
    hertz: int
    tone: str
    meaning: str


def signs() -> list[Sign]:
    """Return all rows, in the firmware's order."""
    found = []
    for line in _table().strip().split("\n"):
        name, colour, light, hertz, tone, meaning = line.split(" ", 5)
        found.append(Sign(name, colour, light, int(hertz), tone, meaning))
    return found


def in_words(rhythm: str) -> str:
    """Return a rhythm in words, such as "one long, two short"."""
    runs = re.findall(r"\.+|-+", rhythm)
    numbers = {1: "one", 2: "two", 3: "three", 6: "six"}
    said = [f"{numbers[len(run)]} {'long' if run[0] == '-' else 'short'}" for run in runs]
    return ", ".join(said) or ("steady" if rhythm == "=" else "dark")


def _table() -> str:
    # The module itself needs the chip's modules, so its source is read.
    tree = ast.parse((ROOT / "firmware/hardware/signals.py").read_text(encoding="utf-8"))
    return next(
        str(ast.literal_eval(node.value.args[0]))
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.targets[0]) == "_TABLE"
    )
