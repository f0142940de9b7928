"""Runs pytest beside processes that do nothing but spin: no verdict may depend on how fast the machine is.

`make test-busy` calls it; what follows on the command line is handed to pytest, whose exit code it returns.
"""

import subprocess
import sys

SPINNING = 8
_SPIN = "while True: pass"


def main(arguments: list[str]) -> int:
    """Run pytest with `arguments`, busy until it ends."""
    spinning = [subprocess.Popen([sys.executable, "-c", _SPIN]) for _ in range(SPINNING)]
    try:
        return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode
    finally:
        for process in spinning:
            process.kill()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
