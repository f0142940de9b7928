"""The journal's flash partition: how large its sectors are, and which of them belong to the journal and to the tally.

Flash is NOR flash: programming only clears bits, and only erasing a whole sector sets them again. The last
TALLY_SECTORS sectors are the tally's. All sectors before them are the journal's ring.
"""

from protocol import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class BlockDevice(Protocol):
        """The part of MicroPython's extended block device interface that the lock needs."""

        def readblocks(self, block: int, buf: bytearray, offset: int) -> object:
            """Fill `buf` from `offset` in `block`."""

        def writeblocks(self, block: int, buf: bytes, offset: int) -> object:
            """Program `buf` at `offset` in `block`, which must be erased there."""

        def ioctl(self, op: int, arg: int) -> int:
            """4: number of blocks; 6: erase block `arg`."""


SECTOR = 4096
"""Bytes that are erased together; also the block size of the partition."""
TALLY_SECTORS = 2
"""Sectors at the end of the partition that belong to the tally: one is in use, the other takes over when it is full."""

_BLOCK_COUNT = const(4)
_BLOCK_ERASE = const(6)


class Sectors:
    """`count` sectors of a partition. Here they are numbered from 0."""

    def __init__(self, device: "BlockDevice", of_tally: bool) -> None:
        journal = device.ioctl(_BLOCK_COUNT, 0) - TALLY_SECTORS
        self._device = device
        self._first = journal if of_tally else 0
        self.count = TALLY_SECTORS if of_tally else journal

    def read(self, sector: int, at: int, length: int) -> bytes:
        """`length` bytes of a sector, from offset `at`."""
        buffer = bytearray(length)
        if length:
            self._device.readblocks(self._first + sector, buffer, at)
        return bytes(buffer)

    def program(self, sector: int, at: int, data: bytes) -> bool:
        """Write `data` in one operation. True if it reads back as written."""
        if data:
            self._device.writeblocks(self._first + sector, data, at)
        return self.read(sector, at, len(data)) == data

    def erase(self, sector: int) -> None:
        """Set every byte of the sector to FF."""
        self._device.ioctl(_BLOCK_ERASE, self._first + sector)
