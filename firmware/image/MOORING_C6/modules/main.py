"""Runs the lock. This file never ends, because after its end there would be a prompt. If anything fails, the board
restarts.

Nothing here formats the flash. If the file system cannot be mounted, `firmware.main` halts in order and says so.
"""

import micropython

micropython.kbd_intr(-1)  # MicroPython turns Ctrl-C on before it runs this file

try:
    import os
    import time

    import machine
    import vfs
    from esp32 import Partition

    # The build has no console. This UART carries the lock's lines and the installer's commands, over the board's bridge
    # to USB. The buffer is long enough that no line waits.
    os.dupterm(machine.UART(0, 115200, txbuf=2048))
    try:
        flash = vfs.VfsLfs2(Partition.find(Partition.TYPE_DATA, label="vfs")[0])  # type: ignore[abstract]
        vfs.mount(flash, "/state")
    except OSError:
        print("0 boot.unmounted partition=vfs")

    from firmware.boards import esp32_c6_devkitc_1
    from firmware.main import main

    main("/state", esp32_c6_devkitc_1)
    while True:
        time.sleep(60)  # this lock was never enrolled
except BaseException as error:
    print("0 boot.failed error=" + type(error).__name__)  # the error's text might contain a secret
finally:
    while True:
        try:
            import machine

            machine.reset()
        except BaseException:
            pass
