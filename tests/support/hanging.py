"""Ends a test that hangs, with an error that says where it waits. The other tests go on."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_AGAIN_SECONDS = 60.0
"""After the error, the test may take this long to clean up. Then the error comes again."""
_FRAMES = 4
"""Number of lines of each task that the error names, beginning with the line that waits."""


class HungError(BaseException):
    """Something that a test waits for has not come. The message names each line that waits.

    No `except Exception` of the code under test catches this error.
    """


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise HungError in the main thread if the block takes longer than `seconds`. Elsewhere, do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def over(_: int, here: FrameType | None) -> None:
        waits = "\n  ".join(waiting(here))
        raise HungError(
            f"after {seconds:g} s this test still waits, in each task for what its first line says:\n  {waits}"
        )

    before = signal.signal(signal.SIGALRM, over)
    outer = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *outer)


def waiting(here: FrameType | None) -> list[str]:
    """Return the lines that wait: those of `here` and its callers, and those of each task of the event loop."""
    found = [_said("the main thread", _callers(here))]
    loop = asyncio._get_running_loop()
    for task in asyncio.all_tasks(loop) if loop is not None else ():
        found.append(_said(task.get_name(), _awaited(task)))
    return found


def _callers(frame: FrameType | None) -> list[tuple[str, int]]:
    lines = []
    while frame is not None:
        lines.append((frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return lines


def _awaited(task: "asyncio.Task[object]") -> list[tuple[str, int]]:
    """Return the lines of a task, beginning with the line that waits. `Task.get_stack` returns only the outermost line
    of a task that waits.
    """
    lines: list[tuple[str, int]] = []
    inner: object = task.get_coro()
    while inner is not None:
        frame = getattr(inner, "cr_frame", None) or getattr(inner, "ag_frame", None) or getattr(inner, "gi_frame", None)
        if frame is not None:
            lines.insert(0, (frame.f_code.co_filename, frame.f_lineno))
        inner = getattr(inner, "cr_await", None) or getattr(inner, "ag_await", None)
    return lines


def _said(who: str, lines: list[tuple[str, int]]) -> str:
    ours = [f"{file}:{line}" for file, line in lines if "/tests/" in file or "/sim/" in file][:_FRAMES]
    return f"{who}: " + (" < ".join(ours) or "no line of ours")
