"""Runs pytest while other processes keep the machine busy. No test result may depend on the speed of the machine.

`make test-busy` calls this module. This program passes its arguments to pytest, and exits with the exit code of pytest.
"""

import subprocess
import sys

SPINNING = 8
_SPIN = "while True: pass"


def main(arguments: list[str]) -> int:
    """Run pytest with `arguments`, and keep the machine busy until pytest ends. Return its exit code."""
    spinning = [subprocess.Popen([sys.executable, "-c", _SPIN]) for _ in range(SPINNING)]
    try:
        return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode
    finally:
        for process in spinning:
            process.kill()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
