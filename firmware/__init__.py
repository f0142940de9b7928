"""The lock: door logic, radios, journal, clock and on-device cryptography, in MicroPython.

Three things may not be here: byte formats (they are in `protocol`), imports from rooms other than `protocol`, and
personal data in flash. The modules also load under CPython, where property tests exercise them.
"""

import gc
import sys

BOOT_THRESHOLD = 65536
"""Number of bytes that are allocated between two garbage collections until the lock is ready. Collections keep
long-lived objects together at the start of the heap. After the import, 131 KB of the simulator's heap were free. The
largest free block had 126 KB with a threshold of 8 or 32 KB, 122 KB with this one, and 3 KB without any. In the 32-bit
emulator, each collection takes a million instructions or more."""

RUN_THRESHOLD = 32768
"""Number of bytes that are allocated between two garbage collections from then on, while nobody is served.
`firmware.memory.visits` has the threshold during a visit."""

_MICROPYTHON = sys.implementation.name == "micropython"
if _MICROPYTHON:
    gc.threshold(BOOT_THRESHOLD)
