"""Stages that several tests send and boot. They are made once, because making one takes a moment."""

import pytest

from tools import software


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> software.Stage:
    """The software as sources. Tests must not change it."""
    return software.stage(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> software.Stage:
    """The software, compiled for the interpreter that runs the tests. Tests must not change it."""
    return software.stage(tmp_path_factory.mktemp("compiled"), "x64")
