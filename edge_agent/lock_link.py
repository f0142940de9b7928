"""One lock over BLE: find it, stay connected, pull its records with credit, hand statements to it.

A GATT central on `bleak`; what is said is `protocol.link`. Nothing of bleak leaves this module: failures are
TransportError with a stable code. The link holds no state that matters: what was stored durably is known to the
caller, who is asked for the next counter at every connection, so any loss ends in a resumed stream.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bleak import BleakClient, BleakScanner
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.exc import BleakDeviceNotFoundError, BleakError

from protocol import link
from protocol import record as record_format
from protocol.errors import FormatError, MooringError, TransportError
from protocol.link import Hello

__all__ = ["CONNECTING_AT_ONCE", "CREDIT", "Backoff", "Hello", "LockLink", "discover"]

_log = logging.getLogger(__name__)

CREDIT = 16
"""Records asked for ahead of durable storage: some 12 KB in flight, about a second of a slow radio."""
CONNECTING_AT_ONCE = 3
"""Connection attempts to run at a time over all locks: BlueZ serialises them and wedges when many queue up."""
CONNECT_SECONDS = 20.0
"""A sleeping lock advertises every second or so; BlueZ may also have to scan for it first."""
HELLO_SECONDS = 10.0
"""The lock answers within two connection intervals; longer means it is not our firmware, or stuck."""
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

    Raises TransportError `radio.unavailable`. What it returns was only claimed over the air; the HELLO says more, and
    the lock's signatures prove it.
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
    """The link to the lock at one Bluetooth address.

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
        self._credit = credit
        self._backoff = backoff or Backoff()
        self._gate = gate
        self._session: _Session | None = None
        self._missing: int | None = None
        self._worked = False

    @property
    def connected(self) -> bool:
        """Is there a connection on which the lock has said HELLO?"""
        return self._session is not None and self._session.ready

    async def run(self) -> None:
        """Keep the link up until cancelled. Never raises TransportError: see `last_error`."""
        failures = 0
        while True:
            self._worked, started = False, time.monotonic()
            try:
                await self._connection()
            except MooringError as error:
                self.last_error = error
                _log.warning("link to %s: %s", self.address, error)
                # A connection that worked starts the series anew, so that a lock which merely rebooted is back soon.
                steady = self._worked or time.monotonic() - started >= CONNECT_SECONDS + STEADY_SECONDS
                failures = 1 if steady else failures + 1
            await asyncio.sleep(self._backoff.wait(failures))

    async def deliver(self, statement: bytes) -> str | None:
        """Hand one signed statement to the lock. Returns None if accepted, else the lock's code for its refusal.

        Raises TransportError `lock.not_connected`, `lock.silent`, `lock.gone`; FormatError `link.too_long`. After a
        TransportError the lock may or may not hold the statement; its next HELLO tells.
        """
        session = self._session
        if session is None or not session.ready:
            raise TransportError("lock.not_connected", "no connection to the lock now; deliver after its next HELLO")
        return await session.deliver(statement)

    async def _connection(self) -> None:
        """One connection from start to loss; always ends in an exception."""
        session = _Session(self.address)
        try:
            async with self._gate or contextlib.nullcontext():
                await session.open()
            hello = await session.greet()
            self._session, self.last_error = session, None
            await self._on_hello(hello)
            await self._stream(session, hello)
        finally:
            self._session = None
            await session.close()

    async def _stream(self, session: "_Session", hello: Hello) -> None:
        # What a receipt covers is committed, and the lock may have trimmed it.
        expected = max(self._next_counter(hello), hello.receipted_through + 1)
        await session.pull(expected, self._credit)
        renew_at = expected + (self._credit + 1) // 2
        while True:
            message = await session.next_message()
            if isinstance(message, Hello):
                if message.lock_id != hello.lock_id:
                    raise TransportError("lock.protocol", "the lock changed its identity within a connection")
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
                await session.pull(expected, self._credit)
                renew_at = expected + (self._credit + 1) // 2


class _Session:
    """One BLE connection: parts in, messages out. Errors of bleak become TransportError here."""

    def __init__(self, address: str) -> None:
        self.ready = False
        self._address = address
        self._client = BleakClient(address, disconnected_callback=self._on_disconnect, timeout=CONNECT_SECONDS)
        self._assembler = link.Assembler()
        self._messages: asyncio.Queue[Hello | bytes | MooringError] = asyncio.Queue()
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

    async def greet(self) -> Hello:
        """Open the conversation: the first HELLO."""
        await self.pull(1, 0)
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
            result: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
            self._result = result
            try:
                await self._write(link.deliver(statement))
                async with asyncio.timeout(RESULT_SECONDS):
                    return await result
            except TimeoutError as error:
                # A late RESULT must not be taken for the answer to a later statement, so the connection ends.
                silent = TransportError("lock.silent", f"no RESULT within {RESULT_SECONDS:.0f} s")
                self._end(silent)
                raise silent from error
            finally:
                self._result = None

    async def next_message(self) -> Hello | bytes:
        """The next HELLO or record. Raises what ended the connection."""
        message = await self._messages.get()
        if isinstance(message, MooringError):
            raise message
        return message

    async def _write(self, message: bytes) -> None:
        self._raise_if_ended()
        if self._down is None:
            raise TransportError("lock.not_connected", "the connection is not open")
        # bleak gives the payload of one ATT write, MTU - 3; BlueZ before 5.62 says 20, which is always right.
        parts = link.split(message, self._down.max_write_without_response_size + 3)
        async with self._writing:
            try:
                for part in parts:
                    await self._client.write_gatt_char(self._down, part, response=True)
            except _FAILURES as error:
                raise TransportError("lock.gone", f"{type(error).__name__} while writing") from error

    def _on_part(self, _sender: BleakGATTCharacteristic, part: bytearray) -> None:
        if self._ended is not None:
            return
        try:
            message = self._assembler.push(bytes(part))
            if message is not None:
                self._take(link.parse(message))
        except FormatError as error:
            self._end(TransportError("lock.protocol", f"the lock sent what is no message ({error.code})"))

    def _take(self, message: tuple[object, ...]) -> None:
        content = message[1]
        if message[0] == link.RESULT:
            code = message[2]
            if self._result is not None and not self._result.done():
                self._result.set_result(code if isinstance(code, str) else None)
        elif message[0] in (link.HELLO, link.RECORD) and isinstance(content, Hello | bytes):
            # Records are bounded by credit; a lock that ignores it is cut off before it fills our memory.
            if self._messages.qsize() > 2 * link.CREDIT_LIMIT:
                self._end(TransportError("lock.protocol", "more records than were asked for"))
            else:
                self._messages.put_nowait(content)
        else:
            self._end(TransportError("lock.protocol", "a message in the wrong direction"))

    def _on_disconnect(self, _client: BleakClient) -> None:
        self._end(TransportError("lock.gone", "the lock went out of range, lost power or closed the connection"))

    def _end(self, error: MooringError) -> None:
        if self._ended is not None:
            return
        self._ended = error
        self.ready = False
        self._messages.put_nowait(error)
        if self._result is not None and not self._result.done():
            self._result.set_exception(error)

    def _raise_if_ended(self) -> None:
        if self._ended is not None:
            raise self._ended
