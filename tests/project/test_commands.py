"""All commands of Mooring follow docs/commands.md for their arguments, error messages and exit codes."""

import argparse
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import edge_agent.__main__ as edge
import sim.__main__ as simulator
import sim.conformance.__main__ as conformance
import sim.nfc.__main__ as chip
import sim.province.__main__ as province
from edge_agent import answers
from protocol import VERSION
from protocol.command_line_cpython import DONE, INTERRUPTED, NO, UNUSABLE, Parser, error_line
from tests.support.sources import ROOT
from tools import flash

COMMANDS: dict[str, tuple[Callable[[list[str]], int], Callable[[], Parser]]] = {
    "tools/flash.py": (flash.main, flash.parser),
    "edge_agent": (edge.main, edge.parser),
    "sim": (simulator.main, simulator.parser),
    "sim.province": (province.main, province.parser),
    "sim.nfc": (chip.main, chip.parser),
    "sim.conformance": (conformance.main, conformance.parser),
}

FAILURES = [
    ("tools/flash.py", ["fittings", "/nowhere", "--port", "/nowhere"], 6, "stage.file"),
    ("tools/flash.py", ["fittings", "/dev/zero", "--port", "/nowhere"], 8, "fittings.form"),
    ("tools/flash.py", ["status", "--port", "/nowhere"], 3, "port.missing"),
    ("edge_agent", ["check-config", "--config", "/nowhere.toml"], UNUSABLE, "config.missing"),
    ("edge_agent", ["status", "--config", "/nowhere.toml"], UNUSABLE, "config.missing"),
    ("edge_agent", ["doctor", "--config", "/dev/zero"], UNUSABLE, "config.syntax"),
    ("sim", ["run", "no-such-scenario"], UNUSABLE, "site.scenario"),
    ("sim", ["run", "first-checkin", "--profile", "ZZ"], UNUSABLE, "profile.unknown"),
    ("sim.province", ["show", "--data", "/nowhere"], UNUSABLE, "province.data"),
    ("sim.province", ["check-code", "text", "--key", "00"], UNUSABLE, "listing-code.key"),
    ("sim.conformance", ["province", "--kit", "/nowhere", "--key", "00"], UNUSABLE, "conformance.kit"),
    ("sim.conformance", ["province", "--ours", "--key", "00"], UNUSABLE, "conformance.ours"),
    ("sim.conformance", ["platform", "--only", "B1", "--skip", "B1"], UNUSABLE, "conformance.clauses"),
    ("sim.conformance", ["platform"], UNUSABLE, "conformance.program"),
    ("sim.province", ["card", "--data", "/nowhere", "--listing", "X", "--phone", "110"], UNUSABLE, "card.file"),
]
"""A failing call of each command that takes --json, with its exit code and its error code."""

LINE = re.compile(r"[a-z][a-z-]*\.[a-z0-9_-]+: \S.*[.!?] \S.*[.!?]\n")
"""An error line: a code, a sentence that says what is wrong, and a sentence that says what to do."""


def parsers(parser: Parser) -> Iterator[Parser]:
    """Yield `parser` and the parsers of its subcommands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from parsers(one)


def error_of(err: str) -> str:
    """Return what was printed on stderr, without the progress that a command shows on a slow machine."""
    return "".join(line for line in err.splitlines(keepends=True) if not line.startswith("    … "))


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("arguments", [["no-such-command"], ["--no-such-option"]], ids=" ".join)
def test_a_command_line_that_cannot_be_understood_is_one_line_and_code_2(
    name: str, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        COMMANDS[name][0](arguments)
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (UNUSABLE, "")
    assert LINE.fullmatch(said.err) and said.err.startswith("command.usage: ") and said.err.endswith("--help.\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_tells_the_one_version_of_mooring(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        COMMANDS[name][0](["--version"])
    assert ended.value.code == DONE and capsys.readouterr().out.split()[1:] == [VERSION]


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_may_be_abbreviated_and_each_says_what_it_is_for(name: str) -> None:
    found = list(parsers(COMMANDS[name][1]()))
    for one in found:
        assert type(one) is Parser
        assert not one.allow_abbrev
        taken = [action for action in one._actions if not isinstance(action, argparse._SubParsersAction)]
        assert [action.dest for action in taken if not action.help] == []
    assert len(found) > 3 or name == "sim.nfc"


@pytest.mark.parametrize("name", COMMANDS)
def test_json_is_asked_for_by_one_option_with_one_meaning(name: str) -> None:
    meanings = {
        action.help
        for one in parsers(COMMANDS[name][1]())
        for action in one._actions
        if "--json" in action.option_strings
    }
    assert meanings <= {"print one JSON object last on stdout"}
    assert meanings or name == "sim.nfc"


@pytest.mark.parametrize(("name", "arguments", "status", "code"), FAILURES)
def test_an_error_is_its_code_a_sentence_and_what_to_do(
    name: str, arguments: list[str], status: int, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert COMMANDS[name][0](arguments) == status
    said = capsys.readouterr()
    assert said.out == "" and error_of(said.err).startswith(f"{code}: ")
    assert LINE.fullmatch(error_of(said.err))


@pytest.mark.parametrize(("name", "arguments", "status", "code"), FAILURES)
def test_with_json_the_same_error_is_the_last_line_of_stdout(
    name: str, arguments: list[str], status: int, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert COMMANDS[name][0]([*arguments, "--json"]) == status
    said = capsys.readouterr()
    told = json.loads(said.out.splitlines()[-1])
    assert (told["ok"], told["error"]["code"], told["exit_code"]) == (False, code, status)
    assert error_of(said.err) == error_line(code, told["error"]["message"]) + "\n"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("tools/flash.py", ["list"]),
        ("tools/flash.py", ["partitions"]),
        ("edge_agent", ["check-config"]),
        ("sim", ["list"]),
    ],
)
def test_with_json_what_went_well_says_so(
    name: str, arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MOORING_EDGE_EXPERIMENT_WITHOUT_KEY", "true")
    monkeypatch.setenv("MOORING_EDGE_STATE_DIR", str(tmp_path))
    assert COMMANDS[name][0]([*arguments, "--json"]) == DONE
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["ok"] is True


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("no board found. Plug it in", "a.b: no board found. Plug it in."),
        ("done already.", "a.b: done already."),
        ("is it the right port?", "a.b: is it the right port?"),
        ("", "a.b: it failed, and nothing more is known."),
    ],
)
def test_a_line_ends_as_a_sentence_does(message: str, line: str) -> None:
    assert error_line("a.b", message) == line


def test_every_exit_code_and_command_is_documented() -> None:
    page = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert codes == {DONE, NO, UNUSABLE, INTERRUPTED, *flash.EXIT_CODES.values(), flash.LOCK, answers.NOT_WORKING}
    listed = re.findall(r"^\| `python (?:-m )?([\w./]+)`", page, re.MULTILINE)
    assert listed == list(COMMANDS)
