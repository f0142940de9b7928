"""The software is staged for one of the boards that have a file in firmware/boards."""

import importlib
import json
from pathlib import Path

import pytest

from protocol.fittings import INPUTS
from tools import flash, software

BOARDS = ("__init__", "large", "compact")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with two boards and almost no other files."""
    for file in (
        "firmware/__init__",
        "firmware/main",
        "protocol/__init__",
        *(f"firmware/boards/{one}" for one in BOARDS),
    ):
        (tmp_path / "checkout" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "checkout" / f"{file}.py").touch()
    return tmp_path / "checkout"


def test_the_files_of_boards_are_the_boards_that_can_be_named(checkout: Path) -> None:
    assert software.boards(checkout) == ["compact", "large"]
    assert software.REFERENCE_BOARD in software.boards()


def test_every_board_says_all_that_the_lock_asks_of_a_board() -> None:
    for name in software.boards():
        board = importlib.import_module(f"firmware.boards.{name}")
        assert {each for each in vars(board) if each[0] != "_"} == {
            *("STRIKE", "LIGHTS", "BUZZER", "NFC_UART", "NFC_TX", "NFC_RX", "INPUTS", "BUTTON", "KEYPAD")
        }
        assert set(board.INPUTS) <= set(INPUTS)


def test_a_stage_starts_the_lock_on_the_board_that_was_named(checkout: Path, tmp_path: Path) -> None:
    software.stage(tmp_path / "one", None, checkout, "compact")
    for file in ("boot.py", "main.py"):
        text = (tmp_path / "one" / file).read_text()
        assert "from firmware.boards import compact\n" in text and software.REFERENCE_BOARD not in text
    assert 'main("/state", compact)' in (tmp_path / "one" / "boot.py").read_text()
    assert [file.name for file in sorted((tmp_path / "one/firmware/boards").iterdir())] == ["__init__.py", "compact.py"]


def test_the_command_takes_a_board_and_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert flash.main(["stage", str(tmp_path / "one"), "--board", software.REFERENCE_BOARD, "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["board"] == software.REFERENCE_BOARD


@pytest.mark.parametrize("command", [["stage", "FOLDER"], ["send"]], ids=" ".join)
def test_an_unknown_board_is_refused_with_those_that_exist(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        flash.main([*command, "--board", "esp8266"])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.startswith("command.usage: ") and "'esp8266'" in said
    assert all(name in said for name in software.boards())


def test_no_board_is_named_for_a_stage_that_is_made_already(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        flash.main(["send", "FOLDER", "--board", software.REFERENCE_BOARD])
    assert ended.value.code == 2 and "FOLDER is a stage already" in capsys.readouterr().err
