"""The image's partitions fit its flash, its manifest freezes what the lock needs, and all places agree on names."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from sim.board import layout
from sim.board.interpreter import ROOT
from tools import flash, image, software

BOARD = ROOT / software.IMAGE / image.identity()
SIZES = {"4M": 4 << 20, "8M": 8 << 20}
TABLE_OFFSET = 0x10000
"""Address of the partition table itself. It has one sector."""

Row = tuple[str, str, str, int, int]


def rows(table: str) -> list[Row]:
    """Return the partitions of `table`: label, type, subtype, offset, size."""
    lines = [line for line in table.splitlines() if line and not line.startswith("#")]
    cells = [[cell.strip() for cell in line.split(",")] for line in lines]
    return [(label, kind, subtype, int(offset, 0), int(size, 0)) for label, kind, subtype, offset, size in cells]


def table(size: str) -> str:
    return (BOARD / f"partitions-{size}.csv").read_text(encoding="utf-8")


def faults(found: list[Row], size: int) -> list[str]:
    """Return what is wrong with a partition table for a flash of `size` bytes."""
    wrong, end = [], TABLE_OFFSET + layout.SECTOR
    for label, kind, _, offset, length in found:
        if offset < end:
            wrong.append(f"{label} overlaps what is before it")
        if offset % (0x10000 if kind == "app" else layout.SECTOR) or length % layout.SECTOR or length <= 0:
            wrong.append(f"{label} is not aligned")
        end = max(end, offset + length)
    if end != size:
        wrong.append("the last partition does not end where the flash ends")
    labels = [row[0] for row in found]
    if labels != ["nvs", "otadata", "phy_init", "ota_0", "ota_1", "vfs", "journal"]:
        wrong.append("the partitions are not those that are wanted")
    elif found[3][4] != found[4][4]:
        wrong.append("the slots are not equal")
    return wrong


@pytest.mark.parametrize("size", SIZES)
def test_the_partitions_do_not_overlap_are_aligned_and_fill_the_flash(size: str) -> None:
    assert faults(rows(table(size)), SIZES[size]) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("0x340000, 0x80000", "0x330000, 0x90000", "vfs overlaps what is before it"),
        ("0x11000,  0xc000", "0x10000,  0xc000", "nvs overlaps what is before it"),
        ("0x1b0000, 0x190000", "0x1b1000, 0x18f000", "ota_1 is not aligned"),
        ("0x340000, 0x80000", "0x340000, 0x7ffff", "vfs is not aligned"),
        ("0x3c0000, 0x40000", "0x3c0000, 0x50000", "the last partition does not end where the flash ends"),
        ("0x1b0000, 0x190000", "0x1b0000, 0x180000", "the slots are not equal"),
        ("vfs, ", "ffat,", "the partitions are not those that are wanted"),
    ],
)
def test_a_fault_in_a_partition_table_is_found(old: str, new: str, fault: str) -> None:
    assert table("4M").count(old) == 1
    assert fault in faults(rows(table("4M").replace(old, new)), SIZES["4M"])


@pytest.mark.parametrize("size", SIZES)
def test_the_journal_is_as_large_as_on_every_other_lock_and_has_its_type(size: str) -> None:
    found = {row[0]: row[1:] for row in rows(table(size))}
    simulated = {label: (kind, subtype, length) for label, kind, subtype, _, length in layout.PARTITIONS}
    stock = {row[0]: row[1:] for row in rows(flash.PARTITIONS)}
    kind, subtype, length = simulated["journal"]
    assert (found["journal"][0], int(found["journal"][1], 0), found["journal"][3]) == ("data", subtype, length)
    assert kind == layout.DATA and stock["journal"][3] == length
    assert found["vfs"][3] >= simulated["vfs"][2]
    assert found["vfs"][:2] == stock["vfs"][:2]


def test_every_partition_that_the_lock_looks_for_is_in_both_tables() -> None:
    files = [*(ROOT / "firmware").rglob("*.py")]
    wanted = {label for file in files for label in re.findall(r'label="(\w+)"', file.read_text(encoding="utf-8"))}
    assert wanted == {"vfs", "journal"}
    for size in SIZES:
        assert wanted <= {row[0] for row in rows(table(size))}


def test_the_settings_agree_with_the_tables() -> None:
    settings = (BOARD / "sdkconfig.board").read_text(encoding="utf-8")
    assert f"CONFIG_PARTITION_TABLE_OFFSET={TABLE_OFFSET:#x}\n" in settings
    build = (BOARD / "mpconfigboard.cmake").read_text(encoding="utf-8")
    assert {f"partitions-{size}.csv" for size in SIZES} == {file.name for file in BOARD.glob("partitions-*")}
    assert "partitions-${MOORING_FLASH}.csv" in build and 'MATCHES "^[48]M$"' in build
    named = re.findall(r"\$\{MICROPY_BOARD_DIR\}/(sdkconfig\.\w+|manifest\.py)", build)
    assert set(named) == {file.name for file in (*BOARD.glob("sdkconfig.*"), BOARD / "manifest.py")}


def test_the_chips_bluetooth_has_one_connection_more_than_the_lock_gives_to_its_link() -> None:
    settings = (BOARD / "sdkconfig.board").read_text(encoding="utf-8")
    link = (ROOT / "firmware/link/edge_link.py").read_text(encoding="utf-8")
    (connections,) = re.findall(r"^CONNECTIONS = (\d+)$", link, re.MULTILINE)
    assert f"CONFIG_BT_NIMBLE_MAX_CONNECTIONS={int(connections) + 1}\n" in settings


def test_no_prompt_has_a_source_and_the_assembler_is_there() -> None:
    defined = dict(re.findall(r"^#define (\w+) +\(?([^()\n]+)\)?$", (BOARD / "mpconfigboard.h").read_text(), re.M))
    assert defined["MICROPY_HW_ESP_USB_SERIAL_JTAG"] == defined["MICROPY_HW_ENABLE_UART_REPL"] == "0"
    assert defined["MICROPY_EMIT_INLINE_RV32"] == "1"
    assert defined["MICROPY_PY_NETWORK_WLAN"] == "0"


def test_the_identity_is_written_alike_wherever_the_lock_asks_for_it() -> None:
    modules = "".join(content.decode() for content in software.sources().values())
    assert set(re.findall(r"\bMOORING_[A-Z]\w*", modules)) <= {image.identity()}
    assert image.identity() == "MOORING_C6"


def test_versions_are_written_once_and_are_those_that_the_lock_is_tested_with() -> None:
    versions = dict(re.findall(r"^(\w+)=v([\d.]+)$", (BOARD.parent / "versions.env").read_text(), re.MULTILINE))
    assert set(versions) == {"MICROPYTHON", "ESP_IDF"}
    minor = versions["MICROPYTHON"].rpartition(".")[0]
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    assert any(one.startswith(f"micropython-esp32-esp32-generic-c6-stubs>={minor},") for one in groups["typings"])
    places = [ROOT / ".github/workflows/image.yml", *(file for file in BOARD.parent.rglob("*") if file.is_file())]
    assert len(places) > 10
    twice = [file.name for file in places if file.name != "versions.env" and "__pycache__" not in file.parts
             and re.search(rf"\bv?({'|'.join(map(re.escape, versions.values()))})\b", file.read_text())]  # fmt: skip
    assert twice == []
    page = (ROOT / "docs/image.md").read_text(encoding="utf-8")
    said = dict(re.findall(r"^\| (MicroPython|ESP-IDF) \| v([\d.]+) \|", page, re.MULTILINE))
    assert list(said.values()) == list(versions.values())


# --- what is frozen --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def calls() -> list[tuple[Any, ...]]:
    """Return what the manifest asks for, with the arguments of each call."""
    made: list[tuple[Any, ...]] = []
    api = {
        "include": lambda path: made.append((path,)),
        "freeze": lambda path, script, opt: made.append((Path(path).absolute(), script, opt)),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(BOARD)  # as MicroPython's manifestfile.py does
        exec((BOARD / "manifest.py").read_text(encoding="utf-8"), api)
    return made


def test_the_manifest_freezes_the_closure_of_the_lock_and_the_files_that_run_first(
    calls: list[tuple[Any, ...]],
) -> None:
    (asyncio,), (modules, first, lean), (tree, paths, opt) = calls
    assert asyncio == "$(MPY_DIR)/extmod/asyncio" and lean == opt == 3
    assert modules == BOARD / "modules" and set(first) == {file.name for file in modules.glob("*.py")}
    needed = software.needed(image=image.identity())
    assert set(paths) == set(needed)
    assert {file.relative_to(tree).as_posix() for file in tree.rglob("*") if file.is_file()} == set(paths)
    assert not any(b"TYPE_CHECKING" in (tree / path).read_bytes() for path in paths)
    assert b"_MICROPYTHON = const(1)" in (tree / "firmware/main.py").read_bytes()


def test_a_file_that_is_no_longer_needed_leaves_the_tree_and_one_that_is_right_is_not_written_again(
    tmp_path: Path,
) -> None:
    for path in ("firmware/main.py", "firmware/boards/__init__.py", f"firmware/boards/{software.REFERENCE_BOARD}.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("import protocol\n")
    for path in ("firmware/__init__.py", "protocol/__init__.py", f"{software.IMAGE}/OURS/mpconfigboard.cmake"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    tree, paths = image.lean_tree(tmp_path)
    kept, stray = Path(tree, "firmware/main.py"), Path(tree, "protocol/gone.py")
    stray.write_text("")
    before = kept.stat().st_mtime_ns
    assert image.lean_tree(tmp_path) == (tree, paths) and len(paths) == 5
    assert not stray.exists() and kept.stat().st_mtime_ns == before


def test_every_frozen_module_compiles_for_the_chip_and_leaves_most_of_a_slot_free(calls: list[tuple[Any, ...]]) -> None:
    frozen = {path: (folder / path).read_bytes() for folder, paths, _ in calls[1:] for path in paths}
    compiled = software.compile_lean(frozen, flash.REFERENCE)
    assert len(compiled) == len(frozen) > 100
    for name, content in compiled.items():
        assert software.compiled_for(content)[2] in (None, 11), name
    slot = min(row[4] for size in SIZES for row in rows(table(size)) if row[1] == "app")
    assert sum(map(len, compiled.values())) < slot // 6
