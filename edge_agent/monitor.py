"""Serves /metrics, /healthz and /readyz on the loopback address, for Prometheus and for people with curl.

The server reads one short request from each connection and closes it. It answers only requests that name this machine:
otherwise a web page in a browser here could read the numbers under a name of its own (DNS rebinding).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from edge_agent.metrics import CONTENT_TYPE
from protocol.errors import ConfigError

HOST: Final = "127.0.0.1"
_NAMES: Final = ("localhost", HOST)
REQUEST_SECONDS: Final = 5.0
REQUEST_BYTES: Final = 8192
AT_ONCE: Final = 8
"""Maximum number of connections. Any more are closed at once."""
PLAIN: Final = "text/plain; charset=utf-8"


class Monitor:
    """The server. `metrics()` returns the text for /metrics. `unhealthy()` and `unready()` return what is wrong, one
    line for each reason, or an empty list."""

    def __init__(
        self,
        metrics: Callable[[], Awaitable[str]],
        unhealthy: Callable[[], list[str]],
        unready: Callable[[], list[str]],
    ) -> None:
        self._metrics, self._unhealthy, self._unready = metrics, unhealthy, unready
        self._connections = 0

    async def run(self, port: int, listening: Callable[[int], None] = lambda _port: None) -> None:
        """Serve until cancelled. With port 0, the system chooses a port. `listening(port)` is called once.

        Raises ConfigError `config.port` if the port cannot be used.
        """
        try:
            server = await asyncio.start_server(self._serve, HOST, port, limit=REQUEST_BYTES)
        except OSError as error:
            raise ConfigError(
                "config.port", f"cannot listen on {HOST}:{port}: {error.strerror}. Choose another monitor.port."
            ) from None
        async with server:
            listening(server.sockets[0].getsockname()[1])
            await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= AT_ONCE:
                async with asyncio.timeout(REQUEST_SECONDS):
                    request = await reader.readuntil(b"\r\n\r\n")
                    writer.write(await self._answer(request.decode("latin-1")))
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked has gone, or sends no request
        finally:
            self._connections -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, request: str) -> bytes:
        first, *headers = request.split("\r\n")
        method, _, rest = first.partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        hosts = [line.partition(":")[2].strip() for line in headers if line.lower().startswith("host:")]
        if [host.lower().partition(":")[0] for host in hosts] not in [[name] for name in _NAMES]:
            return _response("403 Forbidden", PLAIN, f"Ask for http://{HOST}/ on this machine.\n", method)
        if method not in ("GET", "HEAD"):
            return _response("405 Method Not Allowed", PLAIN, "Only GET is answered.\n", method)
        if path == "/metrics":
            return _response("200 OK", CONTENT_TYPE, await self._metrics(), method)
        if path in ("/healthz", "/readyz"):
            wrong = self._unhealthy() if path == "/healthz" else [*self._unhealthy(), *self._unready()]
            status = "503 Service Unavailable" if wrong else "200 OK"
            return _response(status, PLAIN, "".join(f"{line}\n" for line in wrong or ["ok"]), method)
        return _response("404 Not Found", PLAIN, "There are /metrics, /healthz and /readyz.\n", method)


def _response(status: str, kind: str, text: str, method: str) -> bytes:
    body = text.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + (b"" if method == "HEAD" else body)
