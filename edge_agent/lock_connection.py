"""One BLE connection to a lock. A connection joins parts into messages and cuts messages into parts.
`protocol.link_session` seals the messages.

Theory of operation. The connection is used once. Each step must succeed before the next step starts:

    step         calls                  what comes from the lock             then
    -----------  ---------------------  -----------------------------------  --------------------------------------
    connected    `open`                 -                                    notifications are on
    proven       `shake_hands`          ANSWER                               the lock's id is known, messages are sealed
    ready        `greet`                HELLO                                records and statements may flow
    ended        anything, or `close`   the radio is gone, a wrong message,  every waiting call raises what ended the
                                        no answer in time                    connection; the first reason counts

The connection is a GATT central on `bleak`, and no other module sees an object of `bleak`. If a backend raises an
exception of any type, callers get a MooringError with a stable code. Callbacks raise nothing. `edge_agent.lock_link`
makes one connection after another.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, Final, TypeVar

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.exc import BleakDeviceNotFoundError, BleakError

from edge_agent import log
from edge_agent.credentials import Credentials
from edge_agent.faults import FaultError, cancelled
from protocol import crypto_cpython as crypto
from protocol import link, placement
from protocol.edge_pass import KIND as EDGE_PASS
from protocol.errors import FormatError, MooringError, TransportError, VerificationError
from protocol.link import Hello
from protocol.link_initiator import Initiator
from protocol.link_session import Session
from protocol.parts import Assembler, Parts
from protocol.statement import MAX_BYTES as LONGEST_STATEMENT

CONNECT_SECONDS: Final = 10.0
"""Time limit for connecting, finding the service and switching notifications on. A lock advertises five times a second,
so a lock in reach needs a second or two. A lock out of reach must not use the radio for longer.
"""
SEEK_SECONDS: Final = 0.8 * CONNECT_SECONDS
"""The part of this time after which bleak says that the lock is out of reach."""
HELLO_SECONDS: Final = 10.0
"""Time limit for each answer of the handshake. The lock needs a second or two to compute an answer."""
RESULT_SECONDS: Final = 30.0
"""Time limit for a RESULT. The lock checks a signature in Python and writes flash. The check takes seconds at 160
MHz."""
CALL_SECONDS: Final = 10.0
"""Time limit for one write. If a lock is gone, the radio's supervision timeout ends the connection within seconds. So a
write that takes longer waits for BlueZ itself."""
DISCONNECT_SECONDS: Final = 5.0
"""Time limit for disconnecting. BlueZ answers at once or never."""

RADIO_FAILURES: Final = (BleakError, OSError, EOFError)
"""The exceptions that a backend of bleak raises when radio or D-Bus fails. TimeoutError is an OSError; EOFError means a
closed bus.
"""

_T = TypeVar("_T")


class StuckError(TransportError):
    """BlueZ has not answered in time, or says that an earlier call still goes on."""


class _OverdueError(Exception):
    """A call of the backend has not returned in time."""


class LockConnection:
    """The connection to the lock at one Bluetooth address.

    Call `open`, `shake_hands` and `greet`, then exchange messages, then call `close`. When something ends the
    connection, the methods raise TransportError `lock.*`.
    """

    def __init__(self, address: str, credentials: Credentials) -> None:
        self.ready = False
        """True from the lock's first HELLO until the connection ends."""
        self._credentials = credentials
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._session: Session | None = None
        self._identity = b""
        self.lock_id = b""
        """Id of the lock. Empty until the lock has proven its identity."""
        with _calling("lock.unreachable"):
            # Look up only our service, because a stranger may offer thousands of services.
            self._client = BleakClient(
                address,
                disconnected_callback=self._on_disconnect,
                services=[link.SERVICE],
                timeout=SEEK_SECONDS,
            )
        self._assembler = Assembler()
        self._messages: asyncio.Queue[Hello | bytes | MooringError] = asyncio.Queue()
        self._wanted: asyncio.Future[int] | None = None
        self._ended: MooringError | None = None
        self._writing = asyncio.Lock()
        self._delivering = asyncio.Lock()
        self._result: asyncio.Future[str | None] | None = None
        self._down: BleakGATTCharacteristic | None = None

    async def open(self) -> None:
        """Connect and switch notifications on."""
        with _calling("lock.unreachable"):
            await _in_time(self._open(), CONNECT_SECONDS)

    async def _open(self) -> None:
        await self._client.connect()
        down = self._client.services.get_characteristic(link.DOWN)
        up = self._client.services.get_characteristic(link.UP)
        if down is None or up is None:
            raise TransportError("lock.foreign", "the device at this address is not a Mooring lock")
        self._down = down
        await self._client.start_notify(up, self._on_part)

    async def close(self) -> FaultError | None:
        """Disconnect. Calls that wait for an answer raise `lock.gone`. Return a fault instead of raising it."""
        self.end(TransportError("lock.gone", "the connection was closed"))
        # If disconnecting fails, the radio's supervision timeout ends the connection.
        try:
            with _calling("lock.gone"):
                await _in_time(self._client.disconnect(), DISCONNECT_SECONDS)
        except TransportError as error:
            return error if isinstance(error, FaultError) else None
        return None

    async def shake_hands(self) -> None:
        """Prove to the lock who we are, and let the lock prove who it is.

        Raises VerificationError: `lock.foreign_pass` if no pass of ours lists the lock, or an error of `Initiator`.
        """
        initiator = Initiator(crypto, self._credentials.static)
        await self._write_parts(initiator.open())
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                answer = await self._answer
        except TimeoutError as error:
            raise TransportError("lock.silent", f"the lock sent no ANSWER within {HELLO_SECONDS:.0f} s") from error
        self._identity = initiator.answered(answer)
        self.lock_id = placement.lock_id(crypto, self._identity)
        edge_pass = self._credentials.pass_for(self.lock_id)
        if edge_pass is None:
            raise VerificationError("lock.foreign_pass", "the lock has proven itself, but no pass of ours lists it")
        message, session = initiator.finish(edge_pass)
        self._session = session
        await self._write_parts(message)

    @property
    def hint_key(self) -> bytes:
        """Key of the hints that the lock advertises from now on. Empty before the handshake."""
        return b"" if self._session is None else self._session.hint_key

    async def greet(self) -> Hello:
        """Wait for the first HELLO and return it."""
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                first = await self.next_message()
        except TimeoutError as error:
            raise TransportError("lock.silent", f"the lock sent no HELLO within {HELLO_SECONDS:.0f} s") from error
        if not isinstance(first, Hello):
            raise TransportError("lock.protocol", "the lock sent a record before HELLO")
        self.ready = True
        return first

    async def pull(self, from_counter: int, credit: int) -> None:
        """Ask for records; see `link.pull`."""
        await self._write(link.pull(from_counter, credit))

    async def deliver(self, statement: bytes) -> str | None:
        """See `LockLink.deliver`."""
        async with self._delivering:
            self._raise_if_ended()
            if len(statement) <= link.PIECE_BYTES:
                return await self._result_of([link.deliver(statement)])
            if len(statement) > LONGEST_STATEMENT:
                raise FormatError("link.too_long", "the statement is longer than allowed")
            for _ in range(2):
                code = await self._deliver_pieces(statement)
                if code != "link.digest":
                    return code
            # At the first attempt, the lock may still have held a part of another statement, which it has dropped
            # since. At the second attempt, the lock held no such part, and the digest was wrong all the same.
            raise TransportError("lock.protocol", "the lock puts the pieces of a statement together wrongly")

    async def _deliver_pieces(self, statement: bytes) -> str | None:
        self._wanted = wanted = asyncio.get_running_loop().create_future()
        await self._write(link.offer(hashlib.sha256(statement).digest(), len(statement)))
        offset = await self._in_time(wanted, "WANT")
        if offset >= len(statement):
            raise TransportError("lock.protocol", "the lock wants more than was offered")
        if offset:
            log.event("statement.resumed", lock=self.lock_id, offset=offset, bytes=len(statement))
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
            # End the connection, because a late answer could be mistaken for the answer to the next statement.
            silent = TransportError("lock.silent", f"the lock sent no {name} within {RESULT_SECONDS:.0f} s")
            self.end(silent)
            raise silent from error

    async def next_message(self) -> Hello | bytes:
        """Wait for the next HELLO or record. If the connection has ended, raise the error that ended it."""
        message = await self._messages.get()
        if isinstance(message, MooringError):
            raise message
        return message

    async def _write(self, message: bytes) -> None:
        async with self._writing:
            # Seal the message while no other call can write, so that messages are sent in the order of their numbers.
            self._raise_if_ended()
            if self._session is None:
                raise TransportError("lock.not_connected", "nothing can be sent before the handshake")
            await self._write_parts(self._session.seal(message))

    async def _write_parts(self, message: bytes) -> None:
        self._raise_if_ended()
        if self._down is None:
            raise TransportError("lock.not_connected", "the connection is not open")
        # bleak gives the size of one ATT write, which is MTU - 3. BlueZ before 5.62 gives 20, a size that always works.
        try:
            with _calling("lock.gone"):
                for part in Parts(message, self._down.max_write_without_response_size + 3):
                    await _in_time(self._client.write_gatt_char(self._down, part, response=True), CALL_SECONDS)
        except TransportError as error:
            # The lock may have a part of the message, so nothing can follow on this connection. Every other call that
            # waits for the lock ends too.
            self.end(error)
            raise

    def _on_part(self, _sender: BleakGATTCharacteristic, part: bytearray) -> None:
        self._contain(lambda: self._take_part(bytes(part)))

    def _contain(self, work: Callable[[], None]) -> None:
        """Do the work of a callback. An exception in the callback ends this connection, and is not raised in the
        backend's own task."""
        try:
            work()
        except (FormatError, VerificationError) as error:
            advice = ". Update the lock's software or this agent" if error.code == "link.version" else ""
            why = f"the lock sent something that is no message ({error.code}){advice}"
            self.end(TransportError("lock.protocol", why))
        except Exception as error:  # noqa: BLE001 -- contained here, and noted
            self.end(FaultError(error))

    def _take_part(self, part: bytes) -> None:
        if self._ended is not None:
            return
        message = self._assembler.push(part, link.MESSAGE_LIMIT)
        if message is None:
            return
        if self._session is not None:
            self._take(link.parse(self._session.open(message)))
        elif not self._answer.done():
            self._answer.set_result(message)
        else:
            self.end(TransportError("lock.protocol", "the lock spoke out of turn"))

    def _take(self, message: tuple[object, ...]) -> None:
        kind, content = message[0], message[1]
        if kind == link.RESULT:
            self._take_result(message)
        elif kind == link.WANT and isinstance(content, int):
            if self._wanted is not None and not self._wanted.done():
                self._wanted.set_result(content)
        elif isinstance(content, Hello) and not self._is_proven(content):
            self.end(TransportError("lock.protocol", "the HELLO names a lock that did not prove itself"))
        elif kind in (link.HELLO, link.RECORD) and isinstance(content, Hello | bytes):
            # The credit limits how many records may be under way. A lock that ignores the limit is disconnected before
            # it fills our memory.
            if self._messages.qsize() > 2 * link.CREDIT_LIMIT:
                self.end(TransportError("lock.protocol", "the lock sent more records than it was asked for"))
            else:
                self._messages.put_nowait(content)
        else:
            self.end(TransportError("lock.protocol", "the lock sent a message that only an edge sends"))

    def _is_proven(self, hello: Hello) -> bool:
        return hello.identity_public == self._identity and hello.lock_id == self.lock_id

    def _take_result(self, message: tuple[object, ...]) -> None:
        _, kind, code = message
        if not self.ready and kind == EDGE_PASS and isinstance(code, str):
            self._credentials.note_refusal()
            self.end(TransportError("lock.pass_refused", f"the lock refuses our pass ({code})"))
        elif self._result is not None and not self._result.done():
            self._result.set_result(code if isinstance(code, str) else None)

    def _on_disconnect(self, _client: BleakClient) -> None:
        gone = TransportError("lock.gone", "the lock went out of range, lost power or closed the connection")
        self._contain(lambda: self.end(gone))

    def end(self, error: MooringError) -> None:
        """Let every call that waits raise `error`. Messages that have come already can still be read."""
        if self._ended is not None:
            return
        self._ended = error
        self.ready = False
        self._messages.put_nowait(error)
        for waiting in (self._answer, self._result, self._wanted):
            if waiting is not None and not waiting.done():
                waiting.set_exception(error)
                waiting.exception()  # look at the error, because asyncio would complain if nobody did

    def _raise_if_ended(self) -> None:
        if self._ended is not None:
            raise self._ended


