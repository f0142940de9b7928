"""What the door itself tells: its contact, the inside handle, the mechanical key, the cover. Each change is an event.

Every input is a loop that is closed to ground at rest; a wire that is cut reads as its alarm. They are looked at
rather than waited for: a contact bounces, and a level that two looks agree on does not. Nothing here opens anything,
and the inside handle opens the door whether or not anybody looks.
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
"""How long after an opening, a turn of the key or a touch of the handle the door may open because of it."""


class Switch:
    """One input; `active` is the level that two looks in a row agreed on, at rest before the first."""

    def __init__(self, pin: int) -> None:
        self._pin = Pin(pin, Pin.IN, Pin.PULL_UP)
        self._last = 0
        self.active = False

    def changed(self) -> bool:
        """Look; True if `active` is another now."""
        level = self._pin.value()
        steady = level == self._last
        self._last = level
        if not steady or bool(level) == self.active:
            return False
        self.active = bool(level)
        return True


class Sensors:
    """The inputs that are fitted, on the board's `pins` by name. `run` for ever. `event` is called with the kind and
    the name of each event of `protocol.record.EVENTS`."""

    def __init__(
        self, pins: "dict[str, int]", fittings: "Fittings", strike: "Strike", event: "Callable[[int, str], None]"
    ) -> None:
        self._switches = {name: Switch(pins[name]) for name in fittings.inputs}
        self._held_ms = fittings.held_seconds * 1000
        self._strike = strike
        self._event = event
        self._touched: int | None = None  # when key or handle last was, or is
        self._open_since: int | None = None
        self._looks = 0

    async def run(self) -> None:
        """Look at the inputs until cancelled."""
        if not self._switches:
            return await asyncio.Event().wait()  # type: ignore[return-value]  # nothing is fitted, and nothing ends
        while True:
            self.look()
            await asyncio.sleep(LOOK_MS / 1000)

    def look(self) -> None:
        """One look at each input, and events for what it shows."""
        self._looks += 1
        # The causes before the door that opens because of them.
        for name in ("key", "handle", "tamper", "contact"):
            switch = self._switches.get(name)
            if switch is not None and switch.changed():
                self._tell(name, switch.active)
            if switch is not None and switch.active and name in ("key", "handle"):
                self._touched = ticks.now()
        # What explains an open door is forgotten long before ticks come round again.
        if self._touched is not None and ticks.age(self._touched) >= EXPLAINED_MS:
            self._touched = None
        if self._open_since is not None and ticks.age(self._open_since) >= self._held_ms:
            self._open_since = None  # once for each time it stands open
            self._event(record.DOOR, "held")

    def levels(self) -> "dict[str, bool]":
        """Each input that is fitted: is it away from its rest?"""
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
        """Why the door is open. Only a lock that sees the inside handle can tell who leaves from who breaks in."""
        if self._looks <= 2:
            return "found-open"
        for since in (self._strike.opened_at, self._touched):
            if since is not None and ticks.age(since) < EXPLAINED_MS:
                return "opened"
        return "forced" if "handle" in self._switches else "opened"
