"""Write amplification: all bytes that an opening writes to flash, on the real littlefs and interpreter."""

import json
import subprocess

import pytest

from sim.board import interpreter
from sim.board.interpreter import ROOT

PROGRAMMED, ERASED = 1.5, 0.25
"""Two limits: the number of programmed bytes per byte of record, and the number of erased 4 KB blocks per record."""


APART = 0.17
"""Hours between two openings. With a shorter time between openings, the lock would count openings instead of recording
them, and would write less.
"""


def measure(openings: int, every: int, hours: float = APART, sectors: int = 64) -> dict[str, int]:
    """Measure what `openings` openings write. A receipt follows each group of `every` openings, and `hours` hours pass
    between two openings.
    """
    lock = interpreter.find()
    script = ROOT / "tests" / "on_micropython" / "flash_writes_board.py"
    command = [lock.program, "-X", "heapsize=16m", str(script), *map(str, (openings, every, hours, sectors))]
    done = subprocess.run(command, env=lock.environment(), capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-2000:]
    answer: dict[str, int] = json.loads(done.stdout.rsplit("\x02", 1)[1])
    return answer


def amplification(came: dict[str, int]) -> tuple[float, float]:
    """Return (programmed bytes per byte of record, erased blocks per record), for both partitions together."""
    programmed = came["journal_programmed"] + came["littlefs_programmed"]
    erased = came["journal_erased"] + came["littlefs_erased"]
    return programmed / came["record_bytes"], erased / came["records"]


@pytest.mark.bench
def test_what_openings_write() -> None:
    print(f"\nfor each record: bytes programmed a byte of record, blocks erased (most: {PROGRAMMED} and {ERASED})")
    for what, every, hours in (
        ("a receipt after 20 openings", 20, APART),
        ("a receipt after each", 1, APART),
        ("a receipt after each, one opening in 2.4 hours, clock floor included", 1, 2.4),
    ):
        came = measure(480, every, hours)
        programmed, erased = amplification(came)
        size = came["record_bytes"] // came["records"]
        files = came["littlefs_programmed"] / came["record_bytes"], came["littlefs_erased"] / came["records"]
        print(
            f"  {what:<70} {programmed:.2f} {erased:.2f}   of which littlefs {files[0]:.2f} {files[1]:.2f}; "
            f"records of {size} bytes, the least possible is 1.00 {size / came['sector']:.2f}"
        )


def test_an_opening_writes_little_more_than_its_record() -> None:
    came = measure(120, every=1, sectors=18)  # the journal is small, so that it wraps around
    programmed, erased = amplification(came)
    # Besides the openings, at most two changes of the clock and four signs of life (one in six hours) are recorded.
    assert 120 <= came["records"] <= 126 and came["journal_erased"] > 8
    assert programmed <= PROGRAMMED and erased <= ERASED, came
