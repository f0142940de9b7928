"""The link to one lock over BLE. The link stays connected, pulls the lock's records with credit, and hands over
statements.

Theory of operation. The messages are those of `protocol.link`. The link makes one `LockConnection` after another. At
each connection, the link asks the caller for the next counter. So after any loss, the lock continues with the first
record that is not stored.

    state       event                               next state
    ----------  ----------------------------------  ---------------------------------------------------------------
    waiting     a pass is there, the wait is over   connecting, as soon as `gate` lets it
    connecting  handshake done, HELLO received      streaming: PULL from the next counter, with credit
    connecting  anything fails                      waiting: longer after each failure
    streaming   a record with the expected counter  streaming: stored; credit is renewed after half of it
    streaming   a counter above the expected one    waiting: the record is asked for again on a new connection
    streaming   the same gap again                  streaming: the lock does not have the record, which is logged
    streaming   the connection ends                 waiting: from the shortest wait, if it brought a record or lasted
    any         a stranger's address has proven     connecting: `run` continues with that connection
                itself (`prove`)
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from edge_agent import log
from edge_agent.backoff import Backoff
from edge_agent.credentials import Credentials
from edge_agent.faults import FaultError, Faults, cancelled
from edge_agent.lock_connection import CONNECT_SECONDS, LockConnection
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
CONNECTING_AT_ONCE: Final = 3
"""Maximum number of connection attempts at a time, for all locks together. BlueZ hangs if many attempts wait."""
STEADY_SECONDS: Final = 10.0
"""A connection that lasted this long did not fail, even if it brought no record."""


class LockLink:
    """The link to the lock at one Bluetooth address. The link connects as soon as `credentials` have a pass.

    `on_hello(hello)` is awaited for each HELLO; no record comes before the first HELLO. `on_record(record)` is awaited
    for each record, in order. `on_record` must not return before the record is stored durably, because the lock may
    send more when `on_record` returns. `next_counter(hello)` returns the first counter that is not stored. An exception
    from one of these functions ends the connection, and the link connects again later. An exception that is not a
    MooringError is counted in `faults`. `gate` limits how many links connect at the same time.
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
        credit: int = CREDIT,
        backoff: Backoff = RECONNECT,
        gate: asyncio.Semaphore | None = None,
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
        self._gate = gate
        self._faults = faults
        self._current: LockConnection | None = None
        self._opened: LockConnection | None = None
        self._lock_id = b""
        """Id of the lock that last proved itself on this link; empty until a lock has proved itself."""
        self._missing: int | None = None
        self._worked = False

    @property
    def connected(self) -> bool:
        """Return True if there is a working connection and the lock has said HELLO on it."""
        return self._current is not None and self._current.ready

    async def prove(self) -> bytes:
        """Connect, let the peer prove that it is one of our own locks, and return the lock's id.

        `run` then continues with this connection. Raises MooringError; then the connection is closed.
        """
        connection = LockConnection(self.address, self._credentials)
        try:
            await connection.open()
            await connection.shake_hands()
        except BaseException:
            await self._close(connection)
            raise
        self._opened, self._lock_id = connection, connection.lock_id
        return connection.lock_id

    async def run(self) -> None:
        """Keep the link up until cancelled. Do not raise errors, but store the latest error in `last_error`."""
        failures = 0
        while True:
            await self._credentials.available.wait()
            self._worked, started = False, asyncio.get_running_loop().time()
            error = await self._end_of_connection()
            self.last_error = error
            # After a connection that worked, start again with the shortest wait: a lock that rebooted is back soon.
            lasted = asyncio.get_running_loop().time() - started
            steady = self._worked or lasted >= CONNECT_SECONDS + STEADY_SECONDS
            failures = 1 if steady else failures + 1
            wait = self._backoff.wait(failures)
            whose = {"address": self.address, "lock": self._lock_id}
            if isinstance(error, FaultError):
                self._faults.note(error, **whose)
            log.event("link.lost", **whose, code=error.code, reason=error.message, retry_seconds=round(wait, 2))
            await asyncio.sleep(wait)

    async def _end_of_connection(self) -> MooringError:
        try:
            await self._one_connection()
        except MooringError as error:
            return error
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
        if connection is None or not connection.ready:
            raise TransportError("lock.not_connected", "there is no connection now. Deliver after the next HELLO.")
        return await connection.deliver(statement)

    async def _one_connection(self) -> NoReturn:
        """Make and serve one connection until it ends. Always end with an exception."""
        proven, self._opened = self._opened, None
        connection = proven or LockConnection(self.address, self._credentials)
        try:
            if proven is None:
                async with self._gate or contextlib.nullcontext():
                    await connection.open()
                await connection.shake_hands()
            hello = await connection.greet()
            self._current, self.last_error = connection, None
            await self._on_hello(hello)
            await self._stream(connection, hello)
        finally:
            self._current = None
            self._lock_id = connection.lock_id or self._lock_id
            await self._close(connection)

    async def _close(self, connection: LockConnection) -> None:
        if (fault := await connection.close()) is not None:
            self._faults.note(fault, address=self.address)

    async def _stream(self, connection: LockConnection, hello: Hello) -> NoReturn:
        # Skip the records that a receipt covers, because they are committed, and the lock may have erased them.
        expected = max(self._next_counter(hello), hello.receipted_through + 1)
        await connection.pull(expected, self._credit)
        renew_at = expected + (self._credit + 1) // 2
        while True:
            message = await connection.next_message()
            if isinstance(message, Hello):
                await self._on_hello(message)
                continue
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
