"""Compares P-256 on the lock's interpreter with the two Python libraries that users of MicroPython could take instead.

Neither library runs on MicroPython as it stands, because both need modules of CPython's standard library. So this file
writes stand-ins for these modules into a temporary folder. The files with the mathematics come from the packages, and
are not changed. embit computes with the constants of P-256, because it knows only the curve of Bitcoin. Both libraries
do less than ours: neither hides the private key from somebody who measures times, and embit's ECDH takes any point.
"""

import json
import subprocess
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from sim.board import interpreter

SCRIPT = Path(__file__).parents[1] / "on_micropython" / "curve_peers.py"

ECDSA = ("der", "ecdsa", "ellipticcurve", "errors", "numbertheory", "util")
"""The files of ecdsa that are needed. The other files of ecdsa read and write PEM, and need more of CPython's library.
"""

STAND_INS = {
    "__future__.py": "division = None\n",
    "hmac.py": "",  # The library needs this module only to make nonces, but the benchmark passes the nonces.
    "warnings.py": "",
    "base64.py": "",
    "itertools.py": "def chain(*parts):\n    return [each for part in parts for each in part]\n",
    "six/__init__.py": "PY2 = False\ninteger_types = (int,)\ntext_type = str\nnext = next\n"
    "def int2byte(value):\n    return bytes((value,))\n"
    "def python_2_unicode_compatible(kind):\n    return kind\n",
    "six/moves.py": "reduce = None\n",
    "ecdsa/__init__.py": "",
    "ecdsa/_compat.py": "str_idx_as_int = bytes_to_int = int_to_bytes = normalise_bytes = compat26_str = None\n"
    "def bit_length(value):\n    return len(bin(value)) - 2\n"
    "def remove_whitespace(text):\n    return ''.join(text.split())\n",
}


def prepare(folder: Path) -> list[str]:
    """Return the folders of both libraries."""
    packages = Path(sysconfig.get_path("purelib"))
    for name, source in STAND_INS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(source)
    for name in ECDSA:
        (folder / "ecdsa" / f"{name}.py").symlink_to(packages / "ecdsa" / f"{name}.py")
    (folder / "embit").symlink_to(packages / "embit")
    return [str(folder)]


@pytest.mark.bench
def test_p_256_beside_other_libraries_for_micropython(tmp_path: Path) -> None:
    try:
        versions = {"ours": "", "embit": version("embit"), "ecdsa": version("ecdsa")}
    except PackageNotFoundError as missing:
        pytest.skip(f"the group `bench` of pyproject.toml is not installed: {missing}")
    lock = interpreter.find()
    # The heap is so large that the garbage collector does not run while anything is measured.
    command = [lock.program, "-X", "heapsize=128m", str(SCRIPT), *prepare(tmp_path)]
    done = subprocess.run(command, env=lock.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    print(f"\nP-256 on {lock}: ms, how many times as long as ours, and KB of garbage")
    operations = ("verify", "sign", "ECDH")
    print(" " * 14 + "".join(f"{operation:>24}" for operation in operations))
    for library, number in versions.items():
        row = [(*found[library][name], found["ours"][name][0]) for name in operations]
        cells = [f"{ms:>10.2f}{ms / ours:>6.1f}x{garbage:>5.0f} KB" for ms, garbage, ours in row]
        print(f"{library} {number}".ljust(14) + "".join(cells))
