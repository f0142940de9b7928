"""The lock as a thread of this process, on CPython. Many of them fit into one process.

Each runs the unmodified firmware over the same stand-ins, with modules and an event loop of its own. It has no heap of
its own and no littlefs, and a loop that never yields cannot be killed. A test of those needs a `LockProcess`.
"""

import asyncio
import os
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sim.board.lock_modules import LockModules
from sim.hang import HANG_SECONDS
from sim.lock_console import ConsoleLine, LockConsole
from sim.lock_process import NEEDED_TO_ENROL, enrolment_request


class LockThread:
    """A `sim.lock_process.Lock` that is a thread. It finds its board by `environment`."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._environment = environment
        self._console = LockConsole(log)
        self._modules: LockModules | None = None
        self._ending: asyncio.Future[int] | None = None
        self._reading: asyncio.Task[None] | None = None

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
        said: list[str] = []
        environment = {name: value for name, value in self._environment.items() if name in NEEDED_TO_ENROL}
        arguments = (province_public.hex(), fittings.decode(), os.urandom(32).hex())
        modules = LockModules(environment, said.append)
        await self._threaded(modules, lambda: modules.load("sim.board.enrol").enrol(*arguments), said.append)
        return enrolment_request("".join(said), "".join(said))

    async def start(self, extra: Mapping[str, str] | None = None) -> None:
        """Boot. `extra` adds to the environment of this boot only."""
        loop = asyncio.get_running_loop()
        printed = asyncio.StreamReader()

        def write(text: str) -> None:
            loop.call_soon_threadsafe(printed.feed_data, text.encode())

        modules = self._modules = LockModules({**self._environment, **(extra or {})}, write)
        self._console.ended = False
        self._ending = self._threaded(modules, lambda: modules.load("sim.board.boot").boot(), write)
        self._ending.add_done_callback(lambda _: printed.feed_eof())
        self._reading = asyncio.create_task(self._console.follow(printed))

    def _threaded(
        self, modules: LockModules, work: Callable[[], None], write: Callable[[str], None]
    ) -> "asyncio.Future[int]":
        """Run `work` in a thread of its own; the exit code that a process would have ended with.

        An error that ends it is written as an interpreter would print it.
        """
        loop = asyncio.get_running_loop()
        ending: asyncio.Future[int] = loop.create_future()

        def run() -> None:
            code = 0
            try:
                work()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
            except BaseException:  # noqa: BLE001  whatever it is, it ends this lock and no other
                write(traceback.format_exc())
                code = 1
            modules.release()
            loop.call_soon_threadsafe(ending.set_result, code)

        threading.Thread(target=run, daemon=True).start()
        return ending

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
        """Wait until the lock has ended by itself (a power cut by the flash) and return its exit code."""
        assert self._ending is not None and self._reading is not None
        code = await asyncio.wait_for(asyncio.shield(self._ending), HANG_SECONDS)
        await self._reading
        return code

    def power_off(self) -> None:
        """Take the power away now. Nothing that the lock still does is seen or kept."""
        if self._modules is not None:
            self._modules.cut_power()

    async def kill(self) -> None:
        """Take the power away, and wait until the lock has ended and its console is read."""
        self.power_off()
        if self._ending is not None and self._reading is not None:
            await asyncio.shield(self._ending)
            await self._reading
