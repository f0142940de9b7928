"""NOR flash in memory, with MicroPython's extended block device interface. Runs on both runtimes."""

from sim.board import layout
from sim.board.nor_flash import NorFlash, PowerCut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Operation = tuple[int, int, bytes | None]
    """Name of the flash, the address in it, and the data programmed there (None if the sector was erased)."""

SECTOR = layout.SECTOR


class MemoryFlash(NorFlash):
    """A partition of `sectors` sectors. The partition is blank, or has a copy of `content`.

    Each finished operation is appended to `log` under `name`. `power` is the number of operations that succeed before
    the power is cut. Several partitions can share this number. A partition that is `dead` ignores what is programmed.
    """

    def __init__(
        self,
        sectors: int,
        content: "bytes | bytearray | None" = None,
        name: int = 0,
        log: "list[Operation] | None" = None,
    ) -> None:
        super().__init__()
        self.content = bytearray(content if content is not None else b"\xff" * (sectors * SECTOR))
        self.sectors = sectors
        self.name = name
        self.log = log
        self.power: list[int] | None = None
        self.dead = False

    def load(self, at: int, buffer: bytearray) -> None:
        """Read into `buffer` the bytes that begin at the address `at`."""
        buffer[:] = self.content[at : at + len(buffer)]

    def store(self, at: int, data: bytes) -> None:
        """Write `data` over the bytes that begin at the address `at`."""
        self.content[at : at + len(data)] = data

    def done(self, at: int, data: "bytes | None") -> None:
        """As `NorFlash`."""
        if self.log is not None:
            self.log.append((self.name, at, None if data is None else bytes(data)))

    def is_cut(self) -> bool:
        """As `NorFlash`."""
        if self.power is not None:
            self.power[0] -= 1
            if self.power[0] < 0:
                raise PowerCut
        return bool(super().is_cut())

    def readblocks(self, block: int, buf: "Any", offset: int = 0) -> None:
        """As `esp32.Partition`."""
        self.load(block * SECTOR + offset, buf)

    def writeblocks(self, block: int, buf: "Any", offset: "int | None" = None) -> None:
        """As `esp32.Partition`."""
        if offset is None:
            self.erase(block * SECTOR)
        if not self.dead:
            self.program(block * SECTOR + (offset or 0), buf)

    def ioctl(self, op: int, arg: int) -> int:
        """As `esp32.Partition`."""
        if op == 4:
            return self.sectors
        if op == 5:
            return SECTOR
        if op == 6:
            self.erase(arg * SECTOR)
        return 0
