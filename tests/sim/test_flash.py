"""The simulated flash behaves like NOR flash, also when the power is cut."""

import itertools
import subprocess
from pathlib import Path

import pytest

from protocol.errors import ConfigError
from sim.board import flash, interpreter, layout
from tests.support.on_lock import run_on_lock

OPEN = """
import esp32
journal = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="journal")[0]
def read(block, length, offset=0):
    buffer = bytearray(length)
    journal.readblocks(block, buffer, offset)
    return bytes(buffer).hex()
"""


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = flash.create(tmp_path / "lock.flash")
    monkeypatch.setenv("MOORING_FLASH", str(path))
    return path


def power_cycle(image: Path, tmp_path: Path, source: str, cut: str = "") -> subprocess.CompletedProcess[str]:
    """Run `source` on the interpreter with the flash `image`. Cut the power at the operation `cut`."""
    script = tmp_path / "board.py"
    script.write_text(source)
    lock = interpreter.find()
    environment = lock.environment({"MOORING_FLASH": str(image), "MOORING_POWER_CUT": cut})
    return subprocess.run(lock.command(script), env=environment, capture_output=True, text=True, check=False)


def test_the_content_of_an_image_is_what_was_written_and_no_byte_of_another_file_is_left_out(tmp_path: Path) -> None:
    image, log = flash.create(tmp_path / "lock.flash"), tmp_path / "lock.log"
    assert flash.content(image) == b""
    written = b"begin\xff" + b"\0" * 3 + b"\xffend"
    blank = image.read_bytes()
    image.write_bytes(blank[:4096] + written + blank[4096 + len(written) :])
    assert flash.content(image).strip(b"\xff") == written
    log.write_bytes(blank[:4096])
    assert flash.content(log) == blank[:4096]


def test_a_blank_image_reads_as_erased(image: Path) -> None:
    assert run_on_lock(OPEN + "answer([read(0, 4), read(63, 4), journal.ioctl(4, 0), journal.ioctl(5, 0)])") == [
        "ffffffff",
        "ffffffff",
        64,
        4096,
    ]


def test_programming_only_clears_bits(image: Path) -> None:
    source = (
        OPEN
        + """
journal.writeblocks(3, b"\\xf0\\xff", 10)
journal.writeblocks(3, b"\\x3c\\x55", 10)
answer(read(3, 4, 9))
"""
    )
    assert run_on_lock(source) == "ff3055ff"
    assert flash.operations(image) == flash.Operations(2, 0, 4, False)
    assert flash.partition(image, "journal")[3 * 4096 + 10] == 0x30


def test_only_erasing_sets_bits_and_only_in_its_sector(image: Path) -> None:
    source = (
        OPEN
        + """
for block in (1, 2, 3):
    journal.writeblocks(block, bytes(4), 0)
journal.ioctl(6, 2)
answer([read(block, 4) for block in (1, 2, 3)])
"""
    )
    assert run_on_lock(source) == ["00000000", "ffffffff", "00000000"]


def test_the_simple_form_erases_before_it_writes(image: Path) -> None:
    source = (
        OPEN
        + """
journal.writeblocks(1, bytes(4096))
journal.writeblocks(1, b"\\xaa" * 4096)
answer([read(1, 2), read(1, 2, 4094), read(2, 1)])
"""
    )
    assert run_on_lock(source) == ["aaaa", "aaaa", "ff"]
    assert flash.operations(image) == flash.Operations(2, 2, 8192, False)


@pytest.mark.parametrize("call", ["readblocks(64, bytearray(1), 0)", "writeblocks(63, bytes(2), 4095)", "ioctl(6, 64)"])
def test_nothing_reaches_outside_its_partition(image: Path, call: str) -> None:
    source = OPEN + f"try:\n    journal.{call}\n    answer('reached')\nexcept OSError:\n    answer('refused')\n"
    assert run_on_lock(source) == "refused"


def test_partitions_are_found_by_type_and_label_only(image: Path) -> None:
    source = "import esp32\nP = esp32.Partition\nanswer([[p.info()[4] for p in P.find(*a)] for a in given])"
    asked = [[1], [1, 0x81], [1, 0xFF, "journal"], [1, 0xFF, "nvs"], [0]]
    assert run_on_lock(source, asked) == [["vfs", "journal"], ["vfs"], ["journal"], [], []]


def test_the_hosts_tools_refuse_what_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"flash\.image"):
        flash.partition(tmp_path / "short", "vfs")
    with pytest.raises(ConfigError, match=r"flash\.partition"):
        flash.partition(flash.create(tmp_path / "good"), "nvs")


