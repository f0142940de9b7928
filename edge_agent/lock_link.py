"""The link to one lock over BLE. When it has its turn, the link connects, pulls the lock's records with credit, hands
over statements, and leaves when others wait.

Theory of operation. The messages are those of `protocol.link`, and `edge_agent.rotation` gives turns. The link makes
one `LockConnection` after another. At each connection, the link asks the caller for the next counter. So after any
loss, the lock continues with the first record that is not stored.

    state       event                               next state
    ----------  ----------------------------------  ---------------------------------------------------------------
    waiting     a pass is there, and it has a turn  connecting
    connecting  handshake done, HELLO received      streaming: PULL from the next counter, with credit
    connecting  anything fails                      waiting, as a silent lock: longer after each failure
    streaming   a record with the expected counter  streaming: stored; credit is renewed after half of it
    streaming   a counter above the expected one    waiting: the record is asked for again on a new connection
    streaming   the same gap again                  streaming: the lock does not have the record, which is logged
    streaming   nothing came for CHECK_SECONDS      streaming: the lock is asked for a HELLO
    streaming   the connection ends                 waiting: from the shortest wait, if it brought a record or lasted
    streaming   it is asked to leave                streaming: until all is stored and handed over, or the time is over
    streaming   then                                waiting for the next turn
    any         a stranger's address has proven     connecting: `run` continues with that connection, if a place is
                itself (`prove`)                    free
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from edge_agent import log
from edge_agent.backoff import Backoff, until
from edge_agent.credentials import Credentials
from edge_agent.faults import FaultError, Faults, cancelled
from edge_agent.lock_connection import CONNECT_SECONDS, HELLO_SECONDS, LockConnection, StuckError
from edge_agent.rotation import Member, Rotation, Turn
from protocol import link
from protocol import record as record_format
from protocol.errors import MooringError, TransportError
from protocol.link import Hello

RECONNECT: Final = Backoff(first=1.0, limit=60.0)
"""Waits between attempts. A rebooted lock is back in seconds. A lock that stays out of reach must cost little radio
time."""
CREDIT: Final = 16
"""Number of records that a lock may send before the first of these records is stored: about 12 KB, or one second of a
slow radio.
"""
STEADY_SECONDS: Final = 10.0
"""A connection that lasted this long did not fail, even if it brought no record."""
QUIET_SECONDS: Final = 2.0
"""A visit leaves when nothing has happened for this long. In this time, the province answers what the lock has asked:
the time, receipts, newer statements."""
CHECK_SECONDS: Final = 120.0
"""If nothing came from a lock for this long, the link asks for a HELLO. So a connection that has ended without a notice
from BlueZ is found."""
LEFT: Final = "lock.left"
"""Code of the end of a visit that was asked to leave."""


class LockLink:
    """The link to the lock at one Bluetooth address. The link connects as soon as `credentials` have a pass.

    `on_hello(hello)` is awaited for each HELLO; no record comes before the first HELLO. `on_record(record)` is awaited
    for each record, in order. `on_record` must not return before the record is stored durably, because the lock may
    send more when `on_record` returns. `next_counter(hello)` returns the first counter that is not stored. An exception
    from one of these functions ends the connection, and the link connects again later. An exception that is not a
    MooringError is counted in `faults`. `rotation` says when the link may connect.
    """

    def __init__(
        self,
        address: str,
        *,
        on_hello: Callable[[Hello], Awaitable[None]],
        on_record: Callable[[record_format.Record], Awaitable[None]],
        next_counter: Callable[[Hello], int],
        credentials: Credentials,
        faults: Faults,
        rotation: Rotation,
        credit: int = CREDIT,
        backoff: Backoff = RECONNECT,
    ) -> None:
        if not 1 <= credit <= link.CREDIT_LIMIT:
            raise ValueError(f"credit is 1 to {link.CREDIT_LIMIT}")
        self.address = address
        self.last_error: MooringError | None = None
        """The error that ended or prevented the last connection; None while connected."""
        self._on_hello, self._on_record, self._next_counter = on_hello, on_record, next_counter
        self._credentials = credentials
        self._credit = credit
        self._backoff = backoff
        self._rotation = rotation
        self._faults = faults
        self._current: LockConnection | None = None
        self._opened: tuple[LockConnection, Turn] | None = None
        self._lock_id = b""
        """Id of the lock that last proved itself on this link; empty until a lock has proved itself."""
        self._missing: int | None = None
        self._worked = self._answered = False
        self._drained = self._leaving = self._asked_hello = False
        self._deliveries = 0
        self._active_at = 0.0
        self._moved = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Return True if there is a working connection and the lock has said HELLO on it."""
        return self._current is not None and self._current.ready

    async def prove(self) -> bytes:
        """Connect, let the peer prove that it is one of our own locks, and return the lock's id.

        If a place is free, `run` then continues with this connection. Otherwise, `run` waits for the lock's turn.
        Raises MooringError; then the connection is closed.
        """
        connection = LockConnection(self.address, self._credentials)
        kept = False
        try:
            await connection.open()
            await connection.shake_hands()
            if (turn := self._rotation.free_turn()) is not None:
                self._opened, kept = (connection, turn), True
        finally:
            if not kept:
                await self._close(connection)
        self._lock_id = connection.lock_id
        return connection.lock_id

    async def run(self) -> None:
        """Visit the lock whenever it has its turn, until cancelled. Do not raise errors, but store the latest error in
        `last_error`."""
        with self._rotation.joined(self.address) as member:
            failures = 0
            while True:
                await self._credentials.available.wait()
                turn = await self._next_turn(member)
                self._worked = self._answered = False
                started = asyncio.get_running_loop().time()
                error = await self._end_of_connection(member, turn)
                if self._answered and error.code == LEFT:
                    self.last_error, failures = None, 0
                    self._rotation.over(member, True, None)
                    continue
                self.last_error = error
                # After a connection that worked, start again with the shortest wait: a lock that rebooted is back soon.
                lasted = asyncio.get_running_loop().time() - started
                steady = self._worked or lasted >= CONNECT_SECONDS + STEADY_SECONDS
                failures = 1 if steady and self._answered else failures + 1
                wait = self._backoff.wait(failures)
                whose = {"address": self.address, "lock": self._lock_id}
                if isinstance(error, FaultError):
                    self._faults.note(error, **whose)
                self._note_radio(error)
                log.event("link.lost", **whose, code=error.code, reason=error.message, retry_seconds=round(wait, 2))
                self._rotation.over(member, self._answered, wait)

    def _note_radio(self, error: MooringError) -> None:
        if isinstance(error, StuckError):
            self._rotation.care.note_stuck()
        elif error.code == "lock.foreign":
            self._rotation.care.note_stale(self.address)

    async def _next_turn(self, member: Member) -> Turn:
        if self._opened is None:
            return await self._rotation.turn(member)
        self._rotation.take(member, self._opened[1])
        return self._opened[1]

    async def _end_of_connection(self, member: Member, turn: Turn) -> MooringError:
        try:
            async with turn.limited():
                await self._one_connection(member, turn)
        except MooringError as error:
            return error
        except TimeoutError as error:
            if not turn.cut_off:
                return FaultError(error)
            return TransportError(LEFT if self._answered else "lock.silent", "the time of this visit is over")
        except asyncio.CancelledError:
            if cancelled():
                raise
            return TransportError("lock.gone", "the radio gave up the call")
        except Exception as error:  # noqa: BLE001 -- contained here, and noted
            return FaultError(error)

    async def deliver(self, statement: bytes) -> str | None:
        """Hand one signed statement to the lock. Return None if the lock accepts the statement, else the code of the
        refusal.

        Raises TransportError: `lock.not_connected` if the lock is not ready, `lock.silent` if it does not answer in
        time, `lock.gone` if the connection ends, `lock.protocol` if the lock breaks the protocol. Raises FormatError
        `link.too_long` for a statement that is too long. After a TransportError, the agent does not know whether the
        lock has the statement; the lock's next HELLO shows this. If the connection ends in the middle of a long
        statement, the lock keeps the part that it has. On the next connection, the same statement continues after this
        part.
        """
        connection = self._current
        if connection is None or not connection.ready or self._leaving:
            raise TransportError("lock.not_connected", "there is no connection now. Deliver after the next HELLO.")
        self._deliveries += 1
        try:
            return await connection.deliver(statement)
        finally:
            self._deliveries -= 1
            self._note_activity()

    async def _one_connection(self, member: Member, turn: Turn) -> NoReturn:
        """Make and serve one connection until it ends. Always end with an exception."""
        proven, self._opened = self._opened, None
        connection = proven[0] if proven else LockConnection(self.address, self._credentials)
        leaving: asyncio.Task[None] | None = None
        try:
            if proven is None:
                async with self._rotation.connecting if turn.lane == "line" else contextlib.nullcontext():
                    await connection.open()
                await connection.shake_hands()
            hello = await connection.greet()
            self._answered = True
            self._rotation.answered(member, connection.hint_key)
            self._current, self.last_error = connection, None
            self._drained = self._leaving = self._asked_hello = False
            self._note_activity()
            leaving = asyncio.create_task(self._leave(connection, turn))
            await self._on_hello(hello)
            await self._stream(connection, hello)
        finally:
            self._current = None
            self._lock_id = connection.lock_id or self._lock_id
            if leaving is not None:
                leaving.cancel()
            await self._close(connection)

    def _note_activity(self) -> None:
        self._active_at = asyncio.get_running_loop().time()
        self._moved.set()

    async def _leave(self, connection: LockConnection, turn: Turn) -> None:
        """When the visit is asked to leave, wait until its work is done, and end the connection.

        The work is done when the lock's records are stored and nothing has happened for QUIET_SECONDS. From
        `turn.begin_until` on, nothing new begins.
        """
        await turn.leave.wait()
        loop = asyncio.get_running_loop()
        while (now := loop.time()) < turn.begin_until:
            busy = self._deliveries > 0 or not self._drained
            rest = turn.begin_until - now if busy else self._active_at + QUIET_SECONDS - now
            if rest <= 0:
                break
            self._moved.clear()
            await until(self._moved, rest)
        self._leaving = True
        while self._deliveries:
            self._moved.clear()
            await self._moved.wait()
        connection.end(TransportError(LEFT, "others wait"))

    async def _close(self, connection: LockConnection) -> None:
        if (fault := await connection.close()) is not None:
            self._faults.note(fault, address=self.address)

    async def _stream(self, connection: LockConnection, hello: Hello) -> NoReturn:
        # Skip the records that a receipt covers, because they are committed, and the lock may have erased them.
        expected = max(self._next_counter(hello), hello.receipted_through + 1)
        await connection.pull(expected, self._credit)
        renew_at = expected + (self._credit + 1) // 2
        while True:
            if expected >= hello.next_counter:
                self._drained = True
                self._moved.set()
            message = await self._next_message(connection, expected)
            if isinstance(message, Hello):
                hello = message
                await self._on_hello(hello)
                if self._asked_hello:
                    # The question has stopped the stream of records.
                    self._asked_hello = False
                    await connection.pull(expected, self._credit)
                    renew_at = expected + (self._credit + 1) // 2
                continue
            self._note_activity()
            record = record_format.parse(message)
            if record.lock_id != hello.lock_id:
                raise TransportError("lock.protocol", "the lock sent a record of another lock")
            if record.counter < expected:
                continue
            if record.counter > expected and self._missing != expected:
                # Either a notification was lost, or the lock does not have the record. A new PULL shows which of the
                # two is true.
                self._missing = expected
                raise TransportError("lock.gap", f"record {expected} did not come. It is asked for again.")
            if record.counter > expected:
                log.event("record.missing", lock=hello.lock_id, first=expected, last=record.counter - 1)
            await self._on_record(record)
            self._worked = True
            expected = record.counter + 1
            if expected >= renew_at:
                # Renew the credit when half of it is used, so that the lock need not wait.
                await connection.pull(expected, self._credit)
                renew_at = expected + (self._credit + 1) // 2

    async def _next_message(self, connection: LockConnection, expected: int) -> Hello | bytes:
        """Wait for a message. If none comes for a long time, ask for a HELLO, which must come soon."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CHECK_SECONDS):
                return await connection.next_message()
        self._asked_hello = True
        await connection.pull(expected, 0)
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                return await connection.next_message()
        except TimeoutError as error:
            raise TransportError("lock.silent", f"the lock sent no HELLO within {HELLO_SECONDS:.0f} s") from error
