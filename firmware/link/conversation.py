"""The messages over one connection of the edge link: a handshake, then statements for the lock, and facts and records
for the edge.

A conversation belongs to one connection, from the first message to the end. The radio's handler creates the
conversation, passes it the parts that arrive, and ends it with `close`. The link's task reads the current conversation
into a variable and calls its `step`. If the handler starts another conversation meanwhile, the task still works with
the old conversation, which is closed. So a message that was sealed for one edge is never sent to another edge.

| state | message from the edge | what the lock does | next state |
| --- | --- | --- | --- |
| OPENING | OPEN (`link_session`) | checks the rate limit, answers with its ephemeral key | ANSWERED |
| ANSWERED | FINISH, with a good pass of the province | seals all messages from here on; sends HELLO | PROVEN |
| ANSWERED | FINISH, with any other pass | sends RESULT "edge-pass" and the code, waits a little | dropped |
| PROVEN | PULL (start, credit) | sends up to `credit` records from `start` on, as they exist | PROVEN |
| PROVEN | DELIVER (statement) | verifies it, sends RESULT | PROVEN |
| PROVEN | OFFER (digest, size), then PIECE … | sends WANT (offset); after the last piece as for DELIVER | PROVEN |
| PROVEN | anything, after the end of the edge's pass | raises a MooringError; so does a record that waits | dropped |
| any | anything else, or a message that does not open | raises a MooringError | dropped |

In state OPENING, `_responder` and `session` are None. In ANSWERED, `_responder` is set; in PROVEN, `session` is set
too. "Dropped" means that `step` raises an error and `edge_link` disconnects.

A PULL with credit 0 stops the stream of records and asks for a HELLO. Any other PULL continues the stream or starts it
anew. A PULL continues the stream if its `start` lies among the records sent since the previous PULL. In this case, the
PULL also means "the edge has stored all records before `start`". The lock also sends a HELLO by itself when a fact of
the previous HELLO has changed.
"""

import asyncio
import gc
from hashlib import sha256

from firmware.hardware import ticks
from firmware.hardware.console import log
from firmware.hardware.gatt_sending import lost, send_message
from protocol import const, link, link_session
from protocol.errors import FormatError, MooringError, VerificationError
from protocol.parts import Assembler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Protocol

    from firmware.hardware.radio import Radio
    from firmware.link.admission import Admission
    from firmware.trust.edge_passes import EdgePasses
    from protocol.crypto import Crypto
    from protocol.link import Hello

    class LockMemory(Protocol):
        """The part of the lock that the link uses."""

        crypto: Crypto
        admission: Admission

        edge_passes: EdgePasses

        def judge(self, edge_pass: bytes, edge_public: bytes) -> tuple[str, int]:
            """Return the edge's name and the end of its pass. Raises MooringError unless the pass is valid now for this
            edge and this lock."""

        def hello(self) -> Hello:
            """Return the facts about the lock that a HELLO contains."""

        def records_from(self, counter: int) -> "Iterator[tuple[int, bytes]]":
            """Yield (counter, record) for each record without a receipt, beginning with the record number `counter`."""

        def deliver(self, *parts: bytes) -> "tuple[str, str | None]":
            """Take a statement, which may be in parts. Return the statement's kind and an error code, which is None if
            the lock accepts the statement."""


INBOX_BYTES = 8192
"""Maximum number of bytes in messages that wait to be handled. There is room for several of the longest messages,
because an edge sends some of them without waiting for an answer."""
_EACH = const(64)
"""Number of extra bytes counted for each message, so that the inbox never holds thousands of short messages."""
FAREWELL_SECONDS = 0.5
"""The lock waits for this long between the refusal of an edge and the disconnection. So the radio can still send the
message.
"""
PATIENCE = 3
"""After this many refused statements in a row, the lock waits before it takes another statement. Each statement costs a
signature check."""
REST = 3
"""After a burst of statements, the lock rests after each further statement. This rest takes REST times as long as the
statement took. Each statement costs a signature check. With these rests, an edge that repeats old statements for ever
uses at most a quarter of the lock's time."""


