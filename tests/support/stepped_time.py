"""An event loop whose time moves only when a test moves it. Threads, brokers and sockets are real."""

import asyncio
import time
from collections.abc import Awaitable, Callable

STEP_SECONDS = 0.05
_BREATH_SECONDS = 0.002
"""Real time between two steps, in which threads and peers work. If this time is too short, the peers only seem slower.
"""


class SteppedTime(asyncio.SelectorEventLoop):
    """An event loop whose time is the sum of its steps. A slow machine does not make any timer due earlier."""

    def __init__(self) -> None:
        super().__init__()
        self._passed = 0.0

    def time(self) -> float:
        return self._passed

    def step(self, seconds: float = STEP_SECONDS) -> None:
        """Let `seconds` pass."""
        self._passed += seconds


async def time_passes(until: Callable[[], object]) -> None:
    """Let time pass, step by step, until `until()` is true."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SteppedTime)
    while not until():
        loop.step()
        # Everything that is due after this step runs before the next step.
        for _ in range(4):
            await asyncio.sleep(0)
        await asyncio.to_thread(time.sleep, _BREATH_SECONDS)


def run(story: Callable[[], Awaitable[None]]) -> None:
    """Run `story` on stepped time."""

    async def told() -> None:
        await story()

    with asyncio.Runner(loop_factory=SteppedTime) as runner:
        runner.run(told())
