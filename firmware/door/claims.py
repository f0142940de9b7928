"""Claims about the person at the door. One class is for documents, and one is for stay keys and PINs.

A claim has a `method`, which goes into the record. The function `known` of a claim says who the person is under a given
stay. The person may be a guest who has checked in already, or a guest who can check in now. A claim without an identity
cannot check anybody in.
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
        """A claim that `policy.decide` judges."""

        method: str
        stay_key: "bytes | None"
        """The key with which the phone can open the door next time, if this claim leads to a check-in now."""
        fields: "dict[str, str]"
        """The data that was shown and must be registered, in canonical form. The data is empty if nothing was shown."""
        barred: "str | None"
        """Code of the reason why nobody may check in with this claim, or None. A guest who has already checked in may
        still enter with such a claim."""

        def known(self, stay: Stay) -> "tuple[int, bytes | None, bool, bool]":
            """Return what `Stay.known` returns. If no identity was shown, the commitment is None."""

        def guest(self, stay: Stay, commitment: bytes, named: bool, adult: bool) -> Guest:
            """Return the new `Guest` that a check-in with this claim adds to `stay`."""

        def tie(self, stay: Stay, commitment: bytes) -> "tuple[int, str]":
            """Find the adult who answers for the guest with this `commitment`, according to the grant of `stay`.
            Returns the same as `Grant.tie`."""


class CommitmentKeys:
    """The keys for the commitments of guests, one key for each platform. `private` is the lock's identity key."""

    def __init__(self, crypto: "Crypto", private: bytes) -> None:
        self._crypto = crypto
        self._private = private
        # The dummy stay (`stays.VACANT`) has an empty platform. The key of the dummy stay is random, so nobody knows
        # it.
        self._keys = {b"": crypto.random(32)}

    def of(self, platform: bytes) -> bytes:
        """Return the key for a platform. `platform` is the platform's public key (a 65-byte point).

        The first call for a platform costs one ECDH. `Reentry.refresh` makes this first call at boot, and when a
        placement names a new platform. So nobody at the door waits for the ECDH.
        """
        if platform not in self._keys:
            self._keys[platform] = commitment_key(self._crypto, self._private, platform)
        return self._keys[platform]


class DocumentClaim:
    """A verified document whose holder is present.

    `key_of` gives the commitment key for a platform. `country` is the country of the document's signer. `resident` is
    True if the profile lists the document as a document for residents. `barred` and `stay_key` are as in Claim.
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
        """As in `Claim`. This costs four HMACs."""
        crypto, key, grant_id = self._crypto, self._key_of(stay.platform), stay.grant.grant_id
        found = stay.known([commitment(crypto, key, grant_id, each) for each in self._documents[:4]])
        return found if self.fields.get("id_number") else (0, None, False, False)

    def guest(self, stay: "Stay", commitment: bytes, named: bool, adult: bool) -> Guest:
        """As in `Claim`."""
        made = [self._commitment(stay, each)[:8] if len(each) > 2 else bytes(8) for each in self._documents]
        return Guest.of(commitment, named, adult, b"".join(made)[:36])

    def tie(self, stay: "Stay", commitment: bytes) -> "tuple[int, str]":
        """As in `Claim`. Raises RefusedError `grant.tie`."""
        return stay.grant.tie(self._crypto, self._key_of(stay.platform), commitment)


class ReturningGuest:
    """The claim of a guest who has checked in, and who comes back without showing an ID.

    `method` is "pin" or "stay-key". `guest` is the grant id and the tag of the document that the guest showed at the
    check-in.
    """

    barred: "str | None" = None
    stay_key: "bytes | None" = None

    def __init__(self, method: str, guest: "tuple[bytes, bytes]") -> None:
        self.method = method
        self.fields: dict[str, str] = {}
        self._grant_id, self._document = guest

    def known(self, stay: "Stay") -> "tuple[int, bytes | None, bool, bool]":
        """As in `Claim`. The commitment is None, because nobody checks in with this claim."""
        number = stay.number(self._document) if stay.grant.grant_id == self._grant_id else None
        return number or 0, None, False, False

    def guest(self, stay: "Stay", commitment: bytes, named: bool, adult: bool) -> Guest:
        """Raises AssertionError. This method is never called, because nobody checks in with this claim."""
        raise AssertionError

    def tie(self, _stay: "Stay", _commitment: bytes) -> "tuple[int, str]":
        """Return NO_TIE, because nobody checks in with this claim."""
        return NO_TIE
