"""The mdoc reader (ISO/IEC 18013-5). A read begins with a card in the field. The read ends with a DeviceResponse that
is decrypted but not yet verified.

    engagement over NFC ─▶ handover ─┬─▶ NFC ─┬─▶ session ─▶ request ─▶ response ─▶ termination
                                     └─▶ BLE ─┘              ▲              │
                                                             └──────────────┘

A `Reading` goes through these states:

    state       event                                                    next state
    new         `ask`: engagement, handover, session, first request      asked
    asked       a DeviceResponse; the request was not the `last`         ready
    asked       a DeviceResponse; the request was the `last`             over, the termination is on its way
    asked       a DeviceResponse with a session status                   over, by the holder
    asked       a status alone, an error, or no answer in time           over
    ready       `ask`: the next request in the same session              asked
    any         `close`                                                  over; a session still open is terminated

Every failure raises a MooringError, at most TOTAL_MS after the first contact. After a read, only its result is kept.
A response is received, decrypted and read in one buffer (`response_buffer`). The next call of `ask` or `close` wipes
this buffer.
"""

import asyncio

from firmware.hardware import ticks
from firmware.hardware.console import log
from firmware.mdoc_reader.response_buffer import ResponseBuffer
from protocol import apdu, const
from protocol.errors import FormatError, MooringError, RefusedError, TransportError, VerificationError
from protocol.mdoc import ble, session
from protocol.mdoc.engagement import Nfc
from protocol.mdoc.handover import handover_request
from protocol.mdoc.nfc_engagement import NfcEngagement
from protocol.mdoc.request import device_request
from protocol.mdoc.session import ReaderSession, error_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from firmware.mdoc_ble import MdocBle
    from firmware.mdoc_ble.session import Session
    from firmware.nfc import Card
    from protocol.crypto import Crypto
    from protocol.mdoc.handover import Handover

    KeySource = Callable[[str], tuple[bytes, bytes]]
    OnPhase = Callable[..., None]

MDOC_APPLICATION = b"\xa0\x00\x00\x02\x48\x04\x00"

PREFERRED_CARRIER = "nfc"
"""The carrier to use with an mdoc that offers both NFC and BLE: "nfc" or "ble". NFC needs no connection set-up, works
only at arm's length, and does not share the air with the edge link. With BLE, the holder may take the phone away from
the reader to agree."""
MAX_ENCRYPTED_RESPONSE = 16384
"""Maximum length of an encrypted response, in bytes. The largest known response, with a portrait, has about 9 KB."""

STEP_MS = 1500
"""Longest wait for the answer to one command."""
CONSENT_MS = 20000
"""Longest wait for the first answer to a request. The holder may have to look at the phone and agree."""
TOTAL_MS = 35000
"""Maximum duration of a read, counted from the first contact: engagement, connection, consent and transfer."""
_FRAME_BYTES = const(64)
"""Maximum number of bytes that SessionData adds to the encrypted response inside it."""
_FAREWELL_MS = const(60)
"""Longest wait for the answer to the last command of a session. By then, the phone has long received the command. Some
phones never answer the last command, and the next guest must be served within 300 ms after the light signal."""


class Presentation:
    """The response of a holder, decrypted but not yet verified.

    `device_response` and `session_transcript` are encoded CBOR. `device_response` is usually a view of the reading's
    buffer. This view is good until `ask` or `close` is called next. `e_reader_private` is the session's ephemeral key
    on `curve` (EReaderKey.Priv). This key is needed to check a deviceMac. `stay_key` is derived from the session
    (`protocol.stay_key`). `carrier` is "nfc" or "ble". `read_ms`, `round_trips` (APDUs), `sent` and `received` (bytes
    of APDUs and BLE parts) measure the read.
    """

    def __init__(
        self,
        device_response: "bytes | memoryview",
        session: ReaderSession,
        e_reader_private: bytes,
        curve: str,
        carrier: str,
        line: "_Line",
    ) -> None:
        self.device_response = device_response
        self.session_transcript = session.transcript
        self.stay_key = session.stay_key
        self.e_reader_private = e_reader_private
        self.curve = curve
        self.carrier = carrier
        self.read_ms = ticks.since(ticks.now(), line.started)
        self.round_trips = line.round_trips
        self.sent = line.sent
        self.received = line.received


class _Line:
    """A card. The card's exchanges are counted, and so are bytes over BLE."""

    def __init__(self, card: "Card") -> None:
        self.card = card
        self.started = ticks.now()
        self.round_trips = 0
        self.sent = 0
        self.received = 0

    async def transceive(
        self, command: "bytes | memoryview", timeout_ms: int = STEP_MS, sink: "ResponseBuffer | None" = None
    ) -> bytes:
        self.round_trips += 1
        self.count(len(command), 0)
        before = 0 if sink is None else len(sink)
        response = await self.card.transceive(command, timeout_ms, sink)
        self.count(0, len(response) + (0 if sink is None else len(sink) - before))
        return response

    def count(self, sent: int, received: int) -> None:
        self.sent += sent
        self.received += received


