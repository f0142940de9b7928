"""The link to one lock over BLE: stay connected, pull its records with credit, hand statements to it.

Theory of operation. The messages are those of `protocol.link`. The link makes one `LockConnection` after another and
keeps no state that matters between them: at each connection it asks the caller for the next counter. So after any loss
the records continue where storage stopped.

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
"""A lock that rebooted is back in some seconds. A lock that is out of reach for hours must cost the radio little."""
CREDIT: Final = 16
"""Records that a lock may send before the first of them is stored: about 12 KB, or one second of a slow radio."""
CONNECTING_AT_ONCE: Final = 3
"""Most connection attempts at the same time, for all locks. BlueZ does one after another and hangs if many wait."""
STEADY_SECONDS: Final = 10.0
"""A connection that brought nothing, but lasted this long, was idle. It did not fail."""


class LockLink:
    """The link to the lock at one Bluetooth address. It connects once `credentials` have a pass.

    `on_hello(hello)` is awaited for the first HELLO of a connection, before any record, and for each later HELLO.
    `on_record(record)` is awaited for each record, in order. It must not return before the record is stored durably,
    because its return lets the lock send more. `next_counter(hello)` gives the first counter that is not stored. An
    exception from any of these ends the connection, and the link connects again later; if it is no MooringError, it is
    noted in `faults`. `gate` limits how many links connect at the same time.
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
        """Why the last connection ended or could not be made; None while connected."""
        self._on_hello, self._on_record, self._next_counter = on_hello, on_record, next_counter
        self._credentials = credentials
        self._credit = credit
        self._backoff = backoff
        self._gate = gate
        self._faults = faults
        self._current: LockConnection | None = None
        self._opened: LockConnection | None = None
        self._lock_id = b""
        """Id of the lock that proved itself here last; empty before that."""
        self._missing: int | None = None
        self._worked = False

    @property
    def connected(self) -> bool:
        """Is there a working connection on which the lock has said HELLO?"""
        return self._current is not None and self._current.ready

    async def prove(self) -> bytes:
        """Connect, and let the peer prove that it is a lock which our passes list; returns the lock's id.

        `run` then continues with that connection. Raises MooringError, after which there is no connection.
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
        """Keep the link up until cancelled. It raises no error; see `last_error`."""
        failures = 0
        while True:
            await self._credentials.available.wait()
            self._worked, started = False, asyncio.get_running_loop().time()
            error = await self._end_of_connection()
            self.last_error = error
            # After a connection that worked, the waits start from the shortest: a lock that rebooted is back soon.
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
        """Hand one signed statement to the lock. Returns None if accepted, else the lock's code for its refusal.

        Raises TransportError `lock.not_connected`, `lock.silent`, `lock.gone`, `lock.protocol`; FormatError
        `link.too_long`. After a TransportError the lock may have the statement or not; its next HELLO says. The lock
        keeps the part of a long statement that it has, so the same statement continues there on the next connection.
        """
        connection = self._current
        if connection is None or not connection.ready:
            raise TransportError("lock.not_connected", "there is no connection now. Deliver after the next HELLO.")
        return await connection.deliver(statement)

    async def _one_connection(self) -> NoReturn:
        """One connection from start to end; always ends with an exception."""
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
        # Records that a receipt covers are committed, and the lock may have erased them.
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
                # Either a notification was lost, or the lock does not have the record. A new PULL shows which.
                self._missing = expected
                raise TransportError("lock.gap", f"record {expected} did not come. It is asked for again.")
            if record.counter > expected:
                log.event("record.missing", lock=hello.lock_id, first=expected, last=record.counter - 1)
            await self._on_record(record)
            self._worked = True
            expected = record.counter + 1
            if expected >= renew_at:
                # Credit is renewed when half is used, so that the lock need not wait for us.
                await connection.pull(expected, self._credit)
                renew_at = expected + (self._credit + 1) // 2
