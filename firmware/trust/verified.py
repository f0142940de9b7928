"""Remembers which statements in flash were verified, so that a boot need not verify their signatures again.

For each statement, a file has a tag: an HMAC of the lock over the statement's bytes. The key of the HMAC comes from the
lock's private key, the province's pinned key and the version of the software. A tag is written only after the signature
and the form of its statement were checked. So a statement with a good tag has the form that this version requires, and
the pinned key signed it. Any other statement is verified as if it had just arrived. This is also what happens after an
update, and after a power cut between the statement and its tag.

Somebody who can make a tag has the lock's private key and can write flash. They could replace the pinned key as well.
"""

from hashlib import sha256

from protocol import VERSION, const, cose, statement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from firmware.memory.identity import Identity
    from firmware.memory.store import Store
    from protocol.crypto import Crypto

_FILE = const("verified")
_TAG = const(32)


class Verified:
    """The tags. Each statement has a place in the file, counted from 0."""

    def __init__(self, crypto: "Crypto", store: "Store", identity: "Identity") -> None:
        self._crypto = crypto
        self._store = store
        self._anchor = identity.anchor
        self._key = crypto.hmac_sha256(identity.private, b"mooring/verified " + VERSION.encode() + identity.anchor)

    def knows(self, place: int, data: bytes) -> bool:
        """Return whether the statement `data` has a good tag at `place`."""
        return cose.same(self._store.read_part(_FILE, _TAG * place, _TAG), self._tag(place, data))

    def body(self, signed: statement.Statement, kind: str, known: bool) -> "dict[Any, Any]":
        """Return the body of `signed`, a statement of `kind`. Unless it is `known`, verify the province's signature.
        Raises the errors of `Statement.open`."""
        return signed.read(kind) if known else signed.open(self._crypto, kind, self._anchor)

    def keep(self, place: int, data: bytes) -> None:
        """Write the tag of the statement `data`. Its signature and its form were checked. Raises StorageError."""
        tags = self._store.read(_FILE) or b""
        start = _TAG * place
        before = tags[:start] + bytes(max(0, start - len(tags)))
        self._store.write_parts(_FILE, (before, self._tag(place, data), tags[start + _TAG :]))

    def _tag(self, place: int, data: bytes) -> bytes:
        return self._crypto.hmac_sha256(self._key, bytes((place,)) + sha256(data).digest())
