"""The lock as a thread of this process, on CPython. One process can run many such locks.

Each lock runs the unmodified firmware over the same stand-ins, and has its own modules and its own event loop. But it
has no separate heap and no littlefs, and its event loop cannot be killed if it never yields. Tests of the heap, of
littlefs or of such a loop need a `LockProcess`.
"""

import asyncio
import os
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from sim.bell import Bell
from sim.board.lock_modules import LockModules
from sim.hang import HANG_SECONDS
from sim.lock import NEEDED_TO_ENROL, Lock, enrolment_request

THREAD_NAME = "lock"


class LockThread(Lock):
    """A `Lock` that is a thread."""

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
        modules = LockModules(environment, said.append)
        await self._threaded(modules, lambda: modules.load("sim.board.enrol").enrol(*arguments), said.append)
        return enrolment_request("".join(said), "".join(said))

    async def start(self, extra: Mapping[str, str] | None = None) -> None:
        """Boot. `extra` is added to the environment of this boot only."""
        loop = asyncio.get_running_loop()
        printed = asyncio.StreamReader()

        def write(text: str) -> None:
            loop.call_soon_threadsafe(printed.feed_data, text.encode())

        modules = self._modules = LockModules({**self._environment, **(extra or {})}, write)
        self._ending = self._threaded(modules, lambda: modules.load("sim.board.boot").boot(), write)
        self._ending.add_done_callback(lambda _: printed.feed_eof())
        self._reading = self._console.follow(printed)

    def _threaded(
        self, modules: LockModules, work: Callable[[], None], write: Callable[[str], None]
    ) -> "asyncio.Future[int]":
        """Run `work` in a new thread. The result is the exit code with which a process would have ended.

        If an error ends `work`, its traceback is written as an interpreter would print it.
        """
        loop = asyncio.get_running_loop()
        ending: asyncio.Future[int] = loop.create_future()

        def run() -> None:
            code = 0
            try:
                work()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
            except BaseException:  # noqa: BLE001  any error ends this lock, and no other lock
                write(traceback.format_exc())
                code = 1
            modules.release()
            loop.call_soon_threadsafe(finish, code)

        def finish(code: int) -> None:
            thread.join()  # the thread has nothing left to do
            ending.set_result(code)

        thread = threading.Thread(target=run, name=THREAD_NAME, daemon=True)
        thread.start()
        return ending

    async def wait_ended(self) -> int:
        """Wait until the lock has ended by itself, by a planned power cut, and return its exit code."""
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
