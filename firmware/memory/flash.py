"""The journal's flash partition: the size of its sectors, and which sectors belong to the journal and which to the
tally.

The flash is NOR flash. Programming can only clear bits. Only erasing a whole sector sets its bits again. The last
TALLY_SECTORS sectors belong to the tally. All other sectors are the journal's ring.
"""

from protocol import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class BlockDevice(Protocol):
        """The part of MicroPython's extended block device interface that the lock needs."""

        def readblocks(self, block: int, buf: bytearray, offset: int) -> object:
            """Read bytes of `block`, beginning at `offset`, until `buf` is full."""

        def writeblocks(self, block: int, buf: bytes, offset: int) -> object:
            """Write the bytes of `buf` into `block`, beginning at `offset`. The bytes there must have been erased."""

        def ioctl(self, op: int, arg: int) -> int:
            """If `op` is 4, return the number of blocks. If `op` is 6, erase block `arg`."""


SECTOR = 4096
"""Number of bytes that are erased together. The partition's blocks have the same size."""
TALLY_SECTORS = 2
"""Number of sectors at the end of the partition that belong to the tally. One sector is in use. When this sector is
full, the other sector takes over."""

_BLOCK_COUNT = const(4)
_BLOCK_ERASE = const(6)
PIECE = const(512)
"""Number of bytes that `Sectors.is_blank` compares at a time."""


class Sectors:
    """The sectors of the journal or of the tally. The numbers of the sectors begin with 0, and `count` says how many
    sectors there are."""

    def __init__(self, device: "BlockDevice", of_tally: bool) -> None:
        journal = device.ioctl(_BLOCK_COUNT, 0) - TALLY_SECTORS
        self._device = device
        self._first = journal if of_tally else 0
        self.count = TALLY_SECTORS if of_tally else journal

    def read(self, sector: int, at: int, length: int) -> bytes:
        """Read `length` bytes of a sector, beginning at offset `at`."""
        buffer = bytearray(length)
        if length:
            self._device.readblocks(self._first + sector, buffer, at)
        return bytes(buffer)

    def is_blank(self, sector: int, at: int, room: bytearray, erased: bytes) -> bool:
        """Return whether every byte of the sector is FF, from offset `at` on.

        `room` is memory for PIECE bytes, and `erased` is a blank piece. A boot looks through nearly the whole
        partition, so this method leaves little garbage, and it compares whole pieces.
        """
        while at < SECTOR:
            before = at % PIECE
            piece = bytearray(PIECE - before) if before else room
            self._device.readblocks(self._first + sector, piece, at)
            if piece != (erased[before:] if before else erased):
                return False
            at += len(piece)
        return True

    def program(self, sector: int, at: int, data: bytes) -> bool:
        """Write `data` in one operation. Returns True if the data can be read back as it was written."""
        if data:
            self._device.writeblocks(self._first + sector, data, at)
        return self.read(sector, at, len(data)) == data

    def erase(self, sector: int) -> None:
        """Set every byte of the sector to FF."""
        self._device.ioctl(_BLOCK_ERASE, self._first + sector)
