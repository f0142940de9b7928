"""Remembers good signatures of issuers, so that a document that was shown here before is verified faster.

The memory holds no verdict on a document, a chain or a guest. It holds only hashes. Each hash means that a certain
signature by a certain key over certain bytes is good. Such a fact stays true for ever, so a hash cannot become wrong
with age. Every other check of `protocol.mdoc.verifier` (validity, names, trust, digests, device authentication) is made
each time. The memory is in RAM and covers every verified document, whether or not its holder is a guest. A faster
answer tells only that a document of this signer was shown here, and not whether anybody stays here.
"""

import hashlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from protocol.crypto import Crypto

MAX_SIGNATURES = 64
"""Maximum number of remembered signatures. Each document has one signature that no other document has. The document
shares one or two more signatures with all documents of its signer."""


class Recollection:
    """Replaces `crypto` for verifying issuers' signatures in one presentation.

    `recalled` counts the signatures found in the memory. `computed` counts the signatures that had to be verified. Only
    `RememberedSignatures.keep` adds signatures to the memory.
    """

    def __init__(self, crypto: "Crypto", known: "list[bytes]") -> None:
        self._crypto = crypto
        self._known = known
        self.good: list[bytes] = []
        self.recalled = 0
        self.computed = 0

    def __getattr__(self, name: str) -> "Any":
        return getattr(self._crypto, name)

    def verify(
        self, curve: str, public: bytes, hash_name: str, message: "bytes | tuple[bytes, ...]", signature: bytes
    ) -> bool:
        """Verify a signature as `Crypto.verify` does. `Crypto.verify` is called only for a signature that is not yet
        known to be good."""
        name = _name(curve, public, hash_name, message, signature)
        if name in self._known:
            self.recalled += 1
        else:
            self.computed += 1
            if not self._crypto.verify(curve, public, hash_name, message, signature):
                return False
        if name not in self.good and len(self.good) < MAX_SIGNATURES:
            self.good.append(name)
        return True


class RememberedSignatures:
    """Good signatures of issuers."""

    def __init__(self, crypto: "Crypto") -> None:
        self._crypto = crypto
        self._known: list[bytes] = []  # The signature that was shown most recently is at the end of the list.

    def recollect(self) -> Recollection:
        """Return a `crypto` for one presentation."""
        return Recollection(self._crypto, self._known)

    def keep(self, recollection: Recollection) -> None:
        """Remember the signatures of a presentation that was verified as a whole. If there are too many signatures, the
        oldest signatures are dropped."""
        kept = [name for name in self._known if name not in recollection.good]
        self._known = (kept + recollection.good)[-MAX_SIGNATURES:]

    def forget(self) -> None:
        """Forget all signatures."""
        self._known = []


def _name(curve: str, public: bytes, hash_name: str, message: "bytes | tuple[bytes, ...]", signature: bytes) -> bytes:
    """Return the SHA-256 over everything that `verify` is given, each part with its length. Pieces of a message count
    as one part."""
    name = hashlib.sha256()
    pieces = message if isinstance(message, tuple) else (message,)
    for part in ((curve.encode(),), (public,), (hash_name.encode(),), pieces, (signature,)):
        name.update(sum([len(piece) for piece in part]).to_bytes(4, "big"))
        for piece in part:
            name.update(piece)
    return name.digest()
