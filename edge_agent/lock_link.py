"""One lock over BLE: find it, prove who we are, stay connected, pull its records with credit, hand statements to it.

A GATT central on `bleak`; what is said is `protocol.link`, sealed by `protocol.link_session`. Nothing of bleak leaves
this module: failures are TransportError with a stable code. The link holds no state that matters: what was stored
durably is known to the caller, who is asked for the next counter at every connection, so any loss ends in a resumed
stream.
"""

import asyncio
import contextlib
import hashlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from bleak import BleakClient, BleakScanner
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.exc import BleakDeviceNotFoundError, BleakError

from edge_agent.credentials import Credentials
from protocol import crypto_cpython as crypto
from protocol import link, placement
from protocol import record as record_format
from protocol.edge_pass import KIND as EDGE_PASS
from protocol.errors import FormatError, MooringError, TransportError, VerificationError
from protocol.link import Hello
from protocol.link_session import Initiator, Session
from protocol.parts import Assembler, Parts

__all__ = ["CONNECTING_AT_ONCE", "CREDIT", "Backoff", "Hello", "LockLink", "discover"]

_T = TypeVar("_T")

_log = logging.getLogger(__name__)

CREDIT = 16
"""Records asked for ahead of durable storage: some 12 KB in flight, about a second of a slow radio."""
CONNECTING_AT_ONCE = 3
"""Connection attempts to run at a time over all locks: BlueZ serialises them and wedges when many queue up."""
CONNECT_SECONDS = 20.0
"""A sleeping lock advertises every second or so; BlueZ may also have to scan for it first."""
HELLO_SECONDS = 10.0
"""Each answer of the handshake costs the lock a second or two of multiplying; longer means it is not our firmware."""
RESULT_SECONDS = 30.0
"""A statement costs the lock a signature check in Python (seconds at 160 MHz) and a flash write."""
STEADY_SECONDS = 10.0
"""A connection that brought nothing for so long, and lasted, was idle and not failing."""
DISCONNECT_SECONDS = 5.0
"""BlueZ answers a disconnect at once or never."""

_FAILURES = (BleakError, OSError, EOFError)
"""What a bleak backend raises when radio or D-Bus fail (TimeoutError is an OSError): EOFError is a closed bus."""


@dataclass(frozen=True)
class Backoff:
    """Waiting times between attempts, seconds. Half of each is jitter: after a power cut in a building all edges and
    locks come back in the same second, and must not stay in step."""

    first: float = 1.0
    limit: float = 60.0
    factor: float = 2.0

    def wait(self, failures: int) -> float:
        """How long to wait after `failures` (>= 1) failed attempts in a row."""
        # The exponent is bounded only to keep the power a float after weeks of failures.
        ceiling = min(self.limit, self.first * self.factor ** min(failures - 1, 64))
        return ceiling * random.uniform(0.5, 1.0)


async def discover(timeout: float = 10.0) -> list[tuple[str, bytes]]:
    """Listen `timeout` seconds for locks: (address, first 6 bytes of the lock id), strongest signal first.

    Raises TransportError `radio.unavailable`. What it returns was only claimed over the air; the handshake proves it.
    """
    try:
        found = await BleakScanner.discover(timeout=timeout, return_adv=True, service_uuids=[link.SERVICE])
    except _FAILURES as error:
        raise TransportError("radio.unavailable", f"cannot scan ({error}); is bluetoothd running?") from error
    locks = []
    for device, seen in found.values():
        prefix = seen.manufacturer_data.get(link.COMPANY, b"")
        if link.SERVICE in seen.service_uuids and len(prefix) == link.PREFIX_BYTES:
            locks.append((seen.rssi, device.address, bytes(prefix)))
    return [(address, prefix) for _, address, prefix in sorted(locks, reverse=True)]


