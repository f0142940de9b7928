"""Placement: the province's word that binds one lock key to one listing code (statement.cddl)."""

from protocol import statement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from protocol.crypto import Crypto

KIND = "placement"
ACTIVE = "active"
SUSPENDED = "suspended"
REVOKED = "revoked"

NAMED = "named"
UNNAMED = "unnamed"
WALK_IN = "walk-in"
"""Whom a listing admits: guests that a grant names; companions of theirs too; or whoever comes first under a grant."""

MAX_DOORS = 16


def lock_id(crypto: "Crypto", identity_public: bytes) -> bytes:
    """Name of a lock, 16 bytes: the front of the SHA-256 of its identity key (65-byte point), so it proves itself."""
    return crypto.digest("SHA-256", identity_public)[:16]


def _is_status(value: "Any") -> bool:
    return isinstance(value, str) and value in (ACTIVE, SUSPENDED, REVOKED)


def _is_admits(value: "Any") -> bool:
    return isinstance(value, str) and value in (NAMED, UNNAMED, WALK_IN)


def _is_door(value: "Any") -> bool:
    return statement.is_positive(value) and bool(value <= MAX_DOORS)


def _is_chain(value: "Any") -> bool:
    if not isinstance(value, list) or not 0 < len(value) <= 4:
        return False
    return all(isinstance(der, bytes) and 0 < len(der) <= 2048 for der in value)


_RULES = {
    1: statement.is_version_1,
    2: statement.is_positive,
    3: statement.is_bytes16,
    4: statement.is_label,
    5: _is_status,
    6: statement.is_point,
    7: statement.is_point,
    8: statement.is_label,
    9: statement.is_label,
    10: _is_chain,
    11: _is_admits,
    12: _is_door,
}


class Placement:
    """`platform_key` signs grants; `sealing_key` is the HPKE key records are sealed to; both are 65-byte points.

    `reader_chain`: DER certificates for reader authentication, leaf first. `status` is ACTIVE, SUSPENDED or REVOKED,
    `admits` NAMED, UNNAMED or WALK_IN; `door` is the number of this door within the listing, from 1. What each of
    them does at the door is in docs/door-rules.md.
    """

    def __init__(
        self,
        serial: int,
        lock_id: bytes,
        listing: str,
        status: str,
        platform_key: bytes,
        sealing_key: bytes,
        profile_id: str,
        room: str,
        reader_chain: "list[bytes]",
        admits: str,
        door: int,
    ) -> None:
        self.serial = serial
        self.lock_id = lock_id
        self.listing = listing
        self.status = status
        self.platform_key = platform_key
        self.sealing_key = sealing_key
        self.profile_id = profile_id
        self.room = room
        self.reader_chain = reader_chain
        self.admits = admits
        self.door = door

    @staticmethod
    def parse(body: "dict[Any, Any]") -> "Placement":
        """The placement in an opened statement's body. Raises FormatError `placement.form`."""
        statement.check(KIND, body, _RULES)
        return Placement(*[body[key] for key in range(2, 13)])

    def body(self) -> "dict[Any, Any]":
        """Body for `statement.sign`. Raises FormatError `placement.form`."""
        return statement.check(
            KIND,
            {
                1: 1,
                2: self.serial,
                3: self.lock_id,
                4: self.listing,
                5: self.status,
                6: self.platform_key,
                7: self.sealing_key,
                8: self.profile_id,
                9: self.room,
                10: self.reader_chain,
                11: self.admits,
                12: self.door,
            },
            _RULES,
        )
