"""The short path for a document that has been here before: signatures of issuers, remembered as good.

What is remembered is no verdict on a document, a chain or a guest, but this alone: "this signature of this key over
these bytes is good", under a hash of all of it. That stays true for ever, so nothing can go wrong with it by age; every
other check of `protocol.mdoc.verifier` (validity, names, trust, digests, device authentication) is made each time. It
is kept in RAM, of every verified document alike: who is faster for it learns that a document of this signer was shown
here, and not whether anybody stays here.
"""

import hashlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from protocol.crypto import Crypto

MAX_SIGNATURES = 64
"""Signatures that are remembered, of the documents shown last: one of each and one or two that their signers share."""


class Recollection:
    """Stands for `crypto` where the signatures of issuers are verified, in one presentation.

    `recalled` and `computed` count them. What was computed is not remembered before `RememberedSignatures.keep`.
    """

    def __init__(self, crypto: "Crypto", known: "list[bytes]") -> None:
        self._crypto = crypto
        self._known = known
        self.good: list[bytes] = []
        self.recalled = 0
        self.computed = 0

    def __getattr__(self, name: str) -> "Any":
        return getattr(self._crypto, name)

    def verify(self, curve: str, public: bytes, hash_name: str, message: bytes, signature: bytes) -> bool:
        """As `Crypto.verify`, which is asked for each signature that is not known to be good."""
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
        self._known: list[bytes] = []  # the one that was shown last comes last

    def recollect(self) -> Recollection:
        """For one presentation."""
        return Recollection(self._crypto, self._known)

    def keep(self, recollection: Recollection) -> None:
        """Remember what a presentation showed, once all of it is verified. The oldest of too many go."""
        kept = [name for name in self._known if name not in recollection.good]
        self._known = (kept + recollection.good)[-MAX_SIGNATURES:]

    def forget(self) -> None:
        """Forget all of it."""
        self._known = []


def _name(curve: str, public: bytes, hash_name: str, message: bytes, signature: bytes) -> bytes:
    """SHA-256 over everything that `verify` is given, each part with its length."""
    name = hashlib.sha256()
    for part in (curve.encode(), public, hash_name.encode(), message, signature):
        name.update(len(part).to_bytes(4, "big"))
        name.update(part)
    return name.digest()
