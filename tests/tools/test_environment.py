"""`.ci/environment` makes the environment of all commands. Meanwhile the script shows that it is still working."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_whoever_waits_for_the_environment_is_told_that_it_goes_on_and_nothing_is_left_running(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/environment", tmp_path / ".ci")
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    python = tmp_path / "python"
    # When this Python is asked to make an environment, it waits at the gate and then fails.
    python.write_text(f'#!/bin/sh\n[ "$2" != venv ] || {{ read _ < {gate}; exit 1; }}\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    with subprocess.Popen(
        [tmp_path / ".ci/environment"],
        env={**os.environ, "PYTHON": str(python)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as making:
        assert making.stdout is not None and making.stderr is not None
        assert making.stdout.readline().startswith("Making .venv with Python")
        assert making.stdout.readline() == "  making the environment, 2 s\n"
        gate.write_text("go on\n")
        # The output ends only when `.ci/environment` and every process that it started have ended.
        making.stdout.read()
        assert "could not make .venv" in making.stderr.read()
    assert making.returncode == 1


def test_an_environment_behind_a_link_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine").write_text("kept")
    (tmp_path / "checkout" / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "environment", tmp_path / "checkout" / ".ci" / "environment")
    (tmp_path / "checkout" / ".venv").symlink_to(tmp_path / "other")
    done = subprocess.run(
        [str(tmp_path / "checkout" / ".ci" / "environment")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "is a link" in done.stderr
    assert [file.name for file in (tmp_path / "other").iterdir()] == ["mine"]
