"""The radio of a lock whose software has not read the newest events yet. A connection may have ended meanwhile.

The test sends the frames that the stand-in `bluetooth` would send.
"""

import asyncio
import json
import struct

from bleak import BleakClient
from bumble.core import UUID

from protocol import link
from sim.radio.lock_radio import LockRadio
from tests.support.radio_world import ADDRESS, radio_world

_HEADER = struct.Struct(">HBHH")
_ADVERTISE, _SERVICES, _NOTIFY = 1, 3, 5
_CONNECTED, _DISCONNECTED = 1, 2
_UP = 0x12
_FLAG_NOTIFY = 0x10


class LateLock:
    """A lock that exchanges frames with its radio. This lock sends the test's frames, even if unread events are
    waiting.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def say(self, kind: int, a: int, b: int, payload: bytes = b"") -> None:
        self._writer.write(_HEADER.pack(len(payload), kind, a, b) + payload)

    def leave(self) -> None:
        self._writer.close()

    async def hear(self, event: int) -> int:
        """Wait for the next event of this kind, and return its connection."""
        while True:
            length, kind, connection, _ = _HEADER.unpack(await self._reader.readexactly(_HEADER.size))
            await self._reader.readexactly(length)
            if kind == event:
                return int(connection)

    async def advertise(self, radio: LockRadio) -> None:
        self.say(_ADVERTISE, 20, 1, link.advertisement(bytes(32), bytes(2)))
        await radio.on_air.wait()


def test_what_a_lock_says_on_a_connection_that_has_ended_does_not_reach_the_next_one() -> None:
    async def scenario() -> None:
        async with radio_world() as world:
            host, port = world.radio.endpoint.split(":")
            lock = LateLock(*await asyncio.open_connection(host, int(port)))
            service, up = (UUID(uuid).to_bytes().hex() for uuid in (link.SERVICE, link.UP))
            lock.say(_SERVICES, 0, 0, json.dumps([[service, [[up, _FLAG_NOTIFY, _UP, []]]]]).encode())
            await lock.advertise(world.radio)
            async with BleakClient(ADDRESS):
                gone = await lock.hear(_CONNECTED)
            await lock.hear(_DISCONNECTED)
            await lock.advertise(world.radio)
            heard: asyncio.Queue[bytes] = asyncio.Queue()
            async with BleakClient(ADDRESS) as following:
                await following.start_notify(link.UP, lambda _, value: heard.put_nowait(bytes(value)))
                lock.say(_NOTIFY, gone, _UP, b"for the one before")
                lock.say(_NOTIFY, await lock.hear(_CONNECTED), _UP, b"for the next")
                assert await heard.get() == b"for the next"
            lock.leave()

    asyncio.run(scenario())
