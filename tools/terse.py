"""The lock's sources without the sentences of its errors: a lock shows a code, and has no room for prose."""

import ast

_SPOKEN = frozenset({"FormatError", "VerificationError", "RefusedError", "TransportError", "StorageError"})
"""Errors whose second argument is a sentence. That of a ConfigError is printed on the lock's console, and stays."""


def without_sentences(source: bytes) -> bytes:
    """`source` with an empty sentence in each such error, and otherwise as it stands, line for line."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return source  # the compiler has better words for it
    lines = source.splitlines(keepends=True)
    found = [
        node.args[1]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _SPOKEN
        if len(node.args) == 2
    ]
    for sentence in sorted(found, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        first, last = sentence.lineno - 1, (sentence.end_lineno or sentence.lineno) - 1
        head, tail = lines[first][: sentence.col_offset], lines[last][sentence.end_col_offset :]
        lines[first : last + 1] = [head + b'""' + b"\\\n" * (last - first) + tail]
    return b"".join(lines)
