"""An event loop whose clock stands still while the process works. With this event loop, many locks in one process do
not depend on the machine's speed.

The clock advances only while the loop waits, and by no more than the loop wanted to wait. So the work of other locks
and a busy machine never use up a time limit in this process. Such a limit is the 250 ms that a lock's driver gives the
reader chip. Other processes live by this machine's clock. For the other processes, this process is only slow.
"""

import asyncio
import selectors
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


class _Selector(selectors.DefaultSelector):
    """A selector that adds up the time for which the loop waited."""

    waited = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        began = time.monotonic()
        ready = super().select(timeout)
        waited = time.monotonic() - began
        self.waited += waited if timeout is None else min(waited, max(0.0, timeout))
        return ready


class PatientLoop(asyncio.SelectorEventLoop):
    """The loop."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        """Return the clock in seconds. The clock begins at `time.monotonic()`. From then on the clock is behind
        `time.monotonic()`.
        """
        return self._began + self._clock.waited


def run(story: Coroutine[Any, Any, _T]) -> _T:
    """Run `story` on a `PatientLoop`, as `asyncio.run` does on an ordinary loop."""
    with asyncio.Runner(loop_factory=PatientLoop) as runner:
        return runner.run(story)
