"""The event loop of a lock that runs in this process. The lock's event loop has no queue of its own, but uses the
process's event loop.

To the lock, this loop looks like any event loop. The lock's event loop can be stopped at any moment. From then on, no
step of the lock is run.
"""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

ExceptionHandler = Callable[["LockLoop", dict[str, Any]], object]


class LockLoop:
    """The event loop of one lock. The event loop `process` does the work of the lock's loop. `on_stop` is called once,
    when the loop has stopped.

    This class has those methods of `asyncio.AbstractEventLoop` that asyncio calls for the tasks of a lock.
    """

    def __init__(self, process: asyncio.AbstractEventLoop, on_stop: Callable[[], None]) -> None:
        self._process = process
        self._self: Any = self  # as asyncio's types want it
        self._on_stop = on_stop
        self._handler: ExceptionHandler | None = None
        self._numbers = itertools.count()
        self._readable: dict[int, Callable[[], bool]] = {}
        self._readers: dict[int, tuple[Callable[..., object], tuple[Any, ...]]] = {}
        self.stopped = False
        self.exited: SystemExit | None = None
        """The SystemExit that stopped the loop, or None if no step of the lock has raised one."""

    def stop(self) -> None:
        """Run no further step of the lock. The lock's tasks are dropped in the state in which they are."""
        if not self.stopped:
            self.stopped = True
            self._process.call_soon(self._drop)

    def _drop(self) -> None:
        # The tasks are not cancelled, because a task could keep waiting in `finally`. But the tasks' frames are closed
        # now. Otherwise the garbage collector would close the frames later, in the middle of something else.
        asyncio._set_running_loop(self._self)
        try:
            for task in asyncio.all_tasks(self._self):
                with suppress(BaseException):  # the lock has no power, so nothing that it still does has an effect
                    work: Any = task.get_coro()
                    work.close()
        finally:
            asyncio._set_running_loop(self._process)
        self._readers.clear()
        self._on_stop()

    def _step(self, step: Callable[..., object], *arguments: Any) -> None:
        if self.stopped:
            return
        asyncio._set_running_loop(self._self)
        try:
            step(*arguments)
        except SystemExit as exited:
            self.exited = exited
            self.stop()
        except Exception as error:  # noqa: BLE001  any error of a step is the lock's own affair
            self.call_exception_handler({"message": "a step of the lock failed", "exception": error})
        finally:
            asyncio._set_running_loop(self._process)

    # --- what asyncio asks of an event loop --------------------------------------------------------------------------

    def time(self) -> float:
        """Return the time of the process's event loop."""
        return self._process.time()

    def get_debug(self) -> bool:
        """Return False."""
        return False

    def is_running(self) -> bool:
        """Return whether the lock's steps are run."""
        return not self.stopped

    def is_closed(self) -> bool:
        """Return whether the loop has stopped for good."""
        return self.stopped

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Any = None) -> asyncio.Handle:
        """Call `callback` soon, as the process's event loop does, unless this loop has stopped by then."""
        return self._process.call_soon(self._step, callback, *args, context=context)

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """Do the same as `call_soon`, but after `delay` seconds."""
        return self._process.call_later(delay, self._step, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """Do the same as `call_soon`, but at the time `when`."""
        return self._process.call_at(when, self._step, callback, *args, context=context)

    def create_future(self) -> "asyncio.Future[Any]":
        """Return a future of this loop."""
        return asyncio.Future(loop=self._self)

    def create_task(self, coro: Coroutine[Any, Any, Any], **options: Any) -> "asyncio.Task[Any]":
        """Return a task of this loop. `options` are those of `asyncio.Task`."""
        return asyncio.Task(coro, loop=self._self, **options)

    def set_exception_handler(self, handler: ExceptionHandler | None) -> None:
        """Call `handler` for errors that no task of the lock has caught."""
        self._handler = handler

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Report an error that no task of the lock has caught."""
        if self.stopped:
            return  # a lock without power says nothing
        if self._handler is not None:
            self._handler(self, context)
        else:
            self._process.call_exception_handler(context)

    # --- lines -------------------------------------------------------------------------------------------------------

    def watch(self, readable: Callable[[], bool]) -> int:
        """Return a number for a new line. `readable` says whether there is something to read from the line."""
        number = next(self._numbers)
        self._readable[number] = readable
        return number

    def forget(self, number: int) -> None:
        """Forget the line with this number."""
        self._readable.pop(number, None)
        self._readers.pop(number, None)

    def became_readable(self, number: int) -> None:
        """Call the line's reader, if it has one."""
        if number in self._readers:
            callback, arguments = self._readers[number]
            self.call_soon(callback, *arguments)

    def add_reader(self, fd: Any, callback: Callable[..., object], *args: Any) -> None:
        """Call `callback` each time that there is something to read from the line `fd`. Call `callback` again if
        something is left.
        """
        number = fd if isinstance(fd, int) else fd.fileno()
        self._readers[number] = callback, args
        if self._readable[number]():
            self.became_readable(number)

    def remove_reader(self, fd: Any) -> bool:
        """Stop calling the reader of the line `fd`."""
        return self._readers.pop(fd if isinstance(fd, int) else fd.fileno(), None) is not None
