"""Says what to run instead where the packages that a command needs are not installed, as outside a checkout's `.venv`.

Runs on any Python 3, for whoever starts a command with the system's own.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

OLDEST = (3, 11)
PACKAGES = ("bleak", "cbor2", "cryptography", "paho")
"""What the edge agent imports beyond the standard library."""


def lacking(command: str, packages: "tuple[str, ...]") -> bool:
    """Is this Python too old for `command` (what follows `python`), or without one of `packages`? Says so on stderr."""
    missing = [name for name in packages if find_spec(name) is None]
    old = sys.version_info[:2] < OLDEST
    if not old and not missing:
        return False
    have = f"{sys.executable} is Python {sys.version_info[0]}.{sys.version_info[1]}"
    wants = "and 3.11 or newer is needed" if old else "and lacks " + ", ".join(missing)
    root = Path(__file__).resolve().parents[1]
    python = root / ".venv" / "bin" / "python"
    made = (root / ".venv" / "ready").exists() and Path(sys.executable) != python
    first = "" if made else f"Run `make demo` in {root} first, which makes an environment with all of it.\n"
    shown = os.path.relpath(str(python)) if Path.cwd() == root else str(python)
    print(f"{have} {wants}.\n{first}Run:  {shown} {' '.join([command] + sys.argv[1:])}", file=sys.stderr)  # noqa: RUF005
    return True
