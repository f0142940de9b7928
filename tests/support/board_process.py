"""Starts the lock's interpreter in a separate process, to run a script on the stand-in board."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sim.board import interpreter
from tests.support.on_lock import as_compiled

RUNTIMES = ("micropython", "cpython")
HOST_SIDE = """
import sys
if sys.implementation.name == "cpython":
    from sim.board import cpython_runtime
    cpython_runtime.install()
"""


@asynccontextmanager
async def board(
    folder: Path, source: str, runtime: str, environment: dict[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Yield a process of the lock's interpreter that runs `source`."""
    script = folder / "board_script.py"
    source = HOST_SIDE + source
    script.write_text(as_compiled(source) if runtime == "micropython" else source)
    lock = interpreter.find(runtime)
    process = await asyncio.create_subprocess_exec(
        *lock.command(script),
        env=lock.environment(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
