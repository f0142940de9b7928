"""Sends messages to all browsers that are connected, as server-sent events (WHATWG HTML, 9.2).

A browser first gets the whole state, and then each message. A browser that comes back after a loss names the last
message that it got. If all later messages are still kept, the browser gets only those. A browser that does not keep up
is dropped. The browser then connects again and gets the whole state. So a slow browser delays nobody, and costs a
bounded amount of memory.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sim.live.refusal import RequestRefusedError

CLIENTS = 16
"""Maximum number of browsers at a time."""
QUEUE = 256
"""Maximum number of messages that wait for one browser."""
KEPT = 512
"""Number of messages that a browser may have missed without needing the whole state."""

Told = tuple[str, Any]
"""A message that was not sent yet: its kind, and its content as plain values for JSON."""


@dataclass(eq=False)
class Client:
    """One connected browser. `first` has the messages that only this browser gets. All later messages go into `queue`.

    `dropped` is set when the browser did not keep up.
    """

    first: bytes
    queue: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(QUEUE))
    dropped: asyncio.Event = field(default_factory=asyncio.Event)


class Stream:
    """The messages to all browsers. `state` returns the messages that tell the whole state.

    `attend` is called with True when the first browser comes, and with False when the last one has gone. Nothing is
    published in between.
    """

    def __init__(self, state: Callable[[], Sequence[Told]], attend: Callable[[bool], None]) -> None:
        self._state = state
        self._attend = attend
        self._clients: set[Client] = set()
        self._kept: deque[tuple[int, bytes]] = deque(maxlen=KEPT)
        # The first number is the time. So no browser takes the messages of another run for messages of this run.
        self._last = int(time.time() * 1000)

    @property
    def attended(self) -> bool:
        """Is any browser connected?"""
        return bool(self._clients)

    def join(self, last: str | None) -> Client:
        """Connect a browser. `last` is the number of the last message that the browser got, or None.

        Raises RequestRefusedError `live.full` if CLIENTS browsers are connected.
        """
        if len(self._clients) >= CLIENTS:
            raise RequestRefusedError(503, "live.full", f"{CLIENTS} pages are open already. Close one of them")
        if not self._clients:
            self._kept.clear()  # nobody has listened, so messages are missing
            self._attend(True)
        client = Client(self._missed(last))
        self._clients.add(client)
        return client

    def leave(self, client: Client) -> None:
        """Disconnect a browser."""
        if client in self._clients:
            self._clients.remove(client)
            if not self._clients:
                self._attend(False)

    def publish(self, kind: str, content: Any) -> None:
        """Send a message to every browser. Without browsers, do nothing."""
        if not self._clients:
            return
        self._last += 1
        encoded = _encoded(self._last, kind, content)
        self._kept.append((self._last, encoded))
        for client in tuple(self._clients):
            try:
                client.queue.put_nowait(encoded)
            except asyncio.QueueFull:
                client.dropped.set()
                self.leave(client)

    def _missed(self, last: str | None) -> bytes:
        """Return what a browser still needs if `last` is the number of the last message that it got."""
        got = None if last is None else number(last)
        if got is not None and self._kept and self._kept[0][0] - 1 <= got <= self._last:
            return b"".join(encoded for at, encoded in self._kept if at > got)
        return b"".join(_encoded(self._last, kind, content) for kind, content in self._state())


def number(text: str) -> int | None:
    """Return the number that is written in the digits of `text`. Returns None for any other text, and for more than 20
    digits. Nothing here has so long a number, and Python refuses to read very long numbers.
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else None


def _encoded(at: int, kind: str, content: Any) -> bytes:
    # JSON has no line breaks, so the content takes one line.
    said = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return f"id: {at}\nevent: {kind}\ndata: {said}\n\n".encode()
