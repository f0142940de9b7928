"""The rules of the house: who may import whom, what runs on both interpreters, and how rooms are kept."""

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sim.board import interpreter

ROOT = Path(__file__).resolve().parents[2]

MAY_IMPORT = {
    "protocol": set[str](),
    "firmware": {"protocol"},
    "edge_agent": {"protocol"},
    "tools": {"protocol"},
    "sim": {"protocol", "firmware", "edge_agent", "tools"},
    "tests": {"protocol", "firmware", "edge_agent", "tools", "sim"},
}
"""Rooms, and the other rooms each may import."""

CPYTHON_ONLY = {"protocol/console_cpython.py", "protocol/crypto_cpython.py", "protocol/sm2_cpython.py"}
"""Files of the dual-runtime rooms that the lock never loads."""

SANS_IO = {"array", "binascii", "collections", "errno", "hashlib", "io", "json", "math", "micropython", "struct", "sys"}
"""What `protocol` may import: no sockets, pins, files, clock, threads or randomness among them."""

ON_THE_LOCK = SANS_IO | {
    *("asyncio", "gc", "os", "select", "time", "cryptolib", "uctypes", "vfs"),
    *("machine", "bluetooth", "esp32"),
}
"""What `firmware` may import; all of it is in MicroPython 1.29 for the ESP32-C6."""

LOCK_TAKES_BODY = {"TYPE_CHECKING": False, "_MICROPYTHON": True}
"""Conditions on imports, and whether the lock runs the branch under them. mypy is told the same."""

LONGEST = 450
EMPTY_WORDS = {"util", "utils", "helper", "helpers", "common", "misc", "manager", "managers"}


@dataclass(frozen=True)
class Import:
    """One absolute module name that `file` imports, and whether the lock would execute that import."""

    file: str
    line: int
    module: str
    executed: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def sources(*rooms: str) -> list[Path]:
    return [file for room in rooms for file in sorted((ROOT / room).rglob("*.py")) if "__pycache__" not in file.parts]


def name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def imports(file: Path) -> Iterator[Import]:
    """Every import of `file`, wherever it stands. `from protocol import cbor` counts as `protocol.cbor`."""

    def walk(node: ast.AST, executed: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(name(file), node.lineno, alias.name, executed)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield Import(name(file), node.lineno, "." * node.level + f"{node.module or ''}.{alias.name}", executed)
        elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id in LOCK_TAKES_BODY:
            takes_body = LOCK_TAKES_BODY[node.test.id]
            for statement in node.body:
                yield from walk(statement, executed and takes_body)
            for statement in node.orelse:
                yield from walk(statement, executed and not takes_body)
        else:
            for child in ast.iter_child_nodes(node):
                yield from walk(child, executed)

    yield from walk(ast.parse(file.read_text(encoding="utf-8")), True)


def offences(room: str, allowed: set[str]) -> list[str]:
    """Imports that the lock would execute and that are neither in `allowed` nor of our rooms."""
    return [
        str(one)
        for file in sources(room)
        if name(file) not in CPYTHON_ONLY
        for one in imports(file)
        if one.executed and one.module.split(".")[0] not in allowed | MAY_IMPORT.keys()
    ]


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_the_rooms_it_may(room: str) -> None:
    forbidden = MAY_IMPORT.keys() - MAY_IMPORT[room] - {room}
    assert [str(one) for file in sources(room) for one in imports(file) if one.module.split(".")[0] in forbidden] == []


def test_imports_are_absolute() -> None:
    assert [str(one) for file in sources(*MAY_IMPORT) for one in imports(file) if one.module.startswith(".")] == []


def test_protocol_imports_nothing_that_does_input_or_output() -> None:
    assert offences("protocol", SANS_IO) == []


def test_protocol_opens_no_files_and_prints_nothing() -> None:
    calls = [
        f"{name(file)}:{node.lineno} calls {ast.unparse(node.func)}"
        for file in sources("protocol")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"open", "io.open", "input", "print"}
    ]
    assert calls == []


def test_firmware_imports_only_what_the_lock_has() -> None:
    assert offences("firmware", ON_THE_LOCK) == []


def test_the_lock_never_loads_a_module_for_cpython_alone() -> None:
    cpython_only = {file.removesuffix(".py").replace("/", ".") for file in CPYTHON_ONLY}
    dual = [file for file in sources("protocol", "firmware") if name(file) not in CPYTHON_ONLY]
    assert [str(one) for file in dual for one in imports(file) if one.executed and one.module in cpython_only] == []


def test_every_protocol_module_loads_on_the_locks_interpreter(tmp_path: Path) -> None:
    modules = [name(file).removesuffix("/__init__.py").removesuffix(".py").replace("/", ".")
               for file in sources("protocol") if name(file) not in CPYTHON_ONLY]  # fmt: skip
    script = tmp_path / "load.py"
    script.write_text("".join(f"print({module!r})\nimport {module}\n" for module in modules), encoding="utf-8")
    lock = interpreter.find()
    done = subprocess.run(lock.command(script), env=lock.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout.splitlines()[-1] + ": " + done.stdout[-500:] + done.stderr[-500:]


@pytest.mark.parametrize(
    "package", [file.parent for file in sources(*MAY_IMPORT) if file.name == "__init__.py"], ids=name
)
def test_a_package_opens_by_saying_what_lives_there(package: Path) -> None:
    said = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8"))) or ""
    mirrors_a_room = package.parent == ROOT / "tests" and package.name in MAY_IMPORT
    assert len(said) >= 40 or mirrors_a_room
    if package.parent == ROOT and package.name != "tests":
        assert re.search(r"\bmay\b", said), "a room also says what may not live there"


def test_names_say_what_a_thing_is() -> None:
    vague = [file for file in sources(*MAY_IMPORT) if EMPTY_WORDS & set(re.split(r"[/_.]", name(file)))]
    assert vague == []


def test_every_file_fits_in_one_sitting() -> None:
    lengths = {name(file): len(file.read_text(encoding="utf-8").splitlines()) for file in sources(*MAY_IMPORT)}
    assert {file: lines for file, lines in lengths.items() if lines > LONGEST} == {}
    assert f"never more than {LONGEST}." in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_every_format_description_stands_beside_its_module() -> None:
    descriptions = list((ROOT / "protocol").rglob("*.cddl"))
    alone = [
        name(file)
        for file in descriptions
        if not file.with_suffix(".py").exists() and not file.with_suffix("").is_dir()
    ]
    assert alone == []


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    kinds = {".py", ".md", ".toml", ".cddl", ".ini", ".json", ".lock", ".sh"}
    rooms = [file for room in [*MAY_IMPORT, "docs", ".ci"] for file in (ROOT / room).rglob("*") if file.is_file()]
    looked_at = [file for file in [*rooms, *ROOT.glob("*")] if file.suffix in kinds or file.name in {"Makefile", "run"}]
    places = re.compile(r"(?<![\w.])/(?:work|root|Users|home/(?!pi\b)\w+)/")
    assert [name(file) for file in looked_at if places.search(file.read_text(encoding="utf-8"))] == []
