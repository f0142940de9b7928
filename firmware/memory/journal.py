"""The journal: the lock's append-only log of records, in a flash partition of its own, durable before the strike moves.

A ring of 4 KB sectors, each opened by a header and filled with frames that are programmed once, in one operation:

    sector header   magic "MRJ1", sequence u32, first counter u32, receipted-through u32, head, CRC-32  52 bytes
    frame           length u16, note length u8, 0xA5, counter u32, CRC-32, record, note, padding to 4  12 bytes + these
    mark            the same with length 0: "records up to `counter` have a receipt"

A power cut leaves a torn frame whose CRC fails; nothing was acknowledged for it, so it is left behind and the next
record opens a new sector. Sectors are erased only when a receipt covers every record in them: several at a time, while
the door is idle, once fewer than half are blank. A raw partition rather than a file: a file system copies its tail
block at each sync (measured in docs/journal.md), a log does not. The note is the lock's own memory of what the record
did. The last two sectors of the partition are the tally's (`firmware/memory/tally.py`).
"""

import struct
from binascii import crc32

from firmware.memory.flash import SECTOR, Sectors
from protocol import const
from protocol import record as records
from protocol.errors import StorageError, VerificationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    from firmware.memory.flash import BlockDevice

    class NoteReader(Protocol):
        """Whoever depends on the notes: on the lock, the stays."""

        def record(self, counter: int, note: bytes) -> None:
            """Take note of a record that is durable."""

        def checkpoint(self) -> None:
            """Save what the notes so far have said, because some of them are about to be erased."""


RECORD_BYTES = 720
"""Room that a record and its note take, at most, as long as its body is one block."""
RECLAIM = 4
"""Most sectors erased in one go: 45 ms each on the chip, and a guest may be coming."""

_MAGIC = const(b"MRJ1")
_HEADER = const(">4sIII32sI")
_HEADER_BYTES = const(52)
_FRAME = const(">HBBII")
_FRAME_BYTES = const(12)
_FRAME_MARK = const(0xA5)
_PIECE = const(256)


