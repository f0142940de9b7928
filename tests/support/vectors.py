"""Vectors kept outside the repository, in `../shared/vectors`; whoever has them not is told so by the skip."""

import json
from pathlib import Path
from typing import Any

import pytest

from sim.board.interpreter import ROOT

FOLDER = ROOT.parent / "shared" / "vectors"

REASON = f"needs the published vectors in {FOLDER.relative_to(ROOT.parent)} beside the checkout, which are not there"

needed = pytest.mark.skipif(not FOLDER.is_dir(), reason=REASON)
"""Marks a test that reads vectors."""


def load(name: str) -> dict[str, Any]:
    """The JSON object in the vector file `name`, a path below the folder of vectors; skips the test without it."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(REASON)
    content: dict[str, Any] = json.loads(path.read_bytes())
    return content


def path(name: str) -> Path:
    """Where the vector file `name` lies; skips the test without it."""
    if not (FOLDER / name).is_file():
        pytest.skip(REASON)
    return FOLDER / name
