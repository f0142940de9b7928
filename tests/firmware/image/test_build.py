"""The script that builds the image prints one error line if it cannot build from the given sources. The workflow builds
each kind.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from sim.board.interpreter import ROOT
from tools import software

SCRIPT = ROOT / software.IMAGE / "build.sh"
VERSIONS = dict(
    re.findall(r"^(\w+)=(.+)$", (ROOT / software.IMAGE / "versions.env").read_text(encoding="utf-8"), re.MULTILINE)
)
LINE = re.compile(r"image\.(\w+): [^.].*[.] [A-Z].*\n")


def build(*arguments: str, path: str | None = None) -> tuple[int, str]:
    """Run the script. Return the script's exit code and the last part of the error's code."""
    environment = {**os.environ, "PATH": path or os.environ["PATH"]}
    done = subprocess.run([SCRIPT, *arguments], env=environment, capture_output=True, text=True, check=False)
    line = LINE.fullmatch(done.stderr)
    assert line is not None and done.stdout == "", done.stderr
    return done.returncode, line[1]


def micropython(folder: Path, tag: str) -> str:
    """Make a repository that looks like MicroPython's at `tag`."""
    (folder / "ports/esp32").mkdir(parents=True)
    (folder / "ports/esp32/Makefile").touch()
    who = (
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@example.org",
        "-c",
        "commit.gpgsign=false",
        "-c",
        "tag.gpgsign=false",
    )
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "a"], ["tag", tag]):
        subprocess.run(["git", *who, "-C", folder, *command], check=True)
    return str(folder)


@pytest.mark.parametrize("arguments", [(), ("one",), ("a", "b", "2M"), ("a", "b", "4M", "signed")], ids=" ".join)
def test_a_call_that_cannot_be_understood_is_refused(arguments: tuple[str, ...]) -> None:
    assert build(*arguments) == (2, "arguments")


def test_what_is_not_micropython_of_that_version_is_refused(tmp_path: Path) -> None:
    assert build(str(tmp_path), str(tmp_path / "out")) == (2, "micropython")
    assert build(micropython(tmp_path / "other", "v1.0.0"), str(tmp_path / "out")) == (2, "micropython")
    assert not (tmp_path / "out").exists()


def test_without_esp_idf_of_that_version_nothing_is_built(tmp_path: Path) -> None:
    right = micropython(tmp_path / "right", VERSIONS["MICROPYTHON"])
    bare = tmp_path / "bare"
    bare.mkdir()
    for tool in ("sh", "git", "dirname", "sed"):
        (bare / tool).symlink_to(
            next(Path(at, tool) for at in os.environ["PATH"].split(":") if Path(at, tool).exists())
        )
    assert build(right, str(tmp_path / "out"), path=str(bare)) == (2, "idf")
    (bare / "idf.py").write_text("#!/bin/sh\necho ESP-IDF v1.0\n")
    (bare / "idf.py").chmod(0o755)
    assert build(right, str(tmp_path / "out"), path=str(bare)) == (2, "idf")
    assert not (tmp_path / "out").exists()


def test_the_workflow_builds_both_sizes_and_both_kinds_twice_and_keeps_the_hashes() -> None:
    workflow = (ROOT / ".github/workflows/image.yml").read_text(encoding="utf-8")
    assert 'flash: ["4M", "8M"]' in workflow and 'kind: ["", "SIGNED"]' in workflow
    assert workflow.count(f"          {software.IMAGE}/build.sh build/micropython build/esp32 ") == 2
    assert workflow.count("diff build/first/SHA256SUMS build/esp32/SHA256SUMS") == 1
    assert "container: espressif/idf:${{ needs.versions.outputs.esp-idf }}" in workflow
    assert f"{software.IMAGE}/versions.env" in workflow and "build/esp32/SHA256SUMS" in workflow
