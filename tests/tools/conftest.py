"""Stages of the software that several tests send and boot. Each stage is made only once, because this takes time."""

import shutil
from pathlib import Path

import pytest

from sim.board import interpreter
from tools import software


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> software.Stage:
    """A stage with the software as sources. Tests must not change it."""
    return software.stage(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> software.Stage:
    """A stage with the software, compiled for the MicroPython of the tests. Tests must not change it.

    If mpy-cross cannot compile for this machine, for example a Mac, tests of compiled software are skipped.
    """
    if interpreter.find().modules is None:
        pytest.skip("mpy-cross has nothing for this machine")
    return software.stage(tmp_path_factory.mktemp("compiled"), "x64")


@pytest.fixture
def copy(board: Path, tmp_path: Path) -> Path:
    """A copy of the folder `board`, which is a fixture of the module. The test may change this copy."""
    return Path(shutil.copytree(board, tmp_path / "board"))
