"""The lock's own keys. The keys are made on the lock, and the private keys never leave it. An enrolment request, signed
with one of the keys, takes the public keys to the province.

This module also keeps the secret under which the lock draws random numbers (firmware/crypto/generator.py). Each boot
uses a different secret. Flash holds the secret for the next boot and the number of boots. At boot, the lock derives two
new secrets from the stored secret. The first new secret replaces the stored secret. When that write is durable, the
lock draws random numbers under the second new secret, which is only in RAM. So one write is enough for all numbers of a
boot, and no number is drawn again after a power cut. The file does not reveal numbers that were drawn before
(backtracking resistance, SP 800-90A, section 8.8). Older copies of the file remain in flash until littlefs erases their
block.
"""

from firmware.crypto import generator
from firmware.crypto.hkdf import hkdf_expand, hkdf_extract
from protocol import cbor, const, link_session, placement
from protocol.errors import StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.memory.store import Store
    from protocol.crypto import Crypto

_KEYS = const("keys")
_ANCHOR = const("anchor")
_LINK = const("link")
_SECRET = const("secret")
_SECRET_BYTES = const(32)
_COUNTER_BYTES = const(8)


class Identity:
    """Three P-256 keys (for records, mdoc reader authentication and the edge link), and the province's public key.

    `public` is a 65-byte point. `anchor` is the province's public key as the installer wrote it. All trust depends on
    this key. `link` is the key pair of the edge link. `link_proof` is the link's public key, signed by the identity
    key. The link has a separate key, because anybody in range can make the lock multiply points of their choice with
    the link's key. The key that signs records must not be used like this.
    """

    def __init__(
        self,
        crypto: "Crypto",
        private: bytes,
        reader_auth_private: bytes,
        anchor: bytes,
        link: "tuple[bytes, bytes]",
        link_proof: bytes,
    ) -> None:
        self.private = private
        self.public = crypto.public("P-256", private)
        self.reader_auth_private = reader_auth_private
        self.anchor = anchor
        self.link = link
        self.link_proof = link_proof
        self.lock_id = placement.lock_id(crypto, self.public)


def anchored(store: "Store") -> bool:
    """Is this lock in service? A lock is in service if it has a province's key. A lock also counts as in service if the
    file with that key cannot be read. `tools/software.py` writes a `boot.py` that follows the same rule."""
    try:
        return store.read(_ANCHOR) is not None
    except StorageError:
        return True


def begin(store: "Store", extra: bytes = b"") -> None:
    """Begin to draw random numbers under a secret that no earlier boot used. If flash has no secret, as at enrolment,
    make the first secret. The radio must be on while the first secret is made.

    `extra` is mixed into the secret. The bytes of `extra` are random and come from another computer, which may remember
    them. Raises StorageError, for example `identity.corrupt`.
    """
    saved = store.read(_SECRET) or bytes(_SECRET_BYTES + _COUNTER_BYTES)
    if len(saved) != _SECRET_BYTES + _COUNTER_BYTES:
        raise StorageError("identity.corrupt", "the file of the device secret has a wrong length")
    count = (int.from_bytes(saved[_SECRET_BYTES:], "big") + 1).to_bytes(_COUNTER_BYTES, "big")
    key = hkdf_extract(saved[:_SECRET_BYTES], generator.random(_SECRET_BYTES) + extra)
    store.write(_SECRET, hkdf_expand(key, b"mooring/next" + count, _SECRET_BYTES) + count)
    generator.begin(hkdf_expand(key, b"mooring/draws" + count, _SECRET_BYTES))


def load(crypto: "Crypto", store: "Store") -> "Identity | None":
    """Return the identity in flash, or None on a lock that was never enrolled. From now on, an enrolled lock draws
    random numbers under its secret.

    Raises StorageError, for example `identity.corrupt`.
    """
    keys, anchor = store.read(_KEYS), store.read(_ANCHOR)
    if anchor is None:
        return None
    if keys is None or len(keys) != 64:
        raise StorageError("identity.corrupt", "the file of the keys has a wrong length")
    begin(store)
    link, proof = _link_key(crypto, store, keys[:32])
    return Identity(crypto, keys[:32], keys[32:], anchor, link, proof)


def _link_key(crypto: "Crypto", store: "Store", private: bytes) -> "tuple[tuple[bytes, bytes], bytes]":
    """Return the link's key pair and its proof. Both are made at enrolment. A lock that has no link key makes the key
    and the proof at its next boot."""
    saved = store.read(_LINK)
    if saved is None:
        link = crypto.generate("P-256")
        proof = link_session.prove(crypto, (private, crypto.public("P-256", private)), link[1])
        store.write(_LINK, link[0] + link[1] + proof)
        return link, proof
    if len(saved) <= 97:
        raise StorageError("identity.corrupt", "the file of the link key is too short")
    return (saved[:32], saved[32:97]), saved[97:]


def enrol(crypto: "Crypto", store: "Store", province_public: bytes, extra: bytes = b"") -> bytes:
    """Make the keys if the lock has no keys yet, pin the province's key, and return the enrolment request.

    At this moment, the chip's generator is the lock's only source of randomness. So the radio must be on, and `extra`
    must be random bytes from the installer's computer.

    The request is CBOR `[1, identity public key, reader public key, signature]`. The identity key signs the first three
    items. Existing keys are kept, so enrolling again gives a request for the same lock. Raises StorageError
    `identity.anchored` if the lock has another province's key. Only a factory reset removes that key.
    """
    anchor = store.read(_ANCHOR)
    if anchor is not None and anchor != province_public:
        raise StorageError("identity.anchored", "this lock belongs to another province; reset it first")
    begin(store, extra)
    keys = store.read(_KEYS)
    if keys is None:
        keys = crypto.generate("P-256")[0] + crypto.generate("P-256")[0]
        store.write(_KEYS, keys)
    store.write(_ANCHOR, province_public)
    _link_key(crypto, store, keys[:32])
    public, reader_public = crypto.public("P-256", keys[:32]), crypto.public("P-256", keys[32:])
    claim = cbor.encode([1, public, reader_public])
    return cbor.encode([1, public, reader_public, crypto.sign(keys[:32], claim)])
