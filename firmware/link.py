"""The lock's end of the edge link: a GATT server that streams the journal up and takes statements down.

Nothing is said before the handshake of `link_session`, which only an edge with a pass from the province gets through;
each message after it is sealed, and one that does not open ends the connection. Even so an edge is a courier that
need not be honest: it gets records that it cannot read, and can offer statements that verify or do not. What anybody
may cost is bounded: memory by one message being assembled, a small inbox and one statement in pieces, attention by a
purse for handshakes and by pauses after refusals, connections by a limit and a time to prove oneself.

The irq handler only takes notes; `run` does the work. A connection belongs to this link from its first write to DOWN
on, so connections for another service may come and go beside it.
"""

import asyncio
import gc
from hashlib import sha256

import bluetooth

from firmware import ticks
from firmware.console import log
from firmware.gatt_sending import lost, send_message
from firmware.irq_flag import irq_flag
from firmware.radio import CENTRAL_CONNECT, CENTRAL_DISCONNECT, GATTS_WRITE, MTU_EXCHANGED
from protocol import link, link_session
from protocol.errors import FormatError, MooringError, TransportError
from protocol.parts import SMALLEST_MTU, Assembler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Protocol

    from firmware.admission import Admission

    class LockMemory(Protocol):
        """What the link needs of the lock."""

        admission: Admission

        def judge(self, edge_pass: bytes, edge_public: bytes) -> str:
            """Name of the edge. Raises MooringError for a pass that is not good for it here and now."""

        def hello(self) -> "tuple[bytes, int, int, dict[str, int], bytes | None, bytes]":
            """The facts of a HELLO, in the order of `protocol.link.hello`."""

        def records_from(self, counter: int) -> "Iterator[tuple[int, bytes]]":
            """(counter, record) of the records held, from `counter` on."""

        def deliver(self, data: bytes) -> "tuple[str, str | None]":
            """Take a statement; its kind, and None or the code of the refusal."""


PREFERRED_MTU = 247
"""Fills one link-layer packet of 251 bytes; more would only be cut into several."""
ADVERTISE_US = 200000
"""Advertising interval: an edge finds a lock within a second, and the radio is idle 99% of the time."""
CONNECTIONS = 3
"""Connections at a time, of the four that NimBLE has on this chip; one stays free for a phone."""
SILENT_MS = 10000
"""A connection that has not written to DOWN by then, or not proven itself, is not an edge, and makes room. The chip's
own part in a handshake takes some two seconds."""
INBOX_BYTES = 8192
"""Messages waiting to be handled: some of the longest, which an edge sends without waiting for an answer."""
FAREWELL_SECONDS = 0.5
"""Between telling an edge why it is refused and ending the connection: for the last notification to leave."""
PATIENCE = 3
"""Refused statements in a row before the lock takes its time: each costs it a signature check."""


