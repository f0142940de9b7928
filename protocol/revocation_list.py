"""A list of what is revoked, on its way to a lock: the issuer's own CRL or token, in a statement of the province.

Two signatures, for two questions. The issuer's says what is revoked, and is checked against the key that the trust list
names. The province's says that this is the newest list under that number: its serial is what a courier cannot turn
back, and what HELLO reports as `revocation-list.<number>`.
"""

from protocol import statement
from protocol.trust import MAX_LISTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KIND = "revocation-list"

MAX_CONTENT = 4096
"""Longest CRL or token, in bytes: what a lock that is open for business has the memory to read. A status list of a
million documents, one in a thousand revoked, has some 2,500."""


class RevocationList:
    """`number` is that of the entry in the trust list; `content` the DER of a CRL or an encoded token."""

    def __init__(self, serial: int, number: int, content: bytes) -> None:
        self.serial = serial
        self.number = number
        self.content = content

    @staticmethod
    def parse(body: "dict[Any, Any]") -> "RevocationList":
        """The list in an opened statement's body. Raises FormatError `revocation-list.form`."""
        statement.check(KIND, body, _RULES)
        return RevocationList(body[2], body[3], body[4])

    def body(self) -> "dict[Any, Any]":
        """Body for `statement.sign`. Raises FormatError `revocation-list.form`."""
        return statement.check(KIND, {1: 1, 2: self.serial, 3: self.number, 4: self.content}, _RULES)


def name(number: int) -> str:
    """What the list of this number is called in a HELLO, and its file on the lock."""
    return KIND + "." + str(number)


def _is_number(value: "Any") -> bool:
    return statement.is_positive(value) and value <= MAX_LISTS


def _is_content(value: "Any") -> bool:
    return isinstance(value, bytes) and 0 < len(value) <= MAX_CONTENT


_RULES = {1: statement.is_version_1, 2: statement.is_positive, 3: _is_number, 4: _is_content}
