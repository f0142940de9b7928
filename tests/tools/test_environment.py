"""`.ci/environment`, which makes what every command runs in: who waits for it is told that it goes on."""

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
    # A Python that makes no environment until it is let to, and then fails.
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
        # The end of its output comes once nothing that it has started is left.
        making.stdout.read()
        assert "could not make .venv" in making.stderr.read()
    assert making.returncode == 1
