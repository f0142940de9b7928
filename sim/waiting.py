"""Waits for a state of the simulated world that no single event announces."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from protocol.errors import TransportError
from sim.hang import HANG_SECONDS


async def until(what: str, condition: Callable[[], bool], folder: Path) -> None:
    """Return once `condition` is true. After HANG_SECONDS, raises TransportError `site.waited`, whose message contains
    `what`.

    The error names `folder`, whose files show why the condition did not become true.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + HANG_SECONDS
    while not condition():
        if loop.time() > deadline:
            raise TransportError("site.waited", f"{what}: not within {HANG_SECONDS:.0f} s; see {folder}")
        await asyncio.sleep(0.02)
