"""A server that plays a written feed to the live page, for states that a real site reaches rarely or never.

The server serves the page's files as `sim.live` does, with the same content security policy. The test writes the
messages.
"""

import json
import queue
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sim.board.interpreter import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Page

PAGE = ROOT / "sim/live/page"
TOKEN = "a-token-of-the-tests"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
_Message = tuple[int, str, Any]
"""The number of a message, its kind, and its content."""
_END = None
"""When this value is put into the queue of a browser, the browser's stream of events ends."""


class Feed:
    """A feed for browsers, on a free loopback port. It is a context manager.

    Each browser that connects gets all messages so far, and then those that `send` adds. `acts` has the bodies of all
    acts that were posted. `refusal` is the answer to further acts: status, code and message. If `refusal` is None,
    further acts are accepted. `records` maps each path `/record/DOOR/COUNTER` to the answer for this path. `token` is
    the token that the server accepts.
    """

    def __init__(self) -> None:
        self.acts: list[dict[str, Any]] = []
        self.refusal: tuple[int, str, Any] | None = None
        self.records: dict[str, Any] = {}
        self.token = TOKEN
        self.connections = 0
        self._last = 0
        self._sent: list[_Message] = []
        self._browsers: list[queue.Queue[_Message | None]] = []
        self._lock = threading.Lock()
        feed = self

        class Handler(_Handler):
            of = feed

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        """The address of the page, with the token."""
        return f"http://127.0.0.1:{self._server.server_port}/#{self.token}"

    def send(self, kind: str, data: Mapping[str, Any]) -> None:
        """Send a message to all browsers, and to those that connect later."""
        with self._lock:
            self._last += 1
            self._sent.append((self._last, kind, data))
            for browser in self._browsers:
                browser.put(self._sent[-1])

    def drawn(self, page: "Page") -> None:
        """Wait until `page` shows everything that was sent."""
        page.wait_for_selector(f'#line[data-last="{self._last}"]')

    def hang_up(self, forget: bool = False) -> None:
        """End the streams of all browsers, which come back by themselves. If `forget` is true, a new feed begins."""
        with self._lock:
            if forget:
                self._sent.clear()
            for browser in self._browsers:
                browser.put(_END)
            self._browsers.clear()

    def join(self) -> queue.Queue[_Message | None]:
        """Return a queue of messages for one more browser. The queue begins with all messages so far."""
        mine: queue.Queue[_Message | None] = queue.Queue()
        with self._lock:
            self.connections += 1
            for message in self._sent:
                mine.put(message)
            self._browsers.append(mine)
        return mine

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hang_up()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    of: Feed

    def do_GET(self) -> None:
        if self.path == "/events":
            self._stream()
        elif self.path == "/token":
            holds = self.headers["Mooring-Token"] == self.of.token
            self._json(200 if holds else 403, {} if holds else {"code": "live.token", "message": "no valid token"})
        elif self.path.startswith("/record/"):
            found = self.of.records.get(self.path.removeprefix("/record/"))
            self._json(404, {"code": "live.record", "message": "no such record"}) if found is None else self._json(
                200, found
            )
        else:
            name = "index.html" if self.path == "/" else self.path.removeprefix("/page/")
            file = PAGE / name
            if "/" in name or not file.is_file():
                self._json(404, {"code": "live.path", "message": "no such file"})
            else:
                self._answer(200, _TYPES[file.suffix], file.read_bytes())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Mooring-Token"] != self.of.token:
            self._json(403, {"code": "live.token", "message": "no valid token"})
        elif self.of.refusal is not None:
            status, code, message = self.of.refusal
            self._json(status, {"code": code, "message": message})
        else:
            self.of.acts.append(body)
            self._json(202, {"act": len(self.of.acts)})

    def _stream(self) -> None:
        messages = self.of.join()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            while (message := messages.get()) is not None:
                number, kind, data = message
                said = f"retry: 100\nid: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"
                self.wfile.write(said.encode())
        except OSError:
            return  # the browser has left

    def _json(self, status: int, body: Any) -> None:
        self._answer(status, "application/json", json.dumps(body).encode())

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", "default-src 'self'")
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing about requests."""