class Link:
    """The link over `ble` (a `bluetooth.BLE`) for `lock`: `run` for ever, `wake` after a record or changed fact."""

    def __init__(self, ble: "Any", lock: "LockMemory") -> None:
        self._ble = ble
        self._lock = lock
        self._flag = irq_flag()
        self._connections: dict[int, int] = {}  # handle: when it came
        self._unwelcome: list[tuple[int, str]] = []
        self._advertise_due = True
        self._down = self._up = 0
        self._mtus: dict[int, int] = {}
        self._peer: int | None = None
        self._peer_since = 0
        self._connection = 0
        # Of a statement in pieces: digest, size, and what is here of it. Outlives the connection.
        self._pieces: tuple[bytes, int, bytearray] | None = None
        self._begin()

    def _begin(self) -> None:
        """A new connection: nothing of the last peer is left."""
        self._connection += 1
        self._responder: link_session.Responder | None = None
        self._session: link_session.Session | None = None
        self._offered = False
        self._assembler = Assembler(link_session.OPEN_LIMIT)
        self._inbox: list[bytes] = []
        self._inbox_bytes = 0
        self._greet = False
        self._told: tuple[Any, ...] | None = None
        self._pulled_from = self._next = self._credit = 0
        self._refusals = 0

    def wake(self) -> None:
        """Tell the link that there is a new record, or that a fact of the HELLO has changed."""
        self._flag.set()

    async def run(self) -> None:
        """Serve edges until cancelled."""
        self._start()
        while True:
            try:
                self._lock.admission.prepare()
                look_again = self._advertise_due or self._has_strangers()
                await asyncio.wait_for(self._flag.wait(), SILENT_MS / 1000 if look_again else None)
            except asyncio.TimeoutError:
                pass
            self._flag.clear()
            self._tidy()
            while await self._step():
                # The door comes first: let every other task run between two messages.
                await asyncio.sleep(0)
                self._tidy()

    # --- radio -------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        ble = self._ble
        ble.irq(self._irq)
        ble.active(True)
        ble.config(mtu=PREFERRED_MTU, gap_name="Mooring")
        down = (bluetooth.UUID(link.DOWN), bluetooth.FLAG_WRITE | bluetooth.FLAG_WRITE_NO_RESPONSE)
        up = (bluetooth.UUID(link.UP), bluetooth.FLAG_NOTIFY)
        ((self._down, self._up),) = ble.gatts_register_services(((bluetooth.UUID(link.SERVICE), (down, up)),))
        ble.gatts_set_buffer(self._down, 512)
        self._flag.set()

    def _irq(self, event: int, data: "Any") -> None:
        try:
            self._note(event, data)
        except FormatError as error:
            self._unwelcome.append((data[0], error.code))
        except MemoryError:
            self._unwelcome.append((data[0], "link.memory"))
        self._flag.set()

    def _note(self, event: int, data: "Any") -> None:
        if event == GATTS_WRITE:
            if data[1] == self._down:
                self._take_part(data[0])
        elif event == CENTRAL_CONNECT:
            if len(self._connections) >= CONNECTIONS:
                self._unwelcome.append((data[0], "link.full"))
            self._connections[data[0]] = ticks.now()
            self._mtus[data[0]] = SMALLEST_MTU
            self._advertise_due = True
        elif event == CENTRAL_DISCONNECT:
            self._connections.pop(data[0], None)
            self._mtus.pop(data[0], None)
            if data[0] == self._peer:
                self._peer = None
                self._begin()
            self._advertise_due = True
        elif event == MTU_EXCHANGED:
            self._mtus[data[0]] = data[1]

    def _take_part(self, connection: int) -> None:
        if self._peer is None and connection in self._connections:
            self._peer = connection
            self._peer_since = ticks.now()
            self._begin()
        if connection != self._peer:
            self._unwelcome.append((connection, "link.busy"))
            return
        # Read here: the next write may overwrite the value before `run` comes round.
        message = self._assembler.push(self._ble.gatts_read(self._down))
        if message is None:
            return
        if self._inbox_bytes + len(message) > INBOX_BYTES:
            raise FormatError("link.flood", "more messages than can be taken")
        self._inbox.append(message)
        self._inbox_bytes += len(message)

    def _has_strangers(self) -> bool:
        proven = None if self._session is None else self._peer
        return any(handle != proven for handle in self._connections)

    def _tidy(self) -> None:
        """Send away who should not be here, and be found by others."""
        now = ticks.now()
        for handle, since in list(self._connections.items()):
            if handle != self._peer and ticks.since(now, since) >= SILENT_MS:
                self._unwelcome.append((handle, "link.silent"))
        if self._peer is not None and self._session is None and ticks.since(now, self._peer_since) >= SILENT_MS:
            self._unwelcome.append((self._peer, "link.unproven"))
        while self._unwelcome:
            handle, code = self._unwelcome.pop()
            self._drop(handle, code)
        if self._advertise_due and len(self._connections) < CONNECTIONS:
            try:
                self._ble.gap_advertise(ADVERTISE_US, link.advertisement(self._lock.hello()[0]))
                self._advertise_due = False
            except OSError as error:
                # The radio may still be busy with a connection that ends; this is tried again with the next look.
                log("link.hidden", error=error.args[0])

    def _drop(self, handle: int, code: str) -> None:
        if handle not in self._connections:
            return
        log("link.dropped", code=code)
        if handle == self._peer:
            # From here on nothing it has sent counts; its handle stays known until the radio says it is gone.
            self._peer = None
            self._begin()
        try:
            self._ble.gap_disconnect(handle)
        except OSError:
            pass  # it went by itself

    # --- conversation ------------------------------------------------------------------------------------------------

    async def _step(self) -> bool:
        """Do the next thing there is to do for the peer; False if there is nothing."""
        if self._peer is None:
            return False
        if self._inbox:
            message = self._inbox.pop(0)
            self._inbox_bytes -= len(message)
            connection = self._connection
            try:
                if self._session is None:
                    await self._shake_hands(message)
                else:
                    await self._handle(link.parse(self._session.open(message)))
            except MooringError as error:
                if connection == self._connection:
                    self._drop_peer(error.code)
            return True
        if self._session is None:
            return False
        facts = self._lock.hello() if self._told is not None or self._greet else None
        if facts is not None and (self._greet or _without_counter(facts) != self._told):
            self._greet = False
            self._told = _without_counter(facts)
            await self._send(link.hello(*facts))
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
        connection, began = self._connection, ticks.now()
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
            if connection == self._connection:
                await self._send_parts(answer)
            return
        edge_public, edge_pass, session = self._responder.finished(message)
        await asyncio.sleep(0)
        edge, refusal = "", None
        try:
            edge = self._lock.judge(edge_pass, edge_public)
        except MooringError as error:
            refusal = error
        if connection != self._connection:
            return
        self._session = session
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
        connection = self._connection
        if self._refusals >= PATIENCE:
            await asyncio.sleep(min(0.2 * self._refusals, 5))
        if connection != self._connection:
            return
        name, code = self._lock.deliver(statement)
        self._refusals = 0 if code is None else self._refusals + 1
        await self._send(link.result(name, code))

    async def _take_offer(self, digest: bytes, size: int) -> None:
        if self._pieces is None or self._pieces[:2] != (digest, size):
            self._pieces = (digest, size, bytearray())
        self._offered = True
        await self._send(link.want(len(self._pieces[2])))

    async def _take_piece(self, content: bytes) -> None:
        if self._pieces is None or not self._offered:
            raise FormatError("link.piece", "a piece of nothing that was offered")
        digest, size, held = self._pieces
        if len(held) + len(content) > size:
            raise FormatError("link.piece", "more than was offered")
        held.extend(content)
        if len(held) < size:
            return
        self._pieces, self._offered = None, False
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
        if self._session is not None:
            await self._send_parts(self._session.seal(message))

    async def _send_parts(self, message: bytes) -> None:
        connection, peer = self._connection, self._peer

        def notify(part: bytes) -> None:
            if connection != self._connection:
                raise lost()
            self._ble.gatts_notify(peer, self._up, part)

        try:
            await send_message(message, SMALLEST_MTU if peer is None else self._mtus[peer], notify)
        except TransportError as error:
            if connection == self._connection:
                self._drop_peer(error.code)

    def _drop_peer(self, code: str) -> None:
        if self._peer is not None:
            self._drop(self._peer, code)


def _without_counter(facts: "tuple[Any, ...]") -> "tuple[Any, ...]":
    # A record tells its own counter; a HELLO for each would double the messages.
    return (facts[0],) + facts[2:]
