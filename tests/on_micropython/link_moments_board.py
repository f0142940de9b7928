"""Run by either runtime. An edge's connection ends while the lock works for this edge: once at each possible moment.

With "another", a second edge has already connected and sent its OPEN when the lock continues. After each end, the link
must still run, and the second edge must be served and must receive only its own messages. Arguments: "alone" or
"another", the first moment to try, and the step from one tried moment to the next. Prints the number of moments, the
number of tried moments, and the errors.
"""

import asyncio
import json
import sys

from firmware import crypto as own_crypto
from firmware.hardware.irq_flag import irq_flag
from firmware.hardware.radio import CENTRAL_CONNECT, CENTRAL_DISCONNECT, GATTS_WRITE, MTU_EXCHANGED, Radio
from firmware.link.admission import Admission
from firmware.link.edge_link import Link
from firmware.memory.identity import Identity
from firmware.trust.edge_passes import EdgePasses
from protocol import link, link_initiator, link_session
from protocol.errors import MooringError
from protocol.link import Hello
from protocol.parts import Assembler, Parts
from tests.on_micropython.moments import MOMENTS
from tests.support.link_keys import LinkKeys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

if sys.implementation.name == "micropython":
    crypto: "Any" = own_crypto
else:
    from protocol import crypto_cpython as crypto

DOWN, UP = 16, 18
RECORDS = 2
KEYS = LinkKeys(crypto)
PASS = KEYS.edge_pass()


class Interrupted:
    """The cryptography, with one moment before and one after each call of a function."""

    def __getattr__(self, name: str) -> "Any":
        return MOMENTS.around(getattr(crypto, name))


class Stack:
    """A `bluetooth.BLE` with connections, but without a real radio."""

    def __init__(self) -> None:
        self.handler: Any = None
        self.value = b""
        self.sent: dict[int, list[bytes]] = {}

    def irq(self, handler: "Any") -> None:
        self.handler = handler

    def active(self, on: bool) -> bool:
        return on

    def config(self, **_: "Any") -> None:
        pass

    def gatts_register_services(self, _: "Any") -> "Any":
        return ((DOWN, UP),)

    def gatts_set_buffer(self, *_: "Any") -> None:
        pass

    def gatts_read(self, _: int) -> bytes:
        return self.value

    def gap_advertise(self, *_: "Any") -> None:
        MOMENTS.pass_one()

    def gap_disconnect(self, connection: int) -> bool:
        MOMENTS.pass_one()
        return self.end(connection)

    def gatts_notify(self, connection: int, _: int, data: bytes) -> None:
        MOMENTS.pass_one()
        if not isinstance(connection, int):
            raise TypeError
        if connection not in self.sent:
            raise OSError(107)
        self.sent[connection].append(bytes(data))

    def end(self, connection: int) -> bool:
        there = self.sent.pop(connection, None) is not None
        if there:
            self.tell(CENTRAL_DISCONNECT, (connection, 0, b""))
        return there

    def tell(self, event: int, data: "Any") -> None:
        was, MOMENTS.within = MOMENTS.within, True
        self.handler(event, data)
        MOMENTS.within = was


class Files:
    """A store without flash."""

    def read(self, name: str) -> "bytes | None":
        return None

    def write(self, name: str, content: bytes) -> None:
        pass


class Clock:
    """A clock after a cold start."""

    def interval(self) -> "tuple[int, int | None]":
        return (0, None)


class Memory:
    """The part of a lock that the link uses."""

    def __init__(self) -> None:
        identity = Identity(crypto, KEYS.lock[0], KEYS.lock[0], KEYS.province[1], KEYS.link, KEYS.proof())
        interrupted: Any = Interrupted()
        files: Any = Files()
        clock: Any = Clock()
        self.crypto: Any = crypto
        self.admission = Admission(interrupted, identity)
        self.edge_passes = EdgePasses(interrupted, files, identity, clock)

    def hello(self) -> Hello:
        return Hello(KEYS.lock_id, RECORDS + 1, 0, {}, None, KEYS.lock[1])

    def judge(self, edge_pass: bytes, edge_public: bytes) -> "tuple[str, int]":
        form = self.edge_passes.judge(edge_pass, edge_public)
        return form.edge, form.not_after

    def records_from(self, counter: int) -> "Iterator[tuple[int, bytes]]":
        for number in range(counter, RECORDS + 1):
            yield number, bytes(600)

    def deliver(self, *parts: bytes) -> "tuple[str, str | None]":
        return "grant", None


