"""Remembers good signatures of issuers, so that a document that was shown here before is verified faster.

The memory holds no verdict on a document, a chain or a guest. It holds only hashes. Each hash means that a certain
signature by a certain key over certain bytes is good. Such a fact stays true for ever, so a hash cannot become wrong
with age. Every other check of `protocol.mdoc.verifier` (validity, names, trust, digests, device authentication) is made
each time. The memory is in RAM and covers every verified document, whether or not its holder is a guest.

Somebody else may have a copy of a guest's document, for example a shop where the guest showed it. The copy lacks the
device key, so the lock refuses it. A faster refusal would tell that the guest was at this door. So before each refusal,
the lock verifies the signatures after all that it had found in the memory (`Recollection.make_up`). Only the holder of
a document, with its device key, gets a faster answer.
"""

import hashlib

from protocol import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from protocol.crypto import Crypto

MAX_SIGNATURES = 64
"""Maximum number of remembered signatures. Each document has one signature that no other document has. The document
shares one or two more signatures with all documents of its signer."""

_NAME = const(16)
"""Bytes of a name. Nobody can make another signature with the same 128 bits."""


class Recollection:
    """Replaces `crypto` for verifying issuers' signatures in one presentation.

    `recalled` counts the signatures found in the memory. `computed` counts the signatures that had to be verified. Only
    `RememberedSignatures.keep` adds signatures to the memory. `known` are the names of good signatures.
    """

    def __init__(self, crypto: "Crypto", known: "list[bytes] | bytearray") -> None:
        self._crypto = crypto
        self._known = known
        self.good: list[bytes] = []
        self._skipped: list[Any] = []
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
            self._skipped.append((curve, public, hash_name, message, signature))
        else:
            self.computed += 1
            if not self._crypto.verify(curve, public, hash_name, message, signature):
                return False
        if name not in self.good and len(self.good) < MAX_SIGNATURES:
            self.good.append(name)
        return True

    def make_up(self) -> None:
        """Verify the signatures that were found in the memory. Call this when the presentation is refused, and before
        the refusal shows. Then a refusal takes as long as if the memory were empty."""
        for arguments in self._skipped:
            self._crypto.verify(*arguments)


class RememberedSignatures:
    """Good signatures of issuers."""

    def __init__(self, crypto: "Crypto") -> None:
        self._crypto = crypto
        # All names in a row, the name that was shown most recently at the end. An empty place is full of zeros, and no
        # name is. 64 separate objects would take more than three times as much heap.
        self._known = bytearray(_NAME * MAX_SIGNATURES)

    def recollect(self) -> Recollection:
        """Return a `crypto` for one presentation."""
        return Recollection(self._crypto, self._known)

    def keep(self, recollection: Recollection) -> None:
        """Remember the signatures of a presentation that was verified as a whole. If there are too many signatures, the
        oldest signatures are dropped."""
        known = self._known
        for name in recollection.good:
            at = max(0, known.find(name))  # a new name takes the place of the oldest name
            known[at:-_NAME] = known[at + _NAME :]
            known[-_NAME:] = name

    def forget(self) -> None:
        """Forget all signatures."""
        self._known[:] = bytes(_NAME * MAX_SIGNATURES)


def _name(curve: str, public: bytes, hash_name: str, message: "bytes | tuple[bytes, ...]", signature: bytes) -> bytes:
    """Return the first bytes of the SHA-256 over everything that `verify` is given, each part with its length. Pieces
    of a message count as one part."""
    name = hashlib.sha256()
    pieces = message if isinstance(message, tuple) else (message,)
    for part in ((curve.encode(),), (public,), (hash_name.encode(),), pieces, (signature,)):
        name.update(sum([len(piece) for piece in part]).to_bytes(4, "big"))
        for piece in part:
            name.update(piece)
    return name.digest()[:_NAME]
