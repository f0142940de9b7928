"""A bare GATT client for tests of the lock's end of the link. The client can send any bytes, valid or not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from bleak import BleakClient
from bleak.exc import BleakError

from protocol import crypto_cpython as crypto
from protocol import link, record
from protocol.link_initiator import Initiator
from protocol.link_session import Session
from protocol.parts import Assembler, Parts
from tests.support.link_keys import LinkKeys
from tests.support.radio_world import ADDRESS, RadioWorld, radio_world

KEYS = LinkKeys(crypto)


class Edge:
    """A bare GATT client that can send any bytes, valid or not. After `handshake`, the client seals its messages."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self.unsealed: asyncio.Queue[bytes] = asyncio.Queue()
        self.gone = asyncio.Event()
        self.client = BleakClient(ADDRESS, disconnected_callback=lambda _: self.gone.set())
        self.messages: asyncio.Queue[tuple[object, ...]] = asyncio.Queue()
        self.sizes: list[int] = []
        self._assembler = Assembler()

    async def __aenter__(self) -> "Edge":
        for attempts_left in range(4, -1, -1):
            try:
                await self.client.connect()
                break
            except BleakError:  # some connections fail, as on real air
                if not attempts_left:
                    raise
        self.gone.clear()
        await self.client.start_notify(link.UP, self._on_part)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.disconnect()

    def _on_part(self, _sender: object, part: bytearray) -> None:
        self.sizes.append(len(part))
        message = self._assembler.push(bytes(part), link.MESSAGE_LIMIT)
        if message is not None and self.session is not None:
            self.messages.put_nowait(link.parse(self.session.open(message)))
        elif message is not None:
            self.unsealed.put_nowait(message)

    async def raw(self, data: bytes) -> None:
        await self.client.write_gatt_char(link.DOWN, data, response=True)

    async def say_unsealed(self, message: bytes) -> None:
        for part in Parts(message, self.client.mtu_size):
            await self.raw(part)

    async def say(self, message: bytes) -> None:
        assert self.session is not None
        await self.say_unsealed(self.session.seal(message))

    async def handshake(self, edge_pass: bytes | None = None, static: tuple[bytes, bytes] | None = None) -> None:
        """Do the handshake. The lock's answer is the next message that `hear` returns."""
        initiator = Initiator(crypto, static or KEYS.edge)
        await self.say_unsealed(initiator.open())
        assert initiator.answered(await self.unsealed.get()) == KEYS.lock[1]
        finish, session = initiator.finish(edge_pass or KEYS.edge_pass())
        self.session = session
        await self.say_unsealed(finish)

    async def hear(self) -> tuple[object, ...]:
        return await self.messages.get()

    async def hear_records(self, count: int) -> list[int]:
        counters = []
        for _ in range(count):
            kind, content = await self.hear()
            assert kind == link.RECORD and isinstance(content, bytes)
            counters.append(record.parse(content).counter)
        return counters

    async def hears_nothing(self) -> bool:
        """Send the lock a statement. Return whether the answer to this statement is the next message. If so, no other
        message was on the way.
        """
        await self.say(link.deliver(b"marker"))
        return (await self.hear())[0] == link.RESULT


def run(
    records: int, scenario: Callable[[RadioWorld], Awaitable[None]], runtime: str = "micropython", **settings: str
) -> None:
    async def world() -> None:
        async with radio_world() as air:
            await air.boot(records, runtime, **settings)
            await scenario(air)

    asyncio.run(world())


@asynccontextmanager
async def greeted() -> AsyncIterator[Edge]:
    async with Edge() as edge:
        await edge.handshake()
        kind, hello = await edge.hear()
        assert kind == link.HELLO and isinstance(hello, link.Hello)
        yield edge


async def cut_off(rogue: Edge, parts: list[bytes]) -> None:
    """Send these parts, and wait until the lock has disconnected."""
    try:
        for part in parts:
            await rogue.raw(part)
    except BleakError:
        pass  # the lock disconnected before it had all parts
    await rogue.gone.wait()