class LockLink:
    """The link to the lock at one Bluetooth address. Waits for `credentials` to have a pass before it connects.

    `on_hello(hello)` is awaited for the first HELLO of a connection before any record, and for each later one.
    `on_record(lock_id, record)` is awaited for each record in order, and must return only once the record is stored
    durably: its return is what lets the lock send more. `next_counter(hello)` names the first counter not yet stored.
    A MooringError from these ends the connection, which is tried again later. `gate` bounds how many links of a
    process connect at the same time.
    """

    def __init__(
        self,
        address: str,
        *,
        on_hello: Callable[[Hello], Awaitable[None]],
        on_record: Callable[[bytes, bytes], Awaitable[None]],
        next_counter: Callable[[Hello], int],
        credentials: Credentials,
        credit: int = CREDIT,
        backoff: Backoff | None = None,
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
        self._backoff = backoff or Backoff()
        self._gate = gate
        self._current: _Connection | None = None
        self._missing: int | None = None
        self._worked = False

    @property
    def connected(self) -> bool:
        """Is there a connection on which the lock has said HELLO?"""
        return self._current is not None and self._current.ready

    async def run(self) -> None:
        """Keep the link up until cancelled. Never raises TransportError: see `last_error`."""
        failures = 0
        while True:
            await self._credentials.available.wait()
            self._worked, started = False, time.monotonic()
            try:
                await self._one_connection()
            except MooringError as error:
                self.last_error = error
                _log.warning("link to %s: %s", self.address, error)
                # A connection that worked starts the series anew, so that a lock which merely rebooted is back soon.
                steady = self._worked or time.monotonic() - started >= CONNECT_SECONDS + STEADY_SECONDS
                failures = 1 if steady else failures + 1
            await asyncio.sleep(self._backoff.wait(failures))

    async def deliver(self, statement: bytes) -> str | None:
        """Hand one signed statement to the lock. Returns None if accepted, else the lock's code for its refusal.

        Raises TransportError `lock.not_connected`, `lock.silent`, `lock.gone`, `lock.protocol`; FormatError
        `link.too_long`. After a TransportError the lock may or may not hold the statement; its next HELLO tells. Of a
        long one it keeps the part that it has, so that the same statement goes on from there on the next connection.
        """
        connection = self._current
        if connection is None or not connection.ready:
            raise TransportError("lock.not_connected", "no connection to the lock now; deliver after its next HELLO")
        return await connection.deliver(statement)

    async def _one_connection(self) -> None:
        """One connection from start to loss; always ends in an exception."""
        connection = _Connection(self.address, self._credentials)
        try:
            async with self._gate or contextlib.nullcontext():
                await connection.open()
            await connection.shake_hands()
            hello = await connection.greet()
            self._current, self.last_error = connection, None
            await self._on_hello(hello)
            await self._stream(connection, hello)
        finally:
            self._current = None
            await connection.close()

    async def _stream(self, connection: "_Connection", hello: Hello) -> None:
        # What a receipt covers is committed, and the lock may have trimmed it.
        expected = max(self._next_counter(hello), hello.receipted_through + 1)
        await connection.pull(expected, self._credit)
        renew_at = expected + (self._credit + 1) // 2
        while True:
            message = await connection.next_message()
            if isinstance(message, Hello):
                await self._on_hello(message)
                continue
            header = record_format.parse(message)
            if header.lock_id != hello.lock_id:
                raise TransportError("lock.protocol", "a record of another lock")
            if header.counter < expected:
                continue
            if header.counter > expected and self._missing != expected:
                # A notification may have been lost on the way up; only a fresh PULL tells that from a missing record.
                self._missing = expected
                raise TransportError("lock.gap", f"record {expected} did not come; asking again")
            if header.counter > expected:
                _log.error("lock %s has no records %d to %d", hello.lock_id.hex(), expected, header.counter - 1)
            await self._on_record(hello.lock_id, message)
            self._worked = True
            expected = header.counter + 1
            if expected >= renew_at:
                # Renewed at half, so that the lock need not pause for our answer.
                await connection.pull(expected, self._credit)
                renew_at = expected + (self._credit + 1) // 2


class _Connection:
    """One BLE connection: parts in, messages out. Errors of bleak become TransportError here."""

    def __init__(self, address: str, credentials: Credentials) -> None:
        self.ready = False
        self._credentials = credentials
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._session: Session | None = None
        self._identity = self._lock_id = b""
        self._address = address
        self._client = BleakClient(address, disconnected_callback=self._on_disconnect, timeout=CONNECT_SECONDS)
        self._assembler = Assembler(link.MESSAGE_LIMIT)
        self._messages: asyncio.Queue[Hello | bytes | MooringError] = asyncio.Queue()
        self._wanted: asyncio.Future[int] | None = None
        self._ended: MooringError | None = None
        self._writing = asyncio.Lock()
        self._delivering = asyncio.Lock()
        self._result: asyncio.Future[str | None] | None = None
        self._down: BleakGATTCharacteristic | None = None

    async def open(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._client.connect()
                down = self._client.services.get_characteristic(link.DOWN)
                up = self._client.services.get_characteristic(link.UP)
                if down is None or up is None:
                    raise TransportError("lock.foreign", "the device at this address is not a Mooring lock")
                self._down = down
                await self._client.start_notify(up, self._on_part)
                _notice_cancellation()
        except BleakDeviceNotFoundError as error:
            raise TransportError("lock.unreachable", "not in radio range, or without power") from error
        except TimeoutError as error:
            raise TransportError("lock.unreachable", f"no connection within {CONNECT_SECONDS:.0f} s") from error
        except _FAILURES as error:
            advice = "if this stays, restart bluetooth.service" if "InProgress" in str(error) else "trying again"
            raise TransportError("lock.unreachable", f"{type(error).__name__}: {error}; {advice}") from error

    async def close(self) -> None:
        self._end(TransportError("lock.gone", "the connection was closed"))
        # A disconnect that fails leaves nothing to do: the link supervision timeout ends the connection.
        with contextlib.suppress(*_FAILURES):
            async with asyncio.timeout(DISCONNECT_SECONDS):
                await self._client.disconnect()

    async def shake_hands(self) -> None:
        """Prove ourselves to the lock, and have it prove itself.

        Raises VerificationError `lock.foreign_pass` for a lock that our pass is not for, and those of `Initiator`.
        """
        edge_pass = self._credentials.edge_pass
        if edge_pass is None:
            raise TransportError("lock.no_pass", "the province has given us no pass yet")
        initiator = Initiator(crypto, self._credentials.static)
        await self._write_parts(initiator.open())
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                answer = await self._answer
        except TimeoutError as error:
            raise TransportError("lock.silent", f"no ANSWER within {HELLO_SECONDS:.0f} s") from error
        self._identity = initiator.answered(answer)
        self._lock_id = placement.lock_id(crypto, self._identity)
        if not self._credentials.admits(self._lock_id):
            raise VerificationError("lock.foreign_pass", "the lock is proven, and not one that our pass is for")
        message, session = initiator.finish(edge_pass)
        self._session = session
        await self._write_parts(message)

    async def greet(self) -> Hello:
        """The first HELLO."""
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                first = await self.next_message()
        except TimeoutError as error:
            raise TransportError("lock.silent", f"no HELLO within {HELLO_SECONDS:.0f} s") from error
        if not isinstance(first, Hello):
            raise TransportError("lock.protocol", "a record before HELLO")
        self.ready = True
        return first

    async def pull(self, from_counter: int, credit: int) -> None:
        await self._write(link.pull(from_counter, credit))

    async def deliver(self, statement: bytes) -> str | None:
        async with self._delivering:
            self._raise_if_ended()
            if len(statement) <= link.PIECE_BYTES:
                return await self._result_of([link.deliver(statement)])
            if len(statement) > link.STATEMENT_LIMIT:
                raise FormatError("link.too_long", "longer than any statement")
            for _ in range(2):
                code = await self._deliver_pieces(statement)
                if code != "link.digest":
                    return code
            # What the lock held of it was not what we offer; it has forgotten that, and still the whole is not the sum.
            raise TransportError("lock.protocol", "the lock does not put pieces together as they were sent")

    async def _deliver_pieces(self, statement: bytes) -> str | None:
        self._wanted = wanted = asyncio.get_running_loop().create_future()
        await self._write(link.offer(hashlib.sha256(statement).digest(), len(statement)))
        offset = await self._in_time(wanted, "WANT")
        if offset >= len(statement):
            raise TransportError("lock.protocol", "the lock wants more than was offered")
        if offset:
            _log.info("lock %s: a statement goes on at byte %d of %d", self._address, offset, len(statement))
        size = link.PIECE_BYTES
        places = range(offset, len(statement), size)
        return await self._result_of(link.piece(statement[at : at + size]) for at in places)

    async def _result_of(self, messages: Iterable[bytes]) -> str | None:
        self._result = result = asyncio.get_running_loop().create_future()
        try:
            for message in messages:
                await self._write(message)
            return await self._in_time(result, "RESULT")
        finally:
            self._result = None

    async def _in_time(self, answer: "asyncio.Future[_T]", name: str) -> _T:
        try:
            async with asyncio.timeout(RESULT_SECONDS):
                return await answer
        except TimeoutError as error:
            # A late answer must not be taken for that to a later statement, so the connection ends.
            silent = TransportError("lock.silent", f"no {name} within {RESULT_SECONDS:.0f} s")
            self._end(silent)
            raise silent from error

    async def next_message(self) -> Hello | bytes:
        """The next HELLO or record. Raises what ended the connection."""
        message = await self._messages.get()
        if isinstance(message, MooringError):
            raise message
        return message

    async def _write(self, message: bytes) -> None:
        async with self._writing:
            # Sealed only now, so that messages leave in the order in which they are numbered.
            self._raise_if_ended()
            if self._session is None:
                raise TransportError("lock.not_connected", "nothing is said before the handshake")
            await self._write_parts(self._session.seal(message))

    async def _write_parts(self, message: bytes) -> None:
        self._raise_if_ended()
        if self._down is None:
            raise TransportError("lock.not_connected", "the connection is not open")
        # bleak gives the payload of one ATT write, MTU - 3; BlueZ before 5.62 says 20, which is always right.
        try:
            for part in Parts(message, self._down.max_write_without_response_size + 3):
                await self._client.write_gatt_char(self._down, part, response=True)
                _notice_cancellation()
        except _FAILURES as error:
            raise TransportError("lock.gone", f"{type(error).__name__} while writing") from error

    def _on_part(self, _sender: BleakGATTCharacteristic, part: bytearray) -> None:
        if self._ended is not None:
            return
        try:
            message = self._assembler.push(bytes(part))
            if message is None:
                return
            if self._session is not None:
                self._take(link.parse(self._session.open(message)))
            elif not self._answer.done():
                self._answer.set_result(message)
            else:
                self._end(TransportError("lock.protocol", "the lock spoke out of turn"))
        except (FormatError, VerificationError) as error:
            self._end(TransportError("lock.protocol", f"the lock sent what is no message of its ({error.code})"))

    def _take(self, message: tuple[object, ...]) -> None:
        kind, content = message[0], message[1]
        if kind == link.RESULT:
            self._take_result(message)
        elif kind == link.WANT and isinstance(content, int):
            if self._wanted is not None and not self._wanted.done():
                self._wanted.set_result(content)
        elif isinstance(content, Hello) and not self._is_proven(content):
            self._end(TransportError("lock.protocol", "a HELLO of another lock than the one that proved itself"))
        elif kind in (link.HELLO, link.RECORD) and isinstance(content, Hello | bytes):
            # Records are bounded by credit; a lock that ignores it is cut off before it fills our memory.
            if self._messages.qsize() > 2 * link.CREDIT_LIMIT:
                self._end(TransportError("lock.protocol", "more records than were asked for"))
            else:
                self._messages.put_nowait(content)
        else:
            self._end(TransportError("lock.protocol", "a message in the wrong direction"))

    def _is_proven(self, hello: Hello) -> bool:
        return hello.identity_public == self._identity and hello.lock_id == self._lock_id

    def _take_result(self, message: tuple[object, ...]) -> None:
        _, kind, code = message
        if not self.ready and kind == EDGE_PASS and isinstance(code, str):
            self._credentials.refused = True
            self._end(TransportError("lock.pass_refused", f"the lock refuses our pass ({code})"))
        elif self._result is not None and not self._result.done():
            self._result.set_result(code if isinstance(code, str) else None)

    def _on_disconnect(self, _client: BleakClient) -> None:
        self._end(TransportError("lock.gone", "the lock went out of range, lost power or closed the connection"))

    def _end(self, error: MooringError) -> None:
        if self._ended is not None:
            return
        self._ended = error
        self.ready = False
        self._messages.put_nowait(error)
        for waiting in (self._answer, self._result, self._wanted):
            if waiting is not None and not waiting.done():
                waiting.set_exception(error)
                waiting.exception()  # whoever waits gets it; if nobody does, asyncio need not complain

    def _raise_if_ended(self) -> None:
        if self._ended is not None:
            raise self._ended


def _notice_cancellation() -> None:
    """Raise the CancelledError that came while a backend was in `asyncio.wait_for`, whose result then hides it.

    So does Python 3.11 (cpython#86296); a link that missed it would hold up the agent's stop for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
