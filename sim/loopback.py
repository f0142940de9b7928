"""Serves one handler on a loopback TCP port. When serving ends, no handler is left running."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

_END_SECONDS = 5.0
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Serve `handler` on a port that the system chooses. Yields "127.0.0.1:port".

    When a connection breaks, its handler ends without an error, because the other side lost its power or was killed.
    """
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

    server = await asyncio.start_server(guarded, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    try:
        yield f"{host}:{port}"
    finally:
        server.close()
        for writer in list(running.values()):
            writer.close()
        # After its connection is closed, each handler cleans up and ends by itself.
        if running:
            _, stuck = await asyncio.wait(list(running), timeout=_END_SECONDS)
            for task in stuck:
                task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
