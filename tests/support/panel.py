"""The light and the buzzer of a door, as somebody in front of it sees and hears them, in virtual time."""

import asyncio
from collections.abc import Callable
from itertools import pairwise
from types import ModuleType
from typing import Any, ClassVar

from firmware.boards import esp32_c6_devkitc_1 as pins
from tests.support import pn532_scene as scene

PAUSE_MS = 1000
"""A rhythm is over once nothing has changed for this time."""

Change = tuple[int, Any]
"""A time in milliseconds, and what is shown or heard from then on."""


class Pin:
    """An output, as `machine.Pin`. `on_change` is called after each change."""

    OUT = 3
    made: ClassVar[dict[int, "Pin"]] = {}

    def __init__(self, number: int, mode: int = -1, value: int = 0) -> None:
        self.level = value
        self.on_change: Callable[[], None] = lambda: None
        self.made[number] = self

    def value(self, level: bool) -> None:
        """Set the level."""
        self.level = int(level)
        self.on_change()


class PWM:
    """A tone, as `machine.PWM`. `on_change` is called after each change."""

    def __init__(self, pin: Pin, freq: int, duty_u16: int) -> None:
        self._hertz, self._duty = freq, duty_u16
        self.on_change: Callable[[], None] = lambda: None
        type(self).last = self

    last: ClassVar["PWM"]

    @property
    def sounds(self) -> int:
        """The tone in Hz, or 0 while there is none."""
        return self._hertz if self._duty else 0

    def freq(self, hertz: int) -> None:
        """Set the pitch."""
        self._hertz = hertz
        self.on_change()

    def duty_u16(self, duty: int) -> None:
        """Switch the tone on, or off if `duty` is 0."""
        self._duty = duty
        self.on_change()


def machine() -> ModuleType:
    """Return a module that has what the firmware's signals need from `machine`."""
    made = ModuleType("machine")
    made.Pin, made.PWM = Pin, PWM  # type: ignore[attr-defined]
    return made


class Panel:
    """The light and the tones of the door. `signals` is the firmware's signals. These signals must have been made just
    before, with the module that `machine` returned.
    """

    def __init__(self, signals: Any) -> None:
        self.signals = signals
        self.lit: list[Change] = []
        """Changes of the light, as (milliseconds, levels of red, green and blue)."""
        self.heard: list[Change] = []
        """Changes of the tone, as (milliseconds, Hz or 0)."""
        self._pins = [Pin.made[number] for number in pins.LIGHTS]
        self._buzzer = PWM.last
        for pin in self._pins:
            pin.on_change = lambda: _note(self.lit, self.light)
        self._buzzer.on_change = lambda: _note(self.heard, self._buzzer.sounds)

    @property
    def light(self) -> tuple[int, ...]:
        return tuple(pin.level for pin in self._pins)

    @property
    def tones(self) -> list[tuple[int, int]]:
        """All tones so far, as (Hz, milliseconds)."""
        return [(hertz, end - at) for (at, hertz), (end, _) in pairwise(self.heard) if hertz]

    @property
    def silent(self) -> bool:
        return not self.heard or not self.heard[-1][1]

    async def watched(self, seconds: float, begin: Callable[[], None]) -> tuple[list[Change], list[Change]]:
        """Call `begin`, and return the changes of light and tone in the `seconds` after this call. Times begin at 0."""
        self.lit, self.heard = [], []
        start = _milliseconds()
        begin()
        await asyncio.sleep(seconds)
        end = (round(seconds * 1000), None)
        return tuple([*((at - start, state) for at, state in found), end] for found in (self.lit, self.heard))  # type: ignore[return-value]


def _note(changes: list[Change], state: Any) -> None:
    now = _milliseconds()
    if changes and changes[-1][0] == now:
        changes.pop()  # the pins change one after the other, within a moment
    if not changes or changes[-1][1] != state:
        changes.append((now, state))


def _milliseconds() -> int:
    """Return the virtual time, or 0 where there is no event loop."""
    try:
        return round(scene.now() * 1000)
    except RuntimeError:
        return 0


def rhythm(changes: list[Change]) -> tuple[int, ...]:
    """Return the lengths, in milliseconds, of the beats until nothing changes for PAUSE_MS. It does not matter which
    light or which tone is on.

    A light that stays on is one endless beat. The last change is the end of the time in which somebody watched.
    """
    found: list[int] = []
    for (at, state), (end, _) in pairwise(changes):
        on = bool(any(state) if isinstance(state, tuple) else state)
        if on:
            found.append(end - at)
        if end - at >= PAUSE_MS and (found or not on):
            return tuple(found)
    return tuple(found)
