"""The lines of a lock that runs in this process. The lock's modules use these lines instead of the process's sockets.

A line leads directly to the handler of its peer (`sim.loopback.serving_directly`), so no byte passes through the
operating system. The functions have the names and arguments of `socket` and `select`, as far as the stand-ins use them.
"""

import select
import socket
from collections.abc import Callable
from typing import Any, Protocol

from sim.board.lock_loop import LockLoop
from sim.loopback import DirectEnd

Wait = Callable[["LockSocket"], None]


class LockSocket:
    """A socket. `wait(socket)` returns once there is something to read. Only the lock's program waits, before its event
    loop runs.
    """

    def __init__(self, loop: LockLoop, wait: Wait) -> None:
        self._loop = loop
        self._wait = wait
        self._end: DirectEnd | None = None
        self._came = b""
        self._number = loop.watch(self.readable)
        self.over = False
        """Has either side closed the line?"""

    def readable(self) -> bool:
        """Return whether `recv` returns at once."""
        return bool(self._came) or self.over

    def fileno(self) -> int:
        """Return the number by which the lock's event loop knows this socket."""
        return self._number

    def connect(self, address: tuple[str, int]) -> None:
        """Connect to the handler with the number `address[1]`."""
        self._end = DirectEnd(address[1], self._feed)

    def setsockopt(self, *_options: int) -> None:
        """Do nothing, because a direct line has no options."""

    def dup(self) -> "LockSocket":
        """Return this socket."""
        return self

    def _feed(self, data: bytes) -> None:
        self._came += data
        self.over = self.over or not data
        self._loop.became_readable(self._number)

    def sendall(self, data: bytes) -> None:
        """Send `data`. Raises OSError if the line is closed."""
        if self._end is None or self.over:
            raise BrokenPipeError
        self._end.send(bytes(data))

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return at most `size` bytes, or none if the line is closed. Wait until there are some."""
        while not self.readable():
            self._wait(self)
        data = self._came[:size]
        if not flags & socket.MSG_PEEK:
            self._came = self._came[size:]
            if self._came:
                self._loop.became_readable(self._number)
        return data

    def close(self) -> None:
        """Close the line."""
        self.over = True
        self._loop.forget(self._number)
        if self._end is not None:
            self._end.hang_up()


class Readable(Protocol):
    """A `LockSocket`, or a file in memory."""

    def readable(self) -> bool:
        """Return whether a read would return at once."""


class LockPoll:
    """As `select.poll`, for one object. It never waits."""

    def __init__(self) -> None:
        self._polled: list[Readable] = []

    def register(self, polled: Readable, _events: int) -> None:
        """Poll this object."""
        self._polled.append(polled)

    def poll(self, _timeout: int) -> list[tuple[Readable, int]]:
        """Return the object if there is something to read from it."""
        return [(polled, select.POLLIN) for polled in self._polled if polled.readable()]


def getaddrinfo(host: str, port: int) -> list[tuple[Any, ...]]:
    """Return the address in the form of `socket.getaddrinfo`."""
    return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, port))]
