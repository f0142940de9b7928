"""The journal: the lock's append-only log of records, in a separate flash partition. A record is durable before the
strike moves.

The journal is a ring of 4 KB sectors. A sector has a header, followed by frames. Each frame is programmed once, in one
operation:

    sector header   magic "MRJ1", sequence u32, first counter u32, receipted-through u32, head, CRC-32  52 bytes
    frame           length u16, note length u8, 0xA5, counter u32, CRC-32, record, note, padding to 4  12 bytes + these
    mark            a frame of length 0: "records up to `counter` have a receipt"

A sector goes through these states:

    state      in flash                                    becomes the next by
    blank      FF only                                     `append` or `receipt`, if the one before is full: current
    current    a header and frames; the newest of all      the next sector becomes the current one: waiting
    waiting    a header and frames                         `receipt`, for all its records: covered
    covered    the same; each of its records has one       `reclaim` while the door is idle: blank. Or `append`, when
                                                           the ring comes round to it: current

A power cut can leave a torn frame, whose CRC fails. The lock has not acted on the record in that frame. At boot, the
rest of that sector is left unused, and the next record opens a new sector. A sector whose header is torn is erased at
boot. All other sectors are erased only when receipts cover all their records. Before such a sector is erased, the
checkpoint of the stays is written, because the notes in the sector are lost. A note is the lock's own memory of what a
record did.

The journal is a raw partition and not a file. A file system copies the last block of a file at each sync (measured in
docs/journal.md), and a log does not need that copy. The last two sectors of the partition belong to the tally.
"""

import struct
from binascii import crc32

from firmware.memory.flash import PIECE, SECTOR, Sectors
from protocol import const
from protocol import record as records
from protocol.errors import StorageError, VerificationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    from firmware.memory.flash import BlockDevice

    Place = tuple[int, bytes]

    class NoteReader(Protocol):
        """An object that needs the notes. On the lock, this is `Stays`."""

        def record(self, counter: int, note: bytes) -> None:
            """Take the note of a durable record."""

        def checkpoint(self) -> None:
            """Write the effects of the notes to flash, because some notes are about to be erased."""


RECORD_BYTES = 720
"""Maximum size in bytes of a record with its note, if the body of the record is one block."""
RECLAIM = 4
"""Maximum number of sectors erased in one step. Erasing a sector takes 45 ms on the chip, and a guest may be
arriving."""

_MAGIC = const(b"MRJ1")
_HEADER = const(">4sIII32sI")
_HEADER_BYTES = const(52)
_FRAME = const(">HBBII")
_FRAME_BYTES = const(12)
_FRAME_MARK = const(0xA5)