class Edge:
    """An edge's end of connection `number`. The edge computes its keys in advance, so that this computation adds no
    moments.
    """

    def __init__(self, stack: Stack, number: int) -> None:
        self.stack, self.number = stack, number
        self.initiator = link_initiator.Initiator(crypto, KEYS.edge)
        self.opening = self.initiator.open()
        self.session: link_session.Session | None = None
        self._assembler = Assembler()

    def connect_and_open(self) -> None:
        self.stack.sent[self.number] = []
        self.stack.tell(CENTRAL_CONNECT, (self.number, 0, b""))
        self.stack.tell(MTU_EXCHANGED, (self.number, 247))
        self._say(self.opening)

    def _say(self, message: bytes) -> None:
        for part in Parts(message, 247):
            if self.number in self.stack.sent:
                self.stack.value = part
                self.stack.tell(GATTS_WRITE, (self.number, DOWN))

    def say(self, message: bytes) -> None:
        assert self.session is not None
        self._say(self.session.seal(message))

    async def hear(self, running: "asyncio.Task[None]") -> bytes:
        """Wait for the lock's next message, and return it. Raises OSError after the connection has ended."""
        for _ in range(5000):
            if running.done():
                await running
            parts = self.stack.sent.get(self.number)
            if parts is None:
                raise OSError(107)
            while parts:
                message = self._assembler.push(parts.pop(0), link.MESSAGE_LIMIT)
                if message is not None:
                    return message if self.session is None else self.session.open(message)
            await asyncio.sleep(0.001)
        raise AssertionError("the lock says nothing")

    async def prove(self, running: "asyncio.Task[None]") -> None:
        self.initiator.answered(await self.hear(running))
        finish, self.session = self.initiator.finish(PASS)
        self._say(finish)
        assert link.parse(await self.hear(running))[0] == link.HELLO


async def _until_gone(edge: Edge, running: "asyncio.Task[None]") -> None:
    edge.connect_and_open()
    await edge.prove(running)
    edge.say(link.pull(1, RECORDS))
    edge.say(link.deliver(b"s" * 300))
    for _ in range(RECORDS + 1):
        await edge.hear(running)


async def one(when: int, another: bool) -> int:
    """Run the story, and end the connection at moment `when`, or never if `when` is 0. Return the number of moments."""
    stack = Stack()
    edge, following = Edge(stack, 1), Edge(stack, 2)
    running = asyncio.create_task(Link(Radio(stack), Memory(), irq_flag()).run())
    await asyncio.sleep(0)

    def ends() -> None:
        stack.end(1)
        if another:
            following.connect_and_open()

    MOMENTS.begin(when, ends)
    MOMENTS.within = False
    try:
        await _until_gone(edge, running)
    except OSError:
        assert when  # the connection has ended, as expected
    MOMENTS.within = True
    count = MOMENTS.count
    stack.end(1)
    if following.number not in stack.sent:
        following.connect_and_open()
    await following.prove(running)
    running.cancel()
    return count


async def main(another: bool, first: int, stride: int) -> None:
    MOMENTS.find()
    count = await one(0, another)
    wrong, tried = [], 0
    for when in range(first, count + 1, stride):
        tried += 1
        try:
            await one(when, another)
        except (AssertionError, TypeError, OSError, MooringError) as error:
            wrong.append([when, repr(error)])
    print("\x02" + json.dumps({"moments": count, "tried": tried, "wrong": wrong}))


asyncio.run(main(sys.argv[1] == "another", int(sys.argv[2]), int(sys.argv[3])))
