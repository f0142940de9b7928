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
"""Number of bytes that are allocated between two garbage collections after boot. The short-lived numbers of a tap must
be collected before they fill the heap. Otherwise, long-lived objects would lie scattered among these numbers. With
twice this value, taps over noisy radio found no free block of 4 KB for a request. With this value, a verification takes
70 % longer than with a collector that runs only when the heap is full.
"""

_MICROPYTHON = sys.implementation.name == "micropython"
if _MICROPYTHON:
    gc.threshold(BOOT_THRESHOLD)
