"""The size of the simulator's heap that stands for the heap of the chip.

On the chip, the modules are frozen in the image, so their code takes no heap. But the import of a module makes
functions, classes and tables, and these take heap. In the simulator, code is on the heap too, and objects are larger,
because a word has 64 bits there. So the simulator's heap has three parts:

    RATIO * heap of the chip                    all objects, native code and buffers of the lock
    imported - RATIO * FROZEN_IMPORT            code, which the chip has in flash
    stand-ins                                   modules that are not Python on the chip

docs/performance.md shows this sum with its present numbers. tests/sim/test_chip_heap.py checks the sum.
"""

AIM = 140 * 1024
"""The most heap, in bytes, that a lock may need on the chip. This maximum includes the tasks for BLE and the edge link.
"""

RATIO = 1.57
"""How many bytes of the simulator's heap stand for one byte of the chip's heap. This ratio was measured on both heaps,
with the same objects.
"""

FROZEN_IMPORT = 75_456
"""Bytes that the import of the frozen modules leaves on the chip's heap (`python -m tests.benchmarks.rv32`)."""


def standing_for(chip: int, imported: int, stand_ins: int) -> int:
    """Return how many bytes of the simulator's heap stand for `chip` bytes of the chip's heap.

    `imported` is what the import of the lock's modules leaves on the simulator's heap. `stand_ins` is what was on this
    heap before the import.
    """
    return round(RATIO * chip + (imported - RATIO * FROZEN_IMPORT) + stand_ins)


def on_the_chip(heap: int, imported: int, stand_ins: int) -> int:
    """Do the reverse of `standing_for`: turn `heap`, a size of the simulator's heap, into a size of the chip's heap."""
    return round((heap - stand_ins - imported) / RATIO + FROZEN_IMPORT)
