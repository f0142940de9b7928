"""Removes parts of the lock's sources that would only cost memory: the sentences of errors, and the code for types.

A lock shows only the code of an error. Code under `TYPE_CHECKING` never runs, but its names would be on the heap.
"""

import ast
import re
from collections.abc import Iterator

_SPOKEN = frozenset({"FormatError", "VerificationError", "RefusedError", "TransportError", "StorageError"})
"""Errors whose sentence is left out. The sentence of a ConfigError stays, because the lock's console prints it."""

_GUARD = "TYPE_CHECKING"
_ASKED = "_MICROPYTHON = sys.implementation.name == 'micropython'"

_CODE = re.compile("[a-z-]+[.][a-z._-]+")
"""A string that is the code of an error or an event."""

_NAME = 10
"""Maximum number of characters in a string that mpy-cross stores as a name (MICROPY_ALLOC_PARSE_INTERN_STRING_LEN)."""

_Cut = tuple[int, int, int, int, bytes]
"""A cut: first line and column, last line and column (lines count from 0), and the bytes that replace the text
between."""


def terse(source: bytes) -> bytes:
    """Return `source` without the sentences of errors and the code for types. All remaining lines keep their numbers. A
    source that cannot be parsed is returned unchanged."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return source  # the compiler will report the error better
    lines = source.splitlines(keepends=True)
    for top, left, bottom, right, instead in sorted(
        [*_sentences(tree, lines), *_typings(tree, lines), *_runtime(tree), *_codes(tree), *_const(tree)], reverse=True
    ):
        head, tail = lines[top][:left], lines[bottom][right:]
        # A backslash continues a line within a statement. If a whole statement is cut, only empty lines remain.
        joint = b"\\\n" if instead else b"\n"
        lines[top : bottom + 1] = [head + instead + joint * (bottom - top) + tail]
    return b"".join(lines)


def _sentences(tree: ast.Module, source: list[bytes]) -> Iterator[_Cut]:
    makers = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and _makes_error(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in _SPOKEN:
                for sentence in node.args[1:2]:
                    yield _end(node, source) or (*_extent(sentence), b'""')
            elif node.func.id in makers:
                yield (*_extent(node.args[0]), b'""')


def _end(call: ast.Call, source: list[bytes]) -> _Cut | None:
    """Return the cut that removes the second argument and the comma before it. Return None if a third argument follows,
    or if anything but the comma is between the two arguments.
    """
    if len(call.args) != 2 or call.keywords:
        return None
    _, _, top, left = _extent(call.args[0])
    row, column, bottom, right = _extent(call.args[1])
    between = source[top : row + 1]
    between[-1] = between[-1][:column]
    return (top, left, bottom, right, b"") if b"".join(between)[left:].strip() == b"," else None


def _makes_error(node: ast.FunctionDef) -> bool:
    """Is this a function that only builds an error? Such a function has one argument, which goes into the error's
    sentence."""
    return (
        len(node.args.args) == 1
        and isinstance(last := node.body[-1], ast.Return)
        and all(isinstance(each, ast.Expr) for each in node.body[:-1])
        and isinstance(call := last.value, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in _SPOKEN
        and isinstance(call.args[0], ast.Constant)
    )


def _codes(tree: ast.Module) -> set[_Cut]:
    """In functions, replace each code that is too long for a name by a sum of shorter pieces.

    A string that is not a name needs two objects on the heap. A piece is stored once, and many codes share pieces.
    """
    found = set()
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    for node in [node for function in functions for node in ast.walk(function)]:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _CODE.fullmatch(node.value):
            pieces = [""]
            for word in re.findall("[^._]+|[._]", node.value):
                if len(pieces[-1] + word) > _NAME or pieces[-1].endswith("."):
                    pieces.append("")
                pieces[-1] += word
            if len(pieces) > 1 and len(node.value) > _NAME and max(len(piece) for piece in pieces) <= _NAME:
                joined = " + ".join(f'"{piece}"' for piece in pieces)
                found.add((*_extent(node), f"({joined})".encode()))
    return found


def _runtime(tree: ast.Module) -> Iterator[_Cut]:
    """The lock's interpreter is known, so the compiler can leave out what only CPython runs."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node) == _ASKED:
            yield (*_extent(node.value), b"const(1)")


def _typings(tree: ast.Module, source: list[bytes]) -> Iterator[_Cut]:
    """Yield the cuts that remove the code for types. An `elif` or `else` branch stays, because `TYPE_CHECKING` is
    always false.
    """
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node) == f"{_GUARD} = False":
            yield (*_extent(node), b"")
        if isinstance(node, ast.If) and ast.unparse(node.test) == _GUARD:
            top, left, bottom, right = _extent(node)
            if node.orelse:
                bottom = _extent(node.body[-1])[2] + 1
                while not (word := re.match(rb"elif\b|else\b", source[bottom])):
                    bottom += 1
                yield (bottom, 0, bottom, word.end(), b"if" if word[0] == b"elif" else b"if 1")
                right = 0
            yield (top, left, bottom, right, b"")


def _const(tree: ast.Module) -> Iterator[_Cut]:
    """Yield the cut that removes the import of `const`, if the module uses `const` only to make constants. The compiler
    replaces these constants by their values."""
    made = [
        node.value.func
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.targets[0], ast.Name)
    ]
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "const"]
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.lineno == node.end_lineno and all(each in made for each in uses):
            others = [alias for alias in node.names if ast.unparse(alias) != "const"]
            if node.module == "protocol" and len(others) < len(node.names):
                kept = ast.unparse(ast.ImportFrom(node.module, others, 0)) if others else ""
                yield (*_extent(node), kept.encode())


def _extent(node: ast.expr | ast.stmt) -> tuple[int, int, int, int]:
    bottom = (node.end_lineno or node.lineno) - 1
    return node.lineno - 1, node.col_offset, bottom, node.end_col_offset or 0
