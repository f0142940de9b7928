"""The messages and the table of the measurement on RV32 are right. If something is missing, the measurement says so. No
machine runs here.
"""

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ConfigError
from tests.benchmarks.rv32 import __main__ as command
from tests.benchmarks.rv32 import budget, elf, image, page, table
from tests.benchmarks.rv32.wire import Uuid, decode, encode

_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.text(max_size=20),
    st.binary(max_size=300),
    st.binary(min_size=2, max_size=16).map(Uuid),
)
_VALUES = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=12)


@given(_VALUES)
def test_a_message_comes_back_as_it_was(value: object) -> None:
    assert decode(encode(value)) == value


@given(_VALUES, st.data())
def test_a_message_that_was_cut_off_is_refused(value: object, data: st.DataObject) -> None:
    whole = encode(value)
    with pytest.raises(ValueError, match="message"):
        decode(whole[: data.draw(st.integers(0, len(whole) - 1))])


def test_what_is_no_message_is_refused() -> None:
    for wrong in (b"Nx", b"x\0\0\0", b"b\xff\xff\xff", b"d\1\0N"):
        with pytest.raises(ValueError):
            decode(wrong)


def _elf(symbols: dict[str, int], machine: int = 243) -> bytes:
    """Return a small ELF file for 32 bits with these symbols."""
    names, entries = b"\0", b""
    for name, address in symbols.items():
        entries += struct.pack("<IIIBBH", len(names), address, 0, 0, 0, 1)
        names += name.encode() + b"\0"
    head = struct.pack("<16sHHIIIIIHHHHHH", b"\x7fELF\1\1\1", 2, machine, 1, 0, 0, 52, 0, 52, 32, 0, 40, 2, 0)
    table_at = 52 + 80
    sections = struct.pack("<10I", 0, 2, 0, 0, table_at, len(entries), 1, 0, 4, 16)
    sections += struct.pack("<10I", 0, 3, 0, 0, table_at + len(entries), len(names), 0, 0, 1, 0)
    return head + sections + entries + names


def test_a_symbol_is_found_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "firmware.elf"
    file.write_bytes(_elf({"main": 0x80000000, "mp_state_ctx": 0x80401004}))
    assert elf.symbol(file, "mp_state_ctx") == 0x80401004


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "elf.unreadable"),
        (b"", "elf.foreign"),
        (b"#!/bin/sh\n" * 10, "elf.foreign"),
        (_elf({"mp_state_ctx": 1}, machine=40), "elf.foreign"),
        (_elf({"mp_state_ctx": 1})[:90], "elf.foreign"),
        (_elf({"main": 0x80000000}), "elf.symbols"),
    ],
    ids=["missing", "empty", "script", "arm", "cut off", "stripped"],
)
def test_a_file_that_cannot_be_run_is_refused_and_the_command_says_what_it_wants(
    tmp_path: Path, content: bytes | None, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "firmware.elf"
    if content is not None:
        file.write_bytes(content)
    assert command.main([str(file), "--json"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(code + ": ") and "VIRT_RV32" in said.err
    assert json.loads(said.out)["error"]["code"] == code


def test_without_a_file_the_command_says_how_one_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("elf.missing: ")
    assert "ports/qemu" in said.err and "docs/performance.md" in said.err


def test_without_qemu_the_command_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "firmware.elf"
    file.write_bytes(_elf({"mp_state_ctx": 0x80401004}))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command.main([str(file)]) == 2
    assert capsys.readouterr().err == f"qemu.missing: {image.QEMU}.\n"
    (tmp_path / "qemu-system-riscv32").write_text("#!/bin/sh\n")
    (tmp_path / "qemu-system-riscv32").chmod(0o755)
    assert command.check(file) == file


def test_only_an_elf_with_the_lock_inside_counts_as_frozen(tmp_path: Path) -> None:
    file = tmp_path / "firmware.elf"
    file.write_bytes(_elf({"mp_state_ctx": 1}))
    assert not elf.freezes(file)
    file.write_bytes(file.read_bytes() + b"\0firmware/lock.py\0firmware/main.py\0")
    assert elf.freezes(file)


def test_a_verification_and_a_hash_make_few_objects_on_every_curve_according_to_the_recorded_counts() -> None:
    counts = page.recorded()
    assert all(counts[f"{name}, objects"] < table.MOST_OBJECTS for name in table.FRUGAL)
    assert "| P-521 verification | not counted | 200 | |" in table.objects({})
    assert "| SM3 of 3 KB | 200 | 200 | missed |" in table.objects({"SM3, objects": 200})
    assert "| P-256 verification | 199 | 200 | met |" in table.objects({"p256, objects": 199})


def test_the_table_has_each_count_beside_its_aim_and_says_which_were_missed() -> None:
    collections = {"first, collections": 11}
    made = table.lines({"visit": 140 * 1024, "first": 50_000_001, "p256": 4_900_000, "sign": 5_000_000, **collections})
    assert "| heap that a visit needs, with the tasks for BLE and the edge link | 140 KB | 140 KB | met |" in made
    assert any(line.startswith("| first check-in, ") and "| missed, 1.0 times |" in line for line in made)
    assert "| P-256 verification, nothing beside it | 4.9 M | 5 M | met |" in made
    assert "| SM2 verification | not counted | 7 M | |" in made
    assert "| garbage collections during a first check-in | 11 | 10 | missed, 1.1 times |" in made
    assert "| P-256 signature | 5.0 M | | |" in made
    assert len(made) == 2 + len(table.ROWS) + 1


def test_the_page_and_its_picture_show_the_recorded_counts() -> None:
    counts = page.recorded()
    shown = page.PAGE.read_text(encoding="utf-8")
    assert page.filled(shown, counts) == shown
    assert all(line in shown for line in table.lines(counts) + budget.lines(counts) + table.curve_lines(counts))
    assert page.PICTURE.read_text(encoding="utf-8") == budget.picture(counts)
    assert page.filled(shown, {**counts, "p256": counts["p256"] + 1_000_000}) != shown


def test_the_collectors_curve_has_a_cell_for_each_heap_and_threshold() -> None:
    name = table.curve(150, 0)
    made = table.curve_lines({name: 71_500_000, name + ", collections": 7})
    assert made[-1] == "| the heap is full | 71.5 M, 7 | not counted |"
    assert len(made) == 2 + len(table.THRESHOLDS)


def test_a_budget_is_air_computation_and_flash() -> None:
    (key,) = budget.budgets({"stay key": 16_000_000})
    assert (key.compute, key.flash) == (100.0, budget.PAGE_MS * budget.PAGES)
    assert key.whole == key.air + key.compute + key.flash
    assert budget.lines({"stay key": 16_000_000})[2].endswith("| 150 ms, met |")
    assert budget.lines({"stay key": 32_000_000})[2].endswith("| 150 ms, missed |")


def test_a_value_without_a_form_in_messages_is_refused() -> None:
    with pytest.raises(TypeError):
        encode(1.5)
    with pytest.raises(ConfigError):
        command.check(None)
