"""The lock's own keys. They are made on the lock and never leave it; what leaves is a request signed by one of them."""

from protocol import cbor, placement
from protocol.errors import StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.store import Store
    from protocol.crypto import Crypto

_KEYS = "keys"
_ANCHOR = "anchor"


class Identity:
    """Two P-256 key pairs (records; mdoc reader authentication) and the province's key that everything else hangs on.

    `public` and `reader_public` are 65-byte points; `anchor` is the province's public key as the installer wrote it.
    """

    def __init__(self, crypto: "Crypto", private: bytes, reader_private: bytes, anchor: bytes) -> None:
        self.private = private
        self.public = crypto.public("P-256", private)
        self.reader_private = reader_private
        self.anchor = anchor
        self.lock_id = placement.lock_id(crypto, self.public)


def load(crypto: "Crypto", store: "Store") -> "Identity | None":
    """The identity at rest, or None on a lock that was never enrolled. Raises StorageError `identity.corrupt`."""
    keys, anchor = store.read(_KEYS), store.read(_ANCHOR)
    if keys is None or anchor is None:
        return None
    if len(keys) != 64:
        raise StorageError("identity.corrupt", "the key file is not two keys long")
    return Identity(crypto, keys[:32], keys[32:], anchor)


def enrol(crypto: "Crypto", store: "Store", province_public: bytes) -> bytes:
    """Make the keys if there are none, pin the province's key, and return the enrolment request.

    The request is CBOR `[1, identity public key, reader public key, signature]`, signed by the identity key over
    the first three. Keys that exist are kept: enrolling again asks again for the same lock. Raises StorageError
    `identity.anchored` when another province is pinned already; only a factory reset changes that.
    """
    anchor = store.read(_ANCHOR)
    if anchor is not None and anchor != province_public:
        raise StorageError("identity.anchored", "this lock belongs to another province; reset it first")
    keys = store.read(_KEYS)
    if keys is None:
        keys = crypto.generate("P-256")[0] + crypto.generate("P-256")[0]
        store.write(_KEYS, keys)
    store.write(_ANCHOR, province_public)
    public, reader_public = crypto.public("P-256", keys[:32]), crypto.public("P-256", keys[32:])
    claim = cbor.encode([1, public, reader_public])
    return cbor.encode([1, public, reader_public, crypto.sign(keys[:32], claim)])
