"""The edge's side of the handshake that `link_session` describes, and of the hints that follow it. A lock never loads
this module."""

from protocol import cbor, statement
from protocol.errors import FormatError, VerificationError
from protocol.link_session import (
    ANSWER,
    FINISH,
    OPEN,
    PASS_LIMIT,
    POINT_BYTES,
    TAG_BYTES,
    VERSION,
    Session,
    Symmetric,
    parse,
    signed,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.crypto import Crypto

    KeyPair = tuple[bytes, bytes]

HINT_BYTES = 2
HINT_SECONDS = 60
"""A lock advertises a new hint after each time of this length, whatever happens."""


def hint(crypto: "Crypto", key: bytes, number: int, news: bool) -> bytes:
    """Return the hint that a lock advertises. `news` says whether the lock has records that it has not sent yet.

    `key` is the hint key of the lock's last session (`link_session.Session`). So only the edge of that session can read
    hints. Everybody else sees random bytes. `number` counts the hints since that session, from 1. The lock computes the
    same in `firmware/link/edge_link.py`.
    """
    return crypto.hmac_sha256(key, number.to_bytes(4, "big") + bytes((news,)))[:HINT_BYTES]


class Initiator:
    """The edge's side. Call `open`, `answered` and `finish` in this order, once each.

    `static` and `ephemeral` are P-256 key pairs (private, public). Only test vectors pass `ephemeral`.
    """

    def __init__(self, crypto: "Crypto", static: "KeyPair", ephemeral: "KeyPair | None" = None) -> None:
        self._crypto = crypto
        self._static = static
        self._ephemeral = ephemeral or crypto.generate("P-256")
        self._state = Symmetric(crypto)
        self._their_ephemeral = b""

    def open(self) -> bytes:
        """Return the OPEN message."""
        self._state.mix_hash(self._ephemeral[1])
        self._state.mix_hash(b"")  # the empty payload
        return cbor.encode([OPEN, VERSION, self._ephemeral[1]])

    def answered(self, message: bytes) -> bytes:
        """Take the lock's ANSWER. Return the lock's identity key, a 65-byte point. The lock has proven that it holds
        this key.

        Raises FormatError `cbor.*`, `link.form`, `link.too_long` for a malformed message. Raises VerificationError
        `crypto.key` for a key that is not a point, `link.handshake` for a part that does not open, `link.proof` for a
        wrong proof.
        """
        _, ephemeral, sealed_static, sealed_proof = parse(
            message, ANSWER, (POINT_BYTES, POINT_BYTES + TAG_BYTES, None), "ANSWER"
        )
        state, crypto = self._state, self._crypto
        state.mix_hash(ephemeral)
        state.mix_key(crypto.ecdh("P-256", self._ephemeral[0], ephemeral))  # ee
        static = state.open(sealed_static)
        state.mix_key(crypto.ecdh("P-256", self._ephemeral[0], static))  # es
        self._their_ephemeral = ephemeral
        return _check_proof(crypto, state.open(sealed_proof), static)

    def finish(self, edge_pass: bytes) -> "tuple[bytes, Session]":
        """Return the FINISH message, and the session that starts with it. Raises FormatError `link.too_long` for an
        edge pass of the wrong size."""
        if not 0 < len(edge_pass) <= PASS_LIMIT:
            raise FormatError("link.too_long", "no edge pass has this size")
        state = self._state
        sealed_static = state.seal(self._static[1])
        state.mix_key(self._crypto.ecdh("P-256", self._static[0], self._their_ephemeral))  # se
        message = cbor.encode([FINISH, sealed_static, state.seal(edge_pass)])
        send_key, receive_key, hint_key = state.split()
        return message, Session(self._crypto, send_key, receive_key, hint_key)


def _check_proof(crypto: "Crypto", proof: bytes, link_public: bytes) -> bytes:
    items = cbor.decode_deterministic(proof)
    good = isinstance(items, list) and len(items) == 2
    if not (good and statement.is_point(items[0]) and statement.is_bytes(items[1], 64, 64)):
        raise FormatError("link.form", "not a proof as link_session.cddl defines it")
    identity_public: bytes = items[0]
    if not crypto.verify("P-256", identity_public, "SHA-256", signed(identity_public, link_public), items[1]):
        raise VerificationError("link.proof", "the link key is not that of the lock it names")
    return identity_public
