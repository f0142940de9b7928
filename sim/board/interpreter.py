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
"""The checkout. The lock imports `firmware` and `protocol` from here."""

STAND_INS = ROOT / "sim" / "board" / "modules"
HEAP = "512k"
"""Heap of the lock. Objects here are twice as large as on the chip, so it corresponds to less there."""
SOURCES_HEAP = "768k"
"""The heap where there is no compiler for this machine. The sources need more of it than compiled modules."""


@dataclass(frozen=True)
class Interpreter:
    """A program that can run the lock. `runtime` is "micropython" or "cpython", `version` its own version."""

    runtime: str
    version: str
    program: str

    @property
    def heap(self) -> str | None:
        """The size of the lock's heap, as the interpreter's option has it. None on CPython, where there is no limit."""
        if self.runtime != "micropython":
            return None
        return SOURCES_HEAP if compiled.folder(ROOT, self.program) is None else HEAP

    def command(self, script: Path, *arguments: str) -> list[str]:
        """Command line that runs `script` with `arguments`."""
        heap = [] if self.heap is None else ["-X", f"heapsize={self.heap}"]
        return [self.program, *heap, str(script), *arguments]

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The process environment, with the lock's module path and `extra`."""
        paths = [str(ROOT), str(STAND_INS)]
        variable = "PYTHONPATH"
        if self.runtime == "micropython":
            variable = "MICROPYPATH"
            made = compiled.folder(ROOT, self.program)
            paths = [*([str(made)] if made else []), *paths, ".frozen"]
        value = os.pathsep.join(paths)
        return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", variable: value, **(extra or {})}

    def __str__(self) -> str:
        return f"{self.runtime} {self.version}"


@cache
def find(runtime: str = "micropython") -> Interpreter:
    """The interpreter for `runtime`. Raises ConfigError `interpreter.missing`, with what to do."""
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
    return Interpreter("micropython", answer.stdout.strip(), program)
