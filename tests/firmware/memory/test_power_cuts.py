"""A power cut at every flash operation of a lock's life, on the real littlefs and the real interpreter."""

import json
import os
import subprocess
from typing import Any

import pytest

from sim.board import interpreter
from sim.board.interpreter import ROOT
from tests.support.on_lock import script_as_compiled

SOAK = bool(os.environ.get("MOORING_SOAK"))
"""True if `make soak` runs the tests. In this case, the lock has a longer life, and a second power cut follows each
first cut.
"""


def cut(length: int, twice: bool = False, every: int = 1, defect: str = "none") -> dict[str, Any]:
    """Let the board play a story of this length, and cut the power at each operation. Return the board's report."""
    lock = interpreter.find()
    script = ROOT / "tests" / "on_micropython" / "power_cut_board.py"
    arguments = [str(length), "twice" if twice else "once", str(every), defect]
    # The script holds two whole partitions in memory. So the script needs a larger heap than the lock.
    with script_as_compiled(script) as copy:
        command = [lock.program, "-X", "heapsize=16m", str(copy), *arguments]
        done = subprocess.run(command, env=lock.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(done.stdout.rsplit("\x02", 1)[1])
    return answer


def test_a_power_cut_at_every_operation_and_another_after_it_lose_nothing_acknowledged_and_double_nothing() -> None:
    came = cut(60 if SOAK else 24, twice=True, every=1 if SOAK else 24)
    assert came["violated"] == []
    assert came["cuts"] > 2 * came["operations"] + 50, (
        "each operation, before it and in the middle, and some of them twice"
    )
    # The story has all kinds of writes: records, slots, erases, and files of littlefs (clock, stays).
    assert came["programs"] >= 100 and came["erases"] >= 8 and came["littlefs"] >= 80 and came["records"] >= 60


@pytest.mark.parametrize(
    ("defect", "found"),
    [
        ("receipt", "a receipt is forgotten"),
        ("order", "a count is lost or doubled"),
        ("twice", "a count is lost or doubled"),
        ("checkpoint", "a registered guest is forgotten"),
    ],
)
def test_the_cuts_find_a_lock_that_writes_in_the_wrong_order_or_not_at_all(defect: str, found: str) -> None:
    violated = cut(16, defect=defect)["violated"]
    assert violated and found in violated[0]
