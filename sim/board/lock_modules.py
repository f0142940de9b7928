"""A separate set of modules for each lock, so that many locks can run in one CPython process and share no state.

Some things exist only once in a lock: the generator's secret, the last lines of the console, and the radio. The
firmware keeps the state of these things in modules. So each lock here imports `firmware` and the stand-ins into its own
table of modules. `protocol` has no state and is shared. The firmware also uses parts of the process: environment,
console, standard input, event loop, clock, sockets and exit. For these parts, each lock has its own copies of `os`,
`sys`, `asyncio` and a few other modules.
"""

import asyncio
import builtins
import gc
import io
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from sim.board.interpreter import ROOT, STAND_INS
from sim.board.lock_lines import LockPoll, LockSocket, getaddrinfo
from sim.board.lock_loop import LockLoop

_OWN = ("firmware", "sim")
"""Packages whose modules are imported separately for each lock."""
_STAND_INS = ("machine", "bluetooth", "esp32")


class LockModules:
    """The modules of one lock for one boot. `write` gets the text that the lock prints.

    The lock's tasks run on the running event loop. The lock's program waits for these tasks. The program has a thread
    of its own, because it needs a stack. The program calls `rest` to wait for a future (see `sim.board.turns`).
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        write: Callable[[str], None],
        rest: Callable[["asyncio.Future[None]"], None],
    ) -> None:
        self._write = write
        self._rest = rest
        self._own: dict[str, ModuleType] = {}
        self._files: list[Any] = []
        self._lines: list[LockSocket] = []
        self._process = asyncio.get_running_loop()
        self._loop = LockLoop(self._process, self._wake)
        self._resting: asyncio.Future[None] | None = None
        self.dark = False
        """Has the lock lost its power? If so, the lock's further actions are neither seen nor stored."""
        self._builtins = {**vars(builtins), "__import__": self._import, "print": self._print, "open": self._open}
        loop = self._loop
        self._lent = {
            "os": _copy(os, environ=dict(environment), getenv=environment.get, _exit=self._exit),
            "sys": _copy(sys, stdin=io.TextIOWrapper(io.BytesIO())),  # nothing is read, as if no cable were connected
            "asyncio": _copy(asyncio, run=self._run, get_event_loop=lambda: loop, open_connection=self._streams),
            "socket": _copy(socket, socket=self._socket, getaddrinfo=getaddrinfo),
            "select": _copy(select, poll=LockPoll),
            "threading": _copy(threading, Timer=lambda seconds, ring: _Timer(loop, seconds, ring)),
            "time": _copy(time, monotonic_ns=lambda: round(loop.time() * 1e9)),
            "gc": _copy(gc, collect=lambda *_: 0),  # a garbage collection would go through the objects of all locks
        }

    def load(self, name: str) -> Any:
        """Return the lock's own module `name`. Import it first if needed."""
        if name in self._own:
            return self._own[name]
        parent, _, leaf = name.rpartition(".")
        if parent:
            self.load(parent)
        path = _place(name)
        module = ModuleType(name)
        module.__file__ = str(path)
        module.__package__ = name if path.name == "__init__.py" else parent
        if path.name == "__init__.py":
            module.__path__ = [str(path.parent)]
        vars(module)["__builtins__"] = self._builtins
        self._own[name] = module
        try:
            exec(_compiled(path), vars(module))  # noqa: S102  this imports the module into the lock's own table
        except BaseException:
            del self._own[name]
            raise
        if parent:
            setattr(self._own[parent], leaf, module)
        return module

    def cut_power(self) -> None:
        """Stop the lock's event loop. From now on, the lock reaches neither its flash nor its console nor its lines."""
        self.dark = True
        self.release()
        self._loop.stop()

    def release(self) -> None:
        """Close all files and lines that the lock has left open. Call this when the lock has ended."""
        for each in (*self._lines, *self._files):
            each.close()

    # --- what the lock's modules have instead of the process's -------------------------------------------------------

    def _import(
        self, name: str, names: Any = None, local: Any = None, fromlist: Any = (), level: int = 0
    ) -> ModuleType:
        if name in self._lent:
            return self._lent[name]
        if name not in _STAND_INS and name.partition(".")[0] not in _OWN:
            return __import__(name, names, local, fromlist, level)
        module: ModuleType = self.load(name)
        for each in fromlist or ():
            if not hasattr(module, each):
                self.load(f"{name}.{each}")
        return module if fromlist else self._own[name.partition(".")[0]]

    def _print(self, *words: object) -> None:
        if not self.dark:
            self._write(" ".join(map(str, words)) + "\n")

    def _open(self, *arguments: Any, **options: Any) -> Any:
        if self.dark:
            raise OSError("no power")
        file = open(*arguments, **options)  # noqa: SIM115  the caller closes it
        self._files = [each for each in self._files if not each.closed] + [file]
        return file

    def _socket(self, *_arguments: Any) -> LockSocket:
        line = LockSocket(self._loop, self._wait)
        self._lines.append(line)
        return line

    async def _streams(self, *, sock: LockSocket) -> tuple[asyncio.StreamReader, None]:
        """As `asyncio.open_connection`. The stand-ins only read from the stream."""
        reader = asyncio.StreamReader()

        def read() -> None:
            data = sock.recv(1 << 16)
            reader.feed_data(data)
            if not data:
                reader.feed_eof()
                self._loop.remove_reader(sock)

        self._loop.add_reader(sock, read)
        return reader, None

    def _exit(self, code: int) -> None:
        self.cut_power()
        sys.exit(code)

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        task = self._loop.create_task(work)
        task.add_done_callback(lambda _: self._wake())
        self._sleep(lambda: task.done() or self._loop.stopped)
        if self._loop.exited is not None:
            raise self._loop.exited
        self._loop.stop()
        return task.result()

    def _wait(self, line: LockSocket) -> None:
        self._loop.add_reader(line, self._wake)
        self._sleep(line.readable)
        self._loop.remove_reader(line)

    def _sleep(self, until: Callable[[], bool]) -> None:
        """Rest until `until()` is true. `_wake` has it asked again. Ends the lock's program if its power was cut."""
        while not self.dark and not until():
            self._resting = self._process.create_future()
            self._rest(self._resting)
        if self.dark:
            sys.exit()

    def _wake(self) -> None:
        if self._resting is not None and not self._resting.done():
            self._resting.set_result(None)


class _Timer:
    """As `threading.Timer`, without a thread. `ring` is called by the lock's event loop."""

    daemon = True

    def __init__(self, loop: LockLoop, seconds: float, ring: Callable[[], None]) -> None:
        self.start = lambda: loop.call_later(seconds, ring)


def _place(name: str) -> Path:
    stem = (STAND_INS if name in _STAND_INS else ROOT) / name.replace(".", "/")
    return stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")


@cache
def _compiled(path: Path) -> CodeType:
    return compile(path.read_bytes(), str(path), "exec", dont_inherit=True)


def _copy(module: ModuleType, **others: Any) -> ModuleType:
    """Return a copy of `module` to which `others` are added. A member of `others` replaces the module's member with the
    same name.
    """
    copied = ModuleType(module.__name__)
    vars(copied).update(vars(module))
    vars(copied).update(others)
    return copied
