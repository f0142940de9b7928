"""Faults: errors that nobody foresaw. A fault ends one link, connection or message and nothing else.

No fault is hidden. A hostile peer, a radio stack or a bug in this agent may cause an exception of any type. The code
that serves one peer turns the exception into a `FaultError`. Like any MooringError, a FaultError ends the link, the
connection or the message. The log shows the type and the place of the exception, and `status` counts faults by type.
The exception's text is left out, because it may quote the peer.
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
"""How long to wait after a fault before the task that ended is started again."""


class FaultError(TransportError):
    """An unforeseen exception. `kind` is the name of the exception's type, and `place` is its file and line. Its text
    is left out."""

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
        """Number of faults since the start, by name of the exception's type."""
        return dict(self._counts)

    def note(self, error: BaseException, **facts: object) -> FaultError:
        """Log and count an exception as a fault; return the fault. `facts` name the peer but never quote the peer."""
        fault = error if isinstance(error, FaultError) else FaultError(error)
        self._counts[fault.kind] += 1
        log.event("agent.fault", **facts, code=CODE, type=fault.kind, place=fault.place)
        return fault

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Log the exceptions that the event loop `loop` reports. These exceptions come from callbacks of a library, or
        from tasks that nobody awaits.
        """
        loop.set_exception_handler(lambda _loop, context: self._take(context))

    def _take(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, BaseException):
            self.note(error, part="loop")
        else:
            log.event("agent.loop", reason=str(context.get("message"))[:200])


async def keep(part: str, work: Callable[[], Coroutine[Any, Any, None]], faults: Faults) -> None:
    """Do `work` until it returns. After a fault, start `work` again. Raises MooringError if it makes no sense to go
    on."""
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
    """Return True if the current task was cancelled.

    If the task was not cancelled, a CancelledError comes from a backend that gave up a call. Without this check, such a
    CancelledError would silently end the task that awaits the call.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
