"""The page on console events lists every event that the firmware prints, with every field of the event."""

import ast
import re
from pathlib import Path

from protocol.fittings import INPUTS
from sim.board.interpreter import ROOT

PAGE = ROOT / "docs/console-events.md"
SAYS = ("log", "on_phase")
"""Functions that print an event, or pass it to another function that prints it."""


def listed() -> dict[str, set[str]]:
    """Return the events of the page, with their fields."""
    rows = re.findall(r"^\| `([^`]+)` \|([^|]*)\|[^|]+\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len({event for event, _ in rows}) == len(rows), "an event is listed twice"
    return {event: set(re.findall(r"`([^`]+)`", fields)) for event, fields in rows}


def names(first: ast.expr) -> list[str]:
    """Return the names of events in the first argument of a call. Return no event if the argument is a variable."""
    if isinstance(first, ast.Constant):
        return [str(first.value)]
    if isinstance(first, ast.BinOp) and isinstance(first.left, ast.Constant):
        assert first.left.value == "sensor.", "an event whose name is made of parts: list its names here"
        return ["sensor." + name for name in INPUTS]
    return []


def emitted(sources: list[Path]) -> dict[str, set[str]]:
    """Return the events that the sources print. Each event has its fields from all places that print this event."""
    found: dict[str, set[str]] = {}
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SAYS:
                for event in names(node.args[0]):
                    found.setdefault(event, set()).update(word.arg or "" for word in node.keywords)
    return found


def test_the_page_on_console_events_lists_every_event_of_the_firmware_with_its_fields() -> None:
    said = emitted(sorted((ROOT / "firmware").rglob("*.py")))
    assert len(said) > 50
    assert said == listed()


def test_an_event_or_a_field_that_the_page_does_not_have_is_found(tmp_path: Path) -> None:
    source = tmp_path / "new.py"
    source.write_text('log("tap.start", colour=1)\non_phase("nfc.new", ms=2)\nlog(event, **facts)\n')
    assert emitted([source]) == {"tap.start": {"colour"}, "nfc.new": {"ms"}}
