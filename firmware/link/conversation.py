"""What is said over one connection of the edge link: the handshake, then statements down, facts and records up.

A conversation belongs to one connection for good. The radio's handler makes it, gives it the parts that come in, and
ends it; the link's task works with the one that it took hold of, which is still the same when the handler has begun
another. So what is sealed for one edge is never sent to the next.
"""

import asyncio
import gc
from hashlib import sha256

from firmware.hardware import ticks
from firmware.hardware.console import log
from firmware.hardware.gatt_sending import lost, send_message
from protocol import const, link, link_session
from protocol.errors import FormatError, MooringError
from protocol.parts import Assembler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Protocol

    from firmware.hardware.radio import Radio
    from firmware.link.admission import Admission
    from protocol.link import Hello

    class LockMemory(Protocol):
        """What the link needs of the lock."""

        admission: Admission

        def judge(self, edge_pass: bytes, edge_public: bytes) -> str:
            """Name of the edge. Raises MooringError for a pass that is not good for it here and now."""

        def hello(self) -> Hello:
            """What the lock says of itself."""

        def records_from(self, counter: int) -> "Iterator[tuple[int, bytes]]":
            """(counter, record) of the records held, from `counter` on."""

        def deliver(self, data: bytes) -> "tuple[str, str | None]":
            """Take a statement; its kind, and None or the code of the refusal."""


INBOX_BYTES = 8192
"""Messages waiting to be handled: some of the longest, which an edge sends without waiting for an answer."""
_EACH = const(64)
"""What a message takes of the inbox beside its bytes, so that there are not thousands of short ones."""
FAREWELL_SECONDS = 0.5
"""Between telling an edge why it is refused and ending the connection: for the last notification to leave."""
PATIENCE = 3
"""Refused statements in a row before the lock takes its time: each costs it a signature check."""
REST = 3
"""Once an edge has brought many statements, the link rests after each for so many times as long as it took: a courier
that repeats what the lock holds, each time a signature check, gets a quarter of the lock's time at most."""


