"""The wheel claims only one name on PyPI, works beside a foreign package named `protocol`, and keeps every line
number."""

import ast
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol import VERSION
from tools import wheel

ROOT = Path(__file__).resolve().parents[2]

_TRACEBACK = """
import traceback
try:
    from {root}protocol import cbor
    cbor.decode_deterministic(bytes.fromhex("8201"))
except Exception as error:
    for frame in traceback.extract_tb(error.__traceback__)[1:]:
        print(frame.name, frame.lineno, frame.line.strip())
"""

_LOAD_ALL = """
import importlib, pkgutil, protocol, mooring
names = [each.name for each in pkgutil.walk_packages(mooring.__path__, "mooring.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
assert protocol.WHO == "somebody else"
print(len(names), mooring.__version__)
"""


def run(*command: str | Path, cwd: Path, code: int = 0) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def build(source: Path, kind: str, into: Path) -> Path:
    run(sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", into, cwd=source)
    (made,) = into.iterdir()
    return made


def environment(folder: Path, wheel_file: Path) -> Path:
    """Make a new environment that contains only the wheel, and return its folder."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    pip = ("-m", "pip", "--disable-pip-version-check", "--python", folder / "bin/python")
    run(sys.executable, *pip, "install", "--quiet", "--no-deps", "--no-index", wheel_file, cwd=folder.parent)
    return folder


def show(environment: Path, *beside: Path) -> None:
    """Let `environment` also import modules from the folders in `beside`."""
    site = environment / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (site / "beside.pth").write_text("".join(f"{place}\n" for place in beside), encoding="utf-8")


@pytest.fixture(scope="module")
def wheel_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


def test_the_installed_wheel_works_beside_a_foreign_package_called_protocol(tmp_path: Path, wheel_file: Path) -> None:
    clean = environment(tmp_path / "clean", wheel_file)
    command = clean / "bin/mooring-edge"
    lacking = run(command, "--version", cwd=tmp_path, code=2)
    assert lacking.startswith("python.packages: ") and "bleak" in lacking and "make" not in lacking
    assert lacking.endswith("python -m pip install mooring\n")
    foreign = tmp_path / "foreign"
    (foreign / "protocol").mkdir(parents=True)
    (foreign / "protocol/__init__.py").write_text('WHO = "somebody else"\n', encoding="utf-8")
    show(clean, foreign, Path(sysconfig.get_path("purelib")))
    assert run(command, "--version", cwd=tmp_path) == f"mooring-edge {VERSION}\n"
    settings = tmp_path / "mooring-edge.toml"
    defaults = run(command, "config", cwd=tmp_path)
    assert "mooring-edge check-config" in defaults and "edge_agent" not in defaults
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint).hex()
    filled = defaults.replace('\nprovince_public_key = ""', f'\nprovince_public_key = "{point}"')
    filled = filled.replace('"/var/lib/mooring-edge"', f'"{tmp_path}/state"')
    settings.write_text(filled, encoding="utf-8")
    assert "good" in run(command, "check-config", "--config", settings, cwd=tmp_path)
    loaded, version = run(clean / "bin/python", "-c", _LOAD_ALL, cwd=tmp_path).split()
    assert int(loaded) > 80 and version == VERSION
    here = run(sys.executable, "-c", _TRACEBACK.format(root=""), cwd=ROOT)
    there = run(clean / "bin/python", "-c", _TRACEBACK.format(root="mooring."), cwd=tmp_path)
    assert here == there and here.count("\n") >= 2
    with zipfile.ZipFile(wheel_file) as content:
        roots = {name.split("/")[0] for name in content.namelist()}
    assert roots == {"mooring", f"mooring-{VERSION}.dist-info"}


def test_the_sdist_builds_the_same_wheel(tmp_path: Path, wheel_file: Path) -> None:
    archive = build(ROOT, "sdist", tmp_path / "sdist")
    with tarfile.open(archive) as content:
        content.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    again = build(source, "wheel", tmp_path / "again")
    assert again.name == wheel_file.name and again.read_bytes() == wheel_file.read_bytes()


def test_every_definition_of_the_wheel_keeps_its_line() -> None:
    files = wheel.packaged(ROOT)
    compared = 0
    for path, content in files.items():
        source = ROOT / path.removeprefix("mooring/")
        if source.suffix == ".py" and source.exists():
            before, after = ast.parse(source.read_bytes()), ast.parse(content)
            assert [_place(node) for node in ast.walk(before)] == [_place(node) for node in ast.walk(after)], path
            compared += 1
    assert compared > 70 and compared == len([path for path in files if path.endswith(".py")]) - 1


def _place(node: ast.AST) -> tuple[str, int | None]:
    return type(node).__name__, getattr(node, "lineno", None)


def test_no_module_of_the_wheel_names_a_room_without_the_package() -> None:
    for path, content in wheel.packaged(ROOT).items():
        if path.endswith(".py"):
            imported = {
                name.split(".")[0]
                for node in ast.walk(ast.parse(content))
                for name in (
                    [alias.name for alias in node.names]
                    if isinstance(node, ast.Import)
                    else [node.module or ""]
                    if isinstance(node, ast.ImportFrom)
                    else []
                )
            }
            assert imported.isdisjoint({"edge_agent", "protocol", "firmware", "sim", "tools"}), path
            assert b"-m edge_agent" not in content and b"`protocol." not in content, path


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from protocol import cbor", "from mooring.protocol import cbor"),
        ("from  protocol.mdoc import ble  # a", "from  mooring.protocol.mdoc import ble  # a"),
        ("def f():\n    from edge_agent.log import start", "def f():\n    from mooring.edge_agent.log import start"),
        ("from protocol.errors import (\n    A,\n)", "from mooring.protocol.errors import (\n    A,\n)"),
        ("é = 1; from protocol import cbor", "é = 1; from mooring.protocol import cbor"),
        ("a = 'python -m edge_agent status'", "a = 'mooring-edge status'"),
        ("a = 'Run python -m edge_agent. Then wait.'", "a = 'Run mooring-edge. Then wait.'"),
        ("a = 'python -m edge_agent.log'", "a = 'python -m mooring.edge_agent.log'"),
        ("# `python3 -m edge_agent.log run`", "# `python3 -m mooring.edge_agent.log run`"),
        ("a = 'python -m protocol.cbor.'", "a = 'python -m mooring.protocol.cbor.'"),
        ("a = 'python -m protocols.cbor'", "a = 'python -m protocols.cbor'"),
        ("a = lacking('-m edge_agent')", "a = lacking('-m mooring.edge_agent')"),
        ("# see `protocol.link`", "# see `mooring.protocol.link`"),
        ("from protocols import x", "from protocols import x"),
        ("a = 'lock.protocol'; protocol = 1", "a = 'lock.protocol'; protocol = 1"),
        ("a = 'from protocol import cbor'", "a = 'from protocol import cbor'"),
    ],
)
def test_names_of_rooms_are_changed_where_they_are_meant(before: str, after: str) -> None:
    assert wheel.moved(before.encode(), "x.py").decode() == after


@pytest.mark.parametrize("source", ["import protocol", "import os, edge_agent.log", "from \\\n protocol import cbor"])
def test_an_import_that_cannot_be_changed_in_its_line_stops_the_build(source: str) -> None:
    with pytest.raises(ValueError, match=r"^edge_agent/x\.py:1: write "):
        wheel.moved(source.encode(), "edge_agent/x.py")
