"""Grant: the platform's permission for one stay, and the keyed commitments that name its guests (statement.cddl).

A commitment is an HMAC under a key that only the platform and this one lock can compute (static ECDH between the
platform's key and the lock's identity key). The couriers between them, and whoever dumps a lock's flash without its
identity key, cannot test a guessed document number against it, nor tell by how much a guest is named: that stands
inside. Who is whose child is masked under the same key.
"""

from protocol import cbor, statement
from protocol.crypto import hkdf
from protocol.errors import FormatError, RefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.crypto import Crypto

KIND = "grant"
MAX_GUESTS = 32

UNSTATED = "unstated"
RELATIONS = (UNSTATED, "parent", "grandparent", "sibling", "relative", "guardian", "companion")
"""What an adult can be to a minor, by code; `guardian` is a legal one who is none of those before it."""

NO_TIE = (0, UNSTATED)
"""The tie of a guest of whom the platform states none."""


class Grant(statement.Form):
    """One stay: `valid_from` to `until` in epoch seconds, `guests` the most who may stay at once.

    `commitments` name guests, all or some or none of them; `ties` are theirs, two masked bytes each (`mask_ties`).
    A higher `serial` of the same `grant_id` replaces the lower one: that is how a stay is extended, shortened or, for
    good, `cancelled`. `horizon` is the latest `until` that any version up to this one had: once it has passed, no
    version that was ever signed can still open a door, and a lock may forget the grant.
    """

    CODE = "grant.form"

    grant_id: bytes = statement.field(2, statement.is_bytes16)
    serial: int = statement.field(3, statement.is_positive)
    listing: str = statement.field(4, statement.is_label)
    valid_from: int = statement.field(5, statement.is_positive)
    until: int = statement.field(6, statement.is_positive)
    guests: int = statement.field(7, statement.is_positive, MAX_GUESTS)
    commitments: "list[bytes]" = statement.field(8, statement.is_list, 0, MAX_GUESTS, statement.is_bytes32)
    cancelled: bool = statement.field(9, statement.is_bool)
    horizon: int = statement.field(10, statement.is_positive)
    ties: bytes = statement.field(11, statement.is_bytes, 0, 2 * MAX_GUESTS)

    def check(self) -> None:
        """The times are in order and the guests fit each other. Raises FormatError `grant.form`."""
        if self.valid_from >= self.until:
            raise FormatError(self.CODE, "the stay ends before it starts")
        if self.until > self.horizon:
            raise FormatError(self.CODE, "the stay ends after the latest end it ever had")
        if len(self.commitments) > self.guests or len(set(self.commitments)) < len(self.commitments):
            raise FormatError(self.CODE, "more guests named than may stay, or one of them twice")
        if len(self.ties) != 2 * len(self.commitments):
            raise FormatError(self.CODE, "not one tie for each guest named")

    def tie(self, crypto: "Crypto", key: bytes, commitment: bytes) -> "tuple[int, str]":
        """Whose minor the guest of that commitment is: (place of the adult in `commitments` from 1 or 0, relation).

        NO_TIE for a guest whom the grant does not name. One HMAC, named or not. `key` is that of the commitments.
        Raises RefusedError `grant.tie` when what is masked there is no tie.
        """
        mask = _mask(crypto, key, self.grant_id, self.serial, commitment)
        if commitment not in self.commitments:
            return NO_TIE
        at = self.commitments.index(commitment)
        place, code = self.ties[2 * at] ^ mask[0], self.ties[2 * at + 1] ^ mask[1]
        if place > len(self.commitments) or place == at + 1 or code >= len(RELATIONS):
            raise RefusedError("grant.tie", "tied to nobody of this grant, or by no relation there is")
        return place, RELATIONS[code]


def commitment_key(crypto: "Crypto", own_private: bytes, other_public: bytes) -> bytes:
    """Key of the commitments between a platform and a lock, 32 bytes, the same from either side.

    One static-static ECDH, made when a placement changes and not at a tap, so its timing tells nothing of a guest.
    Raises VerificationError `crypto.key` for a point not on the curve.
    """
    shared = crypto.ecdh("P-256", own_private, other_public)
    return hkdf(crypto, shared, b"", b"mooring/guest-commitment", 32)


def commitment(crypto: "Crypto", key: bytes, grant_id: bytes, identity: bytes) -> bytes:
    """Commitment to one of `naming.identities` in one stay, 32 bytes. Differs from stay to stay."""
    # CBOR of [grant id, identity], put together by hand: a lock makes many of them at each tap.
    return crypto.hmac_sha256(key, b"\x82\x50" + grant_id + identity)


def mask_ties(
    crypto: "Crypto",
    key: bytes,
    grant_id: bytes,
    serial: int,
    commitments: "list[bytes]",
    ties: "list[tuple[int, str]]",
) -> bytes:
    """`Grant.ties` from a (place of the adult or 0, relation) for each of `commitments`.

    Masked, so that no courier can tell a family from a party; by the serial too, so that no mask serves twice.
    Raises ValueError for a relation that is not in RELATIONS.
    """
    masked = bytearray()
    for named, (place, relation) in zip(commitments, ties):
        mask = _mask(crypto, key, grant_id, serial, named)
        masked.append(place ^ mask[0])
        masked.append(RELATIONS.index(relation) ^ mask[1])
    return bytes(masked)


def _mask(crypto: "Crypto", key: bytes, grant_id: bytes, serial: int, named: bytes) -> bytes:
    # Begins with text where a commitment begins with bytes: no commitment is ever a mask.
    return crypto.hmac_sha256(key, cbor.encode(["tie", grant_id, serial, named]))
