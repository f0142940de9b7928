"""Test vectors outside the repository, in `../shared/vectors`. If the vectors are missing, the tests that read vectors
are skipped.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from sim.board.interpreter import ROOT

FOLDER = ROOT.parent / "shared" / "vectors"

REASON = f"needs the published vectors in {FOLDER.relative_to(ROOT.parent)} beside the checkout, which are not there"

needed = pytest.mark.skipif(not FOLDER.is_dir(), reason=REASON)
"""The mark of a test that reads vectors."""


def load(name: str) -> dict[str, Any]:
    """Return the JSON object in the vector file `name`. Skip the test if the file is missing."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(REASON)
    content: dict[str, Any] = json.loads(path.read_bytes())
    return content


def path(name: str) -> Path:
    """Return the path of the vector file `name`. Skip the test if the file is missing."""
    if not (FOLDER / name).is_file():
        pytest.skip(REASON)
    return FOLDER / name