class Journal:
    """The journal on a block device. The constructor scans the device.

    `head` is the payload hash of the newest record, or 32 zero bytes before the first record. `last_note` is the note
    of the newest record. `through` is the highest counter that a receipt covers. `sectors` is the number of sectors in
    the ring. `notes` gets the note of every record that the flash holds, and later of every new record. Before a
    note is erased, the journal asks `notes` for a checkpoint.
    """

    def __init__(self, device: "BlockDevice", notes: "NoteReader | None" = None) -> None:
        self._flash = Sectors(device, False)
        self._notes = notes
        self.sectors = self._flash.count
        # Each sector has (sequence, first counter, end of the last good frame). The end is SECTOR if a torn frame
        # follows. A blank sector has None.
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
        rooms = bytearray(PIECE), b"\xff" * PIECE
        for sector in range(self.sectors):
            header = self._header(sector)
            if header is not None:
                found.append((header[0], sector, header))
            elif not self._flash.is_blank(sector, 0, *rooms):
                self._erase(sector)
        last = b""
        found.sort()
        for sequence, sector, (_, first, through, head) in found:
            # Only sectors that a receipt covers are erased. So a receipt covers all records before the oldest sector,
            # even if the mark of that receipt is lost.
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
            if not self._flash.is_blank(sector, end, *rooms):
                end = SECTOR
            self._sectors[sector] = (sequence, first, end)
            self._current = sector
        if last:
            self.head = records.head(last)

    def _header(self, sector: int) -> "tuple[int, int, int, bytes] | None":
        raw = self._flash.read(sector, 0, _HEADER_BYTES)
        magic, sequence, first, through, head, check = struct.unpack(_HEADER, raw)
        if magic != _MAGIC or crc32(raw[: _HEADER_BYTES - 4]) != check:
            return None
        return sequence, first, through, head

    def _frames(self, sector: int) -> "Iterator[tuple[int, int, int, int]]":
        """Yield (counter, record length, note length, offset) for each frame in order. Stop at the first frame whose
        CRC fails."""
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

    # --- appending ---------------------------------------------------------------------------------------------------

    def free_sectors(self) -> int:
        """Return the number of sectors that new records can use. Such sectors are blank, or receipts cover all their
        records.
        """
        return sum(1 for state in self._sectors if state is None) + len(self._covered())

    def has_room(self) -> bool:
        """Is there room for a record of RECORD_BYTES?"""
        current = self._sectors[self._current] if self._current >= 0 else None
        return self.free_sectors() > 0 or (current is not None and current[2] + RECORD_BYTES <= SECTOR)

    def place(self) -> "Place":
        """Return the next record's place in the chain: the record's counter, and the payload hash of the record before
        it."""
        return self.next_counter, self.head

    def append(self, place: "Place", head: bytes, record: bytes, note: bytes) -> None:
        """Make `record` durable, with the lock's own `note` (at most 255 bytes). The record was made for `place`, and
        its payload has the hash `head`. The journal checks neither the place nor the hash, because the caller has just
        made the record.

        After an error, nothing was appended. Raises StorageError: `journal.chain` if `place` is not the next record's
        place; `journal.size` if the record is larger than a sector; `journal.full` if every sector has records that
        wait for a receipt; `journal.flash` if the flash fails. An error of the checkpoint is passed on.
        """
        if place != self.place():
            raise StorageError("journal.chain", "the record does not continue the chain")
        self._program(place[0], record, note)
        self.head = head
        self._note(place[0], note)

    def _program(self, counter: int, record: bytes, note: bytes) -> None:
        head = struct.pack(">HBBI", len(record), len(note), _FRAME_MARK, counter)
        check = crc32(record + note, crc32(head))
        frame = head + struct.pack(">I", check) + record + note
        frame += b"\xff" * (_padded(len(frame)) - len(frame))
        if len(frame) > SECTOR - _HEADER_BYTES:
            raise StorageError("journal.size", "the record is larger than a sector")
        for _ in range(2):  # if the frame cannot be read back as it was written, try another sector
            current = self._sectors[self._current] if self._current >= 0 else None
            if current is None or current[2] + len(frame) > SECTOR:
                current = self._open_sector()
            sequence, first, at = current
            if self._flash.program(self._current, at, frame):
                self._sectors[self._current] = (sequence, first, at + len(frame))
                return
            self._sectors[self._current] = (sequence, first, SECTOR)
        raise StorageError("journal.flash", "the flash does not keep what is written to it")

    def _open_sector(self) -> "tuple[int, int, int]":
        sector = (self._current + 1) % self.sectors
        if self._sectors[sector] is not None:
            if sector not in self._covered():
                raise StorageError("journal.full", "every sector has records that wait for a receipt")
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
        """Yield (counter, record, note) for every record that is still in flash, beginning with the record number
        `counter`.
        """
        for sequence, sector in sorted((s[0], n) for n, s in enumerate(self._sectors) if s is not None):
            following = self._first_after(sequence)
            if following <= counter:
                continue
            for number, length, note_length, at in self._frames(sector):
                if length and number >= counter:
                    content = self._flash.read(sector, at + _FRAME_BYTES, length + note_length)
                    yield number, content[:length], content[length:]

    def records_from(self, counter: int) -> "Iterator[tuple[int, bytes]]":
        """Yield (counter, record) for each record without a receipt, beginning with the record number `counter`."""
        for number, record, _ in self.entries_from(max(counter, self.through + 1)):
            yield number, record

    def receipt(self, through: int, head: bytes) -> None:
        """Take a verified receipt. The receipt says that the province has all records up to `through`, so their sectors
        can be erased. `head` is the payload hash of the record `through`.

        Raises VerificationError: `receipt.ahead` if this lock has not made those records; `receipt.head` if the journal
        has no record with that counter and that hash. A receipt that covers no further record changes nothing.
        """
        if through >= self.next_counter:
            raise VerificationError("receipt.ahead", "a receipt for records that this lock has not made")
        if through <= self.through:
            return
        for number, record, _ in self.entries_from(through):
            if number == through and records.head(record) == head:
                break
            raise VerificationError("receipt.head", "the receipt is for another record with that counter")
        else:
            raise VerificationError("receipt.head", "the journal has no record with that counter")
        self.through = through
        try:
            self._program(through, b"", b"")
        except StorageError as error:
            # A full ring has no room for the mark. So this receipt is valid only until the next boot. After that boot,
            # the province sends another receipt.
            if error.code != "journal.full":
                raise

    def reclaim(self) -> bool:
        """Erase some covered sectors, if fewer than half of all sectors are blank. Returns True if there are more
        sectors to erase.

        Several sectors are erased together, because each call may have to write a checkpoint first.
        """
        blank = sum(1 for state in self._sectors if state is None)
        covered = self._covered()
        if 2 * blank >= self.sectors or not covered:
            return False
        self._erase_all(covered[:RECLAIM])
        return len(covered) > RECLAIM

    def _covered(self) -> "list[int]":
        """Return the sectors in which every record has a receipt. The oldest sector comes first."""
        used = [(state[0], state[1], sector) for sector, state in enumerate(self._sectors) if state is not None]
        used.sort()
        # The records of a sector end before the first counter of the next sector. The newest sector is in use, so it
        # never counts as covered.
        return [used[at][2] for at in range(len(used) - 1) if used[at + 1][1] <= self.through + 1]

    def _first_after(self, sequence: int) -> int:
        """Return the first counter in the sector that follows the sector with the sequence number `sequence`."""
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
