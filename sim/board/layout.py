"""The layout of the lock's flash. Both the stand-in `esp32` and the host's code use it, on either runtime.

One image file has the partitions one after the other, as a partition table on the chip would place them.
"""

SECTOR = 4096
"""Smallest unit that can be erased, in bytes. It is also the block size of the partitions."""

APP, DATA = 0, 1
"""Partition types of ESP-IDF."""

PARTITIONS = (
    # label, type, subtype, offset, size. 0x81 is ESP-IDF's data subtype for a file system, 0x40 the first free one.
    ("vfs", DATA, 0x81, 0, 512 * 1024),
    ("journal", DATA, 0x40, 512 * 1024, 256 * 1024),
)

IMAGE_SIZE = 768 * 1024
ERASED = 0xFF

OPERATIONS_SUFFIX = ".ops"
OPERATIONS_FORMAT = "<QQQQ"
"""Counters in a file beside the image, since the last boot: programs, erases, bytes programmed, 1 if power was cut."""

POWER_CUT_EXIT = 66
WATCHDOG_EXIT = 70
RESET_EXIT = 71
"""Exit codes that say why the board stopped."""
