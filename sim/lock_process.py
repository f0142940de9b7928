"""The lock as a process of its own: the real firmware on the real interpreter, its console read line by line."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from protocol.errors import ConfigError
from sim.board.interpreter import ROOT, Interpreter
from sim.hang import HANG_SECONDS
from sim.lock_console import ConsoleLine, LockConsole

BOOT_SCRIPT = ROOT / "sim" / "board" / "start.py"
ENROL_SCRIPT = ROOT / "sim" / "board" / "enrol.py"
NEEDED_TO_ENROL = ("MOORING_FLASH", "MOORING_RADIO")
"""What of a lock's environment an installer's laptop needs. The board is not on its bus then: this is no boot."""


class Lock(Protocol):
    """A lock that can be enrolled, started, watched and killed, whatever runs it. `console` is what it has said."""

    @property
    def console(self) -> list[ConsoleLine]:
        """Every line of this boot and those before, oldest first."""

    @property
    def ended(self) -> bool:
        """Is the power off, and the console read to its end?"""

    async def enrol(self, province_public: bytes, fittings: bytes) -> bytes:
        """Have the lock make its keys; returns its request to enrol. Raises ConfigError `lock.enrolment`."""

    async def start(self, extra: Mapping[str, str] | None = None) -> None:
        """Boot. `extra` adds to the environment of this boot only (faults)."""

    async def wait_for(
        self, event: str, *, since: int = 0, where: Callable[[ConsoleLine], bool] | None = None
    ) -> ConsoleLine:
        """The first `event` among console lines from index `since` on, of those that `where` holds for.

        Raises TransportError `lock.silent` after HANG_SECONDS, `lock.ended` when the lock ended before it.
        """

    async def wait_for_any(
        self, events: Sequence[str], *, since: int = 0, where: Callable[[ConsoleLine], bool] | None = None
    ) -> ConsoleLine:
        """As `wait_for`, for whichever of `events` comes first."""

    async def wait_ended(self) -> int:
        """Wait until the lock has ended by itself and return its exit code."""

    def power_off(self) -> None:
        """Take the power away, now; `kill` also waits until the lock is gone."""

    async def kill(self) -> None:
        """Take the power away, and wait until the lock has ended and its console is read."""


class LockProcess:
    """A `Lock` that is a process. It finds its board by `environment`."""

    def __init__(self, interpreter: Interpreter, environment: Mapping[str, str], log: Path) -> None:
        self._interpreter = interpreter
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._console = LockConsole(log)

    @property
    def console(self) -> list[ConsoleLine]:
        """Every line of this boot and those before, oldest first."""
        return self._console.lines

    @property
    def ended(self) -> bool:
        """Is the power off, and the console read to its end?"""
        return self._console.ended

    async def enrol(self, province_public: bytes, fittings: bytes) -> bytes:
        """Have the lock make its keys; returns its request to enrol. Raises ConfigError `lock.enrolment`."""
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
        """Boot. `extra` adds to the environment of this boot only (faults)."""
        self._process = await asyncio.create_subprocess_exec(
            *self._interpreter.command(BOOT_SCRIPT),
            env=self._interpreter.environment({**self._environment, **(extra or {})}),
            stdin=asyncio.subprocess.DEVNULL,  # its cable is not plugged in
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert self._process.stdout is not None
        self._console.ended = False
        self._reading = asyncio.create_task(self._console.follow(self._process.stdout))

    async def wait_for(
        self, event: str, *, since: int = 0, where: Callable[[ConsoleLine], bool] | None = None
    ) -> ConsoleLine:
        """The first `event` among console lines from index `since` on, of those that `where` holds for.

        Raises TransportError `lock.silent` after HANG_SECONDS, `lock.ended` when the lock ended before it.
        """
        return await self._console.wait_for_any((event,), since=since, where=where)

    async def wait_for_any(
        self, events: Sequence[str], *, since: int = 0, where: Callable[[ConsoleLine], bool] | None = None
    ) -> ConsoleLine:
        """As `wait_for`, for whichever of `events` comes first."""
        return await self._console.wait_for_any(events, since=since, where=where)

    async def wait_ended(self) -> int:
        """Wait for the process to end by itself (a power cut by the flash) and return its exit code."""
        assert self._process is not None and self._reading is not None
        code = await asyncio.wait_for(self._process.wait(), HANG_SECONDS)
        await self._reading
        return code

    def power_off(self) -> None:
        """Take the power away, now; `kill` also waits until the process is gone."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def kill(self) -> None:
        """Take the power away and wait until the process has ended and its console is read."""
        if self._process is None:
            return
        self.power_off()
        await self._process.wait()
        if self._reading is not None:
            await self._reading


def enrolment_request(said: str, shown: str) -> bytes:
    """The request in what `sim.board.enrol` said. Raises ConfigError `lock.enrolment`, with `shown`."""
    words = said.split()
    if len(words) < 2 or words[-2] != "request":
        raise ConfigError("lock.enrolment", f"the lock did not enrol: {shown[-300:]}")
    return bytes.fromhex(words[-1])
