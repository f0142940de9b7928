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
    from typing import Any

    from protocol.crypto import Crypto

KIND = "grant"
MAX_GUESTS = 32

UNSTATED = "unstated"
RELATIONS = (UNSTATED, "parent", "grandparent", "sibling", "relative", "guardian", "companion")
"""What an adult can be to a minor, by code; `guardian` is a legal one who is none of those before it."""

NO_TIE = (0, UNSTATED)
"""The tie of a guest of whom the platform states none."""


def _is_guests(value: "Any") -> bool:
    return statement.is_positive(value) and bool(value <= MAX_GUESTS)


def _is_commitments(value: "Any") -> bool:
    if not isinstance(value, list) or len(value) > MAX_GUESTS:
        return False
    return all(statement.is_bytes32(item) for item in value) and len(set(value)) == len(value)


def _is_ties(value: "Any") -> bool:
    return isinstance(value, bytes) and len(value) <= 2 * MAX_GUESTS


_RULES = {
    1: statement.is_version_1,
    2: statement.is_bytes16,
    3: statement.is_positive,
    4: statement.is_label,
    5: statement.is_positive,
    6: statement.is_positive,
    7: _is_guests,
    8: _is_commitments,
    9: statement.is_bool,
    10: statement.is_positive,
    11: _is_ties,
}


class Grant:
    """One stay: `valid_from` to `until` in epoch seconds, `guests` the most who may stay at once.

    `commitments` name guests, all or some or none of them; `ties` are theirs, two masked bytes each (`mask_ties`).
    A higher `serial` of the same `grant_id` replaces the lower one: that is how a stay is extended, shortened or, for
    good, `cancelled`. `horizon` is the latest `until` that any version up to this one had: once it has passed, no
    version that was ever signed can still open a door, and a lock may forget the grant.
    """

    def __init__(
        self,
        grant_id: bytes,
        serial: int,
        listing: str,
        valid_from: int,
        until: int,
        guests: int,
        commitments: "list[bytes]",
        cancelled: bool,
        horizon: int,
        ties: bytes,
    ) -> None:
        self.grant_id = grant_id
        self.serial = serial
        self.listing = listing
        self.valid_from = valid_from
        self.until = until
        self.guests = guests
        self.commitments = commitments
        self.cancelled = cancelled
        self.horizon = horizon
        self.ties = ties

    @staticmethod
    def parse(body: "dict[Any, Any]") -> "Grant":
        """The grant in an opened statement's body. Raises FormatError `grant.form`."""
        _check(body)
        return Grant(*[body[key] for key in range(2, 12)])

    def body(self) -> "dict[Any, Any]":
        """Body for `statement.sign`. Raises FormatError `grant.form`."""
        return _check(
            {
                1: 1,
                2: self.grant_id,
                3: self.serial,
                4: self.listing,
                5: self.valid_from,
                6: self.until,
                7: self.guests,
                8: self.commitments,
                9: self.cancelled,
                10: self.horizon,
                11: self.ties,
            }
        )

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


def _check(body: "dict[Any, Any]") -> "dict[Any, Any]":
    statement.check(KIND, body, _RULES)
    if body[5] >= body[6]:
        raise FormatError("grant.form", "the stay ends before it starts")
    if body[6] > body[10]:
        raise FormatError("grant.form", "the stay ends after the latest end it ever had")
    if len(body[8]) > body[7]:
        raise FormatError("grant.form", "more guests named than may stay")
    if len(body[11]) != 2 * len(body[8]):
        raise FormatError("grant.form", "not one tie for each guest named")
    return body


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
