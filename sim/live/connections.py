"""The HTTP server of the live page, and what happens to connections that say nothing.

A page needs few connections. A client that opens many connections and says nothing must not keep the page's visitors
out. A connection that asks for nothing is closed after a while. If too many are open, the one that has been idle for
the longest time is closed at once.
"""

import asyncio
import contextlib
import itertools
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from sim.live.guard import HEADERS, refused
from sim.live.refusal import RequestRefusedError

CONNECTIONS = 64
"""Maximum number of connections at a time. At most CLIENTS of these connections belong to browsers that listen to the
events.
"""
REQUEST_SECONDS = 5.0
"""Longest time until a request has arrived, counted from the beginning of the connection or of the request."""

_AT_ONCE = 16
"""Maximum number of connections that the server takes before it reads what the earlier ones have sent. If it took more
than CONNECTIONS, it would close a connection whose whole request has arrived already.
"""
_WAITING = 128
"""Number of connections that the system keeps until the server takes them."""

_moments = itertools.count()
"""Numbers that tell which of two connections became idle first."""


class Server(uvicorn.Server):
    """Serves `app` at a socket that already listens. The server handles no signals. The caller sets `should_exit`."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                headers=list(HEADERS.items()),
                timeout_graceful_shutdown=1,
                backlog=_AT_ONCE,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take connections. asyncio takes as many at once as its backlog says, and more may wait."""
        await super().startup(sockets)
        for listening in sockets or ():
            listening.listen(_WAITING)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals as they are."""
        yield


class Connection(H11Protocol):
    """One connection of a client. The class of uvicorn waits for the first request without limit. If a client sends
    something other than HTTP, the answer of uvicorn's class lacks our headers."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._ended = False
        self._idle_since = next(_moments)
        self._limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Serve a new connection. If there are then too many connections, close the one that has been idle for the
        longest time.
        """
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(transport)
        self._watch()
        kept = [each for each in self.connections if isinstance(each, Connection) and not each._ended]
        if len(kept) > CONNECTIONS:
            min((each for each in kept if each._idle()), key=lambda each: each._idle_since)._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._rest()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Handle what has arrived."""
        super().handle_events()
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request. uvicorn limits the time until the request's first byte (`timeout_keep_alive`)."""
        self._idle_since = next(_moments)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer a request that is not HTTP, unless an answer has begun. `msg` is uvicorn's own text, which no user
        needs."""
        latest = self._latest()
        if latest is None or latest.response_complete or not latest.response_started:
            refusal = RequestRefusedError(400, "live.http", "this is not a request of HTTP/1.1. Open the page at /")
            answer = refused(refusal)
            headers = [*self.server_state.default_headers, *answer.raw_headers, (b"connection", b"close")]
            lines = [b"HTTP/1.1 400 Bad Request", *(name + b": " + value for name, value in headers), b"", b""]
            self.transport.write(b"\r\n".join(lines) + bytes(answer.body))
        self.transport.close()

    def _latest(self) -> RequestResponseCycle | None:
        """Return the latest request with its answer, or None before the first request. uvicorn's types leave out this
        None.
        """
        return self.cycle

    def _idle(self) -> bool:
        """Is no request being answered? True until a request has arrived completely, and again after its answer."""
        latest = self._latest()
        return latest is None or latest.response_complete or latest.more_body or self.transport.is_closing()

    def _watch(self) -> None:
        """Limit the time of a request that has not arrived completely. Nothing limits how long an answer takes."""
        if not self._idle():
            self._rest()
        elif self._limit is None:
            self._limit = self.loop.call_later(REQUEST_SECONDS, self._end)

    def _rest(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _end(self) -> None:
        """Close the connection at once, even if the client does not read what was sent."""
        self._ended = True
        self.transport.abort()
