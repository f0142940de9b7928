"""How lock and edge authenticate each other and encrypt what they say: `Noise_XX_P256_AESGCM_SHA256`.

The handshake is exactly pattern XX of the Noise Protocol Framework (revision 34, sections 5 and 7.5) over P-256. A
public key is the 65-byte point, and a DH output is the x-coordinate. The edge initiates. The edge's side is in
`link_initiator`, which a lock never loads. link_session.cddl has the forms:

    -> e                    OPEN
    <- e, ee, s, es         ANSWER   payload: the proof that the static key is the lock's, under its identity key
    -> s, se                FINISH   payload: the edge pass; the edge's first messages may follow at once

The lock does three point multiplications (ee, es, se). The lock's ephemeral key can be made while the door is idle. XX
gives:

- Both sides are authenticated, with forward secrecy.
- The static keys are bound to this transcript. The binding excludes unknown key-share attacks and replay. An attacker
  who has stolen a key cannot impersonate others to the owner of the key.
- A passive listener learns neither identity. An active stranger learns the lock's identity, whose first bytes are
  advertised anyway. The edge shows its identity only to a lock that has proven its own identity.

Static keys are used for this handshake and nothing else. The lock signs the proof with its identity key when it makes
its static key, and not during a handshake. So a stranger in range cannot make the lock sign anything by starting a
handshake. No other signed data has the `typ` of the proof. There is only one version, and the prologue includes it.
Nothing is sent unsealed after the handshake. So nobody can force an older or weaker version.
"""

from protocol import cbor, const, cose
from protocol.errors import FormatError, VerificationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from protocol.crypto import Crypto

    KeyPair = tuple[bytes, bytes]

VERSION = 1

OPEN = 32
ANSWER = 33
FINISH = 34

TAG_BYTES = 16
"""Number of bytes that sealing adds to a message: the size of the GCM tag. The counter is not sent, because GATT keeps
the order and a loss ends the session."""
POINT_BYTES = 65
OPEN_LIMIT = 80
"""Maximum size of an OPEN, in bytes. A stranger cannot make the lock keep more bytes."""
PASS_LIMIT = 1408
"""Maximum size of an edge pass, in bytes. A pass of this size lists 64 locks."""
FINISH_LIMIT = PASS_LIMIT + 128
MESSAGES_LIMIT = 1 << 32
"""Maximum number of messages sealed with one key. AES-GCM allows this number (SP 800-38D, section 8.3), and no
connection comes near it."""

_NAME = const(b"Noise_XX_P256_AESGCM_SHA256")
_PROOF_TYPE = const("mooring/link-key")


# --- proof that a static key is a lock's -----------------------------------------------------------------------------


def signed(identity_public: bytes, link_public: bytes) -> bytes:
    """Return the bytes that the lock with `identity_public` signs to prove that `link_public` is its link key."""
    protected = cbor.encode({cose.ALG: cose.ES256, cose.TYP: _PROOF_TYPE})
    return cose.sig_structure(protected, cbor.encode([1, identity_public, link_public]))


def prove(crypto: "Crypto", identity: "KeyPair", link_public: bytes) -> bytes:
    """Return the proof that `link_public` is the link key of the lock with the key pair `identity` (private,
    public)."""
    return cbor.encode([identity[1], crypto.sign(identity[0], signed(identity[1], link_public))])


# --- Noise: state of a handshake (section 5.2) -----------------------------------------------------------------------


class Symmetric:
    """The state of a handshake: a hash of all that was said, and the key for the next sealed part."""

    def __init__(self, crypto: "Crypto") -> None:
        self._crypto = crypto
        self._hash = self._chain = _NAME + bytes(32 - len(_NAME))
        self._key = b""
        self._count = 0
        self.mix_hash(cbor.encode(["mooring/link", VERSION]))  # the prologue

    def mix_hash(self, data: bytes) -> None:
        """MixHash."""
        self._hash = self._crypto.digest("SHA-256", self._hash + data)

    def mix_key(self, secret: bytes) -> None:
        """MixKey."""
        self._chain, self._key, _ = self._expand(secret)
        self._count = 0

    def _expand(self, secret: bytes) -> "tuple[bytes, bytes, bytes]":
        # Noise's HKDF with three outputs (section 4.3) is RFC 5869 with the chaining key as salt and no info. The first
        # two outputs do not depend on the number of outputs.
        all_three = self._crypto.hkdf_expand(self._crypto.hkdf_extract(self._chain, secret), b"", 96)
        return all_three[:32], all_three[32:64], all_three[64:]

    def seal(self, plaintext: bytes) -> bytes:
        """EncryptAndHash."""
        sealed = self._crypto.seal_gcm(self._key, _nonce(self._count), plaintext, self._hash)
        self._count += 1
        self.mix_hash(sealed)
        return sealed

    def open(self, sealed: bytes) -> bytes:
        """DecryptAndHash. Raises VerificationError `link.handshake`."""
        try:
            plaintext = self._crypto.open_gcm(self._key, _nonce(self._count), sealed, self._hash)
        except VerificationError:
            raise VerificationError("link.handshake", "the other side has other keys, or somebody is in between")
        self._count += 1
        self.mix_hash(sealed)
        return plaintext

    def split(self) -> "tuple[bytes, bytes, bytes]":
        """Return the keys for (initiator to responder, responder to initiator, hints)."""
        return self._expand(b"")


def _nonce(count: int) -> bytes:
    return bytes(4) + count.to_bytes(8, "big")


