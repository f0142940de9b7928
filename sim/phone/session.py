"""The mdoc's side of a session (ISO/IEC 18013-5 clause 9.1.1)."""

import hashlib

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sim.phone import stay_key
from sim.phone.engagement import load_cose_key

ENCRYPTION_ERROR = 10
CBOR_ERROR = 11
TERMINATION = 20


class SessionError(Exception):
    """The reader's message cannot be processed. `status` says why."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class HolderSession:
    """One session. The reader's first message establishes the session, and sets `transcript` and `reader_public`."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, engagement: bytes, select: bytes) -> None:
        self._key = key
        self._engagement = engagement
        self._select = select
        self.handover_request: bytes | None = None
        """The reader's Handover Request, if the handover was negotiated."""
        self._received = 0
        self._sent = 0
        self._sk_reader: AESGCM | None = None
        self._sk_device: AESGCM | None = None
        self.transcript = b""
        self.stay_key = b""
        self.reader_public: ec.EllipticCurvePublicKey | None = None

    def negotiated(self, request: bytes) -> None:
        """Bind the session to the Handover Request of the reader."""
        self.handover_request = request

    def salt(self) -> bytes:
        """Return the SHA-256 of SessionTranscriptBytes."""
        return hashlib.sha256(cbor2.dumps(cbor2.CBORTag(24, self.transcript))).digest()

    def derive(self, shared: bytes, info: bytes) -> bytes:
        """Return 32 bytes of HKDF-SHA-256 over `shared`, with this session's salt."""
        return HKDF(hashes.SHA256(), 32, self.salt(), info).derive(shared)

    def open(self, raw: bytes) -> tuple[bytes | None, int | None]:
        """Return (plaintext, status) of SessionEstablishment or SessionData. Raises SessionError for a bad message."""
        try:
            message = cbor2.loads(raw)
            data, status = message.get("data"), message.get("status")
            if self._sk_reader is None:
                self._establish(message["eReaderKey"])
        except (cbor2.CBORDecodeError, AttributeError, KeyError, TypeError, ValueError):
            raise SessionError(CBOR_ERROR) from None
        if data is None:
            return None, status
        assert self._sk_reader is not None
        self._received += 1
        try:
            return self._sk_reader.decrypt(bytes(8) + self._received.to_bytes(4, "big"), data, b""), status
        except (InvalidTag, ValueError, TypeError):
            raise SessionError(ENCRYPTION_ERROR) from None

    def _establish(self, e_reader_key: cbor2.CBORTag) -> None:
        if e_reader_key.tag != 24:
            raise ValueError("EReaderKeyBytes is not tagged")
        public = load_cose_key(cbor2.loads(e_reader_key.value))
        shared = self._key.exchange(ec.ECDH(), public)
        engagement = cbor2.CBORTag(24, self._engagement)
        self.transcript = cbor2.dumps([engagement, e_reader_key, [self._select, self.handover_request]])
        self.reader_public = public
        self._sk_reader = AESGCM(self.derive(shared, b"SKReader"))
        self._sk_device = AESGCM(self.derive(shared, b"SKDevice"))
        self.stay_key = self.derive(shared, stay_key.INFO)

    def seal(self, plaintext: bytes, status: int | None = None) -> bytes:
        """Encrypt `plaintext`, and return it as SessionData."""
        assert self._sk_device is not None
        self._sent += 1
        nonce = bytes(7) + b"\x01" + self._sent.to_bytes(4, "big")
        message: dict[str, object] = {"data": self._sk_device.encrypt(nonce, plaintext, b"")}
        return cbor2.dumps(message if status is None else {**message, "status": status})


def status_message(status: int) -> bytes:
    """SessionData with only a status."""
    return cbor2.dumps({"status": status})
