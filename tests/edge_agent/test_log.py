"""The log: a stable name and facts, for people and for machines."""

import ast
import json
from pathlib import Path

import pytest

import edge_agent
from edge_agent import log


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `log.start` sets is for the whole process."""
    monkeypatch.setattr(log._LOGGER, "handlers", [])
    monkeypatch.setattr(log._LOGGER, "propagate", True)


def test_an_event_is_one_line_of_text_or_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    log.start("info", as_json=True)
    log.warning("link.lost", lock=b"\x01\x02", code="lock.gone", reason="out of range")
    told = json.loads(capsys.readouterr().out)
    assert {name: told[name] for name in ("level", "event", "lock", "code")} == {
        "level": "warning", "event": "link.lost", "lock": "0102", "code": "lock.gone"}  # fmt: skip
    log.start("info", as_json=False)
    log.warning("link.lost", lock=b"\x01\x02", code="lock.gone", reason="out of range")
    log.debug("batch.acknowledged")
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith('warning link.lost lock=0102 code=lock.gone reason="out of range"')


def test_no_module_logs_prose_past_the_events() -> None:
    modules = [path for path in Path(edge_agent.__file__).parent.glob("*.py") if path.name != "log.py"]
    imported = [
        path.name
        for path in modules
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import) and any(alias.name == "logging" for alias in node.names)
    ]
    assert len(modules) > 10 and imported == []
