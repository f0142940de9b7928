"""The door's switches: door contact, inside handle, mechanical key, cover. Each change of a switch is an event.

Every input is a loop that is closed to ground at rest, so a cut wire looks like an alarm. The inputs are polled because
contacts bounce. A new level counts only when it was read twice in a row. This module never opens the door. The inside
handle opens the door mechanically, whether this code runs or not.
"""

import asyncio

from machine import Pin

from firmware.hardware import ticks
from firmware.hardware.console import log
from firmware.hardware.strike import PULSE_MS
from protocol import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.hardware.strike import Strike
    from protocol.fittings import Fittings

LOOK_MS = 50

EXPLAINED_MS = PULSE_MS + 7000
"""How long an opening, a turn of the key or a touch of the handle counts as the reason why the door is open."""


class Switch:
    """One input. `active` is the latest level that was read twice in a row. At first, `active` is False (at rest)."""

    def __init__(self, pin: int) -> None:
        self._pin = Pin(pin, Pin.IN, Pin.PULL_UP)
        self._last = 0
        self.active = False

    def changed(self) -> bool:
        """Look at the input once. Return True if `active` has changed."""
        level = self._pin.value()
        steady = level == self._last
        self._last = level
        if not steady or bool(level) == self.active:
            return False
        self.active = bool(level)
        return True


class Sensors:
    """The inputs that are wired according to `fittings`. `pins` has the board's pin for each name of an
    input. The fittings must have passed their check against the board.

    For each event, `event` is called with the kind of the event and its WHAT (`protocol.record.EVENTS`).
    """

    def __init__(
        self, pins: "dict[str, int]", fittings: "Fittings", strike: "Strike", event: "Callable[[int, str], None]"
    ) -> None:
        self._switches = {name: Switch(pins[name]) for name in fittings.inputs}
        self._held_ms = fittings.held_seconds * 1000
        self._strike = strike
        self._event = event
        self._touched: int | None = None  # times at which the key or the handle was last active
        self._open_since: int | None = None
        self._looks = 0

    async def run(self) -> None:
        """Look at the inputs until cancelled."""
        if not self._switches:
            return await asyncio.Event().wait()  # type: ignore[return-value]  # no input is wired; wait for ever
        while True:
            self.look()
            await asyncio.sleep(LOOK_MS / 1000)

    def look(self) -> None:
        """Look at each input once, and report the events."""
        self._looks += 1
        # Look at the key and the handle before the contact, because they may be the reason why the door opens.
        for name in ("key", "handle", "tamper", "contact"):
            switch = self._switches.get(name)
            if switch is not None and switch.changed():
                self._tell(name, switch.active)
            if switch is not None and switch.active and name in ("key", "handle"):
                self._touched = ticks.now()
        # Forget these times long before the ticks wrap round.
        if self._touched is not None and ticks.age(self._touched) >= EXPLAINED_MS:
            self._touched = None
        if self._open_since is not None and ticks.age(self._open_since) >= self._held_ms:
            self._open_since = None  # report "held" at most once while the door stays open
            self._event(record.DOOR, "held")

    def levels(self) -> "dict[str, bool]":
        """Return a dict from the name of each wired input to a bool: True if the input is active (not at rest)."""
        return {name: switch.active for name, switch in self._switches.items()}

    def _tell(self, name: str, active: bool) -> None:
        log("sensor." + name, active=int(active))
        if name == "key" and active:
            self._event(record.MECHANICAL, "key")
        elif name == "tamper":
            self._event(record.TAMPER, "opened" if active else "closed")
        elif name == "contact":
            self._open_since = ticks.now() if active else None
            self._event(record.DOOR, self._opening() if active else "closed")

    def _opening(self) -> str:
        """Return the field WHAT for the event of an opened door. If no switch on the inside handle is wired, the lock
        cannot tell an intruder from a guest who leaves, so it never reports "forced"."""
        if self._looks <= 2:
            return "found-open"
        for since in (self._strike.opened_at, self._touched):
            if since is not None and ticks.age(since) < EXPLAINED_MS:
                return "opened"
        return "forced" if "handle" in self._switches else "opened"
