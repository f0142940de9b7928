"""A lock in this process, on CPython. One process can run hundreds of such locks.

Each lock runs the unmodified firmware over the same stand-ins, and has its own modules. The tasks of all locks run on
the event loop of the process. The program of each lock only waits for the lock's tasks, so the program's thread rests.
Run the site on a `sim.patient_loop`, so that the locks do not use up each other's time. Such a lock has no separate
heap and no littlefs. A step of the lock that never ends cannot be killed. Tests of the heap, of littlefs or of such a
step need a `LockProcess`.
"""

import asyncio
import os
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from sim.bell import Bell
from sim.board.lock_modules import LockModules
from sim.board.turns import Turns
from sim.hang import HANG_SECONDS
from sim.lock import NEEDED_TO_ENROL, Lock, enrolment_request


class LockThread(Lock):
    """A `Lock` that is a thread. The lock's devices must be served by `sim.loopback.serving_directly`."""

    def __init__(self, environment: Mapping[str, str], log: Path, bell: Bell | None = None) -> None:
        super().__init__(environment, log, bell)
        self._modules: LockModules | None = None
        self._ending: asyncio.Future[int] | None = None
        self._reading: asyncio.Task[None] | None = None

    async def enrol(self, province_public: bytes, fittings: bytes) -> bytes:
        """Have the lock make its keys. Returns its request to enrol. Raises ConfigError `lock.enrolment` on failure."""
        said: list[str] = []
        environment = {name: value for name, value in self._environment.items() if name in NEEDED_TO_ENROL}
        arguments = (province_public.hex(), fittings.decode(), os.urandom(32).hex())
        _, ending = _begin(environment, said.append, "sim.board.enrol", "enrol", *arguments)
        await ending
        return enrolment_request("".join(said), "".join(said))

    async def start(self, extra: Mapping[str, str] | None = None) -> None:
        """Boot. `extra` is added to the environment of this boot only."""
        printed = asyncio.StreamReader()
        self._reading = self._console.follow(printed)
        environment = {**self._environment, **(extra or {})}
        self._modules, self._ending = _begin(
            environment, lambda text: printed.feed_data(text.encode()), "sim.board.boot", "boot"
        )
        self._ending.add_done_callback(lambda _: printed.feed_eof())

    async def wait_ended(self) -> int:
        """Wait until a planned power cut has ended the lock, and return the lock's exit code."""
        assert self._ending is not None and self._reading is not None
        code = await asyncio.wait_for(asyncio.shield(self._ending), HANG_SECONDS)
        await self._reading
        return code

    def power_off(self) -> None:
        """Take the power away now. After that, the lock's actions are neither seen nor stored."""
        if self._modules is not None:
            self._modules.cut_power()

    async def kill(self) -> None:
        """Take the power away. Wait until the lock has ended and its console has been read."""
        self.power_off()
        if self._ending is not None and self._reading is not None:
            await asyncio.shield(self._ending)
            await self._reading


def _begin(
    environment: Mapping[str, str], write: Callable[[str], None], module: str, function: str, *arguments: str
) -> tuple[LockModules, "asyncio.Future[int]"]:
    """Call a function of a module of a new lock. The future gets the exit code with which a process would have ended.

    If an error ends the function, the error's traceback is written as an interpreter would print it.
    """

    def work() -> int:
        code = 0
        try:
            getattr(modules.load(module), function)(*arguments)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:  # noqa: BLE001  any error ends this lock, and no other lock
            write(traceback.format_exc())
            code = 1
        modules.release()
        return code

    turns = Turns(work)
    modules = LockModules(environment, write, turns.rest)
    turns.begin()
    return modules, turns.ended
