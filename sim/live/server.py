"""The HTTP server of the live page: the page's files, the stream of events, the acts and the records."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from protocol.errors import MooringError
from sim.live.acts import Acts
from sim.live.guard import Guard, check_token, refused
from sim.live.refusal import RequestRefusedError, defect
from sim.live.stage import Stage
from sim.live.stream import Client, number

PAGE = Path(__file__).parent / "page"
MOST_BYTES = 2048
"""Maximum size of the body of a request."""
EVENTS = "text/event-stream"
"""Media type of the events (WHATWG HTML, 9.2)."""
ALIVE_SECONDS = 15.0
"""After this many seconds without a message, a comment is sent, to find out whether the connection still lives."""
_FILES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".json": "application/json",
          ".svg": "image/svg+xml", ".png": "image/png", ".woff2": "font/woff2"}  # fmt: skip


class EventStream(Response):
    """The endless answer with the messages for one `client`. `leave` is called when the connection has ended."""

    def __init__(self, client: Client, leave: Callable[[Client], None]) -> None:
        super().__init__(media_type=EVENTS)
        del self.headers["content-length"]
        self._client = client
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the messages until the browser goes or does not keep up."""
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        tasks: list[asyncio.Task[Any]] = []
        try:
            await send(start)
            tasks += [
                asyncio.create_task(self._feed(send)),
                asyncio.create_task(_gone(receive)),
                asyncio.create_task(self._client.dropped.wait()),
            ]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._leave(self._client)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _feed(self, send: Send) -> None:
        async def say(data: bytes) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})

        await say(self._client.first)
        queue = self._client.queue
        while True:
            try:
                async with asyncio.timeout(ALIVE_SECONDS):
                    data = await queue.get()
            except TimeoutError:
                await say(b": alive\n\n")
                continue
            while not queue.empty():
                data += queue.get_nowait()
            await say(data)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def application(stage: Stage, acts: Acts, port: int, token: str) -> ASGIApp:
    """Return the application that serves `stage` and `acts` at `port` to whoever knows `token`."""
    files = {file.name: file for file in PAGE.iterdir() if file.suffix in _FILES} if PAGE.is_dir() else {}

    async def index(_: Request) -> Response:
        return _file("index.html")

    async def page(request: Request) -> Response:
        return _file(request.path_params["name"])

    def _file(name: str) -> Response:
        if name not in files:
            raise _missing()
        return FileResponse(files[name], media_type=_FILES[files[name].suffix])

    async def events(request: Request) -> Response:
        if request.method == "HEAD":
            return Response(headers={"Content-Type": EVENTS})  # HEAD uses up no place for browsers (RFC 9110, 9.3.2)
        client = stage.stream.join(request.headers.get("last-event-id"))
        return EventStream(client, stage.stream.leave)

    async def token_holds(request: Request) -> Response:
        check_token(request.headers, token)
        return JSONResponse({"ok": True})

    async def act(request: Request) -> Response:
        check_token(request.headers, token)
        return JSONResponse({"act": acts.begin(await _body(request))}, 202)

    async def record(request: Request) -> Response:
        check_token(request.headers, token)
        counter = number(request.path_params["counter"])
        if counter is None:
            raise _missing()
        return JSONResponse({"parties": stage.parties(request.path_params["door"], counter)})

    return Guard(
        Starlette(
            routes=[
                Route("/", index),
                Route("/page/{name}", page),
                Route("/events", events),
                Route("/token", token_holds),
                Route("/act", act, methods=["POST"]),
                Route("/record/{door}/{counter}", record),
            ],
            exception_handlers={RequestRefusedError: _refused, HTTPException: _http, Exception: _failed},
        ),
        port,
    )


def _missing(status: int = 404) -> RequestRefusedError:
    return RequestRefusedError(status, "live.missing", "there is nothing at this address. Open the page at /")


async def _body(request: Request) -> dict[str, Any]:
    """Return the object in the body of a request. Raises RequestRefusedError `live.size` or `live.request`."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RequestRefusedError(400, "live.request", "the body is not application/json. Send one JSON object")
    received = b""
    async for piece in request.stream():
        received += piece
        if len(received) > MOST_BYTES:
            raise RequestRefusedError(
                413, "live.size", f"the body has more than {MOST_BYTES} bytes. Send one small JSON object"
            )
    try:
        said = json.loads(received)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise RequestRefusedError(400, "live.request", "the body is not a JSON object. Send one JSON object")
    return said


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestRefusedError)
    return refused(error)


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refused(_missing(error.status_code))


async def _failed(_: Request, error: Exception) -> Response:
    code = error.code if isinstance(error, MooringError) else defect(error)
    return refused(RequestRefusedError(500, code, "this request has failed in the server. Look at the server's output"))
