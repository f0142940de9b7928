"""The host's end of the board bus. The host gets reports of the lock's pins and of the journal's flash, and sets the
lock's inputs.

The stand-ins connect to the bus (MOORING_BOARD) and send a JSON line for each change. The lines are numbered in the
order of the changes. If the watchdog is not fed in time, `on_watchdog` is called. The function `on_watchdog` should
kill the lock, because a stuck process cannot reset itself.
"""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sim.bell import Bell
from sim.hang import HANG_SECONDS
from sim.loopback import Serving, serving

PinName = int | str


@dataclass(frozen=True)
class BoardEvent:
    """One line from the board. `at` is the time of the event loop in seconds, and `ticks` is the lock's milliseconds.

    `boot` is the number of the boot, from 1. `number` is the number of the line within its boot, from 1. At the
    beginning of each boot, the host adds a line with the number 0. In this line, `facts["journal"]` is the compressed
    content of the journal's partition.
    """

    at: float
    ticks: int
    facts: dict[str, Any]
    boot: int = 0
    number: int = 0


POWER_OFF = 1 << 30
"""The host gives this number to the lines that it adds when the power ends. Numbers from the board are always lower."""


class BoardBus:
    """Collects the events of one lock, over all its boots.

    `values` has the last known level of each output. `journal` is a function that returns the content of the journal's
    partition. The `bell` is rung at each event, at each input that is set, and when the power comes or goes.
    """

    def __init__(
        self,
        on_watchdog: Callable[[], None] | None = None,
        journal: Callable[[], bytes] | None = None,
        bell: Bell | None = None,
    ) -> None:
        self.history: list[BoardEvent] = []
        self.values: dict[PinName, int] = {}
        self.address = ""
        """The value for MOORING_BOARD. The value is set while the bus is `listening`."""
        self.on_watchdog = on_watchdog
        self.boots = 0
        """Number of times that a board has connected."""
        self._journal = journal
        self.expired = 0
        """Number of times that the watchdog was not fed in time."""
        self.inputs: dict[PinName, int] = {}
        """The level of each input that was set."""
        self._bell = bell or Bell()
        self._changed = asyncio.Condition()
        self._writer: asyncio.StreamWriter | None = None
        self._watchdog_seconds = 0.0
        self._watchdog: asyncio.TimerHandle | None = None

    @property
    def powered(self) -> bool:
        """Is a board connected? A board is connected from its boot until it loses its power."""
        return self._writer is not None

    @asynccontextmanager
    async def listening(self, serve: Serving = serving) -> AsyncIterator["BoardBus"]:
        """Serve the board by `serve`."""
        async with serve(self._serve) as self.address:
            try:
                yield self
            finally:
                self._stop_watchdog()

    def set_input(self, pin: PinName, value: int) -> None:
        """Set an input of the lock. The input keeps its value over reboots."""
        self.inputs[pin] = value
        if self._writer is not None:
            self._writer.write(_line(pin, value))
        self._bell.ring()

    async def wait_for(self, pin: PinName, value: int, *, since: int | None = None) -> BoardEvent:
        """Find the first report in `history[since:]` that gives `value` for the output `pin`, and return this report.
        Wait for this report if needed.

        Without `since`, return the last report of the output if the output is at `value` now. Otherwise wait for the
        next report that gives `value` for the output. Raises TimeoutError after HANG_SECONDS.
        """
        start = len(self.history) if since is None else since

        def find() -> BoardEvent | None:
            wanted = (e for e in self.history[start:] if e.facts.get("pin") == pin and e.facts["value"] == value)
            return next(wanted, None)

        if since is None and self.values.get(pin) == value:
            return self.changes(pin)[-1]
        async with asyncio.timeout(HANG_SECONDS), self._changed:
            await self._changed.wait_for(lambda: find() is not None)
        found = find()
        assert found is not None
        return found

    def changes(self, pin: PinName) -> list[BoardEvent]:
        """Return all reports of the levels of one output, oldest first."""
        return [event for event in self.history if event.facts.get("pin") == pin]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.boots += 1
        boot = self.boots
        if self._journal is not None:
            # The board does not change its flash during this copy, because it still waits for its inputs.
            await self._take({"journal": zlib.compress(self._journal(), 1)}, boot)
        for pin, value in self.inputs.items():
            writer.write(_line(pin, value))
        writer.write(b"\n")
        try:
            # If the last line is incomplete, the board lost its power while it was writing this line.
            while (line := await reader.readline()).endswith(b"\n"):
                await self._take(json.loads(line), boot)
        finally:
            if self._writer is writer:
                self._writer = None
                self._stop_watchdog()
                # Without power, every output goes to 0. The board can no longer report this, so the host adds the
                # lines.
                for pin, level in list(self.values.items()):
                    if level:
                        await self._take({"pin": pin, "value": 0, "power": "off", "n": POWER_OFF}, boot)
                self._bell.ring()

    async def _take(self, facts: dict[str, Any], boot: int) -> None:
        async with self._changed:
            number = int(facts.get("n", 0))
            self.history.append(
                BoardEvent(asyncio.get_running_loop().time(), int(facts.get("t", 0)), facts, boot, number)
            )
            if "pin" in facts:
                self.values[facts["pin"]] = facts["value"]
            self._changed.notify_all()
        self._bell.ring()
        if "wdt" in facts:
            self._watchdog_seconds = facts["wdt"] / 1000
        if "wdt" in facts or "feed" in facts:
            self._arm_watchdog()

    def _arm_watchdog(self) -> None:
        self._stop_watchdog()
        self._watchdog = asyncio.get_running_loop().call_later(self._watchdog_seconds, self._expire)

    def _stop_watchdog(self) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None

    def _expire(self) -> None:
        self.expired += 1
        if self.on_watchdog is not None:
            self.on_watchdog()


def _line(pin: PinName, value: int) -> bytes:
    return json.dumps({"pin": pin, "value": value}).encode() + b"\n"
