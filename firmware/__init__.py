"""The lock: door logic, radios, journal, clock and on-device cryptography, in MicroPython.

What may not live here: byte formats (they are in `protocol`), imports of any room but `protocol`, personal data at
rest. The modules also import under CPython, where property tests exercise them.
"""

import gc
import sys

BOOT_THRESHOLD = 8192
"""Bytes between collections while modules load. What they leave then lies together at the start of the heap; without it
the largest free block after boot was 6 KB and with it 246 KB, when the modules were fewer."""

RUN_THRESHOLD = 32768
"""Bytes between collections from then on: a tap's short-lived numbers are cleared away before they fill the heap and
scatter what stays. With twice as much, taps on noisy air came to find no free block of 4 KB, and a request did not fit.
It costs a verification 70 % over collecting only when full; a leaner firmware could do with less of it."""

_MICROPYTHON = sys.implementation.name == "micropython"
if _MICROPYTHON:
    gc.threshold(BOOT_THRESHOLD)