class Reading:
    """The reading of one phone. This reading is one session with any number of requests and answers.

    `ephemeral` makes the session's key pair for a curve, and must never return the same pair twice. If `ephemeral` is
    None, `crypto.generate` is used. `on_phase(event, **facts)` is called at each phase. The facts are only numbers and
    codes. After the event `mdoc.asked`, the holder may have to act on the phone. `mdoc_ble` is the radio for BLE
    retrieval. Without this radio, only NFC is used. If retrieval goes over BLE, the card is released at once, so that
    nobody has to keep the phone at the reader. If retrieval goes over NFC, the caller releases the card. `buffer` takes
    the responses. No other reading may use this buffer until this reading is closed.

    `asked` is the number of requests that were sent completely. `answered` is the number of requests that got a
    DeviceResponse. `ready` is True if another request may follow. `lost` is a code if the holder ended the session or
    the read failed, and is otherwise empty. `farewell` is the task that sends the termination, or None before this task
    has begun.
    """

    def __init__(
        self,
        card: "Card",
        crypto: "Crypto",
        ephemeral: "KeySource | None" = None,
        on_phase: "OnPhase" = log,
        mdoc_ble: "MdocBle | None" = None,
        buffer: "ResponseBuffer | None" = None,
    ) -> None:
        self._buffer = ResponseBuffer() if buffer is None else buffer
        self._line = _Line(card)
        self._crypto = crypto
        self._ephemeral = ephemeral or crypto.generate
        self._on_phase = on_phase
        self._mdoc_ble = mdoc_ble
        self._retrieval: _NfcRetrieval | _BleRetrieval | None = None
        self._session: ReaderSession | None = None
        self._curve, self._e_reader_private = "", b""
        self._message: bytes | None = None
        self.farewell: asyncio.Task[None] | None = None
        self.asked = self.answered = 0
        self.ready = False
        self.lost = ""

    def _phase(self, event: str, **facts: "Any") -> None:
        if event == "mdoc.asked":
            self.asked += 1
        self._on_phase(event, **facts)

    async def ask(
        self,
        items: "dict[str, dict[str, list[str]]]",
        reader_auth_private: bytes,
        reader_chain: "list[bytes]",
        last: bool = True,
    ) -> Presentation:
        """Ask the mdoc for `items` ({document type: {namespace: [element]}}). The first call does the engagement too.

        `reader_auth_private` (P-256) and `reader_chain` (DER, the reader's certificate first) authenticate this reader.
        If `last` is true, this reader waits for the answer, and then tells the mdoc that the session is over. This
        reader does not wait for a reply.

        Raises TransportError if the exchange failed or took too long (`nfc.*`, `apdu.*`, `ble.*`, `reader.timeout`), or
        if the session is over (`session.state`). Raises FormatError or VerificationError if the holder sent something
        wrong. Raises RefusedError: `session.declined` if the holder ended the session without an answer;
        `reader.no_carrier` if the mdoc offers no retrieval method of this reader.
        """
        left = TOTAL_MS - ticks.since(ticks.now(), self._line.started)
        self.ready = False
        try:
            return await asyncio.wait_for(
                self._ask(items, reader_auth_private, reader_chain, last), max(0, left) / 1000
            )
        except asyncio.TimeoutError:
            self.lost = "reader.timeout"
            raise TransportError("reader.timeout", "the read took too long")
        except MooringError as error:
            self.lost = error.code
            raise

    async def _ask(
        self,
        items: "dict[str, dict[str, list[str]]]",
        reader_auth_private: bytes,
        reader_chain: "list[bytes]",
        last: bool,
    ) -> Presentation:
        line, on_phase, retrieval, own = self._line, self._phase, self._retrieval, self._session
        began = ticks.now()
        self._buffer.release()
        if retrieval is None:
            handover = await _engage(line, self._crypto, self._mdoc_ble is not None)
            on_phase("nfc.engaged", ms=ticks.since(ticks.now(), line.started), apdus=line.round_trips)
            retrieval = self._retrieval = _retrieval(line, handover, self._crypto, self._mdoc_ble, self._buffer)
            await retrieval.begin(on_phase)
            # Over BLE, the phone needs time to find the lock. Meanwhile the session keys and the request are made.
            began = ticks.now()
            self._curve = handover.engagement.curve
            self._e_reader_private, public = self._ephemeral(self._curve)
            own = ReaderSession(self._crypto, self._e_reader_private, public, handover.engagement, handover.item())
        if own is None:
            raise TransportError("session.state", "the session is over")
        room = self._buffer.room()
        start, end = own.request(
            device_request(self._crypto, items, own.transcript, reader_auth_private, reader_chain), room
        )
        on_phase("mdoc.session", ms=ticks.since(ticks.now(), began), bytes=end - start)
        if self._session is None:
            await retrieval.ready(on_phase)
        self._session = None
        began = ticks.now()
        answer = await retrieval.exchange(room, start, end, CONSENT_MS, on_phase)
        data = await self._open(own, answer, last)
        on_phase("mdoc.response", ms=ticks.since(ticks.now(), began), bytes=len(data))
        presentation = Presentation(data, own, self._e_reader_private, self._curve, retrieval.carrier, line)
        on_phase("mdoc.read", ms=presentation.read_ms, apdus=line.round_trips, sent=line.sent, received=line.received)
        return presentation

    async def _open(self, own: ReaderSession, message: "bytes | memoryview", last: bool) -> "bytes | memoryview":
        """Return the DeviceResponse in `message`, and update the state of the session."""
        try:
            data, status = own.open(message)
        except (FormatError, VerificationError) as error:
            self._message = own.close(error_status(error))
            raise
        if data is None:
            own.close()
            raise _ended(status)
        if self.answered == self.asked:
            self._message = own.close()
            raise FormatError("session.unasked", "an answer came without a request")
        self.answered += 1
        if status is not None:
            self.lost = "session.ended"
            own.close()
        elif last:
            await self._say(own.close())
        else:
            self._session, self.ready = own, True
        return data

    async def _say(self, message: bytes) -> None:
        """Start to send `message`, the last message of the session. The task `farewell` does the rest."""
        started = asyncio.Event()
        self.farewell = asyncio.create_task(self._run(message, started))
        await started.wait()

    async def _run(self, message: bytes, started: asyncio.Event) -> None:
        started.set()
        try:
            assert self._retrieval is not None
            await self._retrieval.farewell(message)
        except MooringError as error:
            # The phone may have left already. The document that the phone presented is still valid.
            log("mdoc.farewell_unheard", code=error.code)
        except (OSError, MemoryError) as error:
            log("mdoc.farewell_unheard", error=type(error).__name__)

    async def close(self) -> None:
        """End the read: terminate a session that is still open, and let the phone go. This method waits for no answer
        and never raises.

        Over NFC, the last command may still be under way when this method returns. The caller must wait for this
        command before releasing the card.
        """
        own, self._session, self.ready = self._session, None, False
        unsaid, self._message = self._message, None
        if own is not None:
            unsaid = own.close()
        if unsaid is not None:
            await self._say(unsaid)
        if self._retrieval is not None:
            self._retrieval.close()
        self._buffer.reset()


async def _engage(line: _Line, crypto: "Crypto", with_ble: bool) -> "Handover":
    offer = Nfc(line.card.max_command, line.card.max_response)
    # A UUID for this transaction only. This UUID is used if the mdoc lets the reader choose the UUID.
    uuid = ble.new_uuid(crypto.random(16)) if with_ble else None
    request = handover_request(offer, ble.READER_ROLE if with_ble else None, uuid)
    engagement = NfcEngagement(request)
    command: bytes | None = engagement.start()
    while command is not None:
        if engagement.wait_ms:
            await asyncio.sleep(engagement.wait_ms / 1000)
        response = await line.transceive(command)
        try:
            command = engagement.push(response)
        except MooringError as error:
            if error.code != "apdu.stalled":
                line.card.pass_over()  # the card answers, but it is not an mdoc
            raise
    assert engagement.handover is not None
    return engagement.handover


def _retrieval(
    line: _Line, handover: "Handover", crypto: "Crypto", mdoc_ble: "MdocBle | None", buffer: ResponseBuffer
) -> "_NfcRetrieval | _BleRetrieval":
    """Choose one of the carriers that both sides support."""
    offer = handover.ble if mdoc_ble is not None else None
    if handover.nfc is not None and (offer is None or PREFERRED_CARRIER == "nfc"):
        return _NfcRetrieval(line, handover.nfc, buffer)
    if offer is None or mdoc_ble is None:
        raise RefusedError("reader.no_carrier", "the mdoc offers no retrieval method that this door supports")
    ident = ble.ident(crypto, handover.engagement.e_device_key_bytes)
    longest = MAX_ENCRYPTED_RESPONSE + _FRAME_BYTES
    return _BleRetrieval(line, mdoc_ble.session(offer, ident, longest, buffer), buffer)


def _ended(status: "int | None") -> MooringError:
    if status == session.ENCRYPTION_ERROR:
        return VerificationError("session.holder_encryption", "the mdoc could not decrypt our message")
    if status == session.CBOR_ERROR:
        return FormatError("session.holder_cbor", "the mdoc could not read our message")
    return RefusedError("session.declined", "the holder ended the session without an answer")


class _NfcRetrieval:
    """Exchanges messages with the mdoc application over NFC (clause 8.3.3.1.2)."""

    carrier = "nfc"

    def __init__(self, line: _Line, offered: Nfc, buffer: ResponseBuffer) -> None:
        self._line = line
        self._buffer = buffer
        command = min(offered.max_command, line.card.max_command)
        # Commands with more than 255 bytes of data, and responses with more than 256 bytes, need the extended form.
        self._extended = command > apdu.SHORT_DATA
        self._size = command
        most = min(offered.max_response, line.card.max_response)
        self._le = most if self._extended else min(most, apdu.SHORT_DATA + 1)

    async def begin(self, _on_phase: "OnPhase") -> None:
        """Select the mdoc application."""
        command = apdu.command(0, apdu.SELECT, 4, 0, MDOC_APPLICATION, apdu.SHORT_DATA + 1)
        apdu.expect_ok(await self._line.transceive(command))

    async def ready(self, _on_phase: "OnPhase") -> None:
        """Do nothing, because the mdoc is at the reader already."""

    async def exchange(
        self, room: memoryview, start: int, end: int, timeout_ms: int, on_phase: "OnPhase"
    ) -> memoryview:
        """Send the message that is in `room` from `start` to `end`, and return the mdoc's answer. `timeout_ms` is the
        limit for the first response, and `STEP_MS` for each later response."""
        buffer = self._buffer
        collector = apdu.Collector(buffer, MAX_ENCRYPTED_RESPONSE, self._le)
        last = await self._send(room, start, end, self._le, self._extended)
        # This is said before the last command, because the response to that command is the answer. The card answers
        # when it has the whole command, so the answer may take the memory of the command.
        on_phase("mdoc.asked")
        buffer.sent()
        more = collector.push(await self._line.transceive(last, timeout_ms, buffer))
        while more is not None:
            more = collector.push(await self._line.transceive(more, STEP_MS, buffer))
        return apdu.unwrap_do53(buffer.take())

    async def farewell(self, message: bytes) -> None:
        """Tell the mdoc that the session is over. Raises TransportError if the mdoc does not answer."""
        start = apdu.HEADS + 4  # four bytes for the head of the data object
        room = memoryview(bytearray(start) + message + bytes(2))
        last = await self._send(room, start, start + len(message), apdu.SHORT_DATA + 1, False)
        await self._line.transceive(last, _FAREWELL_MS)

    def close(self) -> None:
        """Do nothing, because the caller releases the card."""

    async def _send(self, room: memoryview, start: int, end: int, le: int, extended: bool) -> memoryview:
        """Send the message in a data object, in ENVELOPE commands. Return the last command, which is not sent yet."""
        size = self._size if extended else min(self._size, apdu.SHORT_DATA)
        start = apdu.wrap_do53(room, start, end)
        for command in apdu.chain(apdu.ENVELOPE, 0, 0, room, start, end, le, size, extended):
            if command[0] == 0:
                break
            apdu.expect_ok(await self._line.transceive(command))
        return command


class _BleRetrieval:
    """Exchanges messages over BLE, in a `firmware.mdoc_ble` session that began with a card in the field."""

    carrier = "ble"

    def __init__(self, line: _Line, own: "Session", buffer: ResponseBuffer) -> None:
        self._line = line
        self._session = own
        self._buffer = buffer

    async def begin(self, on_phase: "OnPhase") -> None:
        """Start waiting for the phone over BLE, and release the card."""
        began = ticks.now()
        await self._session.begin()
        on_phase("ble.waiting", mode=self._session.mode, ms=ticks.since(ticks.now(), began))
        await self._line.card.release()

    async def ready(self, on_phase: "OnPhase") -> None:
        """Wait until the phone has connected."""
        began = ticks.now()
        await self._session.ready()
        on_phase("ble.started", ms=ticks.since(ticks.now(), began), mtu=self._session.mtu)

    async def exchange(
        self, room: memoryview, start: int, end: int, timeout_ms: int, on_phase: "OnPhase"
    ) -> "bytes | memoryview":
        """Send the message that is in `room` from `start` to `end`, and return the mdoc's answer."""
        sent, received = self._session.sent, self._session.received

        def asked(event: str, **facts: "Any") -> None:
            self._buffer.sent()  # the stack has copied the last part
            on_phase(event, **facts)

        answer = await self._session.exchange(room[start:end], timeout_ms, asked)
        self._line.count(self._session.sent - sent, self._session.received - received)
        on_phase("ble.answered", parts=self._session.parts_received, bytes=self._session.received)
        return answer

    async def farewell(self, message: bytes) -> None:
        """Tell the mdoc that the session is over."""
        await self._session.farewell(message)

    def close(self) -> None:
        """Let the phone go."""
        self._session.close()
