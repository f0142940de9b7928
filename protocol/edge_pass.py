"""Edge pass: the province's word that the holder of a key is an edge agent that locks may talk to (statement.cddl)."""

from protocol import const, statement
from protocol.errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KIND = "edge-pass"

MAX_LOCKS = 64
"""Lock ids in a pass, which a lock must hold in its memory during a handshake. An edge with more has several passes."""

_PARTS = const(32)  # most passes of one edge, as `uplink.MAX_PASSES`
_NAME = const("abcdefghijklmnopqrstuvwxyz0123456789-")


def _is_name(value: "Any") -> bool:
    # As `uplink.is_edge_name`; a lock has no use for the rest of that module.
    return isinstance(value, str) and 0 < len(value) <= 32 and all(c in _NAME for c in value)


def _is_parts(value: "Any") -> bool:
    return statement.is_positive(value) and bool(value <= _PARTS)


def _is_locks(value: "Any") -> bool:
    return isinstance(value, list) and 0 < len(value) <= MAX_LOCKS and all(statement.is_bytes16(one) for one in value)


_RULES = {
    1: statement.is_version_1,
    2: statement.is_positive,
    3: _is_name,
    4: statement.is_point,
    5: statement.is_positive,
    6: _is_locks,
    7: _is_parts,
}


class EdgePass:
    """`issued_at` and `not_after` in epoch seconds, both inclusive; of two passes for one edge that a lock sees, the
    later issued counts.

    `edge_public` is the edge's key, a 65-byte point; `locks` the ids of the locks it is for, at most MAX_LOCKS. The
    passes of an edge are made together, `parts` of them, and have one `issued_at`.
    """

    def __init__(
        self, issued_at: int, edge: str, edge_public: bytes, not_after: int, locks: "list[bytes]", parts: int = 1
    ) -> None:
        self.issued_at = issued_at
        self.edge = edge
        self.edge_public = edge_public
        self.not_after = not_after
        self.locks = locks
        self.parts = parts

    def admits(self, lock_id: bytes) -> bool:
        """Is it for this lock?"""
        return lock_id in self.locks

    @staticmethod
    def parse(body: "dict[Any, Any]") -> "EdgePass":
        """The pass in a statement's body. Raises FormatError `edge-pass.form`."""
        statement.check(KIND, body, _RULES)
        if body[5] < body[2]:
            raise FormatError(KIND + ".form", "it ends before it was issued")
        return EdgePass(*[body[key] for key in range(2, 8)])

    def body(self) -> "dict[Any, Any]":
        """Body for `statement.sign`. Raises FormatError `edge-pass.form`."""
        body = {1: 1, 2: self.issued_at, 3: self.edge, 4: self.edge_public, 5: self.not_after, 6: self.locks}
        body[7] = self.parts
        EdgePass.parse(body)
        return body
