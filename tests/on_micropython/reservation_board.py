"""Run by MicroPython. Several flash operations are needed when a boot takes its secret. The power is cut before and in
the middle of each of these operations.

The chip's generator always gives the same bytes. Prints one line of JSON: the number of operations, and a list of
numbers in hex for each cut. The list has the numbers drawn in two boots before the cut, in the boot that was cut (null
if it drew no number), and in two boots after the cut.
"""

import json

import vfs

from firmware.crypto import generator
from firmware.memory import identity
from firmware.memory.store import Store
from sim.board.memory_flash import MemoryFlash
from sim.board.nor_flash import PowerCut

MOUNT = "/lock"
BLOCKS = 8


def boot(flash: MemoryFlash) -> "str | None":
    """Mount the flash, take a secret and draw a number. Return None if the power was cut before a number was drawn."""
    setattr(generator, "urandom", lambda length: b"\x55" * length)  # noqa: B010  a chip that is stuck
    generator.begin(b"")
    try:
        vfs.mount(vfs.VfsLfs2(flash), MOUNT)
    except PowerCut:
        return None
    try:
        identity.begin(Store(MOUNT))
        return generator.random(32).hex()
    except PowerCut:
        return None
    finally:
        vfs.umount(MOUNT)


def main() -> None:
    """Boot, cut the power at each operation, and boot again."""
    whole = MemoryFlash(BLOCKS)
    vfs.VfsLfs2.mkfs(whole)
    before = [boot(whole), boot(whole)]
    start = bytes(whole.content)
    whole.log = []
    last = boot(whole)
    log, lives = whole.log, []
    for done in range(len(log) + 1):
        for torn in (False, True):
            if torn and done == len(log):
                continue
            left = MemoryFlash(BLOCKS, start)
            for operation in log[:done]:
                left.apply(operation[1], operation[2])
            if torn:
                left.apply(log[done][1], log[done][2], True)
            cut = last if done == len(log) else None
            lives.append((before[0], before[1], cut, boot(left), boot(left)))
    # Also cut the power while the firmware runs. If the firmware then draws a number in spite of the cut, this number
    # counts too.
    for operations in range(len(log) + 1):
        left = MemoryFlash(BLOCKS, start)
        left.power = [operations]
        met = boot(left)
        left.power = None
        lives.append((before[0], before[1], met, boot(left), boot(left)))
    print("\x02" + json.dumps({"operations": len(log), "lives": lives}))


if __name__ == "__main__":
    main()
