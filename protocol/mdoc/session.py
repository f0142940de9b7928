"""Session establishment and encryption (ISO/IEC 18013-5 clause 9.1.1), the reader's side. Sans-IO."""

from protocol import cbor, const, cose, stay_key
from protocol.errors import FormatError, TransportError, VerificationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from protocol.crypto import Crypto
    from protocol.mdoc.engagement import DeviceEngagement

# SessionData status (clause 9.1.1.4, table 20).
ENCRYPTION_ERROR = 10
CBOR_ERROR = 11
TERMINATION = 20

_READER_IV = bytes(8)
_MDOC_IV = bytes(7) + b"\x01"
_TAG_LENGTH = const(16)

HEADS = 12
"""Number of bytes before a message with a request that the carrier may use for its heads."""
_DATA = const(24)  # Offset of the encrypted data. Before the data, HEADS bytes and at most 9 bytes of CBOR have room.


def session_transcript(device_engagement_bytes: bytes, e_reader_key_bytes: bytes, handover: "Any") -> bytes:
    """Return SessionTranscript (clause 9.1.5.1), encoded and untagged.

    The first two arguments must be encoded already, and wrapped in tag 24. `handover` is the item itself: None, `[Hs,
    Hr / None]`, ...
    """
    return cbor.encode([cbor.Raw(device_engagement_bytes), cbor.Raw(e_reader_key_bytes), handover])


def salt(crypto: "Crypto", transcript: bytes) -> bytes:
    """Return the SHA-256 of SessionTranscriptBytes: the salt of every key of a session."""
    return crypto.digest("SHA-256", cbor.wrap(transcript).raw)


def session_keys(crypto: "Crypto", shared: bytes, salt: bytes) -> "tuple[bytes, bytes]":
    """Return (SKReader, SKDevice), 32 bytes each, from the ECDH secret `shared` (clause 9.1.1.5) and the session's
    `salt`."""
    key = crypto.hkdf_extract(salt, shared)
    return crypto.hkdf_expand(key, b"SKReader", 32), crypto.hkdf_expand(key, b"SKDevice", 32)


def session_data(data: "bytes | None", status: "int | None") -> bytes:
    """SessionData, encoded."""
    message: dict[str, Any] = {}
    if data is not None:
        message["data"] = data
    if status is not None:
        message["status"] = status
    return cbor.encode(message)


def parse_session_data(raw: "bytes | memoryview") -> "tuple[bytes | memoryview | None, int | None]":
    """SessionData as (data, status). At least one of the two is present. If the message is a memoryview, long data is a
    view of the message.

    Unknown keys are ignored. Raises FormatError `cbor.*`, `session.form`.
    """
    message = cbor.decode(raw)
    if not isinstance(message, dict):
        raise FormatError("session.form", "SessionData is not a map")
    data = message.get("data")
    status = message.get("status")
    if data is None and status is None:
        raise FormatError("session.form", "SessionData with neither data nor status")
    if data is not None and (not isinstance(data, cbor.BYTES) or len(data) < _TAG_LENGTH):
        raise FormatError("session.form", "data must be bytes and hold an authentication tag")
    if status is not None and (not isinstance(status, int) or isinstance(status, bool) or status < 0):
        raise FormatError("session.form", "status must be an unsigned number")
    return data, status


class ReaderSession:
    """The reader's end of one session.

    `private` and `public` are the reader's ephemeral key pair. This key pair is on the same curve as the key in
    `engagement`, and is used only for this session. `transcript` is the encoded SessionTranscript. Raises
    VerificationError `crypto.key` if the mdoc's key is not a point on its curve.

    `stay_key` is derived together with the session's own keys (`protocol.stay_key`). `close` does not delete it. A stay
    key opens a door only after the mdoc has been verified and its holder has checked in.
    """

    def __init__(
        self, crypto: "Crypto", private: bytes, public: bytes, engagement: "DeviceEngagement", handover: "Any"
    ) -> None:
        self._crypto = crypto
        self._e_reader_key = cbor.wrap(cose.encode_key(engagement.curve, public))
        self.transcript = session_transcript(engagement.tagged, self._e_reader_key.raw, handover)
        shared = crypto.ecdh(engagement.curve, private, engagement.public)
        own_salt = salt(crypto, self.transcript)
        sk_reader, sk_device = session_keys(crypto, shared, own_salt)
        self.stay_key = stay_key.derive(crypto, shared, own_salt)
        self._sk_reader: bytes | None = sk_reader
        self._sk_device: bytes | None = sk_device
        self._sent = 0
        self._received = 0

    def request(self, request: "Any", room: memoryview) -> "tuple[int, int]":
        """Write the message with the DeviceRequest `request`, an item for `cbor.encode`, into `room`. Return the
        offsets of the message's start and end. The first message is SessionEstablishment, and all later messages are
        SessionData.

        The request is encoded and encrypted in place. Before the message, HEADS bytes are free for the carrier's heads.
        Raises FormatError `cbor.memory` if the message does not fit into `room`.
        """
        if self._sk_reader is None:
            raise _closed()
        first = not self._sent
        self._sent += 1
        end = cbor.encode_into(request, room, _DATA) + _TAG_LENGTH
        # The members are in the order of deterministic CBOR: `data`, then `eReaderKey`.
        after = cbor.encode("eReaderKey") + self._e_reader_key.raw if first else b""
        if end + len(after) > len(room):
            raise FormatError("cbor.memory", "the encoded item is longer than the memory for it")
        sealed = room[_DATA:end]
        self._crypto.seal_gcm_in_place(self._sk_reader, _READER_IV + self._sent.to_bytes(4, "big"), sealed, b"")
        head = (b"\xa2" if first else b"\xa1") + cbor.encode("data") + cbor.byte_string_head(sealed)
        start = _DATA - len(head)
        room[start:_DATA] = head
        room[end : end + len(after)] = after
        return start, end + len(after)

    def open(self, message: "bytes | memoryview") -> "tuple[bytes | memoryview | None, int | None]":
        """Return (decrypted data or None, status or None) of a SessionData from the mdoc. If `message` is a memoryview,
        long data is decrypted in place.

        Raises FormatError if the message is not SessionData. Raises VerificationError `session.encryption` if the data
        is not authentic or not the next message. The caller must then end the session, and send
        `close(error_status(error))` to the mdoc.
        """
        if self._sk_device is None:
            raise _closed()
        data, status = parse_session_data(message)
        if data is None:
            return None, status
        self._received += 1
        nonce = _MDOC_IV + self._received.to_bytes(4, "big")
        try:
            if isinstance(data, memoryview):
                return self._crypto.open_gcm_in_place(self._sk_device, nonce, data, b""), status
            return self._crypto.open_gcm(self._sk_device, nonce, data, b""), status
        except VerificationError:
            raise VerificationError("session.encryption", "the mdoc's message does not decrypt")

    def close(self, status: int = TERMINATION) -> bytes:
        """Forget the session's keys. Return the SessionData that ends the session."""
        self._sk_reader = self._sk_device = None
        return session_data(None, status)


def _closed() -> TransportError:
    return TransportError("session.state", "the session is closed")


def error_status(error: Exception) -> int:
    """Return the status that tells the mdoc why its message was refused."""
    return CBOR_ERROR if isinstance(error, FormatError) else ENCRYPTION_ERROR
