"""Starts the firmware, or the measurement of its cryptography, on the virtual board."""

import builtins
import gc
import select

import bluetooth  # noqa: F401  all stand-ins are on the heap before the firmware's modules
import esp32
import hosted
import machine  # noqa: F401


def _shrink(address, heap):
    """Make the heap smaller, as if MicroPython had made a heap of `heap` bytes. `address` is the address of
    `mp_state_ctx`.

    The fields are found by a relation that must be true: the table has two bits for each block of 16 bytes of the pool.
    """
    from uctypes import bytearray_at

    state = bytearray_at(address, 4096)

    def word(at):
        return int.from_bytes(state[at : at + 4], "little")

    total = gc.mem_alloc() + gc.mem_free()
    for at in range(0, 4064, 4):
        if word(at) == total >> 6:
            for end in range(at + 8, at + 24, 4):
                if word(end) - word(end - 4) == total:
                    blocks = heap * 2 // 131  # 64 bytes need 1 byte of the table, and half a byte for finalisers
                    state[at : at + 4] = blocks.to_bytes(4, "little")
                    state[end : end + 4] = (word(end - 4) + (blocks << 6)).to_bytes(4, "little")
                    if gc.mem_alloc() + gc.mem_free() != blocks << 6:
                        raise RuntimeError("the heap has not changed")
                    return
    raise RuntimeError("the fields of the heap were not found")


def _find_amount(address):
    """Return the address of `gc_alloc_amount`. This word lies before the threshold of the collector, in blocks."""
    from uctypes import bytearray_at

    state = bytearray_at(address, 4096)
    mark = 0x1234567
    gc.threshold(mark * 16)
    found = [at for at in range(4, 4096, 4) if int.from_bytes(state[at : at + 4], "little") == mark]
    gc.threshold(-1)
    if len(found) != 1:
        raise RuntimeError("the threshold of the collector was not found")
    return address + found[0] - 4


def run(pipes, mode, address, collector, heap, threshold, base):
    """Run the firmware if `mode` is "lock", and measure its cryptography if `mode` is "crypto". `collector` is the
    address of `gc_collect_start`. `heap` is the size of the heap, without what these modules keep in the heap. If
    `threshold` is not 0, it replaces the threshold of the collector during a visit.

    `base` is what was allocated before these modules were imported.
    """
    hosted.connect(pipes)
    hosted.count_allocations(_find_amount(address))
    hosted.count_collections(collector)
    builtins.print = _print
    gc.collect()
    ours = gc.mem_alloc() - base
    if heap:
        _shrink(address, heap + ours)
    hosted.call("board", "began", (ours, gc.mem_alloc() + gc.mem_free(), base), {})
    if mode == "lock":
        import vfs

        vfs.mount(vfs.VfsLfs2(esp32.Partition("vfs")), "/state")
        before = hosted.leave_for_firmware()
        from firmware.boards import esp32_c6_devkitc_1
        from firmware.main import main
        from firmware.memory import visits

        if threshold:
            visits.VISIT_THRESHOLD = threshold

        hosted.leave(before)
        gc.collect()
        hosted.call("board", "imported", (gc.mem_alloc() - ours - base,), {})
        select.on_event("crypto", _beside)
        hosted.leave_for_firmware()
        main("/state", esp32_c6_devkitc_1)
    else:
        import alone

        alone.run()
    hosted.call("board", "stop", (), {})


def _print(*values, **_):
    hosted.call("board", "print", (" ".join([str(value) for value in values]),), {})


def _beside():
    import alone

    alone.beside()
