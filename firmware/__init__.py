"""The lock: door logic, radios, journal, clock and on-device cryptography, in MicroPython.

Three things may not be here: byte formats (they are in `protocol`), imports from rooms other than `protocol`, and
personal data in flash. The modules also load under CPython, where property tests exercise them.
"""

import gc
import sys

BOOT_THRESHOLD = 8192
"""Number of bytes that are allocated between two garbage collections while modules load. Frequent collections keep the
modules' objects together at the start of the heap. With this threshold, the largest free block after boot was 246 KB,
and without it 6 KB. These sizes were measured when there were fewer modules."""

RUN_THRESHOLD = 32768
"""Number of bytes that are allocated between two garbage collections after boot, while nobody is served. Frequent
collections keep long-lived objects from lying scattered among short-lived ones. `firmware.memory.visits` has the
threshold during a visit."""

_MICROPYTHON = sys.implementation.name == "micropython"
if _MICROPYTHON:
    gc.threshold(BOOT_THRESHOLD)
