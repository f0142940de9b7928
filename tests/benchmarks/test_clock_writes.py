"""The cost of writing the clock's floor to flash, on the real littlefs. The file system is as full as on a lock."""

from pathlib import Path

import pytest

from sim.board import flash, layout
from tests.support.on_lock import run_on_lock

_WRITES = """
import esp32, vfs
partition = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="vfs")[0]
vfs.VfsLfs2.mkfs(partition)
vfs.mount(vfs.VfsLfs2(partition), "/state")
from firmware.memory.store import Store
from protocol import cbor
store = Store("/state")
for name, size in {"keys": 64, "link": 200, "placement": 1500, "trust-list": 3000, "stays": 1200}.items():
    store.write(name, bytes(size))
for second in range(given):
    store.write("clock", cbor.encode(1800000000 + 60 * second))
answer(0)
"""


def _operations(path: Path, monkeypatch: pytest.MonkeyPatch, writes: int) -> flash.Operations:
    image = flash.create(path / f"{writes}.flash")
    monkeypatch.setenv("MOORING_FLASH", str(image))
    run_on_lock(_WRITES, writes)
    return flash.operations(image)


@pytest.mark.bench
def test_the_cost_of_writing_the_floor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = 1000
    none, many = _operations(tmp_path, monkeypatch, 0), _operations(tmp_path, monkeypatch, writes)
    programmed = (many.programmed_bytes - none.programmed_bytes) / writes
    erased = (many.erases - none.erases) / writes
    blocks = layout.PARTITIONS[0][4] // layout.SECTOR
    days = 100_000 * blocks / erased
    print(f"\none write of the floor: {programmed:.0f} bytes programmed, {erased:.2f} blocks erased")
    for name, a_day in (("running", 33), ("power cut every 11 s, all day", 7850)):
        print(f"{name:<32}{a_day:>6} a day   the partition, evenly worn, lasts {days / a_day / 365:>7,.0f} years")
