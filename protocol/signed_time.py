"""Signed time: the province's answer to a lock's nonce, so that an old answer cannot be replayed (statement.cddl)."""

from protocol import statement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KIND = "time"

_RULES = {1: statement.is_version_1, 2: statement.is_bytes16, 3: statement.is_positive, 4: statement.is_bytes16}


class SignedTime:
    """`time` in epoch seconds UTC, true at some moment between the lock's asking and its hearing."""

    def __init__(self, nonce: bytes, time: int, lock_id: bytes) -> None:
        self.nonce = nonce
        self.time = time
        self.lock_id = lock_id

    @staticmethod
    def parse(body: "dict[Any, Any]") -> "SignedTime":
        """The time in an opened statement's body. Raises FormatError `time.form`."""
        statement.check(KIND, body, _RULES)
        return SignedTime(body[2], body[3], body[4])

    def body(self) -> "dict[Any, Any]":
        """Body for `statement.sign`. Raises FormatError `time.form`."""
        return statement.check(KIND, {1: 1, 2: self.nonce, 3: self.time, 4: self.lock_id}, _RULES)
