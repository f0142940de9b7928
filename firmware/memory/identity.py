"""The lock's own keys. They are made on the lock and never leave it; what leaves is a request signed by one of them.

And the secret under which it draws its random numbers (firmware/crypto/generator.py): another one at each boot. What
lies in flash is the secret of the next boot, and how many there were. A boot derives two from it: one takes its place
in flash, and when that is durable the other is drawn under, in RAM alone. So a boot has all the numbers that it may
ever draw at the price of one write, none of them is drawn again after a power cut at whatever moment, and the file does
not tell later what was drawn before (backtracking resistance, SP 800-90A, section 8.8; older copies of it are in the
flash until littlefs erases their block).
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
    """Three P-256 keys (records; mdoc reader authentication; edge link) and the province's, which all else hangs on.

    `public` is a 65-byte point; `anchor` is the province's public key as the installer wrote it; `link` is the key pair
    of the edge link, and `link_proof` says under the identity key whose it is. The link has a key of its own because
    anyone in range can make it multiply points of their choice: the key that signs records stays out of that.
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
    """Is this lock in service: does it pin a province's key? It does if that cannot be read. The `boot.py` that
    `tools/software.py` writes goes by the same rule."""
    try:
        return store.read(_ANCHOR) is not None
    except StorageError:
        return True


def begin(store: "Store", extra: bytes = b"") -> None:
    """Draw under a secret that no boot before had. Without one in flash it is made: at enrolment, with the radio on.

    `extra` goes into it too: what others have drawn, who may know it. Raises StorageError, also `identity.corrupt`.
    """
    held = store.read(_SECRET) or bytes(_SECRET_BYTES + _COUNTER_BYTES)
    if len(held) != _SECRET_BYTES + _COUNTER_BYTES:
        raise StorageError("identity.corrupt", "the file of the device secret is not of its length")
    count = (int.from_bytes(held[_SECRET_BYTES:], "big") + 1).to_bytes(_COUNTER_BYTES, "big")
    key = hkdf_extract(held[:_SECRET_BYTES], generator.random(_SECRET_BYTES) + extra)
    store.write(_SECRET, hkdf_expand(key, b"mooring/next" + count, _SECRET_BYTES) + count)
    generator.begin(hkdf_expand(key, b"mooring/draws" + count, _SECRET_BYTES))


def load(crypto: "Crypto", store: "Store") -> "Identity | None":
    """The identity at rest, or None on a lock that was never enrolled; from now on the lock draws under its secret.

    Raises StorageError, also `identity.corrupt`.
    """
    keys, anchor = store.read(_KEYS), store.read(_ANCHOR)
    if anchor is None:
        return None
    if keys is None or len(keys) != 64:
        raise StorageError("identity.corrupt", "the key file is not two keys long")
    begin(store)
    link, proof = _link_key(crypto, store, keys[:32])
    return Identity(crypto, keys[:32], keys[32:], anchor, link, proof)


def _link_key(crypto: "Crypto", store: "Store", private: bytes) -> "tuple[tuple[bytes, bytes], bytes]":
    """The link's key pair and its proof; made at enrolment, or at the first boot of a lock enrolled without."""
    held = store.read(_LINK)
    if held is None:
        link = crypto.generate("P-256")
        proof = link_session.prove(crypto, (private, crypto.public("P-256", private)), link[1])
        store.write(_LINK, link[0] + link[1] + proof)
        return link, proof
    if len(held) <= 97:
        raise StorageError("identity.corrupt", "the file of the link key is too short")
    return (held[:32], held[32:97]), held[97:]


def enrol(crypto: "Crypto", store: "Store", province_public: bytes, extra: bytes = b"") -> bytes:
    """Make the keys if there are none, pin the province's key, and return the enrolment request.

    The chip's generator has no secret beside it yet: have the radio on, and give it as `extra` what the installer's
    computer has drawn.

    The request is CBOR `[1, identity public key, reader public key, signature]`, signed by the identity key over
    the first three. Keys that exist are kept: enrolling again asks again for the same lock. Raises StorageError
    `identity.anchored` when another province is pinned already; only a factory reset changes that.
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
