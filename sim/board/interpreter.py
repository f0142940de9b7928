"""Finds the interpreter that runs the lock, and builds the command line that starts it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from protocol.errors import ConfigError
from sim.board import compiled

ROOT = Path(__file__).resolve().parents[2]
"""Folder of the checkout. The lock imports `firmware` and `protocol` from this folder."""

STAND_INS = ROOT / "sim" / "board" / "modules"
HEAP = "512k"
"""Heap of the lock. An object is twice as large here as on the chip. So a smaller heap on the chip holds as many
objects as this heap.
"""
SOURCES_HEAP = "768k"
"""Heap of the lock if there is no compiler for this machine. Sources need more heap than compiled modules."""


@dataclass(frozen=True)
class Interpreter:
    """A program that can run the lock. `runtime` is "micropython" or "cpython". `version` is the program's version.

    `compiles` says whether the lock's software is compiled first, where that is possible.
    """

    runtime: str
    version: str
    program: str
    compiles: bool = True

    @property
    def modules(self) -> Path | None:
        """Folder with the compiled modules of the lock. If needed, the modules are compiled now. If this is None, the
        lock runs the sources.
        """
        return compiled.folder(ROOT, self.program) if self.compiles and self.runtime == "micropython" else None

    @property
    def heap(self) -> str | None:
        """Size of the lock's heap, in the form of the interpreter's option. None on CPython, which has no limit."""
        if self.runtime != "micropython":
            return None
        return SOURCES_HEAP if self.modules is None else HEAP

    def command(self, script: Path, *arguments: str) -> list[str]:
        """Return the command line that runs `script` with `arguments`."""
        heap = [] if self.heap is None else ["-X", f"heapsize={self.heap}"]
        return [self.program, *heap, str(script), *arguments]

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of this process, with the lock's module path and `extra` added."""
        paths = [str(ROOT), str(STAND_INS)]
        variable = "PYTHONPATH"
        if self.runtime == "micropython":
            variable = "MICROPYPATH"
            paths = [*([str(self.modules)] if self.modules else []), *paths, ".frozen"]
        value = os.pathsep.join(paths)
        return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", variable: value, **(extra or {})}

    def __str__(self) -> str:
        return f"{self.runtime} {self.version}"


@cache
def find(runtime: str = "micropython") -> Interpreter:
    """Return the interpreter for `runtime`: "micropython", "cpython", or "sources".

    "sources" is MicroPython too, but the lock's software is not compiled first.

    Raises ConfigError `interpreter.missing` if the interpreter is not installed. The message says what to do.
    """
    if runtime == "cpython":
        return Interpreter("cpython", sys.version.split()[0], sys.executable)
    beside = Path(sys.executable).parent / "micropython"
    program = str(beside) if beside.exists() else shutil.which("micropython")
    if program is None:
        raise ConfigError(
            "interpreter.missing",
            "there is no MicroPython here, as its wheel has no build for this machine: put a MicroPython 1.29 unix "
            "port named `micropython` on PATH, or choose --runtime cpython",
        )
    question = "import sys; print('.'.join(map(str, sys.implementation[1][:3])))"
    answer = subprocess.run([program, "-c", question], capture_output=True, text=True, timeout=20, check=False)
    if answer.returncode != 0:
        raise ConfigError("interpreter.broken", f"{program} does not run: {answer.stderr.strip()[-200:]}")
    return Interpreter("micropython", answer.stdout.strip(), program, compiles=runtime != "sources")