@contextlib.contextmanager
def _calling(code: str) -> Iterator[None]:
    """Turn exceptions of bleak into ours: a radio failure into a TransportError with `code`, others into FaultError."""
    try:
        yield
    except MooringError:
        raise
    except asyncio.CancelledError:
        if cancelled():
            raise
        raise TransportError(code, "the radio gave up the call. It is tried again.") from None
    except BleakDeviceNotFoundError as error:
        raise TransportError(code, "out of radio range or without power") from error
    except _OverdueError as error:
        raise StuckError(code, "the radio did not answer in time") from error
    except TimeoutError as error:
        raise TransportError(code, "the radio did not answer in time") from error
    except RADIO_FAILURES as error:
        # The text of this error is from BlueZ and may quote the peer. So the text is shortened and made printable.
        text = "".join(c if c.isprintable() else "?" for c in str(error)[:200])
        told = f"{type(error).__name__}: {text}"
        if "InProgress" in text:
            raise StuckError(code, f"{told}. If this stays, restart bluetooth.service.") from error
        raise TransportError(code, f"{told}. It is tried again.") from error
    except Exception as error:
        raise FaultError(error) from error


async def _in_time(call: Coroutine[Any, Any, None], seconds: float) -> None:
    """Await a call of the backend for at most `seconds`. Raises _OverdueError, and what the call raises.

    The call is a task of its own. So a backend that never returns, even when it is cancelled, keeps nobody waiting. In
    Python 3.11, a result that arrives at the same moment can hide a cancellation inside a backend (cpython#86296). The
    caller's cancellation arrives here, outside the backend, so it is never hidden.
    """
    task = asyncio.ensure_future(call)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        _give_up(task)
        raise
    if not done:
        _give_up(task)
        raise _OverdueError
    task.result()


_given_up: "set[asyncio.Future[None]]" = set()
"""The calls that nobody waits for any more. A task without a reference could be dropped before it has cleaned up."""


def _give_up(task: "asyncio.Future[None]") -> None:
    task.cancel()
    _given_up.add(task)
    task.add_done_callback(_forget)


def _forget(task: "asyncio.Future[None]") -> None:
    _given_up.discard(task)
    if not task.cancelled():
        task.exception()  # look at the error, because asyncio would complain if nobody did
