"""The layout of the lock's flash. The stand-in `esp32` and the host's code use this layout, on both runtimes.

The image file has the partitions one after the other, as a partition table on the chip would place them.
"""

SECTOR = 4096
"""Size in bytes of a sector, the smallest unit that can be erased. A sector is also the block of the partitions."""

APP, DATA = 0, 1
"""Partition types of ESP-IDF."""

PARTITIONS = (
    # Each row has label, type, subtype, offset and size. 0x81 is ESP-IDF's data subtype for a file system. 0x40 is the
    # first subtype that ESP-IDF leaves free.
    ("vfs", DATA, 0x81, 0, 512 * 1024),
    ("journal", DATA, 0x40, 512 * 1024, 256 * 1024),
)

IMAGE_SIZE = 768 * 1024
ERASED = 0xFF

OPERATIONS_SUFFIX = ".ops"
OPERATIONS_FORMAT = "<QQQQ"
"""Format of the file with the counters since the last boot. The file has four numbers: how many program operations
there were, how many erase operations, how many bytes were programmed, and 1 if the power was cut. The file is beside
the image. The name of the file is the image's name, followed by OPERATIONS_SUFFIX.
"""

POWER_CUT_EXIT = 66
WATCHDOG_EXIT = 70
RESET_EXIT = 71
"""Exit codes that say why the board stopped."""
