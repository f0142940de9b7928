"""PIN tries on the real littlefs, with a power cut at each flash operation. A try that the lock has judged still counts
after the cut.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from sim.board import flash, interpreter
from tests.support.on_lock import as_compiled

GUESSES = """
from sim.board.boot import mount
from firmware.door.pin_attempts import PinAttempts
from firmware.memory.store import Store
from protocol.errors import RefusedError
attempts = PinAttempts(Store(mount()))
print("found", attempts._charged)
try:
    for number in range(3):
        attempts.charge()
        print("judged", attempts._wrong)
except RefusedError as error:
    print("refused", error.code)
"""


def boot(folder: Path, image: Path, cut: str = "") -> tuple[list[list[str]], bool]:
    """Run a board that guesses PINs, until the board has to wait. Return the output, and whether the power was cut."""
    script = folder / "guesses.py"
    script.write_text(as_compiled(GUESSES))
    lock = interpreter.find()
    environment = lock.environment({"MOORING_FLASH": str(image), "MOORING_POWER_CUT": cut})
    done = subprocess.run(lock.command(script), env=environment, capture_output=True, text=True, check=False)
    was_cut = flash.power_was_cut(done.returncode)
    assert was_cut or done.returncode == 0, done.stdout + done.stderr
    return [line.split() for line in done.stdout.splitlines()], was_cut


@pytest.mark.parametrize("mode", ["", ":torn"])
def test_no_power_cut_takes_back_a_try(tmp_path: Path, mode: str) -> None:
    fresh = flash.create(tmp_path / "fresh.img")
    cuts = 0
    for at in range(1, 200):
        image = Path(shutil.copy(fresh, tmp_path / "lock.img"))
        said, was_cut = boot(tmp_path, image, f"{at}{mode}")
        if not was_cut:
            break
        cuts += 1
        judged = max((int(number) for word, number in said if word == "judged"), default=0)
        (word, found), *_ = boot(tmp_path, image)[0]
        assert word == "found" and judged <= int(found) <= judged + 1
    assert cuts > 10
