"""Who is being served, and the piece of heap that is kept whole for them in between.

MicroPython's heap does not move what lies in it. Between two guests the link comes and goes, and leaves small things
that stay all over it; a request of 4 KB would then find a hundred free pieces and none that is long enough.
"""

import gc

from firmware.hardware import ticks

SIZES = 20480, 14336, 10240, 6144
"""Bytes; the longest that is to be had is kept. A request, its encryption and its APDUs take 11 KB at a time."""


class Visits:
    """The visits that are going on. At most one waits for anything, a phone's; a PIN's may come in the midst of it."""

    def __init__(self) -> None:
        self.going_on = 0
        self._began = 0
        self._kept: bytearray | None = None

    def begin(self) -> bool:
        """Somebody has come. True if nobody else is being served."""
        alone = not self.going_on
        if alone:
            self._began = ticks.now()
        self.going_on += 1
        self.make_room()
        return alone

    def end(self) -> None:
        """They have been served."""
        self.going_on -= 1
        self.keep_room()

    def lasting_ms(self) -> int:
        """How long the visit that is going on has lasted, 0 if there is none."""
        return ticks.age(self._began) if self.going_on else 0

    def make_room(self) -> None:
        """Let go of the piece, for a visit or for the link's longest messages, and collect what is dead."""
        self._kept = None
        gc.collect()

    def keep_room(self) -> None:
        """Collect what is dead, and keep a piece again unless somebody is being served."""
        gc.collect()
        for size in SIZES:
            if self._kept is not None or self.going_on:
                return
            try:
                self._kept = bytearray(size)
            except MemoryError:
                continue
