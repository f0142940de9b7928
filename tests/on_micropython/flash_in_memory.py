"""NOR flash in memory for MicroPython's littlefs and the journal; it logs what is done to it and may lose its power.

Runs on MicroPython, in the test of power cuts.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Operation = tuple[int, int, bytes | None]
    """Number of the partition, where in it, and what was programmed there; None: its sector was erased."""

SECTOR = 4096


class PowerCut(Exception):
    """The power went away."""


class Flash:
    """NOR flash in memory, for littlefs and for the journal: programming clears bits, erasing sets a sector's."""

    def __init__(
        self, blocks: int, name: int, log: "list[Operation] | None" = None, content: "bytes | bytearray | None" = None
    ) -> None:
        self.content = bytearray(content if content is not None else b"\xff" * (blocks * SECTOR))
        self.blocks = blocks
        self.name = name
        self.log = log
        self.power: list[int] | None = None  # operations left until it goes, for both partitions

    def readblocks(self, block: int, buf: "Any", offset: int = 0) -> None:
        """As `esp32.Partition`."""
        start = block * SECTOR + offset
        buf[:] = self.content[start : start + len(buf)]

    def writeblocks(self, block: int, buf: "Any", offset: "int | None" = None) -> None:
        """As `esp32.Partition`."""
        if offset is None:
            self.ioctl(6, block)
        self._do((self.name, block * SECTOR + (offset or 0), bytes(buf)))

    def ioctl(self, op: int, arg: int) -> int:
        """As `esp32.Partition`."""
        if op == 4:
            return self.blocks
        if op == 5:
            return SECTOR
        if op == 6:
            self._do((self.name, arg * SECTOR, None))
        return 0

    def _do(self, operation: "Operation") -> None:
        if self.power is not None:
            self.power[0] -= 1
            if self.power[0] < 0:
                raise PowerCut
        self.apply(operation)
        if self.log is not None:
            self.log.append(operation)

    def apply(self, operation: "Operation", torn: bool = False) -> None:
        """Do a logged operation, or half of it."""
        _, start, data = operation
        if data is None:
            end = start + (SECTOR // 2 if torn else SECTOR)
            self.content[start:end] = b"\xff" * (end - start)
            return
        length = len(data) // 2 if torn else len(data)
        old = bytes(self.content[start : start + length])
        if old == b"\xff" * length:
            self.content[start : start + length] = data[:length]
        else:
            both = int.from_bytes(old, "big") & int.from_bytes(data[:length], "big")
            self.content[start : start + length] = both.to_bytes(length, "big")
