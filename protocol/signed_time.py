"""Signed time: the province's answer to a lock's nonce, so that an old answer cannot be replayed (statement.cddl)."""

from protocol import statement

KIND = "time"


class SignedTime(statement.Form):
    """`time` is in epoch seconds UTC. `time` was the true time at some moment between the lock's question and the
    arrival of the answer.
    """

    CODE = "time.form"

    nonce: bytes = statement.field(2, statement.is_bytes16)
    time: int = statement.field(3, statement.is_positive)
    lock_id: bytes = statement.field(4, statement.is_bytes16)
