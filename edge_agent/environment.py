"""Gives advice if the packages of a command are not installed, for example because the command runs outside the
checkout's `.venv`.

This module runs on any Python 3, because people start commands with the Python of their system.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

OLDEST = (3, 11)
PACKAGES = ("bleak", "cbor2", "cryptography", "paho")
"""The packages that the edge agent imports, beyond the standard library."""

ROOT = Path(__file__).resolve().parents[1]
"""Folder of the checkout. In an installed wheel, ROOT is the folder of the package `mooring`."""


def lacking(command: str, packages: "tuple[str, ...]", oldest: "tuple[int, int]" = OLDEST) -> bool:
    """Return True if this Python is older than `oldest`, or if one of `packages` is missing. Then also print advice on
    stderr.

    The advice quotes `command`, which is the part of the command line after `python`.
    """
    missing = [name for name in packages if find_spec(name) is None]
    old = sys.version_info[:2] < oldest
    if not old and not missing:
        return False
    have = f"{sys.executable} is Python {sys.version_info[0]}.{sys.version_info[1]}"
    if old:
        problem = f"python.old: {have}, and {oldest[0]}.{oldest[1]} or newer is needed."
    else:
        problem = f"python.packages: {have} and lacks {', '.join(missing)}."
    print(problem, _advice(command), sep="\n", file=sys.stderr)
    return True


def _advice(command: str) -> str:
    if not (ROOT / "Makefile").exists():
        return "Install Mooring once more, together with the packages that it needs:  python -m pip install mooring"
    python = ROOT / ".venv" / "bin" / "python"
    made = (ROOT / ".venv" / "ready").exists() and Path(sys.executable) != python
    first = "" if made else f"Run `make demo` in {ROOT} first. It makes an environment with all of them.\n"
    shown = os.path.relpath(str(python)) if Path.cwd() == ROOT else str(python)
    return f"{first}Run:  {shown} {' '.join([command, *sys.argv[1:]])}"
