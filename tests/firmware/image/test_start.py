"""The image runs two files first. Because of them, no file in flash replaces a module, the radio starts first, and no
prompt ever appears.

Here, the two files run on the lock's interpreter. Small modules replace the modules that only the chip has.
"""

import signal
import subprocess
from pathlib import Path

import pytest

from sim.board import flash, interpreter, layout
from tools import image, software

MODULES = interpreter.ROOT / software.IMAGE / image.identity() / "modules"

CHIP = """
import sys

import os
import time

naps = []

def sleep(seconds):
    naps.append(seconds)
    if len(naps) == 3:
        raise {interruption}

def stand_in(module, **members):
    return type("module", (), dict([(name, getattr(module, name)) for name in dir(module)], **members))

Os = stand_in(os, dupterm=lambda stream: print("console", stream is not None))
Time = stand_in(time, sleep=sleep)

class Ble:
    def active(self, on):
        print("radio", on)
        {radio}

class Bluetooth:
    BLE = Ble

def run(path):
    with open(path) as file:
        exec(file.read(), {{}})
"""
"""Stands in for what the interpreter here lacks. `sleep` ends the endless wait of `main.py` at the third time."""


def on_chip(
    folder: Path, source: str, paths: str, radio: str = "pass", interruption: str = "KeyboardInterrupt"
) -> subprocess.CompletedProcess[str]:
    """Run `source` on the interpreter, in `folder`, with `paths` as its module path. A reset kills the interpreter."""
    script = folder / "script.py"
    script.write_text(CHIP.format(radio=radio, interruption=interruption) + source)
    lock = interpreter.find()
    file = flash.create(folder / "lock.flash")
    environment = {**lock.environment({"MOORING_FLASH": str(file), "MOORING_PROMPT": "1"}), "MICROPYPATH": paths}
    return subprocess.run(
        lock.command(script), env=environment, cwd=folder, capture_output=True, text=True, check=False
    )


SHADOW = f"""
sys.modules["bluetooth"] = Bluetooth
{{before}}
run({str(MODULES / "_boot.py")!r})
for name in ("firmware", "hashlib", "main"):
    try:
        module = __import__(name)
        print(name, "from flash" if hasattr(module, "PLANTED") else "built in")
    except ImportError:
        print(name, "not there")
"""


def planted(folder: Path) -> None:
    for name in ("firmware", "hashlib", "main"):
        (folder / f"{name}.py").write_text("PLANTED = True\n")


def test_a_file_in_flash_stands_before_neither_a_frozen_nor_a_built_in_module(tmp_path: Path) -> None:
    planted(tmp_path)
    done = on_chip(tmp_path, SHADOW.format(before=""), ":.frozen")
    assert done.stdout.splitlines() == ["radio True", "firmware not there", "hashlib built in", "main not there"]


def test_without_that_line_the_same_files_would_be_taken(tmp_path: Path) -> None:
    planted(tmp_path)
    text = (MODULES / "_boot.py").read_text()
    assert text.count('sys.path[:] = [".frozen"]\n') == 1
    (tmp_path / "boot.txt").write_text(text.replace('sys.path[:] = [".frozen"]\n', ""))
    done = on_chip(tmp_path, SHADOW.format(before="").replace(str(MODULES / "_boot.py"), "boot.txt"), ":.frozen")
    assert done.stdout.splitlines() == [
        "radio True",
        *(f"{name} from flash" for name in ("firmware", "hashlib", "main")),
    ]


def test_the_radio_is_on_before_any_module_of_the_lock_loads_and_a_broken_one_does_not_stop_the_start(
    tmp_path: Path,
) -> None:
    source = SHADOW.format(before="print(sorted(name for name in sys.modules if name.startswith('firmware')))")
    done = on_chip(tmp_path, source, ":.frozen", radio="raise OSError(5)")
    assert done.stdout.splitlines()[:3] == ["[]", "radio True", "firmware not there"]
    assert done.returncode == 0


START = f"""
sys.modules["os"], sys.modules["time"] = Os, Time
run({str(MODULES / "main.py")!r})
print("a prompt")
"""


@pytest.mark.parametrize("interruption", ["KeyboardInterrupt", "SystemExit(0)"])
def test_the_file_that_runs_the_lock_never_ends_and_whatever_happens_in_it_restarts_the_board(
    tmp_path: Path, interruption: str
) -> None:
    paths = f"{interpreter.find().modules or interpreter.ROOT}:{interpreter.STAND_INS}:{interpreter.ROOT}:.frozen"
    done = on_chip(tmp_path, START, paths, interruption=interruption)
    assert done.returncode == -signal.SIGKILL, done.stderr
    lines = [line.partition(" ")[2] for line in done.stdout.splitlines()]
    kind = interruption.partition("(")[0]
    assert lines[1:] == ["boot.unmounted partition=vfs", "lock.unenrolled", f"boot.failed error={kind}"]
    assert done.stdout.startswith("console True\n") and "a prompt" not in done.stdout


def test_an_image_without_the_lock_restarts_the_board_and_shows_no_prompt(tmp_path: Path) -> None:
    (tmp_path / "sim").symlink_to(interpreter.ROOT / "sim")  # which the stand-ins need
    done = on_chip(tmp_path, START, f"{interpreter.STAND_INS}:{tmp_path}:.frozen")
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert "boot.failed error=ImportError" in done.stdout and "a prompt" not in done.stdout


def test_nothing_in_them_formats_and_both_name_the_reference_board(tmp_path: Path) -> None:
    texts = {name: (MODULES / name).read_text() for name in image.RUNS_FIRST}
    assert not any("mkfs" in text for text in texts.values())
    assert f"from firmware.boards import {software.REFERENCE_BOARD}\n" in texts["main.py"]
    source = START + "from esp32 import Partition\n"
    paths = f"{interpreter.find().modules or interpreter.ROOT}:{interpreter.STAND_INS}:{interpreter.ROOT}:.frozen"
    on_chip(tmp_path, source, paths)
    assert set(flash.partition(tmp_path / "lock.flash", "vfs")) == {layout.ERASED}
