"""A real site with its live page, in a thread of this process, and a client that speaks HTTP to it."""

import asyncio
import http.client
import json
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.hang import HANG_SECONDS
from sim.live.command import bound, serving
from sim.live.stage import Stage, stage

Where = Callable[[dict[str, Any]], bool]


@dataclass(frozen=True)
class Said:
    """One message of the stream."""

    number: int
    kind: str
    data: dict[str, Any]


class Listener:
    """A connection to `/events`. `heard` has every message so far."""

    def __init__(self, port: int, last: int | None = None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANG_SECONDS)
        self._connection.request("GET", "/events", headers={} if last is None else {"Last-Event-ID": str(last)})
        self.answer = self._connection.getresponse()
        self.heard: list[Said] = []

    def next(self, what: str = "any message") -> Said:
        """Return the next message. Raises EOFError at the end of the stream, and AssertionError if no message comes.

        `what` names the message in the error. The server's signs of life are no messages, and may come for ever.
        """
        found: dict[str, str] = {}
        given_up = time.monotonic() + HANG_SECONDS
        while True:
            try:
                line = self.answer.readline().decode()
            except TimeoutError:
                line = ":"  # nothing came for HANG_SECONDS
            if not line:
                raise EOFError(f"the stream ended before {what}")
            if time.monotonic() > given_up:
                raise AssertionError(f"waited in vain for {what}; heard {[said.kind for said in self.heard]}")
            if line == "\n" and "data" in found:
                self.heard.append(Said(int(found["id"]), found["event"], json.loads(found["data"])))
                return self.heard[-1]
            if not line.startswith(":") and ": " in line:
                name, _, value = line.rstrip("\n").partition(": ")
                found[name] = value

    def until(self, kind: str, where: Where = lambda _: True, since: int | None = None) -> dict[str, Any]:
        """Return the data of the next message of this kind for which `where` is true.

        `since` is a place in `heard`. If it is given, the messages from there on count too. A caller gives it where the
        wanted message may come before another one that was waited for already.

        Raises AssertionError if no such message comes. Other messages, and signs of life, may come for ever.
        """
        place = len(self.heard) if since is None else since
        given_up = time.monotonic() + HANG_SECONDS
        while time.monotonic() < given_up:
            if place == len(self.heard):
                self.next(kind)
            said = self.heard[place]
            if said.kind == kind and where(said.data):
                return said.data
            place += 1
        raise AssertionError(f"no such {kind}: {[said.kind for said in self.heard]}")

    def over(self, act: int) -> dict[str, Any]:
        """Wait until an act is over. Return the message that says so."""
        return self.until("act", lambda data: data["act"] == act and data["state"] != "began", since=0)

    def of_door(self, kind: str, door: str) -> list[dict[str, Any]]:
        """Return all messages of this kind about a door so far. A message about another door may come at any time."""
        return [said.data for said in self.heard if said.kind == kind and said.data["door"] == door]

    def close(self) -> None:
        """Disconnect."""
        self.answer.close()
        self._connection.close()


class LivePage:
    """The page of a running site. The site's event loop runs in another thread: see `run`."""

    def __init__(self, stage: Stage, address: str, loop: asyncio.AbstractEventLoop) -> None:
        self.stage = stage
        self.address, _, self.token = address.partition("#")
        self.port = int(self.address.rstrip("/").rpartition(":")[2])
        self._loop = loop

    @property
    def origin(self) -> str:
        """The origin of the page."""
        return self.address.rstrip("/")

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run `work` in the loop of the site, and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(HANG_SECONDS)

    def ask(self, method: str, path: str, body: bytes | None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Send a request. Returns status, headers and body. In the names of `headers`, `_` stands for a hyphen."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANG_SECONDS)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.putrequest(method, path, skip_host="Host" in named, skip_accept_encoding=True)
        if body is not None and "Transfer-Encoding" not in named:
            named.setdefault("Content-Length", str(len(body)))
        for name, value in named.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content

    def post(self, content: Any, **headers: str) -> tuple[int, dict[str, Any]]:
        """Begin an act as the page does. Each header in `headers` replaces the header that the page would send. An
        empty header is not sent.
        """
        sent = {"Origin": self.origin, "Content_Type": "application/json", "Mooring_Token": self.token, **headers}
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        status, _, answer = self.ask("POST", "/act", body, **{name: value for name, value in sent.items() if value})
        told: dict[str, Any] = json.loads(answer)
        return status, told

    def record(self, door: str, counter: int | str, **headers: str) -> tuple[int, dict[str, Any]]:
        """Ask what each party could read of a record."""
        status, _, answer = self.ask(
            "GET", f"/record/{door}/{counter}", None, **{"Mooring_Token": self.token, **headers}
        )
        told: dict[str, Any] = json.loads(answer)
        return status, told

    def listen(self, last: int | None = None) -> Listener:
        """Connect to the stream, as a browser that got the message `last`."""
        return Listener(self.port, last)

    def act(self, listener: Listener, action: str, **fields: Any) -> dict[str, Any]:
        """Begin an act, and return the message which says that the act is over."""
        status, told = self.post({"action": action, **fields})
        assert status == 202, told
        return listener.over(told["act"])


@contextmanager
def live_page(runtime: str = "micropython", doors: int = 2) -> Iterator[LivePage]:
    """Build a site and serve its page until the block ends."""
    started, found = threading.Event(), list[LivePage]()
    failed: list[BaseException] = []
    ended: list[Callable[[], object]] = []

    async def play(folder: Path) -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        with bound(0) as listening:
            async with stage(folder, runtime, doors, "en") as shown, serving(shown, listening) as (address, _):
                found.append(LivePage(shown, address, loop))
                ended.append(lambda: loop.call_soon_threadsafe(over.set))
                started.set()
                await over.wait()

    def work() -> None:
        with tempfile.TemporaryDirectory(prefix="mooring-live-") as folder:
            try:
                asyncio.run(play(Path(folder)))
            except BaseException as error:  # noqa: BLE001  the test's own thread raises it
                failed.append(error)
        started.set()

    thread = threading.Thread(target=work, name="live page")
    thread.start()
    started.wait()
    try:
        if failed:
            raise failed[0]
        yield found[0]
    finally:
        for end in ended:
            end()
        thread.join()
    if failed:
        raise failed[0]
