"""The lock as a separate process: the real firmware on the real interpreter. Its console is read line by line."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from protocol.errors import ConfigError
from sim.bell import Bell
from sim.board.interpreter import ROOT, Interpreter
from sim.hang import HANG_SECONDS
from sim.lock_console import ConsoleLine, LockConsole

BOOT_SCRIPT = ROOT / "sim" / "board" / "start.py"
ENROL_SCRIPT = ROOT / "sim" / "board" / "enrol.py"
NEEDED_TO_ENROL = ("MOORING_FLASH", "MOORING_RADIO")
"""Variables of a lock's environment that enrolment needs. MOORING_BOARD is not among them. Enrolment is not a boot, so
it must not appear on the board bus."""


class Lock(Protocol):
    """A lock that can be enrolled, started, watched and killed. It may be a process or a thread."""

    @property
    def console(self) -> list[ConsoleLine]:
        """Every console line of this boot and of earlier boots, oldest first."""

    @property
    def ended(self) -> bool:
        """Is the power off, and has the console been read to its end?"""

    async def enrol(self, province_public: bytes, fittings: bytes) -> bytes:
        """Have the lock make its keys. Returns its request to enrol. Raises ConfigError `lock.enrolment` on failure."""

    async def start(self, extra: Mapping[str, str] | None = None) -> None:
        """Boot. `extra`, for example a fault, is added to the environment of this boot only."""

    async def wait_for(
        self, event: str, *, since: int = 0, where: Callable[[ConsoleLine], bool] | None = None
    ) -> ConsoleLine:
        """Wait for a console line with `event`, at index `since` or later, for which `where` is true. Returns the line.

        Raises TransportError `lock.silent` after HANG_SECONDS, `lock.ended` if the lock ends before such a line.
        """

    async def wait_for_any(
        self, events: Sequence[str], *, since: int = 0, where: Callable[[ConsoleLine], bool] | None = None
    ) -> ConsoleLine:
        """As `wait_for`, but for the first line with any of `events`."""

    async def wait_ended(self) -> int:
        """Wait until the lock has ended by itself, and return its exit code."""

    def power_off(self) -> None:
        """Take the power away now. `kill` also waits until the lock has ended."""

    async def kill(self) -> None:
        """Take the power away. Wait until the lock has ended and its console has been read."""


class LockProcess:
    """A `Lock` that is a process. `environment` tells it where its board is. Its console rings the `bell`."""

    def __init__(
        self, interpreter: Interpreter, environment: Mapping[str, str], log: Path, bell: Bell | None = None
    ) -> None:
        self._interpreter = interpreter
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._console = LockConsole(log, bell)

    @property
    def console(self) -> list[ConsoleLine]:
        """Every console line of this boot and of earlier boots, oldest first."""
        return self._console.lines

    @property
    def ended(self) -> bool:
        """Is the power off, and has the console been read to its end?"""
        return self._console.ended

    async def enrol(self, province_public: bytes, fittings: bytes) -> bytes:
        """Have the lock make its keys. Returns its request to enrol. Raises ConfigError `lock.enrolment` on failure."""
        arguments = (province_public.hex(), fittings.decode(), os.urandom(32).hex())
        environment = {name: value for name, value in self._environment.items() if name in NEEDED_TO_ENROL}
        enrolment = await asyncio.create_subprocess_exec(
            *self._interpreter.command(ENROL_SCRIPT, *arguments),
            env=self._interpreter.environment(environment),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await enrolment.communicate()
        return enrolment_request(said.decode() if enrolment.returncode == 0 else "", said.decode())

    async def start(self, extra: Mapping[str, str] | None = None) -> None:
        """Boot. `extra`, for example a fault, is added to the environment of this boot only."""
        self._process = await asyncio.create_subprocess_exec(
            *self._interpreter.command(BOOT_SCRIPT),
            env=self._interpreter.environment({**self._environment, **(extra or {})}),
            stdin=asyncio.subprocess.DEVNULL,  # nothing is read, as when no cable is plugged into the lock
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert self._process.stdout is not None
        self._reading = self._console.follow(self._process.stdout)

    async def wait_for(
        self, event: str, *, since: int = 0, where: Callable[[ConsoleLine], bool] | None = None
    ) -> ConsoleLine:
        """Wait for a console line with `event`, at index `since` or later, for which `where` is true. Returns the line.

        Raises TransportError `lock.silent` after HANG_SECONDS, `lock.ended` if the lock ends before such a line.
        """
        return await self._console.wait_for_any((event,), since=since, where=where)

    async def wait_for_any(
        self, events: Sequence[str], *, since: int = 0, where: Callable[[ConsoleLine], bool] | None = None
    ) -> ConsoleLine:
        """As `wait_for`, but for the first line with any of `events`."""
        return await self._console.wait_for_any(events, since=since, where=where)

    async def wait_ended(self) -> int:
        """Wait until the process has ended by itself, by a planned power cut, and return its exit code."""
        assert self._process is not None and self._reading is not None
        code = await asyncio.wait_for(self._process.wait(), HANG_SECONDS)
        await self._reading
        return code

    def power_off(self) -> None:
        """Take the power away now. `kill` also waits until the process has ended."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def kill(self) -> None:
        """Take the power away. Wait until the process has ended and its console has been read."""
        if self._process is None:
            return
        self.power_off()
        await self._process.wait()
        if self._reading is not None:
            await self._reading


def enrolment_request(said: str, shown: str) -> bytes:
    """Return the request in the output `said` of `sim.board.enrol`.

    Raises ConfigError `lock.enrolment` if there is no request. The error's message contains the end of `shown`.
    """
    words = said.split()
    if len(words) < 2 or words[-2] != "request":
        raise ConfigError("lock.enrolment", f"the lock did not enrol: {shown[-300:]}")
    return bytes.fromhex(words[-1])
