"""Faults: errors that nobody foresaw. Each ends what it happened in and nothing else, and none is hidden.

A peer that is hostile, a radio stack or a bug of our own may bring about an exception of any type. Whoever works for
one peer turns it into a `FaultError`, which ends that link, connection or message as any other MooringError does; it is
logged with its type and place, and counted by type, for `status`. The text of the exception is left out, since it may
quote what the peer sent.
"""

import asyncio
import traceback
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from edge_agent import log
from edge_agent.backoff import Backoff
from protocol.errors import MooringError, TransportError

CODE: Final = "edge.fault"
RESTART: Final = Backoff(first=1.0, limit=60.0)
"""After a fault in what should never end."""


class FaultError(TransportError):
    """An unforeseen exception, by its `kind` (name of the type) and `place` (file and line), not by its text."""

    def __init__(self, error: BaseException) -> None:
        self.kind = type(error).__name__
        self.place = _place(error)
        super().__init__(CODE, f"{self.kind} at {self.place}; a fault of this software, please report it")


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"


class Faults:
    """Counts the faults of one agent, by type."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> dict[str, int]:
        """How many there were since the start, by name of the type."""
        return dict(self._counts)

    def note(self, error: BaseException, **facts: object) -> FaultError:
        """Log and count a fault, or what is one now. `facts` say whose; never what was said. Returns the fault."""
        fault = error if isinstance(error, FaultError) else FaultError(error)
        self._counts[fault.kind] += 1
        log.event("agent.fault", **facts, code=CODE, type=fault.kind, place=fault.place)
        return fault

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Note what comes out of callbacks that a library gave to `loop`, or of tasks of its own that nobody awaits."""
        loop.set_exception_handler(lambda _loop, context: self._take(context))

    def _take(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, BaseException):
            self.note(error, part="loop")
        else:
            log.event("agent.loop", reason=str(context.get("message"))[:200])


async def keep(part: str, work: Callable[[], Coroutine[Any, Any, None]], faults: Faults) -> None:
    """Do `work` until it returns, again after each fault. Raises MooringError: then there is no use in going on."""
    failures = 0
    while True:
        try:
            return await work()
        except asyncio.CancelledError as error:
            if cancelled():
                raise
            faults.note(error, part=part)
        except MooringError:
            raise
        except Exception as error:  # noqa: BLE001 -- contained here, and noted
            faults.note(error, part=part)
        failures += 1
        await asyncio.sleep(RESTART.wait(failures))


def cancelled() -> bool:
    """Was this very task cancelled? Else a CancelledError is a backend's own, for a call that it gave up, and would end
    the task that awaited it without a word."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
