"""A list of what is revoked, on its way to a lock: the issuer's own CRL or token, in a statement of the province.

Two signatures, for two questions. The issuer's says what is revoked, and is checked against the key that the trust list
names. The province's says that this is the newest list under that number: its serial is what a courier cannot turn
back, and what HELLO reports as `revocation-list.<number>`.
"""

from protocol import statement
from protocol.trust import MAX_LISTS

KIND = "revocation-list"

MAX_CONTENT = 4096
"""Longest CRL or token, in bytes: what a lock that is open for business has the memory to read. A status list of a
million documents, one in a thousand revoked, has some 2,500."""


class RevocationList(statement.Form):
    """`number` is that of the entry in the trust list; `content` is the DER of a CRL, or an encoded token."""

    CODE = "revocation-list.form"

    serial: int = statement.field(2, statement.is_positive)
    number: int = statement.field(3, statement.is_positive, MAX_LISTS)
    content: bytes = statement.field(4, statement.is_bytes, 1, MAX_CONTENT)


def name(number: int) -> str:
    """What the list of this number is called in a HELLO, and its file on the lock."""
    return KIND + "." + str(number)