class Conversation:
    """The conversation over `connection`. The conversation sends notifications on the handle `value_handle`. It ends
    with `close`. `next` is the counter of the next record to send.

    `partial` is a statement that arrives in pieces: empty, or [digest, size, number of bytes so far, piece …].
    The caller keeps `partial` after the conversation has ended, so that the next conversation can complete the
    statement. The pieces are joined only when room was made for the whole statement.
    """

    def __init__(
        self, lock: "LockMemory", radio: "Radio", connection: int, value_handle: int, partial: "list[Any]"
    ) -> None:
        self.connection = connection
        self.since = ticks.now()
        self.closed = False
        self.session: link_session.Session | None = None
        self._lock = lock
        self._radio = radio
        self._up = value_handle
        self._partial = partial
        self._offered = False
        self._responder: link_session.Responder | None = None
        self._assembler = Assembler()
        self._limit = link_session.OPEN_LIMIT
        self._inbox: list[bytes] = []
        self._greet = False
        self._told: Hello | None = None
        self.next = 0
        self._pulled_from = self._credit = 0
        self._refusals = self._until = 0

    def close(self) -> None:
        """End the conversation. Nothing more is sent, and messages that wait to be handled are ignored."""
        self.closed = True

    def push(self, part: bytes) -> None:
        """Take a part of a message. Runs in the radio's handler.

        Raises FormatError `parts.*` for an invalid part, or `link.flood` if too many bytes wait in the inbox.
        """
        message = self._assembler.push(part, self._limit)
        if message is None:
            return
        if sum(len(waiting) + _EACH for waiting in self._inbox) + len(message) > INBOX_BYTES:
            raise FormatError("link.flood", "the edge sends faster than the lock handles")
        self._inbox.append(message)

    async def step(self) -> bool:
        """Do one piece of work. Return False if there was no work. Raises MooringError if the edge must be dropped."""
        if self.session is not None and self._lock.edge_passes.is_over(self._until):
            raise VerificationError("edge-pass.expired")
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
            for counter, record in self._lock.records_from(self.next):
                self.next = counter + 1
                self._credit -= 1
                await self._send(link.record(record))
                return True
        return False

    async def _shake_hands(self, message: bytes) -> None:
        """Take an OPEN or a FINISH. Between any two multiplications, other tasks can run, for example the door's."""
        began = ticks.now()
        # The objects allocated here live as long as the connection. Collect garbage first, so that these objects lie
        # together in the heap even if a visit is going on.
        gc.collect()
        if self._responder is None:
            responder = self._lock.admission.begin(message)
            # Accept no second OPEN on this connection, even if the first OPEN fails.
            self._responder = responder
            self._limit = link_session.FINISH_LIMIT
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
            edge, self._until = self._lock.judge(edge_pass, edge_public)
        except MooringError as error:
            refusal = error
        if self.closed:
            return
        self.session = session
        if refusal is not None:
            # The refusal is sealed for the holder of the edge's key, so an eavesdropper learns nothing from it.
            await self._send(link.result("edge-pass", refusal.code))
            await asyncio.sleep(FAREWELL_SECONDS)
            raise refusal
        self._lock.admission.proven()
        self._limit = link.DOWN_LIMIT
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
            raise FormatError("link.type", "this message is for edges, not for locks")

    async def _take_statement(self, *parts: bytes) -> None:
        if self._refusals >= PATIENCE:
            await asyncio.sleep(min(0.2 * self._refusals, 5))
        if self.closed:
            return
        began = ticks.now()
        name, code = self._lock.deliver(*parts)
        took = ticks.since(ticks.now(), began)
        self._refusals = 0 if code is None else self._refusals + 1
        await self._send(link.result(name, code))
        if not self._lock.admission.takes_statement():
            await asyncio.sleep(REST * took / 1000)

    async def _take_offer(self, digest: bytes, size: int) -> None:
        if self._partial[:2] != [digest, size]:
            self._partial[:] = [digest, size, 0]
        self._offered = True
        await self._send(link.want(self._partial[2]))

    async def _take_piece(self, content: bytes) -> None:
        if not self._offered:
            raise FormatError("link.piece", "a piece came before an offer")
        partial = self._partial
        count = partial[2] + len(content)
        if count > partial[1]:
            raise FormatError("link.piece", "the pieces are longer than the offer said")
        if partial[2] and len(partial[-1]) + len(content) <= link.PIECE_BYTES:
            partial[-1] += content  # so an edge that sends single bytes does not cause thousands of pieces
        else:
            partial.append(content)
        if count < partial[1]:
            partial[2] = count  # never the whole size: if memory runs out below, a WANT must still ask for a piece
            return
        digest, received = partial[0], partial[3:]
        partial.clear()
        self._offered = False
        found = sha256()
        for piece in received:
            found.update(piece)
        if found.digest() == digest:
            await self._take_statement(*received)
        else:
            self._refusals += 1
            await self._send(link.result("?", "link.digest"))

    def _pull(self, start: int, credit: int) -> None:
        if credit == 0:
            self._greet = True
        elif self._pulled_from < start <= self.next:
            # The edge has stored all records before `start`. Later records that the lock has already sent are
            # subtracted from the new credit.
            self._credit = max(0, credit - (self.next - start))
            self._pulled_from = start
            return
        self._pulled_from = self.next = start
        self._credit = credit

    async def _send(self, message: bytes) -> None:
        if self.session is not None:
            await self._send_parts(self.session.seal(message))

    async def _send_parts(self, message: bytes) -> None:
        """Send `message` in parts.

        Raises TransportError `ble.lost` if the connection is lost, or `ble.stuck` if the peer takes no more data.
        """

        def notify(part: bytes) -> None:
            if self.closed:
                raise lost()
            self._radio.gatts_notify(self.connection, self._up, part)

        await send_message(message, self._radio.mtu(self.connection), notify)
