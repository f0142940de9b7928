"""The port that `flash.py send` uses, and the boards that it accepts."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from protocol.errors import ConfigError, TransportError
from tools import board, flash, software

Capture = pytest.CaptureFixture[str]


# --- which port ------------------------------------------------------------------------------------------------------

ONE, OTHER = board.Port("/dev/ttyACM0", "USB JTAG/serial"), board.Port("/dev/ttyUSB0", "CP2102N")


def test_the_only_port_is_taken() -> None:
    assert board.choose(None, lambda: [ONE]) == "/dev/ttyACM0"


def test_the_named_port_is_taken_whatever_else_there_is() -> None:
    assert board.choose("/dev/ttyUSB7", lambda: [ONE, OTHER]) == "/dev/ttyUSB7"


def test_two_ports_are_listed_and_neither_is_guessed() -> None:
    with pytest.raises(ConfigError) as refused:
        board.choose(None, lambda: [ONE, OTHER])
    assert refused.value.code == "port.several"
    assert "--port /dev/ttyACM0" in refused.value.message and "--port /dev/ttyUSB0" in refused.value.message


def test_no_port_at_all_is_told() -> None:
    with pytest.raises(ConfigError) as refused:
        board.choose(None, list)
    assert refused.value.code == "port.none"


# --- which board -----------------------------------------------------------------------------------------------------


BLANK = board.Found("micropython", (1, 24, 0), "a board", 1_800_000, 262_144, 0, {}, frozenset())


def test_a_blank_board_with_the_oldest_good_interpreter_passes(made: software.Stage) -> None:
    board.check(BLANK, made, board.plan(BLANK, made))


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (replace(BLANK, version=(1, 23, 9)), "board.old"),
        (replace(BLANK, version=(0, 99)), "board.old"),
        (replace(BLANK, name="circuitpython", version=(9, 2, 0)), "board.interpreter"),
        (replace(BLANK, journal=0), "board.journal"),
        (replace(BLANK, free=100_000), "board.full"),
        (replace(BLANK, free=0), "board.full"),
    ],
)
def test_a_board_that_cannot_run_the_lock_is_refused(made: software.Stage, found: board.Found, code: str) -> None:
    with pytest.raises(ConfigError) as refused:
        board.check(found, made, board.plan(found, made))
    assert refused.value.code == code
    assert flash.EXIT_CODES[code.split(".")[0]] == 4


@pytest.mark.parametrize(
    ("mpy", "fits"),
    [
        (6 | 3 << 8 | 11 << 10, True),  # The ESP32-C6.
        (6 | 3 << 8 | 11 << 10 | 1 << 16, True),  # With more flags.
        (6 | 3 << 8 | 10 << 10, False),  # An ESP32-S3.
        (6 | 2 << 8 | 11 << 10, False),  # An interpreter that is too old for this native code.
        (5 | 3 << 8 | 11 << 10, False),
        (0, False),
    ],
)
def test_compiled_software_goes_only_onto_what_it_was_compiled_for(tmp_path: Path, mpy: int, fits: bool) -> None:
    path = "firmware/crypto/ghash_viper.py"
    for name, content in software.compile_all({path: software.sources()[path]}, "rv32imc").items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(content)
        stage = software.Stage(
            tmp_path, (software.Entry.of("main.py", b""), software.Entry.of(name, content)), "", "rv32imc"
        )
        found = replace(BLANK, mpy=mpy)
        planned = board.plan(found, stage)
        if fits:
            board.check(found, stage, planned)
            continue
        with pytest.raises(ConfigError) as refused:
            board.check(found, stage, planned)
        assert refused.value.code == "board.mpy"


def test_a_full_board_that_holds_the_software_has_room_for_one_changed_file(made: software.Stage) -> None:
    files = {entry.path: entry for entry in made.entries}
    files["firmware/door/door.py"] = replace(files["firmware/door/door.py"], sha256="0" * 64)
    folders = frozenset(str(folder) for path in files for folder in PurePosixPath(path).parents if str(folder) != ".")
    found = replace(BLANK, files=files, folders=folders, free=board.RESERVE + 40_000)
    planned = board.plan(found, made)
    assert [entry.path for entry in planned.write] == ["firmware/door/door.py", "main.py"]
    board.check(found, made, planned)


def test_when_anything_changes_main_is_written_anew(made: software.Stage) -> None:
    files = {entry.path: entry for entry in made.entries}
    files["firmware/old.py"] = software.Entry.of("firmware/old.py", b"")
    planned = board.plan(replace(BLANK, files=files), made)
    assert [entry.path for entry in planned.write] == ["main.py"] and planned.remove == ("firmware/old.py",)


def test_folders_are_removed_from_within_and_made_from_without(made: software.Stage) -> None:
    planned = board.plan(replace(BLANK, folders=frozenset({"firmware", "firmware/a", "firmware/a/b"})), made)
    assert planned.remove_folders == ("firmware/a/b", "firmware/a")
    assert planned.make_folders.index("protocol") < planned.make_folders.index("protocol/mdoc")


def test_a_diagnosis_carries_a_remedy(tmp_path: Path) -> None:
    assert isinstance(board.diagnose(str(tmp_path / "none")), TransportError)
    for port in (str(tmp_path / "none"), str(tmp_path), "COM7"):
        assert "try again" in board.diagnose(port).message
