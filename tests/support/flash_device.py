"""NOR flash in memory, behind MicroPython's extended block device interface, with a power cut at any operation."""

SECTOR = 4096


class PowerCut(Exception):
    """The power went away at the chosen operation."""


class FlashDevice:
    """`cut_at` is the number (from 1) of the program or erase at which power goes; `torn` does half of it first."""

    def __init__(self, sectors: int, content: bytes | None = None) -> None:
        self.content = bytearray(content if content is not None else b"\xff" * (sectors * SECTOR))
        self.sectors = sectors
        self.cut_at: int | None = None
        self.torn = False
        self.operations = 0
        self.programmed = 0
        self.erased = 0

    def _step(self) -> bool:
        self.operations += 1
        return self.operations == self.cut_at

    def readblocks(self, block: int, buf: bytearray, offset: int) -> None:
        start = block * SECTOR + offset
        buf[:] = self.content[start : start + len(buf)]

    def writeblocks(self, block: int, buf: bytes, offset: int) -> None:
        cut = self._step()
        start = block * SECTOR + offset
        length = len(buf) if not cut else len(buf) // 2 if self.torn else 0
        for index in range(length):
            self.content[start + index] &= buf[index]
        self.programmed += length
        if cut:
            raise PowerCut

    def ioctl(self, op: int, arg: int) -> int:
        if op == 4:
            return self.sectors
        assert op == 6
        cut = self._step()
        length = SECTOR if not cut else SECTOR // 2 if self.torn else 0
        self.content[arg * SECTOR : arg * SECTOR + length] = b"\xff" * length
        self.erased += 1
        if cut:
            raise PowerCut
        return 0
