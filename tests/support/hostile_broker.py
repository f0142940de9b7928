"""A broker that knows only as much MQTT 5 as an edge needs. A test tells the broker how to attack the edge."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

from sim.hang import HANG_SECONDS

CONNACK = b"\x20\x03\x00\x00\x00"
_CONNECT, _PUBLISH, _PUBACK, _SUBSCRIBE, _PINGREQ, _DISCONNECT = 1, 3, 4, 8, 12, 14

Attack = Callable[["Session"], Awaitable[None]]
"""A function that attacks the edge on one connection, after the edge has subscribed."""


def length(number: int) -> bytes:
    """Return `number` as a variable byte integer."""
    out = bytearray()
    while True:
        number, low = divmod(number, 128)
        out.append(low | (128 if number else 0))
        if not number:
            return bytes(out)


def packet(first: int, body: bytes) -> bytes:
    """Return a whole packet whose first byte is `first`."""
    return bytes((first,)) + length(len(body)) + body


def publish(
    topic: str | bytes, payload: bytes, mid: int = 1, properties: bytes = b"", qos: int = 1, retain: bool = False
) -> bytes:
    """Return a PUBLISH packet."""
    name = topic.encode() if isinstance(topic, str) else topic
    head = len(name).to_bytes(2, "big") + name + (mid.to_bytes(2, "big") if qos else b"")
    return packet(0x30 | qos << 1 | retain, head + length(len(properties)) + properties + payload)


class Session:
    """One connection of an edge. `acknowledged` holds the packet identifiers of the edge's PUBACKs."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.acknowledged: list[int] = []
        self.published = 0
        """Number of the edge's PUBLISH packets."""
        self.farewell: int | None = None
        """The reason code in the edge's DISCONNECT."""
        self.over = asyncio.Event()
        self.heard = asyncio.Event()

    async def send(self, data: bytes, times: int = 1) -> None:
        """Send `data` this many times, or until the edge hangs up."""
        with contextlib.suppress(ConnectionError):
            for _ in range(times):
                if self._writer.is_closing():
                    return
                self._writer.write(data)
                await self._writer.drain()

    def flood(self, data: bytes, times: int) -> None:
        """Send `data` this many times. Meanwhile, the event loop gets no turn. The edge runs on the same event loop."""
        descriptor = self._writer.get_extra_info("socket").fileno()
        with contextlib.suppress(ConnectionError), socket.socket(fileno=os.dup(descriptor)) as channel:
            channel.settimeout(HANG_SECONDS)
            for _ in range(times):
                channel.sendall(data)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds. The condition is checked after each packet of the edge."""
        while not condition():
            self.heard.clear()
            await self.heard.wait()

    async def read(self) -> tuple[int, bytes]:
        """Return the edge's next packet."""
        first = (await self._reader.readexactly(1))[0]
        size = shift = 0
        while True:
            byte = (await self._reader.readexactly(1))[0]
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return first, await self._reader.readexactly(size)


class HostileBroker:
    """A broker that attacks each new connection with the next of `attacks`. When no attack is left, the broker is
    honest.

    On the first connections, the broker sends `connacks` in place of the usual CONNACK, one for each connection. A
    PUBLISH with more than `limit` bytes is refused by a PUBACK that ends with `over_limit`. If `over_limit` is None,
    the broker hangs up without a word. The payloads of all other PUBLISH packets are in `taken`.
    """

    def __init__(
        self,
        *attacks: Attack,
        connacks: tuple[bytes, ...] = (),
        limit: int = 1 << 20,
        over_limit: bytes | None = None,
    ) -> None:
        self.taken: list[bytes] = []
        self._limit, self._over_limit = limit, over_limit
        self.sessions: list[Session] = []
        self.changed = asyncio.Event()
        self.port = 0
        self._attacks, self._connacks = list(attacks), list(connacks)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds. The condition is checked after each action of an edge."""
        async with asyncio.timeout(HANG_SECONDS):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(reader, writer)
        self.sessions.append(session)
        attack: asyncio.Task[None] | None = None
        try:
            while True:
                first, body = await session.read()
                kind = first >> 4
                if kind == _CONNECT:
                    await session.send(self._connacks.pop(0) if self._connacks else CONNACK)
                elif kind == _SUBSCRIBE:
                    await session.send(packet(0x90, body[:2] + b"\x00\x01\x01\x01"))
                    if self._attacks:
                        attack = asyncio.ensure_future(self._attacks.pop(0)(session))
                elif kind == _PUBLISH and first & 6:
                    session.published += 1
                    at = 2 + int.from_bytes(body[:2], "big")
                    if len(body) > self._limit:
                        if self._over_limit is None:
                            break
                        await session.send(packet(0x40, body[at : at + 2] + self._over_limit))
                        continue
                    self.taken.append(body[at + 3 :])
                    await session.send(packet(0x40, body[at : at + 2]))
                elif kind == _PUBACK:
                    session.acknowledged.append(int.from_bytes(body[:2], "big"))
                elif kind == _PINGREQ:
                    await session.send(b"\xd0\x00")
                elif kind == _DISCONNECT:
                    session.farewell = body[0] if body else 0
                session.heard.set()
                self.changed.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            session.over.set()
            self.changed.set()
            writer.close()
            if attack is not None:
                # The attack soon notices that the connection is over, and ends. The test needs its measurements.
                await asyncio.wait({attack}, timeout=HANG_SECONDS)
                attack.cancel()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["HostileBroker"]:
        """Listen on a free port until the block ends."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
