"""MicroPython runs this file first, before it looks into flash. Then it runs `main.py`."""

import sys

# MicroPython searches "" and "/lib" too. A file there would be used instead of a frozen or built-in module.
sys.path[:] = [".frozen"]

import bluetooth

# The radio comes first. The radio's stack needs memory outside the heap, and the heap grows while modules load.
# Besides, the chip's generator is truly random only while the radio runs (ESP-IDF, Random Number Generation).
try:
    bluetooth.BLE().active(True)
except OSError:
    pass  # `firmware.main` will try again, and will report the error
