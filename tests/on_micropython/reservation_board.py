"""Run by MicroPython: the power is cut at each flash operation by which a boot takes its secret, before it and in the
middle.

The chip's generator is stuck. Prints one line of JSON: the number of these operations, and for each life the numbers
drawn, in hex: in two boots before the cut, in the boot that was cut (null if it drew none), and in two boots after it.
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
    """Mount, take a secret and draw. None if the power went before a number was drawn."""
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
    """Boot, cut at every operation, boot again."""
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
    # And with cuts while the firmware runs, so that a number that it still draws counts too.
    for operations in range(len(log) + 1):
        left = MemoryFlash(BLOCKS, start)
        left.power = [operations]
        met = boot(left)
        left.power = None
        lives.append((before[0], before[1], met, boot(left), boot(left)))
    print("\x02" + json.dumps({"operations": len(log), "lives": lives}))


if __name__ == "__main__":
    main()
