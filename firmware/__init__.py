"""The lock: door logic, radios, journal, clock and on-device cryptography, in MicroPython.

What may not live here: byte formats (they are in `protocol`), imports of any room but `protocol`, personal data in
flash. The modules also load under CPython, where property tests exercise them.
"""

import gc
import sys

BOOT_THRESHOLD = 8192
"""Bytes between collections while modules load. So the modules' objects lie together at the start of the heap. Measured
when there were fewer modules: the largest free block after boot was 246 KB with this threshold and 6 KB without."""

RUN_THRESHOLD = 32768
"""Bytes between collections after boot. The short-lived numbers of a tap are collected before they fill the heap, so
that they do not scatter the objects that stay. With twice this value, taps on noisy air found no free block of 4 KB,
and a request did not fit. A verification takes 70 % longer than if the collector ran only on a full heap."""

_MICROPYTHON = sys.implementation.name == "micropython"
if _MICROPYTHON:
    gc.threshold(BOOT_THRESHOLD)
