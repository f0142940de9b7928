"""The lock as a separate process: the real firmware on the real interpreter."""

import asyncio
import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from sim.bell import Bell
from sim.board.interpreter import ROOT, Interpreter
from sim.hang import HANG_SECONDS
from sim.lock import NEEDED_TO_ENROL, Lock, enrolment_request

BOOT_SCRIPT = ROOT / "sim" / "board" / "start.py"
ENROL_SCRIPT = ROOT / "sim" / "board" / "enrol.py"


class LockProcess(Lock):
    """A `Lock` that is a process of `interpreter`."""

    def __init__(
        self, interpreter: Interpreter, environment: Mapping[str, str], log: Path, bell: Bell | None = None
    ) -> None:
        super().__init__(environment, log, bell)
        self._interpreter = interpreter
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

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

    async def wait_ended(self) -> int:
        """Wait until a planned power cut has ended the process, and return its exit code."""
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
