"""Stand-in for MicroPython's `esp32`: `Partition` over a NOR flash image in a host file (MOORING_FLASH).

Programming clears bits and never sets them. Only erasing a 4096-byte sector sets bits. MOORING_POWER_CUT=n cuts the
power instead of the n-th program or erase operation since boot, counted from 1. MOORING_POWER_CUT=n:torn cuts the power
when this operation is half done. After a cut, nothing else of this process runs. MOORING_JOURNAL_SECTORS=n makes the
journal's partition smaller.

Each finished operation on the journal's partition is reported to the board bus. These reports and those of the pins are
numbered in one sequence. The host copies the partition when the board connects. Together, the copy and the reports show
the content of flash at any moment.
"""

import os
import struct
import sys
from binascii import hexlify

from sim.board import layout
from sim.board.line import const, line
from sim.board.nor_flash import NorFlash

_MICROPYTHON = sys.implementation.name == "micropython"


def _read_cut():
    setting = os.getenv("MOORING_POWER_CUT") or ""
    at, _, mode = setting.partition(":")
    if mode not in ("", "torn") or not (at.isdigit() or not setting):
        raise ValueError("MOORING_POWER_CUT is n or n:torn")
    return int(at or "0"), mode == "torn"


_REPORTED = const("journal")
_PIECE = const(128)


class _Flash(NorFlash):
    """The image file. Every change to the file is made by this class."""

    def __init__(self, path):
        super().__init__()
        # The file is unbuffered, because buffered bytes would still be written after the power was cut.
        self.file = open(path, "r+b") if _MICROPYTHON else open(path, "r+b", buffering=0)
        size = self.file.seek(0, 2)
        if size != layout.IMAGE_SIZE:
            raise OSError("flash image %s has %d bytes, not %d" % (path, size, layout.IMAGE_SIZE))
        name = path + layout.OPERATIONS_SUFFIX
        self.counters = open(name, "wb") if _MICROPYTHON else open(name, "wb", buffering=0)
        self.line = line()  # connect before any operation on the flash
        self.cut_at, self.torn = _read_cut()
        self._count(0)

    def load(self, at, buffer):
        self.file.seek(at)
        self.file.readinto(buffer)

    def store(self, at, data):
        self.file.seek(at)
        self.file.write(data)

    def done(self, at, data):
        self._count(0)

    def _count(self, cut):
        self.counters.seek(0)
        self.counters.write(struct.pack(layout.OPERATIONS_FORMAT, self.programs, self.erases, self.programmed, cut))

    def lose_power(self):
        self._count(1)
        if not _MICROPYTHON:
            os._exit(layout.POWER_CUT_EXIT)
        # MicroPython has no _exit. SystemExit would run `finally` blocks, which do not run at a power cut. So send
        # SIGPWR, which ends a process by default, or SIGKILL on systems without SIGPWR.
        while True:
            os.system("kill -s PWR $PPID || kill -s KILL $PPID")


_flash = None


def _open():
    global _flash
    if _flash is None:
        path = os.getenv("MOORING_FLASH")
        if not path:
            raise OSError("MOORING_FLASH does not name a flash image")
        _flash = _Flash(path)
    return _flash


class Partition:
    """Stands in for `esp32.Partition`, for the data partitions of `sim.board.layout`. A partition is both a simple and
    an extended block device.
    """

    TYPE_APP = layout.APP
    TYPE_DATA = layout.DATA

    def __init__(self, id, block_size=layout.SECTOR):
        for label, kind, subtype, offset, size in layout.PARTITIONS:
            if label == id:
                if label == "journal":
                    size = int(os.getenv("MOORING_JOURNAL_SECTORS") or size // layout.SECTOR) * layout.SECTOR
                self._info = (kind, subtype, offset, size, label, False)
                self._offset, self._size, self._block = offset, size, block_size
                self._flash = _open()
                return
        raise OSError(2)

    @classmethod
    def find(cls, type=layout.APP, subtype=0xFF, label=None, block_size=layout.SECTOR):
        """Return the partitions of this type. Subtype 0xff means any subtype, and label None means any label."""
        return [
            cls(row[0], block_size)
            for row in layout.PARTITIONS
            if row[1] == type and subtype in (0xFF, row[2]) and label in (None, row[0])
        ]

    def info(self):
        """Return (type, subtype, address, size, label, encrypted)."""
        return self._info

    def _place(self, block, offset, length):
        start = block * self._block + offset
        # ESP-IDF returns ESP_ERR_INVALID_SIZE, and MicroPython's port raises OSError with this number.
        if start < 0 or start + length > self._size:
            raise OSError(-0x104, "outside the partition")
        return self._offset + start

    def readblocks(self, block_num, buf, offset=0):
        """Fill `buf` with the bytes that begin `offset` bytes after the start of block `block_num`."""
        self._flash.load(self._place(block_num, offset, len(buf)), buf)

    def writeblocks(self, block_num, buf, offset=None):
        """Program `buf` into flash. Without `offset`, first erase the blocks that `buf` covers."""
        place = self._place(block_num, offset or 0, len(buf))
        if offset is None:
            for start in range(place, place + len(buf), layout.SECTOR):
                self._erase(start)
        self._flash.program(place, buf)
        if self._info[4] == _REPORTED:
            # Report the data in pieces, because a whole record as text would need much of the lock's heap at once.
            for at in range(0, len(buf), _PIECE):
                data = hexlify(buf[at : at + _PIECE]).decode()
                self._flash.line.report(offset=place - self._offset + at, data=data)

    def _erase(self, sector):
        self._flash.erase(sector)
        if self._info[4] == _REPORTED:
            self._flash.line.report(offset=sector - self._offset, data=None)

    def ioctl(self, op, arg):
        """Do operation `op`. Operations 1, 2 and 3 (init, deinit, sync) only return 0. Operation 4 returns the number
        of blocks. Operation 5 returns the block size. Operation 6 erases block `arg`."""
        if op == 4:
            return self._size // self._block
        if op == 5:
            return self._block
        if op == 6:
            start = self._place(arg, 0, self._block)
            for sector in range(start, start + self._block, layout.SECTOR):
                self._erase(sector)
            return 0
        return 0 if op in (1, 2, 3) else None
