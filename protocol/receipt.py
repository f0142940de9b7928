"""Receipt: the province's statement that it has committed a lock's records (statement.cddl).

Only a receipt lets anyone forget a record. It is cumulative: it covers every counter from 1 to `through`. A later
receipt makes good a lost one, and a missing record holds the next receipt back.
"""

from protocol import statement

KIND = "receipt"


class Receipt(statement.Form):
    """`head` is the payload hash of record number `through`. A lock compares it with its own before it forgets
    anything. `time` is in epoch seconds."""

    CODE = "receipt.form"

    lock_id: bytes = statement.field(2, statement.is_bytes16)
    through: int = statement.field(3, statement.is_positive)
    head: bytes = statement.field(4, statement.is_bytes32)
    time: int = statement.field(5, statement.is_positive)
