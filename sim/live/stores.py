"""Tells which records are in the lock's journal, in the edge agent's outbox and in the province's database."""

import struct
from collections.abc import Sequence
from typing import Any

from edge_agent import database
from protocol.errors import StorageError
from sim.board.bus import BoardEvent
from sim.door import Door
from sim.edge import Edge
from sim.province.view import KINDS
from sim.site import Site

SHOWN = 20
"""Maximum number of records that are shown of each store."""

_FRAME = struct.Struct(">HBBII")
_FRAME_MARK = 0xA5


class JournalReports:
    """Collects the records that a lock has written into its journal. The board reports what the lock writes to flash,
    and this class reads the reports.

    The firmware programs each frame of the journal in one operation (`firmware/memory/journal.py`). The board reports
    this operation in several pieces, one after the other.
    """

    def __init__(self) -> None:
        self.records: dict[int, bytes] = {}
        """Maps each counter to its record, in the order of writing."""
        self._read = 0
        self._frame = b""
        self._end = -1

    def read(self, history: Sequence[BoardEvent]) -> None:
        """Read the reports that are new since the last call."""
        for event in history[self._read :]:
            if event.facts.get("data"):
                self._take(event.facts["offset"], bytes.fromhex(event.facts["data"]))
        self._read = len(history)

    def _take(self, offset: int, piece: bytes) -> None:
        begun = self._frame if offset == self._end else b""
        self._frame, self._end = begun + piece, offset + len(piece)
        length, _, mark, counter, _ = _FRAME.unpack(self._frame[: _FRAME.size].ljust(_FRAME.size, b"\0"))
        if mark != _FRAME_MARK or length == 0:
            self._end = -1  # a sector's header, or a mark
        elif length <= len(self._frame) - _FRAME.size:
            self.records[counter] = self._frame[_FRAME.size : _FRAME.size + length]
            self._end = -1


def outbox(edge: Edge, lock_id: bytes) -> list[tuple[int, bytes]]:
    """Return (counter, record) for each record that waits in an edge agent's outbox and comes from this lock."""
    try:
        connection = database.open_for_reading(edge.state / "outbox.sqlite3")
    except StorageError:
        return []  # the agent has not made its outbox yet
    try:
        with database.errors():
            return connection.execute(
                "SELECT counter, record FROM records WHERE lock_id = ? ORDER BY counter", (lock_id,)
            ).fetchall()
    finally:
        connection.close()


def stores(site: Site, door: Door, journal: JournalReports) -> dict[str, Any]:
    """Return the message `stores` of a door. For each place, it has the last records and the number of all records."""
    journal.read(door.bus.history)
    through = door.findings.receipted_through()
    waiting = sorted(one for edge in site.edges for one in outbox(edge, door.lock_id))
    committed = door.findings.records()
    newest = site.province.store.receipt(door.lock_id)
    receipted = 0 if newest is None else newest[0]
    return {
        "door": door.name,
        "journal": [
            {
                "counter": counter,
                "state": "receipted" if counter <= through else "waiting",
                "bytes": len(journal.records[counter]),
            }
            for counter in sorted(journal.records)[-SHOWN:]
        ],
        "outbox": [{"counter": counter, "bytes": len(record)} for counter, record in waiting[-SHOWN:]],
        "province": [
            {
                "counter": item.counter,
                "kind": KINDS.get(item.kind, ""),
                "verdict": item.verdict,
                "receipt": item.counter <= receipted,
            }
            for item in committed[-SHOWN:]
        ],
        "totals": {"journal": len(journal.records), "outbox": len(waiting), "province": len(committed)},
    }
