"""The rules of the rooms: imports between rooms, code for both interpreters, and names and sizes of files."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from sim.board import interpreter
from tests.support.sources import CPYTHON_ONLY, MAY_IMPORT, ROOT, imports, name, sources

SANS_IO = {"array", "binascii", "collections", "errno", "hashlib", "io", "json", "math", "micropython", "struct", "sys"}
"""Modules that `protocol` may import. `protocol` uses no sockets, pins, files, clock, threads or randomness."""

ON_THE_LOCK = SANS_IO | {
    *("asyncio", "gc", "os", "select", "time", "cryptolib", "uctypes", "vfs"),
    *("machine", "bluetooth", "esp32"),
}
"""Modules that `firmware` may import. MicroPython 1.29 for the ESP32-C6 contains all these modules."""

LONGEST, LONGEST_TEST = 450, 400
"""Maximum number of lines of a file, and of a file in `tests`."""

EMPTY_WORDS = {"util", "utils", "helper", "helpers", "common", "misc", "manager", "managers"}


def offences(room: str, allowed: set[str]) -> list[str]:
    """Return each import of a module outside `allowed` and outside our rooms, if the lock would execute this import."""
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


def test_no_parameter_of_sqlite_is_numbered() -> None:
    """The versions 3.12.0 to 3.12.3 of Python take `?1` for a name, and warn if the values come as a sequence."""
    numbered = re.compile(r"[ =(<>]\?[0-9]")
    assert numbered.search("WHERE code=?1") and not numbered.search("WHERE code=?")
    assert [name(file) for file in sources("edge_agent", "sim") if numbered.search(file.read_text("utf-8"))] == []


def test_no_test_module_imports_another() -> None:
    """Code that two test modules share is in `tests/support`. So a test module can be moved, split or deleted alone."""
    of_tests = [one for file in sources("tests") for one in imports(file) if one.module.startswith("tests.")]
    assert [str(one) for one in of_tests if re.search(r"\.test_", one.module)] == []


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
    longest = {file: LONGEST_TEST if file.startswith("tests/") else LONGEST for file in lengths}
    assert {file: lines for file, lines in lengths.items() if lines > longest[file]} == {}
    assert f"at most {LONGEST}, and at most {LONGEST_TEST} in `tests/`." in (ROOT / "CONTRIBUTING.md").read_text(
        encoding="utf-8"
    )


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
