"""Revocation list: an issuer's CRL or token, inside a statement of the province for a lock (statement.cddl).

It has two signatures. The issuer's signature vouches for the content, and is checked against the key that the trust
list names. The province's signature vouches that this is the newest list with this number, so a courier cannot replace
the list by an older list. HELLO reports the serial as `revocation-list.<number>`.
"""

from protocol import statement
from protocol.trust import MAX_LISTS

KIND = "revocation-list"

MAX_CONTENT = 4096
"""Maximum size of a CRL or token, in bytes. A lock can read this much beside its other work. A status list of a million
documents, of which one in a thousand is revoked, has about 2,500 bytes."""


class RevocationList(statement.Form):
    """`number` is the number of the list's entry in the trust list. `content` is the DER of a CRL, or an encoded
    token."""

    CODE = "revocation-list.form"

    serial: int = statement.field(2, statement.is_positive)
    number: int = statement.field(3, statement.is_positive, MAX_LISTS)
    content: bytes = statement.field(4, statement.is_bytes, 1, MAX_CONTENT)


def name(number: int) -> str:
    """Return the name of the list with this number. HELLO uses this name, and so does the list's file on the lock."""
    return KIND + "." + str(number)
