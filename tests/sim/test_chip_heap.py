"""The heap of the simulated lock corresponds to the heap of the chip.

docs/performance.md has the calculation. The gap may shrink, but never grow.
"""

import re

import pytest

from sim.board.chip_heap import AIM, FROZEN_IMPORT, RATIO, on_the_chip, standing_for
from tests.support.on_lock import run_on_lock
from tests.support.sources import ROOT

GAP = 33_000
"""The heap of the simulated lock may be larger than the size that corresponds to the aim on the chip. This is the
largest allowed difference, in bytes. Never raise this.
"""

_COUNT = """
import gc
gc.collect()
bare = gc.mem_alloc()
import bluetooth, esp32, machine
gc.collect()
stand_ins = gc.mem_alloc()
from firmware.boards import esp32_c6_devkitc_1
import firmware.main
gc.collect()
answer([stand_ins, gc.mem_alloc() - stand_ins, gc.mem_alloc() + gc.mem_free()])
"""


@pytest.fixture(scope="module")
def counted() -> tuple[int, int, int]:
    """Bytes of the stand-ins, of the import of the lock's modules, and of the simulator's whole heap."""
    stand_ins, imported, whole = run_on_lock(_COUNT)
    return stand_ins, imported, whole


def test_the_simulated_lock_has_little_more_heap_than_stands_for_the_chips(counted: tuple[int, int, int]) -> None:
    stand_ins, imported, whole = counted
    gap = whole - standing_for(AIM, imported, stand_ins)
    assert 0 <= gap <= GAP
    assert on_the_chip(whole, imported, stand_ins) - AIM == pytest.approx(gap / RATIO, abs=1)


def test_what_takes_more_heap_in_the_simulator_alone_does_not_count_for_the_chip() -> None:
    least = standing_for(AIM, 330_000, 40_000)
    assert standing_for(AIM, 340_000, 40_000) == least + 10_000  # more code in flash
    assert standing_for(AIM, 330_000, 41_000) == least + 1_000
    assert standing_for(AIM + 1_000, 330_000, 40_000) == least + 1_570
    assert on_the_chip(least, 330_000, 40_000) == pytest.approx(AIM, abs=1)


def test_the_page_has_the_sum_with_these_numbers(counted: tuple[int, int, int]) -> None:
    page = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| heap: (.+?) \| ([\d,]+) \|", page, re.MULTILINE)
    sums = {name: int(value.replace(",", "")) for name, value in rows}
    stand_ins, imported, whole = counted
    assert sums["objects"] == round(RATIO * AIM)
    assert sums["code"] == pytest.approx(imported - RATIO * FROZEN_IMPORT, rel=0.05)
    assert sums["stand-ins"] == pytest.approx(stand_ins, rel=0.05)
    assert sums["together"] == sums["objects"] + sums["code"] + sums["stand-ins"]
    assert sums["the simulated lock"] == pytest.approx(whole, rel=0.05)
    assert sums["more than the aim"] == sums["the simulated lock"] - sums["together"] <= GAP
