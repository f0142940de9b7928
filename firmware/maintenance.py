"""The maintenance console. The console answers the commands of a laptop on the USB cable (`protocol/console.py`). The
console runs no code that comes over the cable.

In service, the REPL is off, so the cable reaches only this console. Anybody may plug in a cable, so some commands need
the button inside:

    command                              what it needs
    status, log, export                  nothing; records are sealed
    fittings (read), inputs, signals     the button inside, held until the command is over
    fittings (write), strike             the button likewise, and a durable record before anything happens

A press counts only if the button was seen open before. A press counts for at most five minutes. So nothing opens if a
button sticks or if somebody has bridged its wires:

    state     look                                   next state
    _STUCK    open twice in a row                    _OPEN
    _OPEN     pressed twice in a row                 _HELD
    _HELD     open                                   _OPEN
    _HELD     pressed for _MOST_MS                   _STUCK
"""

import asyncio
import gc
import select
import sys

from machine import Pin

from firmware.hardware import console, ticks
from firmware.hardware.console import log
from firmware.hardware.strike import PULSE_MS
from protocol import const
from protocol.console import DOWN_LIMIT, Assembler, encode, request
from protocol.errors import MooringError, RefusedError
from protocol.fittings import FILE, Fittings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from machine import WDT

    from firmware.boards import Board
    from firmware.hardware.sensors import Sensors
    from firmware.hardware.signals import Signals
    from firmware.hardware.strike import Strike
    from firmware.lock import Lock
    from firmware.memory.store import Store

LOOK_MS = 50
_MOST_MS = const(300000)
"""A button counts as held for at most this long. Nobody holds a button for longer."""
_QUIET_MS = const(10000)
"""If a lock cannot serve, it waits for a command for this long, and then starts again."""

_BURST = const(64)
"""Maximum number of bytes that are read at a time. The limit bounds the time that a flood on the line can take."""
_REST = const(1)
_REST_OF_A_VISIT = const(3)
"""Length of the console's rest after an answer, as a multiple of the time that the answer took. The second number is
used during a visit. The rest leaves time for the door."""
_ABSENT = const(0)
_STUCK = const(1)
_OPEN = const(2)
_HELD = const(3)
"""States of the button, as numbers in the status. _ABSENT means that the fittings have no button."""
_MICROPYTHON = sys.implementation.name == "micropython"


class Button:
    """The button inside. The lock reads the button's pin every LOOK_MS. A press begins when the button was read as
    pressed twice in a row. A press ends when the button is read as open once.
    """

    def __init__(self, pin: int) -> None:
        self._pin = Pin(pin, Pin.IN, Pin.PULL_UP)
        self._last = 0
        self._ready = False
        self._since: int | None = None

    def look(self) -> int:
        """Look at the pin. Returns _STUCK, _OPEN or _HELD."""
        level = self._pin.value()
        if level:
            self._since = None
            self._ready = self._ready or bool(self._last)
        elif not self._last and self._ready:
            if self._since is None:
                self._since = ticks.now()
            elif ticks.age(self._since) >= _MOST_MS:
                self._ready = False
        self._last = level
        if not self._ready:
            return _STUCK
        return _OPEN if self._since is None else _HELD


