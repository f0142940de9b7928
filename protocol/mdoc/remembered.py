"""The short path for a document that has been here before: signatures of issuers, remembered as good.

What is remembered is no verdict on a document, a chain or a guest, but this alone: "this signature of this key over
these bytes is good", under a hash of all of it. That stays true for ever, so nothing can go wrong with it by age; every
other check of `protocol.mdoc.verifier` (validity, names, trust, digests, device authentication) is made each time. It
is kept in RAM, for guests who have checked in, and only a hash of random digests and public keys.
"""

import hashlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from protocol.crypto import Crypto

MAX_OWNERS = 16
"""Guests whose documents are remembered; the one who came first goes first."""
MAX_SIGNATURES = 16
"""Signatures of one guest: at most 4 documents of 3 certificates and an MSO."""


class Recollection:
    """Stands for `crypto` where the signatures of issuers are verified, in one presentation.

    `recalled` and `computed` count them. What was computed is not remembered before `RememberedSignatures.keep`.
    """

    def __init__(self, crypto: "Crypto", known: "set[bytes]") -> None:
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
        if len(self.good) < MAX_SIGNATURES:
            self.good.append(name)
        return True


class RememberedSignatures:
    """Good signatures of issuers, by the guests whose documents they are on."""

    def __init__(self, crypto: "Crypto") -> None:
        self._crypto = crypto
        self._owners: dict[Any, list[bytes]] = {}
        self._order: list[Any] = []

    def recollect(self) -> Recollection:
        """For one presentation."""
        return Recollection(self._crypto, {name for names in self._owners.values() for name in names})

    def keep(self, owner: "Any", recollection: Recollection) -> None:
        """Remember for `owner`, a guest who has checked in, what their presentation showed."""
        if owner in self._order:
            self._order.remove(owner)
        self._order.append(owner)
        self._owners[owner] = recollection.good
        if len(self._order) > MAX_OWNERS:
            del self._owners[self._order.pop(0)]

    def retain(self, owners: "Sequence[Any]") -> None:
        """Forget everyone else."""
        for owner in [each for each in self._order if each not in owners]:
            self._order.remove(owner)
            del self._owners[owner]


def _name(curve: str, public: bytes, hash_name: str, message: bytes, signature: bytes) -> bytes:
    """SHA-256 over everything that `verify` is given, each part with its length."""
    name = hashlib.sha256()
    for part in (curve.encode(), public, hash_name.encode(), message, signature):
        name.update(len(part).to_bytes(4, "big"))
        name.update(part)
    return name.digest()
