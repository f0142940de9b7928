"""Receipt: the province's statement that it has committed a lock's records (statement.cddl).

Nobody may delete a record before a receipt covers it. A receipt is cumulative: it covers every counter from 1 to
`through`. So a later receipt replaces a lost receipt. While a record is missing, no receipt covers the records after
it.
"""

from protocol import statement

KIND = "receipt"


class Receipt(statement.Form):
    """`head` is the payload hash of record number `through`. A lock compares `head` with the hash of its own record
    before it deletes anything. `time` is in epoch seconds."""

    CODE = "receipt.form"

    lock_id: bytes = statement.field(2, statement.is_bytes16)
    through: int = statement.field(3, statement.is_positive)
    head: bytes = statement.field(4, statement.is_bytes32)
    time: int = statement.field(5, statement.is_positive)
