"""Reads the repository's modules as text. Says which modules there are, and what each module imports."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

MAY_IMPORT = {
    "protocol": set[str](),
    "firmware": {"protocol"},
    "edge_agent": {"protocol"},
    "tools": {"protocol"},
    "sim": {"protocol", "firmware", "edge_agent", "tools"},
    "tests": {"protocol", "firmware", "edge_agent", "tools", "sim"},
}
"""Maps each room to the other rooms that this room may import."""

CPYTHON_ONLY = {
    "protocol/command_line_cpython.py",
    "protocol/console_cpython.py",
    "protocol/crypto_cpython.py",
    "protocol/sm2_cpython.py",
}
"""Files of the dual-runtime rooms that the lock never loads."""

LOCK_TAKES_BODY = {"TYPE_CHECKING": False, "_MICROPYTHON": True}
"""Names that occur as `if <name>:` before imports. The value says whether the lock runs these imports."""


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
    """Return the modules of `rooms`. The files in `firmware/image` do not count as modules, because MicroPython's build
    takes them.
    """
    found = [file for room in rooms for file in sorted((ROOT / room).rglob("*.py"))]
    image = ROOT / "firmware/image"
    return [file for file in found if "__pycache__" not in file.parts and not file.is_relative_to(image)]


def name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def imports(file: Path) -> Iterator[Import]:
    """Yield every import of `file`, at any place in it. `from protocol import cbor` counts as `protocol.cbor`."""

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
