"""Edge pass: the province's statement that an edge agent with a certain key may talk to certain locks
(statement.cddl)."""

from protocol import const, statement
from protocol.errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KIND = "edge-pass"

MAX_LOCKS = 64
"""Maximum number of lock ids in a pass. The number is limited because a lock keeps the pass in memory during a
handshake. An edge with more locks has several passes."""

_PARTS = const(32)  # Equal to `uplink.MAX_PASSES`.
_NAME = const("abcdefghijklmnopqrstuvwxyz0123456789-")


def _is_name(value: "Any") -> bool:
    # This repeats `uplink.is_edge_name`, because the lock does not load `uplink`.
    return isinstance(value, str) and 0 < len(value) <= 32 and all(c in _NAME for c in value)


class EdgePass(statement.Form):
    """`issued_at` and `not_after` are in epoch seconds and inclusive. If a lock sees two passes for one edge, the pass
    that was issued later counts.

    `edge_public` is the edge's key, a 65-byte point. `locks` has the ids of the locks that the pass is for, at most
    MAX_LOCKS. All passes of an edge are made together. `parts` is the number of these passes, and all of them have the
    same `issued_at`.
    """

    CODE = "edge-pass.form"

    issued_at: int = statement.field(2, statement.is_positive)
    edge: str = statement.field(3, _is_name)
    edge_public: bytes = statement.field(4, statement.is_point)
    not_after: int = statement.field(5, statement.is_positive)
    locks: "list[bytes]" = statement.field(6, statement.is_list, 1, MAX_LOCKS, statement.is_bytes16)
    parts: int = statement.field(7, statement.is_positive, _PARTS, default=1)

    def admits(self, lock_id: bytes) -> bool:
        """Is the pass for this lock?"""
        return lock_id in self.locks

    def check(self) -> None:
        """Check that the pass does not end before it was issued. Raises FormatError `edge-pass.form`."""
        if self.not_after < self.issued_at:
            raise FormatError(self.CODE, "it ends before it was issued")
