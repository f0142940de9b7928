"""Revocation list: the issuer's own CRL or token for a lock, in a statement of the province (statement.cddl).

It has two signatures. The issuer's signature vouches for the content, and is checked against the key that the trust
list names. The province's signature vouches that this is the newest list of its number: a courier cannot go back to an
older serial. HELLO reports the serial as `revocation-list.<number>`.
"""

from protocol import statement
from protocol.trust import MAX_LISTS

KIND = "revocation-list"

MAX_CONTENT = 4096
"""Longest CRL or token, in bytes, that a lock can read beside its other work. A status list of a million documents with
one in a thousand revoked has about 2,500."""


class RevocationList(statement.Form):
    """`number` is that of the entry in the trust list; `content` is the DER of a CRL, or an encoded token."""

    CODE = "revocation-list.form"

    serial: int = statement.field(2, statement.is_positive)
    number: int = statement.field(3, statement.is_positive, MAX_LISTS)
    content: bytes = statement.field(4, statement.is_bytes, 1, MAX_CONTENT)


def name(number: int) -> str:
    """Name of the list of this number in a HELLO, and of its file on the lock."""
    return KIND + "." + str(number)
