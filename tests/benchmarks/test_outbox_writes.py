"""How many bytes the outbox writes for a record, from its arrival to its receipt. Each of them wears an SD card."""

import sys
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.outbox import Outbox
from tests.support.signing_lock import SigningLock, opened

RECORDS = 1000


def _written() -> int:
    """Return the bytes that this process has passed to `write` so far."""
    return int(Path("/proc/self/io").read_text().split("wchar: ")[1].split()[0])


@pytest.mark.bench
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts the bytes of a process")
def test_bytes_written_for_a_record(tmp_path: Path) -> None:
    locks = [SigningLock() for _ in range(10)]
    for lock in locks:
        lock.journal(RECORDS // len(locks))
    size = len(locks[0].records[0].raw)
    with closing(Outbox(tmp_path / "outbox.sqlite3")) as box:
        for lock in locks:
            box.lock_seen(lock.hello())
        before = _written()
        for row in zip(*(lock.records for lock in locks), strict=True):
            for item in row:
                box.put(item)
        stored = _written()
        for through in range(20, 101, 20):
            box.apply_receipts([(opened(signed := lock.receipt(through)), signed) for lock in locks])
        gone = _written()
    taken, left = (stored - before) / RECORDS, (gone - stored) / RECORDS
    print(f"\na record of {size} bytes: {taken / 1000:.1f} KB written to store it, {left / 1000:.1f} KB to delete it")
    assert taken < 40_000 and left < 10_000
