"""The journal's notes. Only the province can read a record. A note keeps what the lock itself must still know about a
record after a boot.

    [1, grant id, guest or null]    an opening. The guest, packed, is there if it was their check-in
    [2, number, kind, what, grant id, guest's number, count]    a line of the tally, which became this record

The notes are deterministic CBOR and never leave the lock's flash.
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
    """Return the note for one opening under a grant. For a check-in, `guest` is the guest in the form of
    `stays.Guest.pack`. Otherwise it is None."""
    return cbor.encode([_OPENING, grant_id, guest])


def line(number: int, key: "Key", count: int) -> bytes:
    """Return the note for the record that a line of the tally becomes. If the power is cut before the line is closed,
    the note tells the next boot that the record exists. `number` is the number of the line's last slot. `key` is the
    line's `tally.Line.key`."""
    kind, what, grant_id, guest = key
    return cbor.encode([_LINE, number, kind, what, grant_id, guest, count])


def openings(note: bytes) -> "tuple[bytes, Any, int] | None":
    """Return what a record changed in a stay: (grant id, guest who checked in or None, number of openings). Return None
    for a record that changed no stay."""
    noted = cbor.decode(note)
    if noted[0] == _OPENING:
        return noted[1], noted[2], 1
    return (noted[4], None, noted[6]) if noted[2] == ENTRY else None


def settled(note: bytes) -> "tuple[int, Key] | None":
    """Return (number, key) of the tally's line that became the record with this note. Return None if the record was not
    made from a line."""
    noted = cbor.decode(note) if note else ()
    if not noted or noted[0] != _LINE:
        return None
    return noted[1], (noted[2], noted[3], noted[4], noted[5])
