"""Vectors outside the repository, in `../shared/vectors`. Without them the tests are skipped, and the skip says so."""

import json
from pathlib import Path
from typing import Any

import pytest

from sim.board.interpreter import ROOT

FOLDER = ROOT.parent / "shared" / "vectors"

REASON = f"needs the published vectors in {FOLDER.relative_to(ROOT.parent)} beside the checkout, which are not there"

needed = pytest.mark.skipif(not FOLDER.is_dir(), reason=REASON)
"""Mark for a test that reads vectors."""


def load(name: str) -> dict[str, Any]:
    """The JSON object in the vector file `name`, a path in the folder of vectors. Without the file, skip the test."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(REASON)
    content: dict[str, Any] = json.loads(path.read_bytes())
    return content


def path(name: str) -> Path:
    """The path of the vector file `name`. Without the file, skip the test."""
    if not (FOLDER / name).is_file():
        pytest.skip(REASON)
    return FOLDER / name
