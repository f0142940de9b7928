"""Grant: the platform's permission for one stay, and the keyed commitments that name its guests (statement.cddl).

A commitment is an HMAC under a key that only the platform and this one lock can compute (static ECDH between the
platform's key and the lock's identity key). So nobody else can test a guessed document number against a commitment.
Couriers cannot test a guess, and neither can anyone who copies a lock's flash but does not have the lock's identity
key. These attackers also cannot tell which of a guest's data the commitment was made from, because these data are
inside the HMAC. The ties between children and adults are masked under the same key.
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
"""Possible relations of an adult to a minor. The index of a relation is its code. `guardian` means a legal guardian who
has none of the other relations."""

NO_TIE = (0, UNSTATED)
"""The tie of a guest whom the platform has not tied to an adult."""


class Grant(statement.Form):
    """One stay, from `valid_from` to `until` in epoch seconds. At most `guests` people may stay at the same time.

    `commitments` name all, some or none of the guests. `ties` holds two masked bytes for each commitment (`mask_ties`).
    A grant takes the place of every grant that has the same `grant_id` and a lower `serial`. In this way, a stay can be
    extended, shortened, or `cancelled` for good. `horizon` is the latest `until` of this and all earlier versions.
    After `horizon`, no version can open a door, and a lock may forget the grant.
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
        """Check that the times are in order, and that guests, commitments and ties agree. Raises FormatError
        `grant.form`."""
        if self.valid_from >= self.until:
            raise FormatError(self.CODE, "the stay ends before it starts")
        if self.until > self.horizon:
            raise FormatError(self.CODE, "the stay ends after its horizon")
        if len(self.commitments) > self.guests or len(set(self.commitments)) < len(self.commitments):
            raise FormatError(self.CODE, "more guests are named than may stay, or one is named twice")
        if len(self.ties) != 2 * len(self.commitments):
            raise FormatError(self.CODE, "there must be one tie for each named guest")

    def tie(self, crypto: "Crypto", key: bytes, commitment: bytes) -> "tuple[int, str]":
        """Return the adult for the minor with this commitment, as (place, relation). The place is the adult's position
        in `commitments`, counted from 1, or 0 if no adult is stated.

        The result is NO_TIE if the grant does not name this guest. The cost is one HMAC in either case. `key` is the
        key of the commitments. Raises RefusedError `grant.tie` if the unmasked bytes are not a tie.
        """
        mask = _mask(crypto, key, self.grant_id, self.serial, commitment)
        if commitment not in self.commitments:
            return NO_TIE
        at = self.commitments.index(commitment)
        place, code = self.ties[2 * at] ^ mask[0], self.ties[2 * at + 1] ^ mask[1]
        if place > len(self.commitments) or place == at + 1 or code >= len(RELATIONS):
            raise RefusedError("grant.tie", "the tie names nobody in this grant, or an unknown relation")
        return place, RELATIONS[code]


def commitment_key(crypto: "Crypto", own_private: bytes, other_public: bytes) -> bytes:
    """Return the key of the commitments between a platform and a lock, 32 bytes. Both sides compute the same key.

    This takes one static-static ECDH. The key is computed when a placement changes and not at a tap, so the timing
    reveals nothing about a guest. Raises VerificationError `crypto.key` for a point not on the curve.
    """
    shared = crypto.ecdh("P-256", own_private, other_public)
    return hkdf(crypto, shared, b"", b"mooring/guest-commitment", 32)


def commitment(crypto: "Crypto", key: bytes, grant_id: bytes, identity: bytes) -> bytes:
    """Return the 32-byte commitment to one of `naming.identities` in one stay. The same identity has a different
    commitment in each stay.
    """
    # The HMAC is over the CBOR of [grant id, identity]. This CBOR is joined by hand, because a lock makes many
    # commitments at each tap.
    return crypto.hmac_sha256(key, b"\x82\x50" + grant_id + identity)


def mask_ties(
    crypto: "Crypto",
    key: bytes,
    grant_id: bytes,
    serial: int,
    commitments: "list[bytes]",
    ties: "list[tuple[int, str]]",
) -> bytes:
    """Return `Grant.ties`. The argument `ties` has one pair for each of `commitments`: (place of the adult or 0,
    relation).

    The result is masked, so that no courier can tell a family from another group. The mask depends on the serial, so no
    mask is used twice. Raises ValueError for a relation that is not in RELATIONS.
    """
    masked = bytearray()
    for named, (place, relation) in zip(commitments, ties):
        mask = _mask(crypto, key, grant_id, serial, named)
        masked.append(place ^ mask[0])
        masked.append(RELATIONS.index(relation) ^ mask[1])
    return bytes(masked)


def _mask(crypto: "Crypto", key: bytes, grant_id: bytes, serial: int, named: bytes) -> bytes:
    # This array begins with text. The array of a commitment begins with bytes. So a commitment never equals a mask.
    return crypto.hmac_sha256(key, cbor.encode(["tie", grant_id, serial, named]))
