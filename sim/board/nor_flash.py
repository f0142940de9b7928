"""NOR flash: the one emulation of it, for the lock's board and for tests, on either runtime.

Programming clears bits and never sets them. Only erasing a sector sets them, all of them. `cut_at` = n cuts the power
at the n-th program or erase (1 is the first). The operation is then not done, or half done if `torn`.
"""

from sim.board import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BLANK = b"\xff" * 256


class PowerCut(Exception):  # noqa: N818  an event, not an error of the code
    """The power went away at the chosen operation."""


class NorFlash:
    """The rules of NOR flash. A subclass keeps the bytes: it has `load` and `store`, and may have `done`."""

    def __init__(self) -> None:
        self.operations = self.programs = self.erases = self.programmed = 0
        self.cut_at: int | None = None
        self.torn = False

    def load(self, at: int, buffer: bytearray) -> None:
        """Fill `buffer` from `at`."""

    def store(self, at: int, data: bytes) -> None:
        """Write `data` at `at`, over what was there."""

    def lose_power(self) -> None:
        """End here: no operation follows."""
        raise PowerCut

    def done(self, at: int, data: "bytes | None") -> None:
        """`data` was programmed at `at`, or the sector there was erased if it is None."""

    def program(self, at: int, data: "Any") -> None:
        """Clear the bits that are 0 in `data`."""
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
        """Do a program (or an erase, if `data` is None), or half of it. It is not counted."""
        if data is not None:
            self._program(at, _half(data) if torn else data)
        elif torn:
            self.store(at, self._half_erased(at))
        else:
            # Piece by piece: a chip erases a sector without using the lock's heap for it.
            for piece in range(at, at + layout.SECTOR, len(_BLANK)):
                self.store(piece, _BLANK)

    def is_cut(self) -> bool:
        """Does the power go at this operation, which is the next?"""
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
            # As integers, because a loop over bytes would make the tests with a cut at each operation slow.
            both = int.from_bytes(old, "big") & int.from_bytes(data, "big")
            data = both.to_bytes(length, "big")
        self.store(at, data)

    def _half_erased(self, at: int) -> bytes:
        # The first half is erased. In the rest some bits have flipped already, and others have not.
        block = bytearray(layout.SECTOR)
        self.load(at, block)
        half = layout.SECTOR // 2
        return b"\xff" * half + bytes(byte | (0xA5 if i & 1 else 0) for i, byte in enumerate(block[half:]))


def _half(data: "Any") -> bytes:
    half = len(data) // 2
    rest = len(data) - half
    if not rest:
        return bytes(data)
    # In the byte where it stopped, only some bits are cleared.
    return bytes(data[:half]) + bytes((data[half] | 0x0F,)) + b"\xff" * (rest - 1)