THREE = (
    OPEN
    + """
journal.writeblocks(0, bytes(8), 0)
journal.ioctl(6, 0)
try:
    journal.writeblocks(0, bytes(8), 8)
finally:
    print("alive")
"""
)


@pytest.mark.parametrize(
    ("cut", "first_16_bytes"),
    [
        ("1", "ff" * 16),
        ("1:torn", "00" * 4 + "0f" + "ff" * 11),
        ("2", "00" * 8 + "ff" * 8),
        ("3", "ff" * 16),
        ("3:torn", "ff" * 8 + "00" * 4 + "0f" + "ff" * 3),
    ],
)
def test_a_power_cut_ends_the_board_at_once_in_the_middle_of_its_work(
    image: Path, tmp_path: Path, cut: str, first_16_bytes: str
) -> None:
    done = power_cycle(image, tmp_path, THREE, cut)
    assert flash.power_was_cut(done.returncode) and done.stdout == ""
    assert flash.partition(image, "journal")[:16].hex() == first_16_bytes
    assert flash.operations(image).cut
    assert flash.operations(image).total == int(cut[0]) - 1


def test_a_torn_erase_leaves_half_a_sector_erased(image: Path, tmp_path: Path) -> None:
    source = OPEN + "journal.writeblocks(0, bytes(4096), 0)\njournal.ioctl(6, 0)\n"
    assert flash.power_was_cut(power_cycle(image, tmp_path, source, "2:torn").returncode)
    sector = flash.partition(image, "journal")[: layout.SECTOR]
    assert sector[:2048] == b"\xff" * 2048
    assert 0 in sector[2048:]


def test_without_a_cut_the_board_ends_by_itself(image: Path, tmp_path: Path) -> None:
    done = power_cycle(image, tmp_path, THREE, "4")
    assert (done.returncode, done.stdout) == (0, "alive\n")
    assert not flash.power_was_cut(done.returncode)


FILES = """
import os
from sim.board import boot
state = boot.mount()
try:
    known = [open(state + "/" + name).read() for name in ("a", "b")]
    assert all(value in ("old", "new") for value in known), known
    print("known", *known)
except OSError:
    print("known nothing")
for name in ("a", "b"):
    with open(state + "/" + name + ".new", "w") as file:
        file.write(WHAT)
    os.rename(state + "/" + name + ".new", state + "/" + name)
print("written")
"""


def test_littlefs_survives_a_cut_at_every_operation(image: Path, tmp_path: Path) -> None:
    """After any cut, clean or torn, the file system mounts, and a replaced file has its old or its new content."""
    assert power_cycle(image, tmp_path, FILES.replace("WHAT", "'old'")).returncode == 0
    before = image.read_bytes()
    new = FILES.replace("WHAT", "'new'")
    for mode in ("", ":torn"):
        for n in itertools.count(1):
            image.write_bytes(before)
            done = power_cycle(image, tmp_path, new, f"{n}{mode}")
            if done.returncode == 0:
                break
            assert flash.power_was_cut(done.returncode), done.stdout + done.stderr
            after = power_cycle(image, tmp_path, new)
            assert after.returncode == 0, (n, mode, after.stdout + after.stderr)
            assert "known old" in after.stdout or "known new" in after.stdout
        assert n > 4


def test_a_cut_during_the_first_format_is_made_good_at_the_next_boot(image: Path, tmp_path: Path) -> None:
    source = FILES.replace("WHAT", "'old'")
    for cut in (f"{n}{mode}" for n in range(1, 5) for mode in ("", ":torn")):
        flash.create(image)
        assert flash.power_was_cut(power_cycle(image, tmp_path, source, cut).returncode)
        after = power_cycle(image, tmp_path, source)
        assert after.returncode == 0 and "known nothing" in after.stdout, (cut, after.stdout, after.stderr)


def test_a_corrupt_file_system_halts_the_boot_and_is_not_formatted_away(image: Path, tmp_path: Path) -> None:
    source = FILES.replace("WHAT", "'old'")
    power_cycle(image, tmp_path, source)
    broken = bytearray(image.read_bytes())
    for block in (0, 1):
        broken[block * 4096 : block * 4096 + 64] = bytes(64)
    image.write_bytes(broken)
    done = power_cycle(image, tmp_path, source)
    assert done.returncode == 65 and "boot.corrupt" in done.stdout
    assert image.read_bytes() == broken
