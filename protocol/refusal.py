"""Refusal: the province's statement that it will never commit certain records of one lock (statement.cddl).

A refusal is only for edge agents. An edge agent does not pass a refusal on to a lock, and a lock does not accept a
refusal. A table in docs/formats.md says what the edge agent does with each code. In short, the edge agent keeps every
record that passes its own check.
"""

from protocol import statement
from protocol.errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KIND = "refusal"

SIGNATURE = "cose.signature"
"""Code: the lock has not signed the record that the province received."""
EQUIVOCATION = "record.equivocation"
"""Code: the lock signed two records with this counter, and the other record is committed."""

MAX_ENTRIES = 64
"""Maximum number of records in one statement. Even with the longest codes, the statement fits `statement.MAX_BYTES`."""


def _is_refused(value: "Any") -> bool:
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        return False
    return statement.is_positive(value[0]) and statement.is_bytes32(value[1]) and statement.is_code(value[2])


class Refusal(statement.Form):
    """Records of one lock that the province had refused by `time` (in epoch seconds).

    `records` holds 1 to MAX_ENTRIES items. Each item has three parts: the record's counter, its payload hash, and the
    stable code of the reason. Each record occurs once, in the order of counter and hash, so that the same records
    always give the same bytes.
    """

    CODE = "refusal.form"

    lock_id: bytes = statement.field(2, statement.is_bytes16)
    time: int = statement.field(3, statement.is_positive)
    records: "list[tuple[int, bytes, str]]" = statement.field(4, statement.is_list, 1, MAX_ENTRIES, _is_refused)

    def __init__(self, lock_id: bytes, time: int, records: "list[tuple[int, bytes, str]]") -> None:
        super().__init__(lock_id, time, [tuple(entry) for entry in records])

    def body(self) -> "dict[Any, Any]":
        """Body for `statement.sign`. Raises FormatError `refusal.form`."""
        body = super().body()
        body[4] = [list(entry) for entry in self.records]
        return body

    def check(self) -> None:
        """Check that the records are in order and that each occurs once. Raises FormatError `refusal.form`."""
        keys = [entry[:2] for entry in self.records]
        if any(keys[at] >= keys[at + 1] for at in range(len(keys) - 1)):
            raise FormatError(self.CODE, "records are out of order, or one occurs twice")
