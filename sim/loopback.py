"""Connects a lock or another peer to a handler of this process, by TCP on loopback or directly.

When serving ends, no handler is left running.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Protocol

_END_SECONDS = 5.0
_DIRECT = "direct"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class Serving(Protocol):
    """`serving` or `serving_directly`."""

    def __call__(self, handler: Handler, greeting: bytes = b"") -> AbstractAsyncContextManager[str]:
        """Serve `handler`. Yields the address at which the handler is served. Each peer first gets `greeting`."""


@asynccontextmanager
async def serving(handler: Handler, greeting: bytes = b"") -> AsyncIterator[str]:
    """Serve `handler` by TCP, on a port that the system chooses. Yields "127.0.0.1:port".

    Each peer first gets `greeting`. When a connection breaks, its handler ends without an error, because the other side
    lost its power or was killed.
    """

    async def greeted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await handler(reader, writer)

    async with _running(greeted) as guarded:
        server = await asyncio.start_server(guarded, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()[:2]
        try:
            yield f"{host}:{port}"
        finally:
            server.close()


@asynccontextmanager
async def serving_directly(handler: Handler, greeting: bytes = b"") -> AsyncIterator[str]:
    """Do the same as `serving`, without sockets, for locks that run in this process. Yields "direct:number"."""
    async with _running(handler) as guarded:
        number = next(_numbers)
        _served[number] = asyncio.get_running_loop(), guarded, greeting
        try:
            yield f"{_DIRECT}:{number}"
        finally:
            del _served[number]


_numbers = itertools.count(1)
_served: dict[int, tuple[asyncio.AbstractEventLoop, Handler, bytes]] = {}


class DirectEnd(asyncio.Transport):
    """The peer's end of a direct connection to the handler that is served at `number`.

    `feed` gets what the handler writes. When the handler has closed the connection, `feed` gets b"". Raises OSError if
    nothing is served there. Use this class only while the handler's event loop does nothing else.
    """

    def __init__(self, number: int, feed: Callable[[bytes], None]) -> None:
        super().__init__()
        if number not in _served:
            raise ConnectionRefusedError(f"nothing is served at {_DIRECT}:{number}")
        loop, handler, greeting = _served[number]
        self._feed = feed
        self._closed = False
        self._reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(self._reader, loop=loop)
        writer = asyncio.StreamWriter(self, protocol, self._reader, loop)
        self._task = loop.create_task(handler(self._reader, writer))
        # The greeting is written before the handler begins, because a lock may wait for the greeting while no other
        # code runs.
        self.write(greeting)

    def send(self, data: bytes) -> None:
        """Send `data` to the handler. Raises OSError if the connection is closed."""
        if self._closed:
            raise BrokenPipeError
        self._reader.feed_data(data)

    def hang_up(self) -> None:
        """Close the connection from the peer's side."""
        if not self._closed:
            self._closed = True
            self._reader.feed_eof()

    # --- what the handler's StreamWriter calls -----------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data` to the peer."""
        if data and not self._closed:
            self._feed(bytes(data))

    def is_closing(self) -> bool:
        """Return whether one side has closed the connection."""
        return self._closed

    def close(self) -> None:
        """Close the connection from the handler's side."""
        if not self._closed:
            self.hang_up()
            self._feed(b"")


@asynccontextmanager
async def _running(handler: Handler) -> AsyncIterator[Handler]:
    """Yield a handler that does what `handler` does. At the end, close all connections, and wait for the handlers."""
    running: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running[task] = writer
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await handler(reader, writer)
        finally:
            writer.close()
            del running[task]

    try:
        yield guarded
    finally:
        for writer in list(running.values()):
            writer.close()
        # After its connection is closed, each handler cleans up and ends by itself.
        if running:
            _, stuck = await asyncio.wait(list(running), timeout=_END_SECONDS)
            for task in stuck:
                task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
