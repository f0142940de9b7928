"""MicroPython runs this file first, before it looks into flash. Then it runs `main.py`."""

import sys

# MicroPython searches "" and "/lib" too. A file there would stand before a frozen module, and before a built-in one.
sys.path[:] = [".frozen"]

import bluetooth

# The radio comes first. Its stack needs memory outside the heap, and the heap grows while modules load. Besides, the
# chip's generator is truly random only while the radio runs (ESP-IDF, Random Number Generation).
try:
    bluetooth.BLE().active(True)
except OSError:
    pass  # `firmware.main` tries again, and reports it
