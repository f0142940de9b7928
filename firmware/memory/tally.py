"""The tally: what happened, counted in flash in little room, until the journal takes it as records.

Every event is noted here first, durable at once and without cryptography, so that nothing waits for it; the recorder
makes records of it when the door is idle. Entries of registered guests are counted here too, when one comes again and
again (entries.py) or the journal is full. What is alike is one line with a count, so there is always room:
two sectors behind the journal, one in use.

    sector header   magic "MRT1", generation u32, next number u32, CRC-32, written last         16 bytes, a slot of 64
    slot            CRC-32, number u32, kind u8, closes u8, guest u16, count u32, earliest u64,
                    latest u64 (all ones: unknown), grant id 16 bytes, what 16 bytes             64 bytes

Slots add up: a line is the sum of the slots with its key since the last one that closes it. A torn slot fails its CRC
and is passed over; nothing had been done on its strength.
"""

import struct
from binascii import crc32

from firmware.hardware import ticks
from firmware.memory import journal_notes
from firmware.memory.flash import SECTOR, TALLY_SECTORS, Sectors
from protocol import const
from protocol.errors import StorageError
from protocol.record import ENTRY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.memory.flash import BlockDevice

    Key = tuple[int, str, bytes, int]

_SLOT = const(64)
_SLOTS = SECTOR // _SLOT - 1
_KEPT = const(52)
"""Most lines after tidying up. It holds what may have to stay apart, each of `record.EVENTS` and a line for each of 16
stays, and leaves room for new ones."""
SEVERAL = "several"
"""What stands for the method where entries of several had to be counted together."""

_MAGIC = const(b"MRT1")
_HEADER = const(">4sIII")
_FORM = const(">IIBBHIQQ16s16s")
_BODY = const(">IBBHIQQ16s16s")
_UNKNOWN = (1 << 64) - 1
_MOST = (1 << 32) - 1


class Line:
    """Something that happened `count` times between `earliest` and `latest` (None: unknown).

    `kind` and `what` are a record's KIND and WHAT, or METHOD for entries; `grant_id` is empty for events. `guest` 0
    stands for several guests of a stay. `number` is that of its last slot, `since` when this boot first knew of it.
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
        """What lines have in common that are counted together."""
        return self.kind, self.what, self.grant_id, self.guest

    def note(self) -> bytes:
        """The journal's note for the record that this line becomes."""
        return journal_notes.line(self.number, self.key(), self.count)

    def join(self, other: "Line") -> None:
        """Count `other` together with this one."""
        self.count = min(_MOST, self.count + other.count)
        self.earliest = min(self.earliest, other.earliest)
        unknown = self.latest is None or other.latest is None
        self.latest = None if unknown else max(self.latest, other.latest)  # type: ignore[type-var]  # both are known
        self.number = max(self.number, other.number)

    def pack(self, closes: bool) -> bytes:
        """The slot that says this."""
        latest = _UNKNOWN if self.latest is None else self.latest
        grant_id, what = self.grant_id or bytes(16), self.what.encode()
        numbers = (self.number, self.kind, closes, self.guest, self.count, self.earliest, latest)
        body = struct.pack(_BODY, *(numbers + (grant_id, what)))
        return struct.pack(">I", crc32(body)) + body


class Tally:
    """Opened on the journal's block device, whose last sectors are its own.

    `settled` is the note of the journal's newest record: a line that it names has become a record already.
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
        held = self._lines.get(line.key())
        if held is None:
            self._order += 1  # a dict keeps no order on MicroPython
            line.order = self._order
            self._lines[line.key()] = line
        else:
            held.join(line)

    def _settle(self, note: bytes) -> None:
        number, key = journal_notes.settled(note) or (0, None)
        line = self._lines.get(key) if key else None
        if line is not None and line.number == number:
            self.close(line)

    # --- counting ----------------------------------------------------------------------------------------------------

    def lines(self) -> "list[Line]":
        """What waits to become records, in the order in which it first happened."""
        return sorted(self._lines.values(), key=lambda line: line.order)

    def add(self, line: Line) -> None:
        """Count `line`; on return it is durable. Raises StorageError `journal.flash`, and then it is not counted."""
        self._write(line, False)
        self._join(line)

    def close(self, line: Line) -> None:
        """Forget a line: it is a record in the journal now. Raises StorageError `journal.flash`."""
        del self._lines[line.key()]
        self._write(line, True)

    def tidy(self) -> None:
        """Make room ahead of need, when the door is idle. Raises StorageError `journal.flash`."""
        if self._at > SECTOR // 4 * 3:
            self._move()

    def _write(self, line: Line, closes: bool) -> None:
        for _ in range(_SLOTS):  # a slot that does not read back as written is left behind
            if self._at >= SECTOR:
                self._move()
                if closes:
                    return  # it was left behind; what others were merged into may have its key by now
            if self._at >= SECTOR:
                raise StorageError("journal.flash", "more lines than a sector holds")
            if not closes:
                line.number = self._next
            slot = line.pack(closes)
            at, self._at = self._at, self._at + _SLOT
            if self._flash.program(self._sector, at, slot):
                self._next += 1
                return
        raise StorageError("journal.flash", "the flash does not hold what is written to it")

    def _move(self) -> None:
        """Begin the other sector with one slot a line. Its header is written last: before, the old sector counts."""
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
            raise StorageError("journal.flash", "the flash does not hold what is written to it")
        self._sector, self._at = other, _SLOT + len(content)
        self._generation += 1

    def _merge(self) -> None:
        """Count the guests of each stay together, then its ways to come: of both there may be more than room is for."""
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
