"""Faults: errors that nobody foresaw. A fault ends one link, connection or message and nothing else. None is hidden.

A hostile peer, a radio stack or a bug of our own may cause an exception of any type. The code that serves one peer
turns it into a `FaultError`, which ends that link, connection or message as any other MooringError does. It is logged
with its type and place, and counted by type for `status`. Its text is left out, because it may quote what the peer
sent.
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
"""Waits before a task that should never end is started again after a fault."""


class FaultError(TransportError):
    """An unforeseen exception: its `kind` (name of the type) and `place` (file and line), without its text."""

    def __init__(self, error: BaseException) -> None:
        self.kind = type(error).__name__
        self.place = _place(error)
        super().__init__(CODE, f"{self.kind} at {self.place}. This is a bug; please report it.")


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"


class Faults:
    """Counts the faults of one agent, by type."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> dict[str, int]:
        """How many faults there were since the start, by name of the type."""
        return dict(self._counts)

    def note(self, error: BaseException, **facts: object) -> FaultError:
        """Log and count an exception as a fault; returns the fault. `facts` name the peer, never what the peer sent."""
        fault = error if isinstance(error, FaultError) else FaultError(error)
        self._counts[fault.kind] += 1
        log.event("agent.fault", **facts, code=CODE, type=fault.kind, place=fault.place)
        return fault

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Note exceptions from a library's callbacks in `loop`, and from its tasks that nobody awaits."""
        loop.set_exception_handler(lambda _loop, context: self._take(context))

    def _take(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, BaseException):
            self.note(error, part="loop")
        else:
            log.event("agent.loop", reason=str(context.get("message"))[:200])


async def keep(part: str, work: Callable[[], Coroutine[Any, Any, None]], faults: Faults) -> None:
    """Do `work` until it returns, and start it again after a fault. Raises MooringError: then going on is useless."""
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
    """Was the current task cancelled?

    If not, a CancelledError comes from a backend that gave up one of its own calls. Without this check it would end the
    awaiting task silently.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
