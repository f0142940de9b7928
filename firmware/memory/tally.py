"""The tally counts events and entries in flash, until the journal has a record of them.

Every event is counted here first. Counting takes one write and no cryptography, so it delays nobody. The recorder makes
records of the counts while the door is idle. Entries of registered guests are counted here too, if a guest enters many
times (entries.py) or if the journal is full. Equal events share one line with a count, so there is always room. The
tally has the last two sectors of the journal's partition. One of the two sectors is in use.

    sector header   magic "MRT1", generation u32, next number u32, CRC-32, written last         16 bytes, a slot of 64
    slot            CRC-32, number u32, kind u8, closes u8, guest u16, count u32, earliest u64,
                    latest u64 (all ones: unknown), grant id 16 bytes, what 16 bytes             64 bytes

A line goes through these states:

    state          in flash                                         becomes the next by
    not there      no slot with its key since the last that closes  `add`: one slot
    counted        one or more slots with its key; they add up      `add` again: one slot more
    counted        the same                                         the recorder appends a record to the journal
    recorded       the same slots, and a record whose note names    `close`: one slot that closes the line
                   the line's number
    not there      a slot that closes it                            `add`: a new line

After a power cut between the record and `close`, the tally closes the line at boot. The note of the journal's newest
record names this line. If a power cut leaves a slot half written, the slot's CRC fails and the slot is ignored. The
lock had not yet acted on the event in that slot.

When the sector in use is full, its lines move to the other sector, with one slot for each line. The new header is
written last. If the power is cut before the header is written, the old sector is still valid.
"""

import struct
from binascii import crc32

from firmware.hardware import ticks
from firmware.memory import journal_notes
from firmware.memory.flash import SECTOR, TALLY_SECTORS, Sectors
from firmware.memory.stays import MAX_STAYS
from protocol import const
from protocol.errors import StorageError
from protocol.record import ENTRY, EVENTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.memory.flash import BlockDevice

    Key = tuple[int, str, bytes, int]

_SLOT = const(64)
_SLOTS = SECTOR // _SLOT - 1
_KEPT = sum(map(len, EVENTS.values())) + MAX_STAYS + 1
"""Maximum number of lines after a move to the other sector. There is room for one line for each event of
`record.EVENTS`, and for one line for each stay. The remaining slots are for new lines.
"""
SEVERAL = "several"
"""Value of `what` in a line that counts entries by several methods."""

_MAGIC = const(b"MRT1")
_HEADER = const(">4sIII")
_FORM = const(">IIBBHIQQ16s16s")
_BODY = const(">IBBHIQQ16s16s")
_UNKNOWN = (1 << 64) - 1
_MOST = (1 << 32) - 1


class Line:
    """An event or entry that happened `count` times between `earliest` and `latest`. `latest` is None if the end of
    that time is unknown.

    `kind` and `what` are the fields KIND and WHAT of a record. For entries, `what` is the field METHOD. `grant_id` is
    empty for events. `guest` is 0 if the line counts several guests of a stay. `number` is the number of the line's
    last slot. `since` is the time, in ticks, at which the line was begun, or was read at boot.
    """

    def __init__(
        self,
        kind: int,
        what: str,
        earliest: int,
        latest: "int | None",
        count: int = 1,
        grant_id: bytes = b"",
        guest: int = 0,
        number: int = 0,
    ) -> None:
        self.kind = kind
        self.what = what
        self.earliest = earliest
        self.latest = latest
        self.count = count
        self.grant_id = grant_id
        self.guest = guest
        self.number = number
        self.order = 0
        self.since = ticks.now()

    def key(self) -> "Key":
        """Lines with the same key are counted together."""
        return self.kind, self.what, self.grant_id, self.guest

    def note(self) -> bytes:
        """Return the journal's note for the record that this line becomes."""
        return journal_notes.line(self.number, self.key(), self.count)

    def join(self, other: "Line") -> None:
        """Count `other` together with this line."""
        self.count = min(_MOST, self.count + other.count)
        self.earliest = min(self.earliest, other.earliest)
        unknown = self.latest is None or other.latest is None
        self.latest = None if unknown else max(self.latest, other.latest)  # type: ignore[type-var]  # both are known
        self.number = max(self.number, other.number)

    def pack(self, closes: bool) -> bytes:
        """Return the slot for this line."""
        latest = _UNKNOWN if self.latest is None else self.latest
        grant_id, what = self.grant_id or bytes(16), self.what.encode()
        numbers = (self.number, self.kind, closes, self.guest, self.count, self.earliest, latest)
        body = struct.pack(_BODY, *(numbers + (grant_id, what)))
        return struct.pack(">I", crc32(body)) + body


