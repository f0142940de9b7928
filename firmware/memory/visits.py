"""Counts the visits that are going on, says when garbage is collected, and keeps one large block of the heap free
between two visits.

A collection takes about a million instructions, and nobody should wait for that at the door. So garbage is collected
about once a second while the door is idle (`firmware.main`), and at the end of a visit. During a visit, the collector
runs only when the heap is full. Objects that outlive the visit would then lie among its garbage. So they are made again
after the strike has opened (`firmware.door.reentry`).

MicroPython cannot move objects on its heap. Between two guests, the edge link connects and disconnects, and leaves
small objects all over the heap. A response that is longer than its buffer, or a long statement, would then find a
hundred free blocks, but no block that is long enough.
"""

import gc
import sys

from firmware import RUN_THRESHOLD
from firmware.hardware import ticks

_MICROPYTHON = sys.implementation.name == "micropython"

SIZES = 16384, 12288, 9216, 6144
"""Possible sizes of the block, in bytes. The lock reserves the largest of these blocks for which the heap has room. A
response may have 16 KB (`firmware.mdoc_reader.reader`), and a statement 8 KB."""

SPARE = 28672
"""Number of bytes that stay free beside the block. The link's handshake and the recorder need memory between visits.
"""

VISIT_THRESHOLD = -1
"""Number of bytes that are allocated between two garbage collections during a visit. -1 means that the collector runs
only when the heap is full. docs/performance.md has the curve."""


class Visits:
    """The visits that are going on. At most one phone is served at a time. Somebody may type a PIN while a phone is
    served."""

    def __init__(self) -> None:
        self.going_on = 0
        self._began = 0
        self._kept: bytearray | None = None

    def begin(self) -> bool:
        """Count a visit that begins. Returns True if nobody else is being served."""
        alone = not self.going_on
        if alone:
            self._began = ticks.now()
        self.going_on += 1
        self._kept = None  # the next collection frees it; an allocation that needs it causes this collection
        if _MICROPYTHON:
            gc.threshold(VISIT_THRESHOLD)
        return alone

    def end(self) -> None:
        """Count a visit as ended."""
        self.going_on -= 1
        if _MICROPYTHON and not self.going_on:
            gc.threshold(RUN_THRESHOLD)
        self.keep_room()

    def lasting_ms(self) -> int:
        """Milliseconds since the current visit began, or 0 if nobody is being served."""
        return ticks.age(self._began) if self.going_on else 0

    def make_room(self) -> None:
        """Free the block and collect garbage, to make room for the link's longest messages."""
        self._kept = None
        gc.collect()

    def keep_room(self) -> None:
        """Collect garbage, and reserve a block again unless somebody is being served."""
        gc.collect()
        free = SPARE + SIZES[0]
        if _MICROPYTHON:
            free = gc.mem_free()
        for size in SIZES:
            if self._kept is not None or self.going_on:
                return
            if free < size + SPARE:
                continue
            try:
                self._kept = bytearray(size)
            except MemoryError:
                continue
