"""Runs a snippet on the real MicroPython interpreter with the lock's heap limit, for tests of both runtimes."""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sim.board import compiled, interpreter
from tools.short_names import rename

VIRTUAL_TIME = """
import asyncio.core, time
_ms = time.ticks_add(time.ticks_ms(), 1 << 27)  # tasks that are due at once are queued with the machine's own ticks
class _Jumps:
    map = ()
    def wait_io_event(self, ms):
        global _ms
        assert ms >= 0, "everything waits for something that nobody will do"
        _ms = time.ticks_add(_ms, ms)
asyncio.core._io_queue = _Jumps()
asyncio.core.ticks = lambda: _ms
from firmware.hardware import ticks
ticks.now = lambda: _ms
"""
"""Code to put before a snippet. When nothing is due, this code lets the time jump to the next timer. The snippet's
event loop and the lock share this time.
"""


def as_compiled(source: str) -> str:
    """Return `source` with the short names that private members have in the compiled modules."""
    lock = interpreter.find()
    made = lock.modules
    names = json.loads((made / compiled.NAMES).read_text()) if made else {}
    private = {name: short for name, short in names.items() if name.startswith("_") and len(name) > 1}
    renamed = rename(source.encode(), private).decode()
    return re.sub('"(_[a-z_]+)"', lambda text: '"' + str(private.get(text[1], text[1])) + '"', renamed)


@contextmanager
def script_as_compiled(script: Path, before: str = "") -> Iterator[Path]:
    """Yield a copy of `script` that begins with the code `before` and was changed by `as_compiled`."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, script.name)
        copy.write_text(as_compiled(before + script.read_text()))
        yield copy


def run_on_lock(source: str, value: Any = None) -> Any:
    """Run `source` on MicroPython, and return the value that `source` passes to `answer(...)`.

    `source` gets `value` as a variable with the name `given`. `source` can use private members of the lock's modules by
    the names that the members have in the sources. Values travel as JSON. A failure raises AssertionError with the
    interpreter's output.
    """
    return json.loads(printed_on_lock(source, value).rsplit("\x02", 1)[1])


def printed_on_lock(source: str, value: Any = None) -> str:
    """Run `source` like `run_on_lock`, and return everything that it prints."""
    prelude = (
        "import json, sys\n"
        "given = json.load(open(sys.argv[1]))\n"
        "def answer(value):\n    print('\\x02' + json.dumps(value))\n"
    )
    lock = interpreter.find()
    with tempfile.TemporaryDirectory() as folder:
        script, argument = Path(folder, "snippet.py"), Path(folder, "given.json")
        script.write_text(as_compiled(prelude + source))
        argument.write_text(json.dumps(value))
        done = subprocess.run(
            lock.command(script, str(argument)),
            env=lock.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout
