"""The mdoc reader (ISO/IEC 18013-5): from a card in the field to a decrypted, unjudged DeviceResponse.

    engagement over NFC ─▶ handover ─▶ session ─▶ request ─▶ response ─▶ termination

Every failure ends as a MooringError, within `TOTAL_MS`. Nothing here is remembered after a read but what it returns.
"""

import asyncio

from firmware import ticks
from firmware.console import log
from protocol import apdu
from protocol.errors import FormatError, MooringError, RefusedError, TransportError, VerificationError
from protocol.mdoc import session
from protocol.mdoc.engagement import Nfc
from protocol.mdoc.handover import handover_request
from protocol.mdoc.nfc_engagement import NfcEngagement
from protocol.mdoc.request import build_device_request
from protocol.mdoc.session import ReaderSession, error_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.nfc import Card
    from protocol.crypto import Crypto
    from protocol.mdoc.handover import Handover

    KeySource = Callable[[str], tuple[bytes, bytes]]
    Mark = Callable[..., None]

MDOC_APPLICATION = b"\xa0\x00\x00\x02\x48\x04\x00"

MAX_RESPONSE = 16384
"""Longest encrypted response accepted, in bytes. The largest we know, with a portrait, is near 9 KB."""

STEP_MS = 1500
"""Longest wait for the answer to one command."""
CONSENT_MS = 20000
"""Longest wait for the first answer to a request: the holder may have to look at the phone and agree."""
TOTAL_MS = 25000
"""Longest read, from first contact on."""
_FAREWELL_MS = 500


class Presentation:
    """What a holder presented, decrypted and unverified.

    `device_response` and `session_transcript` are encoded CBOR; `reader_private` is the session's ephemeral key on
    `curve`, which a deviceMac is checked with. `read_ms`, `round_trips`, `sent` and `received` (bytes of APDUs) say
    what it took.
    """

    def __init__(
        self, device_response: bytes, session_transcript: bytes, reader_private: bytes, curve: str, line: "_Line"
    ) -> None:
        self.device_response = device_response
        self.session_transcript = session_transcript
        self.reader_private = reader_private
        self.curve = curve
        self.read_ms = ticks.since(ticks.now(), line.started)
        self.round_trips = line.round_trips
        self.sent = line.sent
        self.received = line.received


class _Line:
    """A card with its exchanges counted."""

    def __init__(self, card: "Card") -> None:
        self.card = card
        self.started = ticks.now()
        self.round_trips = 0
        self.sent = 0
        self.received = 0

    async def transceive(self, command: bytes, timeout_ms: int = STEP_MS) -> bytes:
        self.round_trips += 1
        self.sent += len(command)
        response = await self.card.transceive(command, timeout_ms)
        self.received += len(response)
        return response


async def read_mdoc(
    card: "Card",
    crypto: "Crypto",
    items: "dict[str, dict[str, list[str]]]",
    reader_private: bytes,
    reader_chain: "list[bytes]",
    ephemeral: "KeySource | None" = None,
    mark: "Mark" = log,
) -> Presentation:
    """Ask the mdoc behind `card` for `items` ({document type: {namespace: [element]}}).

    `reader_private` and `reader_chain` authenticate this reader (P-256; DER, its certificate first). `ephemeral` makes
    the session key pair for a curve, `crypto.generate` if None; a pair must never be given twice. `mark(event,
    **facts)` hears of each phase, in numbers only. The card is not released; that is the caller's.

    Raises TransportError (`nfc.*`, `apdu.*`, `reader.timeout`, `session.state`), FormatError and VerificationError for
    what the holder sent wrong, RefusedError `session.declined` when the holder ended the session without an answer.
    """
    line = _Line(card)
    read = _read(line, crypto, items, reader_private, reader_chain, ephemeral or crypto.generate, mark)
    try:
        return await asyncio.wait_for(read, TOTAL_MS / 1000)
    except asyncio.TimeoutError:
        raise TransportError("reader.timeout", "the read took too long")


async def _read(
    line: _Line,
    crypto: "Crypto",
    items: "dict[str, dict[str, list[str]]]",
    reader_private: bytes,
    reader_chain: "list[bytes]",
    ephemeral: "KeySource",
    mark: "Mark",
) -> Presentation:
    handover = await _engage(line)
    mark("nfc.engaged", ms=ticks.since(ticks.now(), line.started), apdus=line.round_trips)
    if handover.nfc is None:
        raise RefusedError("reader.no_carrier", "the mdoc offers no way of retrieval that this door has")
    retrieval = _NfcRetrieval(line, handover.nfc)
    await retrieval.select()
    began = ticks.now()
    curve = handover.engagement.curve
    private, public = ephemeral(curve)
    own = ReaderSession(crypto, private, public, handover.engagement, handover.item())
    request = own.establish(build_device_request(crypto, items, own.transcript, reader_private, reader_chain))
    mark("mdoc.session", ms=ticks.since(ticks.now(), began), bytes=len(request))
    began = ticks.now()
    message = await retrieval.exchange(request, CONSENT_MS)
    response = await _open(own, message, retrieval)
    mark("mdoc.response", ms=ticks.since(ticks.now(), began), bytes=len(response))
    presentation = Presentation(response, own.transcript, private, curve, line)
    mark("mdoc.read", ms=presentation.read_ms, apdus=line.round_trips, sent=line.sent, received=line.received)
    return presentation


async def _engage(line: _Line) -> "Handover":
    offer = Nfc(line.card.max_command, line.card.max_response)
    engagement = NfcEngagement(handover_request(offer))
    command: bytes | None = engagement.start()
    while command is not None:
        if engagement.wait_ms:
            await asyncio.sleep(engagement.wait_ms / 1000)
        command = engagement.push(await line.transceive(command))
    assert engagement.handover is not None
    return engagement.handover


async def _open(own: ReaderSession, message: bytes, retrieval: "_NfcRetrieval") -> bytes:
    """The DeviceResponse in `message`; the holder is told how it went and the session ends either way."""
    try:
        data, status = own.open(message)
    except (FormatError, VerificationError) as error:
        await retrieval.farewell(own.close(error_status(error)))
        raise
    if data is None:
        own.close()
        raise _ended(status)
    if status is None:
        await retrieval.farewell(own.close(session.TERMINATION))
    else:
        own.close()
    return data


def _ended(status: "int | None") -> MooringError:
    if status == session.ENCRYPTION_ERROR:
        return VerificationError("session.holder_encryption", "the mdoc could not decrypt our message")
    if status == session.CBOR_ERROR:
        return FormatError("session.holder_cbor", "the mdoc could not read our message")
    return RefusedError("session.declined", "the holder ended the session without an answer")


class _NfcRetrieval:
    """Messages to and from the mdoc application (clause 8.3.3.1.2)."""

    def __init__(self, line: _Line, offered: Nfc) -> None:
        self._line = line
        command = min(offered.max_command, line.card.max_command)
        # A command beyond 255 bytes needs the extended form, and so does a response beyond 256.
        self._extended = command > apdu.SHORT_DATA
        self._size = command
        most = min(offered.max_response, line.card.max_response)
        self._le = most if self._extended else min(most, apdu.SHORT_DATA + 1)

    async def select(self) -> None:
        """Select the mdoc application."""
        command = apdu.command(0, apdu.SELECT, 4, 0, MDOC_APPLICATION, apdu.SHORT_DATA + 1)
        apdu.expect_ok(await self._line.transceive(command))

    async def exchange(self, message: bytes, timeout_ms: int) -> bytes:
        """Send `message`, return the mdoc's. `timeout_ms` is for the first answer, `STEP_MS` for all after it."""
        collector = apdu.Collector(MAX_RESPONSE, self._le)
        more = collector.push(await self._send(message, self._le, self._extended, timeout_ms))
        while more is not None:
            more = collector.push(await self._line.transceive(more))
        return apdu.unwrap_do53(bytes(collector.data))

    async def farewell(self, message: bytes) -> None:
        """Tell the mdoc that the session is over. One that has left already does not spoil what it presented."""
        try:
            await self._send(message, apdu.SHORT_DATA + 1, False, _FAREWELL_MS)
        except TransportError as error:
            log("mdoc.farewell_unheard", code=error.code)

    async def _send(self, message: bytes, le: int, extended: bool, timeout_ms: int) -> bytes:
        """`message` in a data object and as many ENVELOPEs as it takes; the answer to the last."""
        size = self._size if extended else min(self._size, apdu.SHORT_DATA)
        last = None
        for command in apdu.chain(apdu.ENVELOPE, 0, 0, apdu.wrap_do53(message), le, size, extended):
            if last is not None:
                apdu.expect_ok(await self._line.transceive(last))
            last = command
        assert last is not None
        return await self._line.transceive(last, timeout_ms)