class Session:
    """Seals and opens the messages after the handshake, strictly in order. Each direction has its own key.

    If a message cannot be opened, the session ends. After a VerificationError, no more messages are opened, and the
    caller must drop the connection. `hint_key` outlives the connection: the lock advertises `link.hint` under it.
    """

    def __init__(self, crypto: "Crypto", send_key: bytes, receive_key: bytes, hint_key: bytes) -> None:
        self.hint_key = hint_key
        self._crypto = crypto
        self._send_key = send_key
        self._receive_key: "bytes | None" = receive_key
        self._sent = self._received = 0

    def seal(self, message: bytes) -> bytes:
        """Seal the next message. Raises VerificationError `link.exhausted` after MESSAGES_LIMIT messages."""
        if self._sent >= MESSAGES_LIMIT:
            raise VerificationError("link.exhausted", "the key has sealed as many messages as it may; connect again")
        sealed = self._crypto.seal_gcm(self._send_key, _nonce(self._sent), message, b"")
        self._sent += 1
        return sealed

    def open(self, sealed: bytes) -> bytes:
        """Open the other side's next message. Raises VerificationError `link.seal` if `sealed` was altered or is not
        the next message."""
        key = self._receive_key
        if key is None or self._received >= MESSAGES_LIMIT:
            raise VerificationError("link.seal", "the session is over")
        try:
            message = self._crypto.open_gcm(key, _nonce(self._received), sealed, b"")
        except VerificationError:
            self._receive_key = None
            raise VerificationError("link.seal", "not the next message of the other side")
        self._received += 1
        return message


# --- the lock's side -------------------------------------------------------------------------------------------------


class Responder:
    """The lock's side. Call `opened`, `answer` and `finished` in this order, once each.

    Each of these three calls does one point multiplication, so the lock can serve its door between two calls.
    `ephemeral` must be fresh.
    """

    def __init__(self, crypto: "Crypto", static: "KeyPair", proof: bytes, ephemeral: "KeyPair") -> None:
        self._crypto = crypto
        self._static = static
        self._proof = proof
        self._ephemeral = ephemeral
        self._state = Symmetric(crypto)
        self._their_ephemeral = b""

    def opened(self, message: bytes) -> None:
        """Take the edge's OPEN. Raises the errors of `parse_open`, and VerificationError `crypto.key` for a key that is
        not a point."""
        self._their_ephemeral = parse_open(message)
        state = self._state
        state.mix_hash(self._their_ephemeral)
        state.mix_hash(b"")
        state.mix_hash(self._ephemeral[1])
        state.mix_key(self._crypto.ecdh("P-256", self._ephemeral[0], self._their_ephemeral))  # ee

    def answer(self) -> bytes:
        """Return the ANSWER message."""
        state = self._state
        sealed_static = state.seal(self._static[1])
        state.mix_key(self._crypto.ecdh("P-256", self._static[0], self._their_ephemeral))  # es
        return cbor.encode([ANSWER, self._ephemeral[1], sealed_static, state.seal(self._proof)])

    def finished(self, message: bytes) -> "tuple[bytes, bytes, Session]":
        """Take the edge's FINISH. Return (static key, pass, session). The edge has proven that it holds the static key.
        Its pass is not verified.

        Raises FormatError `cbor.*`, `link.form`, `link.too_long` for a malformed message. Raises VerificationError
        `crypto.key` for a key that is not a point, `link.handshake` for a part that does not open.
        """
        _, sealed_static, sealed_pass = parse(message, FINISH, (POINT_BYTES + TAG_BYTES, None), "FINISH")
        state = self._state
        static = state.open(sealed_static)
        state.mix_key(self._crypto.ecdh("P-256", self._ephemeral[0], static))  # se
        edge_pass = state.open(sealed_pass)
        receive_key, send_key, hint_key = state.split()
        return static, edge_pass, Session(self._crypto, send_key, receive_key, hint_key)


# --- forms -----------------------------------------------------------------------------------------------------------


def parse_open(message: bytes) -> bytes:
    """Return the ephemeral key in an OPEN. An OPEN that is refused here has not cost the lock a point multiplication.

    Raises FormatError `cbor.*`, `link.form`, `link.too_long` for a malformed OPEN, `link.version` for another version.
    """
    items = _items(message, OPEN_LIMIT)
    # The version comes first. So a later version is recognised even if everything after the version has changed.
    if len(items) >= 2 and items[0] == OPEN and (items[1] != VERSION or isinstance(items[1], bool)):
        raise FormatError("link.version", "an OPEN of a version this side does not speak")
    if len(items) != 3 or items[0] != OPEN or not _is_bytes(items[2], POINT_BYTES) or items[2][0] != 4:
        raise _form("OPEN")
    ephemeral: bytes = items[2]
    return ephemeral


def parse(message: bytes, kind: int, sizes: "tuple[int | None, ...]", name: str) -> "list[Any]":
    """Return the items of the handshake message `name` of type `kind`. After the type, this message has one byte string
    for each of `sizes`. A size of None allows any byte string that is longer than a tag. Raises FormatError `cbor.*`,
    `link.form`, `link.too_long`."""
    items = _items(message, FINISH_LIMIT)
    if len(items) != len(sizes) + 1 or items[0] != kind:
        raise _form(name)
    for item, size in zip(items[1:], sizes):
        if not isinstance(item, bytes) or (size is None and len(item) <= TAG_BYTES) or (size and len(item) != size):
            raise _form(name)
    return items


def _items(message: bytes, limit: int) -> "list[Any]":
    if len(message) > limit:
        raise FormatError("link.too_long", "the message exceeds its limit")
    items = cbor.decode_deterministic(message)
    if not isinstance(items, list) or not items or not isinstance(items[0], int) or isinstance(items[0], bool):
        raise _form("handshake message")
    return items


def _is_bytes(item: "Any", size: int) -> bool:
    return isinstance(item, bytes) and len(item) == size


def _form(name: str) -> FormatError:
    return FormatError("link.form", "not a " + name + " as link_session.cddl defines it")