class Conversation:
    """The conversation over `connection`, whose parts go to the value `value_handle`. Whoever ends it sets `closed`.

    `held` is a statement in pieces, for the next conversation to go on with: nothing, or [digest, size, what is here].
    """

    def __init__(
        self, lock: "LockMemory", radio: "Radio", connection: int, value_handle: int, held: "list[Any]"
    ) -> None:
        self.connection = connection
        self.since = ticks.now()
        self.closed = False
        self.session: link_session.Session | None = None
        self._lock = lock
        self._radio = radio
        self._up = value_handle
        self._held = held
        self._offered = False
        self._responder: link_session.Responder | None = None
        self._assembler = Assembler(link_session.OPEN_LIMIT)
        self._inbox: list[bytes] = []
        self._greet = False
        self._told: Hello | None = None
        self._pulled_from = self._next = self._credit = 0
        self._refusals = 0

    def push(self, part: bytes) -> None:
        """Take a part from the edge. Runs in the radio's handler. Raises FormatError `parts.*`, `link.flood`."""
        message = self._assembler.push(part)
        if message is None:
            return
        if sum(len(waiting) + _EACH for waiting in self._inbox) + len(message) > INBOX_BYTES:
            raise FormatError("link.flood", "more messages than can be taken")
        self._inbox.append(message)

    async def step(self) -> bool:
        """Do the next thing there is to do; False if there is nothing. Raises MooringError: the edge has to go."""
        if self._inbox:
            message = self._inbox.pop(0)
            if self.session is None:
                await self._shake_hands(message)
            else:
                await self._handle(link.parse(self.session.open(message)))
            return True
        if self.session is None:
            return False
        if self._greet or self._told is not None:
            hello = self._lock.hello()
            if self._greet or not hello.repeats(self._told):
                self._greet = False
                self._told = hello
                await self._send(hello.encode())
                return True
        if self._credit:
            for counter, record in self._lock.records_from(self._next):
                self._next = counter + 1
                self._credit -= 1
                await self._send(link.record(record))
                return True
        return False

    async def _shake_hands(self, message: bytes) -> None:
        """Take an OPEN or a FINISH. The door gets its turn between any two multiplications."""
        began = ticks.now()
        gc.collect()  # what comes of this stays as long as the edge: in the middle of a visit too it shall lie together
        if self._responder is None:
            responder = self._lock.admission.begin(message)
            # From here on no second OPEN gets through on this connection, whatever becomes of this one.
            self._responder = responder
            self._assembler.limit = link_session.FINISH_LIMIT
            responder.opened(message)
            await asyncio.sleep(0)
            answer = responder.answer()
            await asyncio.sleep(0)
            log("link.answered", ms=ticks.since(ticks.now(), began))
            await self._send_parts(answer)
            return
        edge_public, edge_pass, session = self._responder.finished(message)
        await asyncio.sleep(0)
        edge, refusal = "", None
        try:
            edge = self._lock.judge(edge_pass, edge_public)
        except MooringError as error:
            refusal = error
        if self.closed:
            return
        self.session = session
        if refusal is not None:
            # Said to the holder of a key, and sealed; whoever only listens learns nothing of it.
            await self._send(link.result("edge-pass", refusal.code))
            await asyncio.sleep(FAREWELL_SECONDS)
            raise refusal
        self._lock.admission.proven()
        self._assembler.limit = link.DOWN_LIMIT
        self._greet = True
        log("link.proven", edge=edge, ms=ticks.since(ticks.now(), began))

    async def _handle(self, message: "tuple[Any, ...]") -> None:
        kind = message[0]
        if kind == link.PULL:
            self._pull(message[1], message[2])
        elif kind == link.DELIVER:
            await self._take_statement(message[1])
        elif kind == link.OFFER:
            await self._take_offer(message[1], message[2])
        elif kind == link.PIECE:
            await self._take_piece(message[1])
        else:
            raise FormatError("link.type", "a message in the wrong direction")

    async def _take_statement(self, statement: bytes) -> None:
        if self._refusals >= PATIENCE:
            await asyncio.sleep(min(0.2 * self._refusals, 5))
        if self.closed:
            return
        began = ticks.now()
        name, code = self._lock.deliver(statement)
        took = ticks.since(ticks.now(), began)
        self._refusals = 0 if code is None else self._refusals + 1
        await self._send(link.result(name, code))
        if not self._lock.admission.takes_statement():
            await asyncio.sleep(REST * took / 1000)

    async def _take_offer(self, digest: bytes, size: int) -> None:
        if self._held[:2] != [digest, size]:
            self._held[:] = [digest, size, bytearray()]
        self._offered = True
        await self._send(link.want(len(self._held[2])))

    async def _take_piece(self, content: bytes) -> None:
        if not self._offered:
            raise FormatError("link.piece", "a piece of nothing that was offered")
        digest, size, held = self._held
        if len(held) + len(content) > size:
            raise FormatError("link.piece", "more than was offered")
        held.extend(content)
        if len(held) < size:
            return
        self._held.clear()
        self._offered = False
        if sha256(held).digest() == digest:
            await self._take_statement(bytes(held))
        else:
            self._refusals += 1
            await self._send(link.result("?", "link.digest"))

    def _pull(self, start: int, credit: int) -> None:
        if credit == 0:
            self._greet = True
        elif self._pulled_from < start <= self._next:
            # "Stored up to here": what was sent since is on its way, and counts against the new credit.
            self._credit = max(0, credit - (self._next - start))
            self._pulled_from = start
            return
        self._pulled_from = self._next = start
        self._credit = credit

    async def _send(self, message: bytes) -> None:
        if self.session is not None:
            await self._send_parts(self.session.seal(message))

    async def _send_parts(self, message: bytes) -> None:
        """Raises TransportError `ble.lost`, `ble.stuck`."""

        def notify(part: bytes) -> None:
            if self.closed:
                raise lost()
            self._radio.gatts_notify(self.connection, self._up, part)

        await send_message(message, self._radio.mtu(self.connection), notify)
