"""Runs the live page: builds its site, prints its address, and serves the page until Ctrl-C."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
import tempfile
import webbrowser
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from protocol.errors import ConfigError
from sim.live.acts import Acts
from sim.live.connections import Server
from sim.live.server import application
from sim.live.stage import Stage, playable, stage
from sim.progress import Progress, console
from sim.words import phrase

_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Settings:
    """What the command line chooses. If `port` is 0, the system chooses a port. If `story` is not None, this story
    plays first."""

    port: int
    doors: int
    runtime: str
    language: str
    story: str | None = None
    opens: bool = False


def bound(port: int) -> socket.socket:
    """Return a listening socket at `port` of the loopback interface. Raises ConfigError `live.port` if the port is in
    use.
    """
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((_HOST, port))
        made.listen()
    except OSError as error:
        made.close()
        raise ConfigError(
            "live.port", f"port {port} cannot be used: {error.strerror}. Choose another one with --port, or 0 for any"
        ) from None
    return made


@asynccontextmanager
async def serving(shown: Stage, listening: socket.socket) -> AsyncIterator[tuple[str, Acts]]:
    """Serve the page of `shown`. Yields a pair: the page's address (with the token in it), and the acts."""
    port = int(listening.getsockname()[1])
    token = secrets.token_urlsafe(24)
    acts = Acts(shown)
    server = Server(application(shown, acts, port, token))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://{_HOST}:{port}/#{token}", acts
    finally:
        await acts.stop()
        server.should_exit = True
        await serving


async def serve(settings: Settings, listening: socket.socket, ready: Callable[[str], None]) -> None:
    """Build the site, call `ready` with the page's address, and serve the page until SIGINT or SIGTERM.

    Raises ConfigError or TransportError if the site cannot be built.
    """
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    # From here on, Ctrl-C ends the command cleanly. An earlier Ctrl-C may come while the event loop is being made.
    print(phrase("building the site").said(settings.language) + " …", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="mooring-live-") as folder:
        building = asyncio.create_task(_play(settings, Path(folder), listening, ready))
        waiting = asyncio.create_task(ended.wait())
        await asyncio.wait([building, waiting], return_when=asyncio.FIRST_COMPLETED)
        building.cancel()
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await building


async def _play(settings: Settings, folder: Path, listening: socket.socket, ready: Callable[[str], None]) -> None:
    async with AsyncExitStack() as stack:
        with Progress(console(stderr=True), language=settings.language) as progress:
            shown = await stack.enter_async_context(
                stage(folder, settings.runtime, settings.doors, settings.language, progress.step)
            )
        address, acts = await stack.enter_async_context(serving(shown, listening))
        if settings.story is not None:
            acts.begin({"action": "story", "name": settings.story})
        ready(address)
        await asyncio.Event().wait()


def run(settings: Settings, as_json: bool) -> int:
    """Serve the page until Ctrl-C. Returns the exit code.

    Raises ConfigError `site.scenario` if there is no such story, KeyboardInterrupt if Ctrl-C comes before the page is
    served, and the errors of `bound` and `serve`.
    """
    if settings.story is not None and settings.story not in playable():
        raise ConfigError(
            "site.scenario",
            f"there is no story {settings.story!r}. `tour` is one, and `python -m sim list` shows the others",
        )
    listening = bound(settings.port)
    served = False

    def ready(address: str) -> None:
        nonlocal served
        served = True
        if as_json:
            print(json.dumps({"ok": True, "address": address}), flush=True)
        else:
            print(phrase("The page is at {address}", address=address).said(settings.language), flush=True)
            print(phrase("Ctrl-C ends it.").said(settings.language), flush=True)
        if settings.opens and _has_display():
            webbrowser.open(address)

    with listening:
        asyncio.run(serve(settings, listening, ready))
    if not served:
        raise KeyboardInterrupt
    return 0


def _has_display() -> bool:
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
