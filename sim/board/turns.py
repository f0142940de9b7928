"""A thread that takes turns with an event loop: while one works, the other rests. So they never race.

A program that waits inside its functions, as a lock's `main` does, needs a stack of its own. The thread is that stack.
"""

import asyncio
import threading
from collections.abc import Callable

THREAD_NAME = "lock"


class Turns:
    """Runs `work` in turns with the running event loop. `ended` gets the result of `work`, the exit code."""

    def __init__(self, work: Callable[[], int]) -> None:
        self._work = work
        self._code: int | None = None
        self._turn_of_work, self._turn_of_loop = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def begin(self) -> None:
        """Work until the first rest."""
        self._thread.start()
        self._wait_for_rest()

    def rest(self, until: "asyncio.Future[None]") -> None:
        """Let the event loop work until this future is done. Only `work` may call this."""
        assert threading.current_thread() is self._thread, "the event loop would wait for itself"
        until.add_done_callback(self._resume)
        self._turn_of_loop.release()
        self._turn_of_work.acquire()

    def _run(self) -> None:
        try:
            self._code = self._work()
        finally:
            self._turn_of_loop.release()

    def _resume(self, _until: "asyncio.Future[None]") -> None:
        self._turn_of_work.release()
        self._wait_for_rest()

    def _wait_for_rest(self) -> None:
        self._turn_of_loop.acquire()
        if self._code is not None:
            self._thread.join()
            self.ended.set_result(self._code)
