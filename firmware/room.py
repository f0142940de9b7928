"""A piece of the heap that is kept whole between visits, so that a read finds room for its long messages.

MicroPython's heap does not move what lies in it. Between two guests the link comes and goes, and leaves small things
that stay all over it; a request of 4 KB would then find a hundred free pieces and none that is long enough.
"""

import gc

SIZES = 20480, 14336, 10240, 6144
"""Bytes; the longest that is to be had is kept. A request, its encryption and its APDUs take 11 KB at a time."""


class Room:
    """`keep` it while nobody is served, `give` it to whoever is. Both collect what is dead."""

    def __init__(self) -> None:
        self._kept: bytearray | None = None

    def keep(self) -> None:
        """Keep a piece, if there is none."""
        gc.collect()
        for size in SIZES:
            if self._kept is not None:
                return
            try:
                self._kept = bytearray(size)
            except MemoryError:
                continue

    def give(self) -> None:
        """Let go of it."""
        self._kept = None
        gc.collect()
