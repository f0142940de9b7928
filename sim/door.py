"""One door of a site. The door's lock is installed and running, and people use the door."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent.counted import counted
from firmware.boards import esp32_c6_devkitc_1 as pins
from protocol.errors import TransportError
from protocol.fittings import Fittings
from sim.bell import Bell
from sim.bookings import Bookings, taken
from sim.findings import Findings
from sim.hardware import SWAP_LOOKS, Hardware
from sim.lock_console import ConsoleLine
from sim.phone.phone import TapOutcome
from sim.shown import Signal, signals
from sim.tap import ANSWERS, Tap
from sim.true_time import TrueTime
from sim.visitors import Visitor
from sim.waiting import until
from sim.words import Phrase, phrase

_BETWEEN_CODES = 0.15
"""Seconds that a person needs before the first key of the next code. The simulator sends the other keys without pause,
faster than any person could type them."""


Act = Callable[[Callable[[TapOutcome], None]], Awaitable[TapOutcome]]
"""What a visitor does at the door. The function returns the outcome of the tap. Before it returns, the function may
call its argument with the outcome so far.
"""


@dataclass
class _Visit:
    """Somebody at the door: who came, when, and how many console lines and board reports there were before."""

    who: str | Phrase
    number: int
    began: float
    lines: int
    reports: int
    outcome: TapOutcome


class Door:
    """A door whose lock the province has placed at a listing.

    `bookings` sends statements of platform and province to the lock. `findings` counts what the lock and the province
    report. `taps` has every tap that is over. `say` is called with a line about each tap. The `bell` is rung at each
    moment that a phone reports.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        hardware: Hardware,
        fittings: Fittings,
        bookings: Bookings,
        clock: TrueTime,
        say: Callable[[Phrase], None],
        bell: Bell,
    ) -> None:
        self.name = name
        self.folder = folder
        self.image = hardware.image
        self.lock, self.bus, self.radio = hardware.lock, hardware.bus, hardware.radio
        self.reader, self.keypad = hardware.reader, hardware.keypad
        self.fittings = fittings
        self.lock_id = bookings.lock_id
        self.bookings = bookings
        self.findings = Findings(bookings.province, self.lock_id, self.lock, self.bus)
        self.taps: list[Tap] = []
        self._clock = clock
        self._say = say
        self._bell = bell
        self._visits: list[_Visit] = []
        self._visitors = 0
        self._ticks_passed = 0

    @property
    def address(self) -> str:
        """Bluetooth address of the lock's radio."""
        return self.radio.address

    # --- the lock ----------------------------------------------------------------------------------------------------

    async def boot(self, extra: Mapping[str, str] | None = None, statements: bool = False) -> None:
        """Power the lock up, and return once it knows the time.

        If `statements` is true, also wait until the lock holds the statements that the province signs for it. `extra`
        is added to the environment of this boot.
        """
        before = len(self.lock.console)
        await self.lock.start(extra)
        await self.lock.wait_for("lock.ready", since=before)
        for kind in ("time", "placement", "profile", "trust-list") if statements else ("time",):
            await taken(self.lock, kind, before)

    def pass_ticks(self, milliseconds: int) -> None:
        """Move the lock's ticks ahead at once. The lock's event loop still waits as long as before."""
        self._ticks_passed += milliseconds
        self.bus.set_input("ticks", self._ticks_passed)

    async def until(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait for a state of the door that no single event announces.

        Raises TransportError `site.waited` if `condition` does not become true in time.
        """
        await until(what, condition, self.folder)

    async def drain(self) -> None:
        """Wait until the lock holds a receipt for every record that it has written."""
        await self.until("all records receipted", self.findings.drained)

    async def settle(self, records: int) -> None:
        """Wait until the province holds this many `records` of openings, and the lock holds receipts for them."""
        found = self.findings
        await self.until(
            f"{counted(records, 'opening')} recorded at the province and receipted at the lock",
            lambda: found.recorded() >= records and found.receipted() >= records,
        )

    # --- people ------------------------------------------------------------------------------------------------------

    async def tap(self, visitor: Visitor, **tapping: Any) -> Tap:
        """Hold the visitor's phone to the reader until the lock has answered. `tapping` is passed on to `Phone.tap`."""

        def tap(follow: Callable[[TapOutcome], None]) -> Awaitable[TapOutcome]:
            return visitor.phone.tap(self.reader, follow=follow, **tapping)

        return await self._at_the_door(visitor.name, tap)

    async def enter(self, keys: str) -> Tap:
        """Type `keys`, which must end with `#`, on the keypad, and wait until the lock has answered."""

        async def typing(_: Callable[[TapOutcome], None]) -> TapOutcome:
            await asyncio.sleep(_BETWEEN_CODES)
            for key in keys:
                self.keypad.press(key)
            return TapOutcome("unfinished")

        return await self._at_the_door(phrase("somebody at the keypad"), typing, at_the_reader=False)

    async def switch(self, name: str, value: int) -> None:
        """Set one of the door's switches to `value` (0: at rest), and wait until the lock has noticed the change."""
        before = len(self.lock.console)
        self.bus.set_input(pins.INPUTS[name], value)
        await self.lock.wait_for("sensor." + name, since=before, where=lambda line: line.facts["active"] == str(value))

    def going_on(self) -> list[Tap]:
        """The taps that are going on now, as far as phone, lock and board have reported them."""
        return [self._reported(visit) for visit in self._visits]

    async def _at_the_door(self, who: str | Phrase, act: Act, at_the_reader: bool = True) -> Tap:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(self._clock.now()))
        self._visitors += 1
        before, events = len(self.lock.console), len(self.bus.history)
        visit = _Visit(who, self._visitors, asyncio.get_running_loop().time(), before, events, TapOutcome("unfinished"))

        def follow(outcome: TapOutcome) -> None:
            visit.outcome = outcome
            self._bell.ring()

        self._visits.append(visit)
        try:
            visit.outcome = await act(follow)
            with contextlib.suppress(TransportError):  # a lock without power writes nothing more
                begun = await self._noticed(before, at_the_reader)
                # The power may go and come back at any time. After a boot, the lock does not answer this visitor.
                answer = await self.lock.wait_for_any((*ANSWERS, "lock.ready"), since=begun)
                boots = self.bus.boots
                if answer.event == "tap.opened":
                    # The board reported the opening earlier, but over another connection, which may be slower.
                    await self.bus.wait_for(pins.STRIKE, 1, since=events)
                if answer.event in ANSWERS:
                    await self.until(
                        "the answer's tone",
                        lambda: self.lock.ended or self.bus.boots > boots or self._tone(answer) is not None,
                    )
            tap = self._reported(visit)
            self.taps.append(tap)
        finally:
            self._visits.remove(visit)
            self._bell.ring()
        self._say(phrase("{when}  {who}: {result}", when=when, who=who, result=tap.told()))
        return tap

    def _reported(self, visit: _Visit) -> Tap:
        """Return the tap of this visit, as far as it is reported."""
        history, console = self.bus.history[visit.reports :], self.lock.console[visit.lines :]
        moved = next((e for e in history if e.facts.get("pin") == pins.STRIKE and e.facts["value"] == 1), None)
        opened_at = None if moved is None else max(visit.began, self.findings.moment(moved.ticks))
        answered = next((line for line in console if line.event in ANSWERS), None)
        shown = None if answered is None else self._tone(answered)
        return Tap(visit.outcome, visit.began, console, moved, opened_at, shown, visit.who, visit.number)

    def _tone(self, answer: ConsoleLine) -> Signal | None:
        """Return the tone and the light that came with `answer`, or None if the tone has not begun yet."""
        # The lock switches the light, then writes the line, then starts the tone.
        return next(iter(signals(self.bus.history, since=answer.ticks)), None)

    async def _noticed(self, before: int, at_the_reader: bool) -> int:
        """Wait until the lock has begun to serve the visitor. Returns the index of the console line that says so.

        Raises TransportError `lock.unnoticed` if the lock does not notice the visitor.
        """
        looks, boots = self.reader.antenna.counts.looks, self.bus.boots

        def begun() -> int | None:
            lines = enumerate(self.lock.console[before:], before)
            return next((at for at, line in lines if line.event == "tap.start"), None)

        def in_vain() -> bool:
            # By now, the phone has left, and the reader has found the field empty several times. If the tap had begun,
            # the console would already say so. What was typed at a keypad does not outlast a boot.
            if at_the_reader:
                return self.reader.antenna.counts.looks >= looks + SWAP_LOOKS
            return self.bus.boots > boots

        await self.until("the lock notices", lambda: begun() is not None or in_vain() or self.lock.ended)
        for _ in range(20):  # lines of the lock may still be waiting in this event loop
            await asyncio.sleep(0)
        found = begun()
        if found is None:
            raise TransportError("lock.unnoticed", "the lock has not noticed the visitor")
        return found
