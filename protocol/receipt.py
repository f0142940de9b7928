"""Receipt: the province's word that it has committed a lock's records (statement.cddl).

Only a receipt lets anyone forget a record. It is cumulative: it covers every counter from 1 to `through`, so one
lost on the way is made good by the next, and a gap holds it back.
"""

from protocol import statement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KIND = "receipt"

_RULES = {
    1: statement.is_version_1,
    2: statement.is_bytes16,
    3: statement.is_positive,
    4: statement.is_bytes32,
    5: statement.is_positive,
}


class Receipt:
    """`head`: payload hash of record number `through`; a lock compares it with its own before it forgets anything."""

    def __init__(self, lock_id: bytes, through: int, head: bytes, time: int) -> None:
        self.lock_id = lock_id
        self.through = through
        self.head = head
        self.time = time

    @staticmethod
    def parse(body: "dict[Any, Any]") -> "Receipt":
        """The receipt in an opened statement's body. Raises FormatError `receipt.form`."""
        statement.check(KIND, body, _RULES)
        return Receipt(body[2], body[3], body[4], body[5])

    def body(self) -> "dict[Any, Any]":
        """Body for `statement.sign`. Raises FormatError `receipt.form`."""
        return statement.check(KIND, {1: 1, 2: self.lock_id, 3: self.through, 4: self.head, 5: self.time}, _RULES)