class Journal:
    """Opened on a block device, which it scans once; `next_counter`, `head` and `through` are what it found.

    `head` is the payload hash of the newest record (32 zero bytes before the first) and `last_note` its note. `through`
    is the highest counter that a receipt covers, `sectors` the number of sectors in the ring. `notes` is told the note
    of every record that the flash holds or takes, and asked for a checkpoint before any note is erased.
    """

    def __init__(self, device: "BlockDevice", notes: "NoteReader | None" = None) -> None:
        self._flash = Sectors(device, False)
        self._notes = notes
        self.sectors = self._flash.count
        # By sector: (sequence, first counter, end of the last good frame; SECTOR after a torn one), or None if blank.
        self._sectors: list[tuple[int, int, int] | None] = [None] * self.sectors
        self._current = -1
        self.next_counter = 1
        self.through = 0
        self.head = bytes(32)
        self.last_note = b""
        self._scan()

    # --- opening -----------------------------------------------------------------------------------------------------

    def _scan(self) -> None:
        found = []
        for sector in range(self.sectors):
            header = self._header(sector)
            if header is not None:
                found.append((header[0], sector, header))
            elif not self._is_blank(sector, 0):
                self._erase(sector)
        last = b""
        found.sort()
        for sequence, sector, (_, first, through, head) in found:
            # Sectors go only under a receipt, so what lies before the oldest one has it, even if the mark is lost.
            self.through = max(self.through, through, 0 if self._current >= 0 else first - 1)
            self.next_counter = first
            self.head = head
            last = b""
            end = _HEADER_BYTES
            for counter, length, note_length, at in self._frames(sector):
                end = at + _padded(_FRAME_BYTES + length + note_length)
                if length:
                    last = self._flash.read(sector, at + _FRAME_BYTES, length)
                    self._note(counter, self._flash.read(sector, at + _FRAME_BYTES + length, note_length))
                else:
                    self.through = max(self.through, counter)
            if not self._is_blank(sector, end):
                end = SECTOR
            self._sectors[sector] = (sequence, first, end)
            self._current = sector
        if last:
            self.head = records.parse(last).payload_hash

    def _header(self, sector: int) -> "tuple[int, int, int, bytes] | None":
        raw = self._flash.read(sector, 0, _HEADER_BYTES)
        magic, sequence, first, through, head, check = struct.unpack(_HEADER, raw)
        if magic != _MAGIC or crc32(raw[: _HEADER_BYTES - 4]) != check:
            return None
        return sequence, first, through, head

    def _frames(self, sector: int) -> "Iterator[tuple[int, int, int, int]]":
        """(counter, record length, note length, offset) of each good frame, in order, up to the first that is not."""
        at = _HEADER_BYTES
        while at + _FRAME_BYTES <= SECTOR:
            head = self._flash.read(sector, at, _FRAME_BYTES)
            length, note_length, mark, counter, check = struct.unpack(_FRAME, head)
            end = at + _padded(_FRAME_BYTES + length + note_length)
            if mark != _FRAME_MARK or end > SECTOR:
                return
            content = self._flash.read(sector, at + _FRAME_BYTES, length + note_length)
            if crc32(content, crc32(head[:8])) != check:
                return
            yield counter, length, note_length, at
            at = end

    def _is_blank(self, sector: int, at: int) -> bool:
        while at < SECTOR:
            size = min(_PIECE, SECTOR - at)
            if self._flash.read(sector, at, size).count(b"\xff") != size:
                return False
            at += size
        return True

    # --- appending ---------------------------------------------------------------------------------------------------

    def free_sectors(self) -> int:
        """Sectors that hold nothing without a receipt, so that records can have them."""
        return sum(1 for state in self._sectors if state is None) + len(self._covered())

    def has_room(self) -> bool:
        """Does a record of RECORD_BYTES fit?"""
        current = self._sectors[self._current] if self._current >= 0 else None
        return self.free_sectors() > 0 or (current is not None and current[2] + RECORD_BYTES <= SECTOR)

    def append(self, record: bytes, note: bytes) -> None:
        """Make `record` durable, with the lock's own `note` (at most 255 bytes).

        Raises StorageError, and then nothing was appended: `journal.chain` for a record that does not follow the last,
        `journal.size` for one that no sector holds, `journal.full`, `journal.flash`, or what the checkpoint raises.
        """
        parsed = records.parse(record)
        if parsed.counter != self.next_counter or parsed.previous != self.head:
            raise StorageError("journal.chain", "the record does not continue the chain")
        self._program(parsed.counter, record, note)
        self.head = parsed.payload_hash
        self._note(parsed.counter, note)

    def _program(self, counter: int, record: bytes, note: bytes) -> None:
        head = struct.pack(">HBBI", len(record), len(note), _FRAME_MARK, counter)
        check = crc32(record + note, crc32(head))
        frame = head + struct.pack(">I", check) + record + note
        frame += b"\xff" * (_padded(len(frame)) - len(frame))
        if len(frame) > SECTOR - _HEADER_BYTES:
            raise StorageError("journal.size", "the record does not fit a sector")
        for _ in range(2):  # a sector that does not read back as written is left behind once
            current = self._sectors[self._current] if self._current >= 0 else None
            if current is None or current[2] + len(frame) > SECTOR:
                current = self._open_sector()
            sequence, first, at = current
            if self._flash.program(self._current, at, frame):
                self._sectors[self._current] = (sequence, first, at + len(frame))
                return
            self._sectors[self._current] = (sequence, first, SECTOR)
        raise StorageError("journal.flash", "the flash does not hold what is written to it")

    def _open_sector(self) -> "tuple[int, int, int]":
        sector = (self._current + 1) % self.sectors
        if self._sectors[sector] is not None:
            if sector not in self._covered():
                raise StorageError("journal.full", "every sector holds records without a receipt")
            self._erase_all([sector])
        newest = self._sectors[self._current] if self._current >= 0 else None
        sequence = 1 if newest is None else newest[0] + 1
        header = struct.pack(_HEADER[:-1], _MAGIC, sequence, self.next_counter, self.through, self.head)
        self._flash.program(sector, 0, header + struct.pack(">I", crc32(header)))
        opened = (sequence, self.next_counter, _HEADER_BYTES)
        self._sectors[sector] = opened
        self._current = sector
        return opened

    # --- reading and trimming ----------------------------------------------------------------------------------------

    def entries_from(self, counter: int) -> "Iterator[tuple[int, bytes, bytes]]":
        """(counter, record, note) of every record from `counter` on that the flash still holds, in order."""
        for sequence, sector in sorted((s[0], n) for n, s in enumerate(self._sectors) if s is not None):
            following = self._first_after(sequence)
            if following <= counter:
                continue
            for number, length, note_length, at in self._frames(sector):
                if length and number >= counter:
                    content = self._flash.read(sector, at + _FRAME_BYTES, length + note_length)
                    yield number, content[:length], content[length:]

    def records_from(self, counter: int) -> "Iterator[tuple[int, bytes]]":
        """(counter, record) of every record from `counter` on that still waits for its receipt."""
        for number, record, _ in self.entries_from(max(counter, self.through + 1)):
            yield number, record

    def receipt(self, through: int, head: bytes) -> None:
        """Take note of a verified receipt: records up to `through` are the province's now, and their sectors are free.

        Raises VerificationError `receipt.ahead` for records this lock never made, `receipt.head` when the
        province holds another record under that counter. A receipt older than one already taken changes nothing.
        """
        if through >= self.next_counter:
            raise VerificationError("receipt.ahead", "a receipt for records that this lock has not made")
        if through <= self.through:
            return
        for number, record, _ in self.entries_from(through):
            if number == through and records.parse(record).payload_hash == head:
                break
            raise VerificationError("receipt.head", "the receipt is for another record of that number")
        else:
            raise VerificationError("receipt.head", "no record to hold the receipt against")
        self.through = through
        try:
            self._program(through, b"", b"")
        except StorageError as error:
            # A full ring has no room for the mark. It counts until the next boot; then the province receipts again.
            if error.code != "journal.full":
                raise

    def reclaim(self) -> bool:
        """Erase some of the sectors that receipts cover, if fewer than half are blank. True if there is more to do.

        Not one by one as they are covered: the checkpoint may have to be written first, so several share one.
        """
        blank = sum(1 for state in self._sectors if state is None)
        covered = self._covered()
        if 2 * blank >= self.sectors or not covered:
            return False
        self._erase_all(covered[:RECLAIM])
        return len(covered) > RECLAIM

    def _covered(self) -> "list[int]":
        """Sectors, oldest first, of whose records each has a receipt."""
        held = [(state[0], state[1], sector) for sector, state in enumerate(self._sectors) if state is not None]
        held.sort()
        # What a sector holds ends where the next one begins; the newest one is in use.
        return [held[at][2] for at in range(len(held) - 1) if held[at + 1][1] <= self.through + 1]

    def _first_after(self, sequence: int) -> int:
        """First counter of the sector that follows the one with `sequence`."""
        later = [s[:2] for s in self._sectors if s is not None and s[0] > sequence]
        return min(later)[1] if later else self.next_counter

    # --- flash -------------------------------------------------------------------------------------------------------

    def _note(self, counter: int, note: bytes) -> None:
        self.next_counter = counter + 1
        self.last_note = note
        if self._notes is not None:
            self._notes.record(counter, note)

    def _erase_all(self, sectors: "list[int]") -> None:
        if self._notes is not None:
            self._notes.checkpoint()
        for sector in sectors:
            self._erase(sector)

    def _erase(self, sector: int) -> None:
        self._flash.erase(sector)
        self._sectors[sector] = None


def _padded(length: int) -> int:
    return (length + 3) & ~3
