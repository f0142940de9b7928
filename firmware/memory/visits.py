"""Counts who is being served, and keeps one large block of heap free between two visits.

MicroPython's heap cannot move objects. Between two guests the link comes and goes and leaves small objects all over the
heap. A request of 4 KB would then find a hundred free blocks, and none that is long enough.
"""

import gc

from firmware.hardware import ticks

SIZES = 20480, 14336, 10240, 6144
"""Bytes. The largest block that can be had is kept. A request, its encryption and its APDUs take 11 KB together."""


class Visits:
    """The visits that are going on: one of a phone at most. A visit of somebody who types a PIN may come in the
    middle."""

    def __init__(self) -> None:
        self.going_on = 0
        self._began = 0
        self._kept: bytearray | None = None

    def begin(self) -> bool:
        """A visit begins. True if nobody else is being served."""
        alone = not self.going_on
        if alone:
            self._began = ticks.now()
        self.going_on += 1
        self.make_room()
        return alone

    def end(self) -> None:
        """A visit ends."""
        self.going_on -= 1
        self.keep_room()

    def lasting_ms(self) -> int:
        """How long the current visit has lasted, 0 if there is none."""
        return ticks.age(self._began) if self.going_on else 0

    def make_room(self) -> None:
        """Free the block, for a visit or for the link's longest messages, and collect garbage."""
        self._kept = None
        gc.collect()

    def keep_room(self) -> None:
        """Collect garbage, and keep a block again unless somebody is being served."""
        gc.collect()
        for size in SIZES:
            if self._kept is not None or self.going_on:
                return
            try:
                self._kept = bytearray(size)
            except MemoryError:
                continue