class Maintenance:
    """The console of a lock.

    `board` is a module of `firmware.boards`. `fittings` is None if the fittings cannot be used. In that case, the lock
    assumes that the button is wired, so that the fittings can be written again. `lock` is None if the lock's memory
    cannot be opened. `code` is the reason why the lock does not serve, or None if it serves.
    """

    def __init__(
        self,
        store: "Store",
        strike: "Strike",
        signals: "Signals",
        board: "Board",
        fittings: "Fittings | None",
        lock: "Lock | None",
        sensors: "Sensors | None" = None,
        code: "str | None" = None,
    ) -> None:
        self._store = store
        self._strike = strike
        self._signals = signals
        self._inputs = board.INPUTS
        self.button = Button(board.BUTTON) if fittings is None or fittings.button else None
        self._lock = lock
        self.sensors = sensors
        self._broken = code
        self._device: Any = getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)
        self._assembler = Assembler(DOWN_LIMIT)
        self._ended = False  # True after the line has ended; a serial line never ends
        self._over = False

    async def run(self, watchdog: "WDT | None" = None) -> None:
        """Serve. Returns when the lock has to start again because new fittings were written.

        If a `watchdog` is given, this method feeds it, and also returns when nobody has sent a command for ten seconds.
        """
        heard = ticks.now()
        while not self._over:
            if watchdog is not None:
                watchdog.feed()
                if self._ended or ticks.age(heard) >= _QUIET_MS:
                    return
            elif self._ended:
                await asyncio.Event().wait()
            if self.button is not None:
                self.button.look()
            line = self._read()
            began = ticks.now()
            if line is not None:
                heard = began
                await self._serve(line)
            # `took` is at most LOOK_MS, because a command that needs the button may last long but sleeps most of the
            # time.
            took = min(LOOK_MS, ticks.age(began))
            busy = self._lock is not None and self._lock.visits.going_on
            await asyncio.sleep((took * (_REST_OF_A_VISIT if busy else _REST) if line else LOOK_MS) / 1000)

    def _read(self) -> "bytes | None":
        """Return the next complete line for the console, or None."""
        try:
            for _ in range(_BURST):
                if not self._poll.poll(0):
                    return None
                byte = self._device.read(1)
                if not byte:
                    self._ended = True
                    return None
                line = self._assembler.push(byte[0])
                if line is not None:
                    return line
        except OSError:
            self._ended = True
        except MemoryError:
            self._assembler = Assembler(DOWN_LIMIT)
        return None

    async def _serve(self, line: bytes) -> None:
        # If memory is short, the command on the cable fails, and the door is not disturbed.
        try:
            number, command, argument = request(line)
        except (MooringError, MemoryError):
            return  # noise on the line; a laptop that got no answer asks again
        try:
            console.answer(encode([number, None, await self._command(command, argument)]))
            return
        except MooringError as error:
            code = error.code
        except MemoryError:
            code = "console.memory"
        console.answer(encode([number, code, None]))

    async def _command(self, command: str, argument: "Any") -> "Any":
        if command == "status":
            return self._status()
        if command == "log":
            return console.lines()
        if command == "export":
            for counter, data in self._open().records_from(argument):
                return [counter, data]
            return None
        self._check()
        log("console.used", command=command)
        if command == "fittings":
            return self._put(argument)
        if self._broken is not None:
            raise RefusedError("console.halted", "the lock does not serve")
        if command == "inputs":
            return {} if self.sensors is None else self.sensors.levels()
        return await (self._play() if command == "signals" else self._pulse())

    def _status(self) -> "list[Any]":
        lock, free = self._lock, 0
        if _MICROPYTHON:
            free = gc.mem_free()
        told: list[Any] = [1, None, 0, 0, False, False]
        if lock is not None:
            trusted, journal = lock.trusted, lock.journal
            placed = None not in (trusted.placement, trusted.trust, trusted.profile)
            timed = lock.clock.interval()[1] is not None
            told = [1, lock.identity.lock_id, journal.next_counter, journal.through, placed, timed]
        return told + [free, ticks.now(), _ABSENT if self.button is None else self.button.look(), self._broken]

    def _open(self) -> "Lock":
        if self._lock is None:
            raise RefusedError("console.halted", "the lock's memory could not be opened")
        return self._lock

    def _check(self) -> None:
        """Raises RefusedError unless the button is held."""
        if self.button is None:
            raise RefusedError("console.unfitted", "the fittings have no button, so nothing is written or moved")
        if self.button.look() != _HELD:
            raise RefusedError("console.button", "the button inside is not held")

    def _record(self, what: str) -> None:
        """Record an action before it happens. If this raises RefusedError or StorageError, the action must not
        happen."""
        lock = self._open()
        if lock.visits.going_on:
            raise RefusedError("console.busy", "somebody is being served")
        lock.recorder.act(what)
        self._check()  # check again, because writing took a moment

    def _put(self, content: "bytes | None") -> "bytes | None":
        if content is None:
            return self._store.read(FILE) or b"{}"
        Fittings.parse(content).check(self._inputs)
        self._record("fittings")
        self._store.write(FILE, content)
        self._over = True
        return None

    async def _pulse(self) -> None:
        self._record("strike")
        self._strike.open()
        opened = self._strike.opened_at
        while self._strike.opened_at == opened and ticks.age(opened or 0) < PULSE_MS:
            try:
                self._check()
            except RefusedError:
                if self._strike.opened_at == opened:  # a guest may have opened the door since
                    self._strike.shut()
                raise
            await asyncio.sleep(LOOK_MS / 1000)

    async def _play(self) -> None:
        if self._open().visits.going_on:
            raise RefusedError("console.busy", "somebody is being served")
        for name in ("refused_stay", "allowed", "ask"):
            self._signals.aside(name)
            while self._signals.answering:
                await asyncio.sleep(LOOK_MS / 1000)
                try:
                    self._check()
                except RefusedError:
                    self._signals.rest()
                    raise
