"""Emulates NOR flash, for the lock's board and for tests. Runs on both runtimes.

Programming clears bits and never sets them. Only erasing a sector sets bits, and it sets all bits of the sector. If
`cut_at` is n, the power is cut at the n-th program or erase operation, counted from 1. This operation is then half done
if `torn` is true. Otherwise this operation is not done at all.
"""

from sim.board import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BLANK = b"\xff" * 256


class PowerCut(Exception):  # noqa: N818  an event, not an error of the code
    """The power was cut at the chosen operation."""


class NorFlash:
    """The rules of NOR flash. A subclass stores the bytes. The subclass defines `load` and `store`, and may define
    `done`.
    """

    def __init__(self) -> None:
        self.operations = self.programs = self.erases = self.programmed = 0
        self.cut_at: int | None = None
        self.torn = False

    def load(self, at: int, buffer: bytearray) -> None:
        """Read into `buffer` the bytes that begin at the address `at`."""

    def store(self, at: int, data: bytes) -> None:
        """Write `data` over the bytes that begin at the address `at`."""

    def lose_power(self) -> None:
        """Stop, so that no operation follows the power cut."""
        raise PowerCut

    def done(self, at: int, data: "bytes | None") -> None:
        """Called after each operation at the address `at`. `data` is what was programmed there, or None if the sector
        at `at` was erased.
        """

    def program(self, at: int, data: "Any") -> None:
        """Program `data` at the address `at`: clear each bit that is 0 in `data`."""
        self._do(at, data)
        self.programs += 1
        self.programmed += len(data)
        self.done(at, data)

    def erase(self, at: int) -> None:
        """Set all bits of the sector that begins at `at`."""
        self._do(at, None)
        self.erases += 1
        self.done(at, None)

    def apply(self, at: int, data: "Any", torn: bool = False) -> None:
        """Program `data`, or erase the sector if `data` is None. If `torn` is true, do only half of the operation.
        Nothing is counted.
        """
        if data is not None:
            self._program(at, _half(data) if torn else data)
        elif torn:
            self.store(at, self._half_erased(at))
        else:
            # Erase in small pieces, to save the lock's heap. A chip uses no heap for an erase.
            for piece in range(at, at + layout.SECTOR, len(_BLANK)):
                self.store(piece, _BLANK)

    def is_cut(self) -> bool:
        """Count the next operation. Returns whether the power is cut at this operation."""
        self.operations += 1
        return self.operations == self.cut_at

    def _do(self, at: int, data: "Any") -> None:
        if not self.is_cut():
            self.apply(at, data)
            return
        if self.torn:
            self.apply(at, data, True)
        self.lose_power()

    def _program(self, at: int, data: "Any") -> None:
        length = len(data)
        old = bytearray(length)
        self.load(at, old)
        if old != b"\xff" * length:
            # Compute with integers. A loop over bytes would be too slow for tests that cut the power at each operation.
            both = int.from_bytes(old, "big") & int.from_bytes(data, "big")
            data = both.to_bytes(length, "big")
        self.store(at, data)

    def _half_erased(self, at: int) -> bytes:
        # The first half is erased. In the other half, some bits have already flipped, and others have not.
        block = bytearray(layout.SECTOR)
        self.load(at, block)
        half = layout.SECTOR // 2
        return b"\xff" * half + bytes(byte | (0xA5 if i & 1 else 0) for i, byte in enumerate(block[half:]))


def _half(data: "Any") -> bytes:
    half = len(data) // 2
    rest = len(data) - half
    if not rest:
        return bytes(data)
    # In the byte at which programming stopped, only some bits are cleared.
    return bytes(data[:half]) + bytes((data[half] | 0x0F,)) + b"\xff" * (rest - 1)
