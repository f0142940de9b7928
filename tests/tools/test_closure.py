"""A lock gets the modules that its first module needs, and no others. The lock's interpreter loads exactly these
modules.
"""

import ast
import json
import subprocess
from pathlib import Path

import pytest

from protocol.errors import StorageError
from sim.board import interpreter
from tools import software
from tools.closure import closure

PROGRAM = {
    "firmware/__init__.py": b"",
    "firmware/main.py": b"import sys\nfrom firmware import door\nfrom protocol.form import FORM\nimport asyncio.core\n",
    "firmware/door/__init__.py": b"",
    "firmware/door/alone.py": b"",
    "protocol/__init__.py": b"",
    "protocol/form.py": b"FORM = 1\n",
    "protocol/other.py": b"",
}

LOAD = """
import json, sys
from firmware.main import main
from firmware.boards import {board}
for name in {late}:
    __import__(name)
print("\\x02" + json.dumps([name for name in sys.modules if name.split(".")[0] in ("firmware", "protocol")]))
"""
"""A program that loads the lock, and the modules that the lock's functions may load later."""


def paths(added: bytes, image: str = "") -> set[str]:
    """Add the lines `added` to `main.py`. Return the files that are then needed beside the files that PROGRAM needs."""
    whole = {**PROGRAM, "firmware/main.py": PROGRAM["firmware/main.py"] + added}
    base = {"firmware/__init__.py", "firmware/main.py", "firmware/door/__init__.py"}
    needed = set(closure(whole, ["firmware.main"], image))
    assert needed >= base | {"protocol/__init__.py", "protocol/form.py"}
    return needed - base - {"protocol/__init__.py", "protocol/form.py"}


@pytest.mark.parametrize(
    ("added", "more"),
    [
        (b"", set()),
        (b"import protocol.other\n", {"protocol/other.py"}),
        (b"from protocol import other as why\n", {"protocol/other.py"}),
        (b"def late():\n    from protocol import other\n", {"protocol/other.py"}),
        (b"try:\n    import protocol.other\nexcept OSError:\n    pass\n", {"protocol/other.py"}),
        (b"if size:\n    pass\nelse:\n    import protocol.other\n", {"protocol/other.py"}),
        (b"if TYPE_CHECKING:\n    import protocol.other\n", set()),
        (b"if TYPE_CHECKING:\n    pass\nelse:\n    import protocol.other\n", {"protocol/other.py"}),
        (b"if _MICROPYTHON:\n    import protocol.other\n", {"protocol/other.py"}),
        (b"if _MICROPYTHON:\n    pass\nelse:\n    import protocol.other\n", set()),
    ],
)
def test_an_import_that_the_lock_runs_is_followed_and_no_other(added: bytes, more: set[str]) -> None:
    assert paths(added) == more


@pytest.mark.parametrize(("sign", "on_image"), [("==", True), ("!=", False)])
def test_an_import_for_one_image_is_followed_for_that_image_alone(sign: str, on_image: bool) -> None:
    added = f'if getattr(sys.implementation, "_build", "") {sign} "OURS":\n    import protocol.other\n'.encode()
    assert paths(added, "OURS") == ({"protocol/other.py"} if on_image else set())
    assert paths(added) == (set() if on_image else {"protocol/other.py"})
    assert paths(added, "ANOTHER") == (set() if on_image else {"protocol/other.py"})


@pytest.mark.parametrize("added", [b"import protocol.none\n", b"from firmware.none import thing\n"])
def test_a_module_that_is_missing_is_named(added: bytes) -> None:
    with pytest.raises(StorageError) as refused:
        paths(added)
    assert refused.value.code == "stage.source"
    assert "firmware/main.py needs" in refused.value.message and ".none, which is missing" in refused.value.message


def late(content: bytes) -> set[str]:
    """Return the modules that the functions of a file import when these functions run."""
    functions = [
        node for node in ast.walk(ast.parse(content)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    found = [node for function in functions for node in ast.walk(function) if isinstance(node, ast.ImportFrom)]
    return {f"{node.module}.{alias.name}" for node in found for alias in node.names} | {str(n.module) for n in found}


def test_the_locks_interpreter_loads_exactly_the_modules_that_a_lock_is_given(tmp_path: Path) -> None:
    given = software.needed()
    modules = {path.removesuffix("/__init__.py").removesuffix(".py").replace("/", ".") for path in given}
    for path, content in given.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    script = tmp_path / "load.py"
    imported = set().union(*(late(content) for content in given.values()))
    script.write_text(LOAD.format(board=software.REFERENCE_BOARD, late=sorted(imported & modules)))
    lock = interpreter.find("sources")
    environment = lock.environment({"MICROPYPATH": f"{tmp_path}:{interpreter.STAND_INS}:{interpreter.ROOT}:.frozen"})
    command = [lock.program, "-X", "heapsize=8m", str(script)]  # as sources, this needs more memory than a lock has
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-1000:]
    assert set(json.loads(done.stdout.rpartition("\x02")[2])) == modules
