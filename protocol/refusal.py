"""Refusal: the province's word that it will never commit certain records of one lock (statement.cddl).

For edge agents alone: no lock takes it, and an edge agent hands it to none. What it does with each code is a table in
docs/formats.md; in short, it keeps whatever its own check calls good.
"""

from protocol import statement
from protocol.errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KIND = "refusal"

SIGNATURE = "cose.signature"
"""Code: what came to the province is not signed by the lock."""
EQUIVOCATION = "record.equivocation"
"""Code: the lock signed two records of this counter, and the other one is committed."""

MAX_ENTRIES = 64
"""Records in one statement: with the longest codes it still fits `statement.MAX_BYTES`."""


class Refusal:
    """Records of one lock that the province has refused by `time`, in epoch seconds.

    `records`: 1 to MAX_ENTRIES times (counter, payload hash, stable code of the reason), each record once, in the order
    of counter and hash, so that one value has one form.
    """

    def __init__(self, lock_id: bytes, time: int, records: "list[tuple[int, bytes, str]]") -> None:
        self.lock_id = lock_id
        self.time = time
        self.records = records

    @staticmethod
    def parse(body: "dict[Any, Any]") -> "Refusal":
        """The refusal in an opened statement's body. Raises FormatError `refusal.form`."""
        statement.check(KIND, body, _RULES)
        keys = [(entry[0], entry[1]) for entry in body[4]]
        if any(keys[at] >= keys[at + 1] for at in range(len(keys) - 1)):
            raise FormatError(KIND + ".form", "records out of order, or one of them twice")
        return Refusal(body[2], body[3], [tuple(entry) for entry in body[4]])

    def body(self) -> "dict[Any, Any]":
        """Body for `statement.sign`. Raises FormatError `refusal.form`."""
        body = {1: 1, 2: self.lock_id, 3: self.time, 4: [list(entry) for entry in self.records]}
        Refusal.parse(body)
        return body


def _is_refused(value: "Any") -> bool:
    if not isinstance(value, list) or len(value) != 3:
        return False
    return statement.is_positive(value[0]) and statement.is_bytes32(value[1]) and statement.is_code(value[2])


def _is_records(value: "Any") -> bool:
    return isinstance(value, list) and 0 < len(value) <= MAX_ENTRIES and all(_is_refused(entry) for entry in value)


_RULES = {1: statement.is_version_1, 2: statement.is_bytes16, 3: statement.is_positive, 4: _is_records}
