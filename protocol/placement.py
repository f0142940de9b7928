"""Placement: the province's statement that binds one lock key to one listing code (statement.cddl)."""

from protocol import statement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.crypto import Crypto

KIND = "placement"
ACTIVE = "active"
SUSPENDED = "suspended"
REVOKED = "revoked"

NAMED = "named"
UNNAMED = "unnamed"
WALK_IN = "walk-in"
"""The guests that a listing admits. NAMED admits only guests who are named in a grant. UNNAMED also admits their
companions. WALK_IN admits the same guests as UNNAMED. If a grant names nobody, WALK_IN admits the people who come
first."""

MAX_DOORS = 16


def lock_id(crypto: "Crypto", identity_public: bytes) -> bytes:
    """Return the id of a lock, 16 bytes: the first half of the SHA-256 of its identity key (65-byte point)."""
    return crypto.digest("SHA-256", identity_public)[:16]


class Placement(statement.Form):
    """`platform_key` signs grants. `sealing_key` is the HPKE key to which records are sealed. Both are 65-byte points.

    `reader_chain` holds DER certificates for reader authentication, leaf first. `status` is ACTIVE, SUSPENDED or
    REVOKED. `admits` is NAMED, UNNAMED or WALK_IN. `door` is the number of this door within the listing, counted from
    1. docs/door-rules.md says what each value means at the door.
    """

    CODE = "placement.form"

    serial: int = statement.field(2, statement.is_positive)
    lock_id: bytes = statement.field(3, statement.is_bytes16)
    listing: str = statement.field(4, statement.is_label)
    status: str = statement.field(5, statement.is_choice, ACTIVE, SUSPENDED, REVOKED)
    platform_key: bytes = statement.field(6, statement.is_point)
    sealing_key: bytes = statement.field(7, statement.is_point)
    profile_id: str = statement.field(8, statement.is_label)
    room: str = statement.field(9, statement.is_label)
    reader_chain: "list[bytes]" = statement.field(10, statement.is_list, 1, 4, statement.is_bytes, 1, 2048)
    admits: str = statement.field(11, statement.is_choice, NAMED, UNNAMED, WALK_IN)
    door: int = statement.field(12, statement.is_positive, MAX_DOORS)
