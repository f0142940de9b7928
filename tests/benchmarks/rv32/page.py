"""Writes the counts into docs/performance.md, beside the aims, and draws the picture there."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.rv32 import budget, table
from tools.software import ROOT

COUNTS = Path(__file__).parent / "counts.json"
"""The counts of the last run that was recorded."""
PAGE, PICTURE = ROOT / "docs/performance.md", ROOT / "docs/latency.svg"


def recorded() -> dict[str, int]:
    """Return the counts that were recorded last."""
    counts: dict[str, int] = json.loads(COUNTS.read_text(encoding="utf-8"))
    return counts


def filled(page: str, counts: Mapping[str, int]) -> str:
    """Return the text of `page` with new tables for `counts`. Each table is between two comments with its name."""
    parts = {
        "counts": table.lines,
        "objects": table.objects,
        "collector": table.curve_lines,
        "budget": budget.lines,
    }
    for name, made in parts.items():
        page = _between(page, name, made(counts))
    return page


def _between(page: str, name: str, rows: list[str]) -> str:
    text = "\n".join([f"<!-- {name} -->", *rows, f"<!-- end of {name} -->"])
    return re.sub(f"<!-- {name} -->\n.*?<!-- end of {name} -->", lambda _: text, page, flags=re.DOTALL)


def record(counts: Mapping[str, int]) -> None:
    """Record `counts`, and bring the page and its picture up to date. Counts that are missing stay as they were."""
    earlier = recorded() if COUNTS.exists() else {}
    merged = dict(sorted({**earlier, **counts}.items()))
    COUNTS.write_text(json.dumps(merged, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), merged), encoding="utf-8")
    PICTURE.write_text(budget.picture(merged), encoding="utf-8")
