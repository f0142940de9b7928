"""The journal's notes: what the lock must still know after a boot about a record that only the province can read.

    [1, grant id, guest or null]    an opening. The guest, packed, is there if it was their check-in
    [2, number, kind, what, grant id, guest's number, count]    a line of the tally, which became this record

They are deterministic CBOR and never leave the lock's flash.
"""

from protocol import cbor, const
from protocol.record import ENTRY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Key = tuple[int, str, bytes, int]

_OPENING = const(1)
_LINE = const(2)


def opening(grant_id: bytes, guest: "Any" = None) -> bytes:
    """The note for one opening under a grant. `guest`, as `stays.Guest.pack` writes it, is there if it is a
    check-in."""
    return cbor.encode([_OPENING, grant_id, guest])


def line(number: int, key: "Key", count: int) -> bytes:
    """The note for the record that a line of the tally becomes. If the power is cut before the line is closed, the next
    boot learns from it that the record exists. `number` is the number of the line's last slot, `key` its
    `tally.Line.key`."""
    kind, what, grant_id, guest = key
    return cbor.encode([_LINE, number, kind, what, grant_id, guest, count])


def openings(note: bytes) -> "tuple[bytes, Any, int] | None":
    """What a record changed in a stay: (grant id, guest who checked in or None, number of openings). None if
    nothing."""
    noted = cbor.decode(note)
    if noted[0] == _OPENING:
        return noted[1], noted[2], 1
    return (noted[4], None, noted[6]) if noted[2] == ENTRY else None


def settled(note: bytes) -> "tuple[int, Key] | None":
    """The line of the tally that became the record with this note: (number, key). None if the record was no line."""
    noted = cbor.decode(note) if note else ()
    if not noted or noted[0] != _LINE:
        return None
    return noted[1], (noted[2], noted[3], noted[4], noted[5])
