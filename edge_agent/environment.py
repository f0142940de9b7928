"""Says what to do where the packages that a command needs are not installed, as outside the `.venv` of a checkout.

Runs on any Python 3, because people start commands with the Python of their system.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

OLDEST = (3, 11)
PACKAGES = ("bleak", "cbor2", "cryptography", "paho")
"""The packages that the edge agent imports, beyond the standard library."""

ROOT = Path(__file__).resolve().parents[1]
"""The checkout; in an installed wheel, the package `mooring`."""


def lacking(command: str, packages: "tuple[str, ...]") -> bool:
    """Is this Python too old for `command` (the words after `python`), or is one of `packages` missing?

    If so, it prints on stderr what to run.
    """
    missing = [name for name in packages if find_spec(name) is None]
    old = sys.version_info[:2] < OLDEST
    if not old and not missing:
        return False
    have = f"{sys.executable} is Python {sys.version_info[0]}.{sys.version_info[1]}"
    if old:
        problem = f"python.old: {have}, and 3.11 or newer is needed."
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
