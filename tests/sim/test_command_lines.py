"""The simulator's command lines: an error that people can correct is one line with exit code 2, never a traceback."""

import io
import re
import tempfile
from itertools import chain
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from sim import soak
from sim.__main__ import main
from sim.people import GIVEN
from sim.progress import WIDTH
from sim.scenarios import stories
from sim.scenarios.noise import Tally


@pytest.mark.parametrize("command", [["run", "first-checkin"], ["soak"]])
@pytest.mark.parametrize("below", ["", "below"])
def test_a_place_that_cannot_be_kept_to_is_told_before_anything_is_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str], below: str
) -> None:
    file = tmp_path / "file"
    file.write_text("here already")
    assert main([*command, "--keep", str(file / below)]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("file.folder: --keep ") and printed.err.count("\n") == 1
    assert printed.out == "" and file.read_text() == "here already"


@pytest.mark.parametrize(
    "arguments",
    [
        ["soak", "--jobs", "0"],
        ["soak", "--seeds", "-3"],
        ["soak", "--others", "-1"],
        ["soak", "--first", "-1"],
        ["soak", "--seeds", "many"],
        ["run", "first-checkin", "--seed", "-1"],
        ["run", "first-checkin", "--runtime", "pypy"],
    ],
    ids=" ".join,
)
def test_a_number_that_makes_no_sense_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert arguments[-1] in capsys.readouterr().err


@pytest.mark.parametrize("command", [["run", "first-checkin"], ["soak"]])
def test_a_folder_that_holds_something_is_not_kept_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    (tmp_path / "lock.log").write_text("of another run")
    assert main([*command, "--keep", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert printed.err == f"file.used: --keep {tmp_path} is not empty. Name a new or an empty folder.\n"
    assert printed.out == "" and (tmp_path / "lock.log").read_text() == "of another run"


def test_run_tells_who_came_when_what_the_door_showed_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "stranger", "--runtime", "cpython"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    when, name = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "(?:{})".format("|".join(chain(*GIVEN.values())))
    assert re.search(rf"{when} {name} \w+: not let in, grant\.none, red light", said)
    assert main(["run", "first-checkin", "--runtime", "cpython"]) == 0
    printed = capsys.readouterr()
    assert re.search(rf"{when} {name} \w+: let in after \d+ ms, green light", " ".join(printed.err.split()))
    assert "1 opening, 1 record, 1 receipt, 0 twice; lock on cpython" in printed.out
    assert max(map(cell_len, (printed.err + printed.out).splitlines())) <= WIDTH


@pytest.mark.parametrize("command", [[], *([one] for one in ("list", "run", "soak", "demo", "verify", "profile"))])
def test_help_fits_eighty_columns(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= WIDTH


def test_a_soak_of_nothing_does_not_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["soak", "--seeds", "0", "--others", "0"]) == 2
    printed = capsys.readouterr()
    assert "site.seeds" in printed.err and printed.out == ""


def test_the_table_says_yes_of_what_was_played_alone_and_fits_eighty_columns() -> None:
    told = io.StringIO()
    tally = Tally(taps=1200, at_once=1100, again=90, unfinished=10, wrong=0, wedged=0, slowest=123.4)
    played = [soak.Batch("good", seeds=1), soak.Batch("bad", seeds=1, broken=[(1, "promise")])]
    longest = soak.Batch(max(stories, key=len), 10_000, tally, seconds=500_000)
    batches = [soak.Batch("idle"), *played, soak.Batch("unborn", broken=[(1, "no world")]), longest]
    Console(file=told, width=WIDTH).print(soak.table(batches))
    rows = {line.split()[0]: line.split()[1:] for line in told.getvalue().splitlines() if line.strip()}
    assert {name: rows[name][-1] for name in ("idle", "good", "bad", "unborn")} == {
        "idle": "-",
        "good": "yes",
        "bad": "NO",
        "unborn": "NO",
    }
    assert rows[longest.scenario] == ["10000", "1200", "1100", "90", "10", "0", "0", "123.4", "50.0", "yes"]


def test_a_machine_that_has_no_room_is_told_and_breaks_no_promise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    assert main(["run", "first-checkin"]) == 2
    printed = capsys.readouterr()
    assert "not there" in printed.err and "Traceback" not in printed.err


@pytest.mark.parametrize("command", ["run", "soak", "demo", "verify"])
def test_each_command_explains_the_same_runtimes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "--runtime {micropython,cpython} what the firmware runs on (default: micropython, as on the lock)" in shown


def test_a_soak_plays_its_seeds_and_tells_of_them_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["soak", "--seeds", "1", "--first", "5", "--others", "0", "--jobs", "1"])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    (noisy,) = [row for row in rows if row[:1] == ["noisy-air"]]
    seeds, taps, at_once, again, unfinished, wrong, wedged = (int(cell) for cell in noisy[1:8])
    assert (seeds, taps, wrong, wedged) == (1, 3, 0, 0)
    assert at_once + again + unfinished == taps and float(noisy[8]) > 0
    # One tap in a hundred may stay unfinished. So if there are only three taps, none may stay unfinished.
    assert (code, noisy[-1]) == ((1, "NO") if unfinished else (0, "yes"))
