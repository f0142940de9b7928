"""The lock's sources without what a lock has no use and no room for: the sentences of errors, and what only types need.

A lock shows an error's code. What `TYPE_CHECKING` guards never runs, but its names would be on the heap all the same.
"""

import ast
from collections.abc import Iterator

_SPOKEN = frozenset({"FormatError", "VerificationError", "RefusedError", "TransportError", "StorageError"})
"""Errors whose second argument is a sentence. That of a ConfigError is printed on the lock's console, and stays."""

_GUARD = "TYPE_CHECKING"

_Cut = tuple[int, int, int, int, bytes]
"""From line and column to line and column, lines from 0, and what stands there instead."""


def terse(source: bytes) -> bytes:
    """`source` without all that, and otherwise as it stands, line for line; as it is if it cannot be parsed."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return source  # the compiler has better words for it
    lines = source.splitlines(keepends=True)
    for top, left, bottom, right, instead in sorted([*_sentences(tree), *_typings(tree)], reverse=True):
        head, tail = lines[top][:left], lines[bottom][right:]
        # Within a statement a line goes on by a backslash; of a whole one nothing is left but its lines' ends.
        joint = b"\\\n" if instead else b"\n"
        lines[top : bottom + 1] = [head + instead + joint * (bottom - top) + tail]
    return b"".join(lines)


def _sentences(tree: ast.Module) -> Iterator[_Cut]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _SPOKEN:
            for sentence in node.args[1:2]:
                yield (*_extent(sentence), b'""')


def _typings(tree: ast.Module) -> Iterator[_Cut]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node) == f"{_GUARD} = False":
            yield (*_extent(node), b"")
        if isinstance(node, ast.If) and ast.unparse(node.test) == _GUARD and not node.orelse:
            yield (*_extent(node), b"")


def _extent(node: ast.expr | ast.stmt) -> tuple[int, int, int, int]:
    bottom = (node.end_lineno or node.lineno) - 1
    return node.lineno - 1, node.col_offset, bottom, node.end_col_offset or 0