class Tally:
    """The lines of the tally. `device` is the journal's partition.

    `settled` is the note of the journal's newest record. If the note names a line, that line is a record already and is
    closed.
    """

    def __init__(self, device: "BlockDevice", settled: bytes = b"") -> None:
        self._flash = Sectors(device, True)
        self._sector = 0
        self._at = SECTOR
        self._generation = 0
        self._next = 1
        self._lines: dict[Key, Line] = {}
        self._order = 0
        self._open()
        self._settle(settled)

    # --- opening -----------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        found = []
        for sector in range(TALLY_SECTORS):
            magic, generation, number, check = struct.unpack(_HEADER, self._flash.read(sector, 0, 16))
            if magic == _MAGIC and crc32(struct.pack(_HEADER[:-1], magic, generation, number)) == check:
                found.append((generation, number, sector))
        if not found:
            return
        self._generation, self._next, self._sector = max(found)
        self._at = _SLOT
        for at in range(_SLOT, SECTOR, _SLOT):
            slot = self._flash.read(self._sector, at, _SLOT)
            if slot.count(b"\xff") == _SLOT:
                continue
            self._at = at + _SLOT
            if struct.unpack(">I", slot[:4])[0] == crc32(slot[4:]):
                self._take(slot)

    def _take(self, slot: bytes) -> None:
        _, number, kind, closes, guest, count, earliest, latest, grant_id, what = struct.unpack(_FORM, slot)
        line = Line(
            kind,
            what.rstrip(b"\x00").decode(),
            earliest,
            None if latest == _UNKNOWN else latest,
            count,
            grant_id if kind == ENTRY else b"",
            guest,
            number,
        )
        self._next = max(self._next, number + 1)
        if closes:
            self._lines.pop(line.key(), None)
        else:
            self._join(line)

    def _join(self, line: Line) -> None:
        known = self._lines.get(line.key())
        if known is None:
            self._order += 1  # on MicroPython, a dict does not keep an order
            line.order = self._order
            self._lines[line.key()] = line
        else:
            known.join(line)

    def _settle(self, note: bytes) -> None:
        number, key = journal_notes.settled(note) or (0, None)
        line = self._lines.get(key) if key else None
        if line is not None and line.number == number:
            self.close(line)

    # --- counting ----------------------------------------------------------------------------------------------------

    def lines(self) -> "list[Line]":
        """Return the lines that wait to become records, in the order in which they were begun."""
        return sorted(self._lines.values(), key=lambda line: line.order)

    def add(self, line: Line) -> None:
        """Count `line`. On return, the count is durable. Raises StorageError `journal.flash`, and then nothing was
        counted."""
        self._write(line, False)
        self._join(line)

    def close(self, line: Line) -> None:
        """Remove a line that has become a record in the journal. Raises StorageError `journal.flash`."""
        del self._lines[line.key()]
        self._write(line, True)

    def tidy(self) -> None:
        """Move to the other sector early, while the door is idle. Raises StorageError `journal.flash`."""
        if self._at > SECTOR // 4 * 3:
            self._move()

    def _write(self, line: Line, closes: bool) -> None:
        for _ in range(_SLOTS):  # skip each slot that cannot be read back as it was written
            if self._at >= SECTOR:
                self._move()
                if closes:
                    return  # `line` was not moved, and a merged line may have the same key now
            if self._at >= SECTOR:
                raise StorageError("journal.flash", "a sector cannot hold so many lines")
            if not closes:
                line.number = self._next
            slot = line.pack(closes)
            at, self._at = self._at, self._at + _SLOT
            if self._flash.program(self._sector, at, slot):
                self._next += 1
                return
        raise StorageError("journal.flash", "the flash does not keep what is written to it")

    def _move(self) -> None:
        """Start the other sector with one slot for each line. The header is written last. Until then, the old sector is
        valid."""
        other = 1 - self._sector
        if len(self._lines) > _KEPT:
            self._merge()
        self._flash.erase(other)
        content = b""
        for line in self.lines():
            content += line.pack(False)
        header = struct.pack(_HEADER[:-1], _MAGIC, self._generation + 1, self._next)
        header += struct.pack(">I", crc32(header))
        if not (self._flash.program(other, _SLOT, content) and self._flash.program(other, 0, header)):
            raise StorageError("journal.flash", "the flash does not keep what is written to it")
        self._sector, self._at = other, _SLOT + len(content)
        self._generation += 1

    def _merge(self) -> None:
        """Merge lines of entries. In the first step, all guests of a stay share one line for each method. If there are
        still too many lines, all methods share one line too."""
        for fold_methods in (False, True):
            if len(self._lines) <= _KEPT:
                return
            lines, self._lines = self.lines(), {}
            for line in lines:
                if line.kind == ENTRY:
                    line.guest = 0
                    if fold_methods:
                        line.what = SEVERAL
                self._join(line)
