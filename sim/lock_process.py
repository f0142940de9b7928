"""The lock as a process of its own: the real firmware on the real interpreter, its console read line by line."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from protocol.errors import TransportError
from sim.board.interpreter import ROOT, Interpreter
from sim.hang import HANG_SECONDS

BOOT_SCRIPT = ROOT / "sim" / "board" / "start.py"


@dataclass(frozen=True)
class ConsoleLine:
    """One event on the lock's console: when it was read here (seconds, monotonic), the lock's own ticks, facts."""

    at: float
    ticks: int
    event: str
    facts: Mapping[str, str]


class LockProcess:
    """Starts, watches and kills the lock. `console` holds every line of this boot and those before, oldest first."""

    def __init__(self, interpreter: Interpreter, environment: Mapping[str, str], log: Path) -> None:
        self._interpreter = interpreter
        self._environment = environment
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()
        self.console: list[ConsoleLine] = []
        self.ended = True
        """Is the power off, and the console read to its end?"""

    async def start(self, extra: Mapping[str, str] | None = None) -> None:
        """Boot. `extra` adds to the environment of this boot only (faults)."""
        self._process = await asyncio.create_subprocess_exec(
            *self._interpreter.command(BOOT_SCRIPT),
            env=self._interpreter.environment({**self._environment, **(extra or {})}),
            stdin=asyncio.subprocess.DEVNULL,  # its cable is not plugged in
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self.ended = False
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        with self._log.open("ab") as log:
            async for raw in self._process.stdout:
                log.write(raw)
                log.flush()
                line = _parse(raw)
                if line is not None:
                    async with self._changed:
                        self.console.append(line)
                        self._changed.notify_all()
        async with self._changed:
            self.ended = True
            self._changed.notify_all()

    async def wait_for(
        self, event: str, *, since: int = 0, where: Callable[[ConsoleLine], bool] | None = None
    ) -> ConsoleLine:
        """The first `event` among console lines from index `since` on, of those that `where` holds for.

        Raises TransportError `lock.silent` after HANG_SECONDS, `lock.ended` when the lock ended before it.
        """
        return await self.wait_for_any((event,), since=since, where=where)

    async def wait_for_any(
        self,
        events: Sequence[str],
        *,
        since: int = 0,
        where: Callable[[ConsoleLine], bool] | None = None,
    ) -> ConsoleLine:
        """As `wait_for`, for whichever of `events` comes first."""

        def find() -> ConsoleLine | None:
            wanted = (line for line in self.console[since:] if line.event in events)
            return next((line for line in wanted if where is None or where(line)), None)

        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(lambda: find() is not None or self.ended), HANG_SECONDS)
            except TimeoutError:
                raise TransportError(
                    "lock.silent", f"no {events[0]} in {HANG_SECONDS:.0f} s; see {self._log}"
                ) from None
            found = find()
        if found is None:
            raise TransportError("lock.ended", f"the lock ended before {events[0]}; see {self._log}")
        return found

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


def _parse(raw: bytes) -> ConsoleLine | None:
    words = raw.decode("utf-8", "replace").split()
    if len(words) < 2 or not words[0].lstrip("-").isdigit():
        return None
    facts = dict(word.split("=", 1) for word in words[2:] if "=" in word)
    return ConsoleLine(time.monotonic(), int(words[0]), words[1], facts)
