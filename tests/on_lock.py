"""Runs a snippet on the real MicroPython interpreter under the lock's heap limit, for tests of both runtimes."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from sim.board import interpreter

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
from firmware import ticks
ticks.now = lambda: _ms
"""
"""In front of a snippet: its loop's time, and the lock's, jumps to the next timer when there is nothing else to do."""


def run_on_lock(source: str, value: Any = None) -> Any:
    """Run `source` on MicroPython and return what it passes to `answer(...)`; `given` is `value` there.

    Both travel as JSON. Raises AssertionError with the interpreter's own words when it fails.
    """
    prelude = (
        "import json, sys\n"
        "given = json.load(open(sys.argv[1]))\n"
        "def answer(value):\n    print('\\x02' + json.dumps(value))\n"
    )
    lock = interpreter.find()
    with tempfile.TemporaryDirectory() as folder:
        script, argument = Path(folder, "snippet.py"), Path(folder, "given.json")
        script.write_text(prelude + source)
        argument.write_text(json.dumps(value))
        done = subprocess.run(
            lock.command(script, str(argument)),
            env=lock.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return json.loads(done.stdout.rsplit("\x02", 1)[1])
