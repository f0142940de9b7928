"""The log shows events of one table with their facts, as text for people or as JSON for machines."""

import ast
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import edge_agent
from edge_agent import log
from edge_agent.events import EVENTS


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore what `log.start` sets for the whole process."""
    logger = logging.getLogger("edge_agent")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", True)


def nodes() -> Iterator[tuple[Path, ast.AST]]:
    """Yield every node of the syntax tree of every module that logs."""
    for path in sorted(Path(edge_agent.__file__).parent.glob("*.py")):
        if path.name != "log.py":
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                yield path, node


def test_an_event_is_one_line_of_text_or_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    log.start("info", as_json=True)
    log.event("link.lost", lock=b"\x01\x02", code="lock.gone", reason="out of range")
    told = json.loads(capsys.readouterr().out)
    assert {name: told[name] for name in ("level", "event", "lock", "code")} == {
        "level": "warning", "event": "link.lost", "lock": "0102", "code": "lock.gone"}  # fmt: skip
    log.start("info", as_json=False)
    log.event("link.lost", lock=b"\x01\x02", code="lock.gone", reason="out of range")
    log.event("batch.acknowledged")
    (line,) = capsys.readouterr().out.splitlines()
    told = 'warning link.lost lock=0102 code=lock.gone reason="out of range" # '
    assert line.endswith(told + EVENTS["link.lost"][1])


@pytest.mark.parametrize("name", EVENTS)
def test_json_tells_a_program_what_the_text_tells_people(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A warning or an error says what it means; a line of normal work does not."""
    level, meaning = EVENTS[name]
    facts = {"lock": "0102", "count": 3}
    log.start("debug", as_json=True)
    log.event(name, **facts)
    told = json.loads(capsys.readouterr().out)
    log.start("debug", as_json=False)
    log.event(name, **facts)
    text = capsys.readouterr().out
    spoken = {"meaning": meaning} if level in ("warning", "error") else {}
    assert told == {"time": told["time"], "level": level, "event": name, **facts, **spoken}
    assert (f"# {meaning}" in text) == bool(spoken)


def lines(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, object, object]]:
    """Return event, code and times of each line since the last call."""
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [(line["event"], line.get("code"), line.get("times")) for line in told]


def test_a_fault_that_comes_again_and_again_is_one_line_and_then_one_with_a_count(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = [0.0]
    log.start("info", as_json=True, seconds=600, now=lambda: clock[0])
    for _ in range(420):
        log.event("statement.refused", kind="receipt", code="cose.signature", count=1)
    log.event("broker.lost", code="broker.silent", reason="no PUBACK")
    log.event("broker.lost", code="broker.unreachable", reason="nobody")
    assert lines(capsys) == [
        ("statement.refused", "cose.signature", None),
        ("broker.lost", "broker.silent", None),
        ("broker.lost", "broker.unreachable", None),
    ]
    clock[0] = 601.0
    log.event("broker.connected")
    assert lines(capsys) == [("statement.refused", "cose.signature", 419), ("broker.connected", None, None)]
    clock[0] = 1300.0
    log.event("broker.lost", code="broker.silent", reason="no PUBACK")
    assert lines(capsys) == [("broker.lost", "broker.silent", None)], "after a quiet time it is news again"
    log.event("broker.lost", code="broker.silent", reason="no PUBACK")
    log.event("agent.stopped")
    assert lines(capsys) == [("broker.lost", "broker.silent", 1), ("agent.stopped", None, None)]


def test_faults_of_two_locks_are_two_lines_and_each_record_that_was_set_aside_is_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.start("info", as_json=True)
    for lock in (b"\x01", b"\x02"):
        log.event("link.lost", lock=lock, code="lock.gone")
    for counter in (1, 2):
        log.event("record.quarantined", lock=b"\x01", counter=counter, code="cose.signature")
    assert [event for event, _, _ in lines(capsys)] == ["link.lost"] * 2 + ["record.quarantined"] * 2


def test_no_module_logs_prose_past_the_events() -> None:
    imported = [
        path.name
        for path, node in nodes()
        if isinstance(node, ast.Import) and any(alias.name == "logging" for alias in node.names)
    ]
    assert imported == []


def test_the_table_has_each_event_that_the_code_logs_and_no_other() -> None:
    named = []
    for path, node in nodes():
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "log.event":
            name = node.args[0]
            assert isinstance(name, ast.Constant), f"{path.name}:{node.lineno} computes the name of an event"
            named.append(name.value)
    assert len(named) > 40
    assert set(named) == EVENTS.keys()


def test_an_event_has_the_level_of_the_table(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "edge_agent")
    for name in EVENTS:
        log.event(name)
    assert [(entry.getMessage(), entry.levelname.lower()) for entry in caplog.records] == [
        (name, level) for name, (level, _) in EVENTS.items()
    ]


def test_the_page_for_operators_shows_the_table_of_events() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "edge-agent.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| (debug|info|warning|error) \| (.+) \|$", page, re.MULTILINE)
    assert {name: (level, meaning) for name, level, meaning in rows} == EVENTS
