"""A command that lacks its Python packages names the right command to run, and shows no traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from sim.hang import HANG_SECONDS

ROOT = Path(__file__).resolve().parents[2]
MODULES = ["edge_agent", "sim", "sim.province", "sim.nfc"]


def bare(*arguments: str, isolated: bool = True) -> "subprocess.CompletedProcess[str]":
    """Run this Python without the packages of its environment."""
    command = [sys.executable, *(["-S"] if isolated else []), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANG_SECONDS, check=False)


@pytest.mark.parametrize("module", MODULES)
def test_a_command_outside_its_environment_names_the_command_to_run(module: str) -> None:
    done = bare("-m", module, "show", "--data", "x")
    assert (done.returncode, done.stdout) == (2, "")
    assert "lacks" in done.stderr and "cryptography" in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.endswith(f"Run:  .venv/bin/python -m {module} show --data x\n")


@pytest.mark.parametrize("module", MODULES)
def test_inside_it_nothing_is_said(module: str) -> None:
    done = bare("-m", module, "--help", isolated=False)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("usage:")


def test_a_python_that_is_too_old_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    from edge_agent import environment

    assert not environment.lacking("-m edge_agent", ("json",))
    assert environment.lacking("-m edge_agent", (), oldest=(4, 0))
    assert "4.0 or newer is needed" in capsys.readouterr().err


def test_the_installers_command_runs_on_the_standard_library_alone() -> None:
    done = bare("tools/flash.py", "partitions")
    assert done.returncode == 0 and done.stdout.startswith("# Partition table")
