"""Finds out how a person called this program, so that help and advice name a command that works on this machine."""

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

NAME = "python -m edge_agent"
"""The command where nothing better is known. An installed wheel has `mooring-edge` here."""


def command(argv: Sequence[str] | None = None, original: Sequence[str] | None = None) -> str:
    """Return what was typed before the arguments, for example `.venv/bin/python -m edge_agent` or `mooring-edge`.

    `argv` is `sys.argv`, and `original` is `sys.orig_argv`.
    """
    argv = sys.argv if argv is None else argv
    original = sys.orig_argv if original is None else original
    program = Path(argv[0])
    if program.name == "__main__.py" and "-m" in original:
        return shlex.join(original[: len(original) - len(argv) + 1])
    if program.name == "mooring-edge":
        return program.name if shutil.which(program.name) == str(program) else shlex.quote(str(program))
    return NAME
