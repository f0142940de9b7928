"""Who stands at the door, as far as they have shown it: one class of claim for each way of showing it.

A claim has a `method`, which goes into the record. Its `known` says who it is under a given stay: a guest who has
checked in already, or the guest whom it would check in. A claim without an identity checks nobody in.
"""

from firmware.memory.stays import Guest
from protocol.grant import NO_TIE, commitment, commitment_key
from protocol.naming import fold, identities

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from firmware.memory.stays import Stay
    from protocol.crypto import Crypto

    class Claim(Protocol):
        """What `policy.decide` judges."""

        method: str
        stay_key: "bytes | None"
        """The key by which the phone can open next time, if this claim checks in now."""
        fields: "dict[str, str]"
        """What was shown and is to be registered, in canonical form; empty if nothing was shown."""
        barred: "str | None"
        """Code of the reason why this claim may not check in, or None if it may. A guest who has checked in already may
        enter by it all the same."""

        def known(self, stay: Stay) -> "tuple[int, bytes | None, bool, bool]":
            """As `Stay.known`, but without a commitment if no identity is shown."""

        def guest(self, stay: Stay, commitment: bytes, named: bool, adult: bool) -> Guest:
            """The guest whom this adds to `stay` when it checks in."""

        def tie(self, stay: Stay, commitment: bytes) -> "tuple[int, str]":
            """The adult to whom the grant of `stay` ties the guest of that commitment, as `Grant.tie`."""


class CommitmentKeys:
    """The keys for the commitments of guests, one key for each platform. `private` is the lock's identity key."""

    def __init__(self, crypto: "Crypto", private: bytes) -> None:
        self._crypto = crypto
        self._private = private
        # A stay that does not exist has no platform (`stays.VACANT`); its key is one that nobody knows.
        self._keys = {b"": crypto.random(32)}

    def of(self, platform: bytes) -> bytes:
        """The key for that platform, given as its public key (a 65-byte point).

        The first call for a platform costs one ECDH. `Reentry.refresh` makes that call when a placement names the
        platform, and at boot, so that it does not happen while somebody waits.
        """
        if platform not in self._keys:
            self._keys[platform] = commitment_key(self._crypto, self._private, platform)
        return self._keys[platform]


class DocumentClaim:
    """A verified document whose holder is present.

    `key_of` gives the commitment key for a platform. `country` is the country of the document's signer. `resident`
    tells whether the profile counts it as a document for residents. `barred` and `stay_key` are as in Claim.
    """

    method = "mdoc"

    def __init__(
        self,
        crypto: "Crypto",
        key_of: "Callable[[bytes], bytes]",
        fields: "dict[str, str]",
        country: str,
        resident: bool,
        barred: "str | None" = None,
        stay_key: "bytes | None" = None,
    ) -> None:
        self._crypto = crypto
        self._key_of = key_of
        self.fields = fields
        self.barred = barred
        self.stay_key = stay_key
        shown = [fields.get(field, "") for field in ("id_type", "id_number", "name", "birth_date")]
        self._documents = identities(shown[0], country, shown[1], fold(shown[2]), shown[3], resident)

    def _commitment(self, stay: "Stay", identity: bytes) -> bytes:
        return commitment(self._crypto, self._key_of(stay.platform), stay.grant.grant_id, identity)

    def known(self, stay: "Stay") -> "tuple[int, bytes | None, bool, bool]":
        """As Claim. Four HMACs."""
        found = stay.known([self._commitment(stay, each) for each in self._documents[:4]])
        return found if self.fields.get("id_number") else (0, None, False, False)

    def guest(self, stay: "Stay", commitment: bytes, named: bool, adult: bool) -> Guest:
        """As Claim."""
        made = [self._commitment(stay, each)[:8] if len(each) > 2 else bytes(8) for each in self._documents]
        return Guest(commitment, named, adult, b"".join(made)[:36])

    def tie(self, stay: "Stay", commitment: bytes) -> "tuple[int, str]":
        """As Claim. Raises RefusedError `grant.tie`."""
        return stay.grant.tie(self._crypto, self._key_of(stay.platform), commitment)


class ReturningGuest:
    """A guest who has checked in and comes back without showing an ID.

    `method` is "pin" or "stay-key". `guest` is the grant id and the tag of the document that checked in.
    """

    barred: "str | None" = None
    stay_key: "bytes | None" = None

    def __init__(self, method: str, guest: "tuple[bytes, bytes]") -> None:
        self.method = method
        self.fields: dict[str, str] = {}
        self._grant_id, self._document = guest

    def known(self, stay: "Stay") -> "tuple[int, bytes | None, bool, bool]":
        """As Claim. There is no commitment, because nobody checks in by this."""
        number = stay.number(self._document) if stay.grant.grant_id == self._grant_id else None
        return number or 0, None, False, False

    def guest(self, stay: "Stay", commitment: bytes, named: bool, adult: bool) -> Guest:
        """Never called: nobody checks in by this. Raises AssertionError."""
        raise AssertionError

    def tie(self, _stay: "Stay", _commitment: bytes) -> "tuple[int, str]":
        """As Claim. There is never a tie."""
        return NO_TIE
