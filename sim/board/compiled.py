"""Compiles the lock's software for the interpreter here, with the same tools as for a chip.

A chip gets compiled modules in which the errors have codes but no sentences. The lock here gets such modules too. The
stand-ins are compiled too, because the modules that they replace are not Python on the chip. Compiled modules leave no
names of local variables on the heap. The compiler does not run on the lock, so it leaves no gaps in the heap either.
"""

import fcntl
import hashlib
import inspect
import json
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from protocol.errors import ConfigError
from tools.short_names import short_names
from tools.software import compile_lean, find_program, lean_sources, sources
from tools.terse import terse

NAMES = "names.json"
"""Name of the file, beside the compiled modules, that maps each name to its short name (`tools.short_names`). Tests
read it."""

_MACHINES = {"x86_64": "x64", "AMD64": "x64"}
"""Architecture for `mpy-cross -march`, by the name of the machine. Viper code is compiled for this architecture."""
_ASSEMBLER = "_rv32.py"
"""How the names of modules in assembler end. Only our own image runs such modules."""
_BOARD = "__init__", "boot", "faults", "hostile_radio", "layout", "line", "memory_flash", "nor_flash"
_SIM = ("sim/__init__.py", *(f"sim/board/{name}.py" for name in _BOARD))
"""Files of `sim` that boot the lock or that the stand-ins import."""


@cache
def folder(root: Path, program: str) -> Path | None:
    """Return the folder with the compiled modules of the checkout `root`. Compile them first if needed.

    Returns None if there is no mpy-cross, or if the MicroPython `program` cannot run the output of mpy-cross. Then the
    lock runs the sources, which need more heap.
    """
    architecture = _MACHINES.get(platform.machine())
    try:
        compiler = find_program("mpy-cross")[0]
    except ConfigError:
        return None
    if architecture is None or not _speak_alike(program, compiler):
        return None
    content = {path: text for path, text in sources(root).items() if not path.endswith(_ASSEMBLER)}
    for stand_in in sorted((root / "sim" / "board" / "modules").glob("*.py")):
        content[stand_in.name] = stand_in.read_bytes()
    content.update({path: (root / path).read_bytes() for path in _SIM})
    digest = hashlib.sha256(architecture.encode())
    for tool in (compile_lean, terse, short_names):
        digest.update(Path(inspect.getfile(tool)).read_bytes())
    for path, text in content.items():
        digest.update(path.encode() + b"\0" + hashlib.sha256(text).digest())
    # The interpreter keeps the path of each module, so the name of the folder is short.
    made = root / "build" / "lock" / digest.hexdigest()[:12]
    made.parent.mkdir(parents=True, exist_ok=True)
    with (made.parent / "lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # if several processes come here, one compiles and the others wait
        if not made.is_dir():
            lean, names = lean_sources(content)
            _make(made, {**compile_lean(lean, architecture), NAMES: json.dumps(names).encode()})
    return made


def _speak_alike(program: str, compiler: str) -> bool:
    """Return whether the interpreter `program` and the `compiler` use the same version of the .mpy format."""
    script = "import sys; form = getattr(sys.implementation, '_mpy', 0); print('%d.%d' % (form & 255, form >> 8 & 3))"
    runs = subprocess.run([program, "-c", script], capture_output=True, text=True, check=False)
    says = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
    return runs.returncode == 0 and f"mpy-cross emitting mpy v{runs.stdout.strip()}" in says.stdout


def _make(made: Path, modules: dict[str, bytes]) -> None:
    """Write all `modules` to the folder `made`, or none of them."""
    with tempfile.TemporaryDirectory(dir=made.parent) as temporary:
        whole = Path(temporary, "whole")
        for path, content in modules.items():
            file = whole / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        os.replace(whole, made)
    for other in made.parent.iterdir():
        if other.is_dir() and other != made and other.stat().st_mtime < made.stat().st_mtime - 86400:
            shutil.rmtree(other, ignore_errors=True)
