"""A separate set of modules for each lock, so that many locks can run in one CPython process and share no state.

Some things exist only once in a lock, and the firmware keeps their state in modules: the generator's secret, the last
lines of the console, and the radio. So each lock here imports `firmware` and the stand-ins into its own table of
modules. `protocol` has no state and is shared. The firmware also uses parts of the process: environment, console,
standard input, event loop, sockets and exit. For these, each lock has its own copies of `os`, `sys`, `asyncio` and a
few other modules.
"""

import asyncio
import builtins
import gc
import os
import socket
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from sim.board.interpreter import ROOT, STAND_INS

_OWN = ("firmware", "sim")
"""Packages whose modules are imported separately for each lock."""
_STAND_INS = ("machine", "bluetooth", "esp32")


class LockModules:
    """The modules of one lock for one boot. `write` gets the text that the lock prints. The lock's thread calls it."""

    def __init__(self, environment: Mapping[str, str], write: Callable[[str], None]) -> None:
        self._write = write
        self._own: dict[str, ModuleType] = {}
        self._files: list[Any] = []
        self._lines: list[socket.socket] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self.dark = False
        """Has the lock lost its power? If so, its further actions are neither seen nor stored."""
        self._builtins = {**vars(builtins), "__import__": self._import, "print": self._print, "open": self._open}
        self._lent = {
            "os": _copy(os, environ=dict(environment), getenv=environment.get, _exit=self._exit),
            "sys": _copy(sys, stdin=_nothing_to_read()),
            "asyncio": _copy(asyncio, run=self._run),
            "socket": _copy(socket, socket=self._socket),
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
        for line in self._lines:
            with suppress(OSError):  # the other end may already have closed the line
                line.shutdown(socket.SHUT_RDWR)
        for file in self._files:
            file.close()
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop may have ended by itself
                loop.call_soon_threadsafe(loop.stop)

    def release(self) -> None:
        """Close all files and lines that the lock has left open. Call this when the thread has ended."""
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

    def _socket(self, *arguments: Any, **options: Any) -> socket.socket:
        line = socket.socket(*arguments, **options)
        self._lines.append(line)
        return line

    def _exit(self, code: int) -> None:
        self.cut_power()
        sys.exit(code)

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        loop = self._loop = asyncio.new_event_loop()
        loop.set_exception_handler(self._complain)
        try:
            if self.dark:
                loop.stop()
            return loop.run_until_complete(work)
        except RuntimeError:
            if self.dark:
                sys.exit()  # tasks are not cancelled, because a task could keep waiting in `finally`
            raise
        finally:
            loop.close()

    def _complain(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not self.dark:
            loop.default_exception_handler(context)


def _place(name: str) -> Path:
    stem = (STAND_INS if name in _STAND_INS else ROOT) / name.replace(".", "/")
    return stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")


@cache
def _compiled(path: Path) -> CodeType:
    return compile(path.read_bytes(), str(path), "exec", dont_inherit=True)


def _copy(module: ModuleType, **others: Any) -> ModuleType:
    """Return a copy of `module`, in which `others` replace or add members."""
    copied = ModuleType(module.__name__)
    vars(copied).update(vars(module))
    vars(copied).update(others)
    return copied


@cache
def _nothing_to_read() -> Any:
    return open(os.devnull)
