"""Boots the lock: mounts its file system, then runs the firmware. `start.py` calls `boot` on both runtimes.

`python -m sim` and the tests start the lock with the module path and the environment of `sim.board.interpreter`. The
variables MOORING_FLASH, MOORING_BOARD, MOORING_UART1 and MOORING_RADIO say where flash, pins, UART and radio are.
MOORING_FAULT names a fault to plant. If MOORING_RADIO_HOSTILE is set, the radio's events come at bad moments. The value
of MOORING_RADIO_HOSTILE is the seed that chooses these moments.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import esp32

MOUNT_POINT = "/state"
CORRUPT_EXIT = 65
"""Exit code if the partition is not blank but cannot be mounted. Such a partition is not formatted, because formatting
would silently delete its content.
"""


def mount() -> str:
    """Mount the state partition. A blank partition is formatted first. Returns the folder that holds the lock's state.

    Ends the process with `CORRUPT_EXIT` if the partition is not blank and holds no file system.
    """
    if sys.implementation.name != "micropython":
        return _host_folder()
    import esp32
    import vfs

    partition = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="vfs")[0]
    try:
        vfs.mount(vfs.VfsLfs2(partition), MOUNT_POINT)
    except OSError:
        if not _is_blank(partition):
            # The line begins with 0 instead of the ticks, because the firmware's clock is not loaded yet.
            print("0 boot.corrupt partition=vfs advice=re-enrol")
            sys.exit(CORRUPT_EXIT)
        vfs.VfsLfs2.mkfs(partition)
        vfs.mount(vfs.VfsLfs2(partition), MOUNT_POINT)
    return MOUNT_POINT


def _is_blank(partition: "esp32.Partition") -> bool:
    """Return whether the partition holds nothing, or only the beginning of an unfinished formatting.

    Formatting writes a superblock of at most 64 bytes to the start of block 0 and of block 1. A power cut during
    formatting leaves a part of these bytes and nothing else. The first file that is written uses more bytes.
    """
    block = bytearray(4096)
    erased = b"\xff" * 4096
    for number in range(partition.ioctl(4, 0)):
        partition.readblocks(number, block)
        if block[64 if number < 2 else 0 :] != erased[64 if number < 2 else 0 :]:
            return False
    return True


def _host_folder() -> str:
    """Return the folder that replaces littlefs on CPython. It is beside the image."""
    from sim.board import cpython_runtime

    cpython_runtime.install()
    folder = os.environ["MOORING_FLASH"] + ".state"
    os.makedirs(folder, exist_ok=True)
    return folder


def boot() -> None:
    """Mount the file system, and run the firmware."""
    state = mount()
    if sys.implementation.name == "micropython":
        import bluetooth

        hostile = os.getenv("MOORING_RADIO_HOSTILE")
        if hostile:
            from sim.board import hostile_radio

            hostile_radio.plant(int(hostile))
        bluetooth.BLE().active(True)  # switch the radio on first, as the chip's main.py does
    fault = os.getenv("MOORING_FAULT")
    if fault:
        from sim.board import faults

        faults.plant(fault)
    from firmware.boards import esp32_c6_devkitc_1
    from firmware.hardware import ticks
    from firmware.main import main
    from sim.board import line

    ticks.now = line.ticks
    main(state, esp32_c6_devkitc_1)
