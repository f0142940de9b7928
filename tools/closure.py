"""Finds the modules that the lock needs: all modules that its first module imports, directly or through others.

Imports are read from the sources, and imports inside functions count too. Imports that the lock never runs do not
count. These are the imports under `TYPE_CHECKING`, the imports for CPython or for another image, and the imports for a
MicroPython that cannot compile viper code.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping

from protocol.errors import StorageError

_IDENTITY = re.compile(r"getattr\(sys\.implementation, '_build', ''\) (==|!=) '(\w*)'")
"""The condition by which a module asks whether it runs on our own image."""


def closure(source: Mapping[str, bytes], first: Iterable[str], image: str = "") -> dict[str, bytes]:
    """Return the modules in `first`, and all modules that these modules need. The result maps each path to its content,
    sorted by path.

    `source` has the modules of all rooms by path, and `first` has names with dots. `image` is the identity of the image
    that runs the modules (`sys.implementation._build`), or empty for a stock image. Raises StorageError `stage.source`
    if a module of our rooms is imported, but is not in `source`.
    """
    rooms = {path.split("/")[0] for path in source}
    found: set[str] = set()
    waiting = [(name, "the lock") for name in first]
    while waiting:
        module, importer = waiting.pop()
        if module.split(".")[0] not in rooms:
            continue  # a module of the interpreter
        path = _path(source, module)
        if path is None:
            raise StorageError(
                "stage.source", f"{importer} needs {module}, which is missing. Run this command in a complete checkout"
            )
        if path in found:
            continue
        found.add(path)
        if "." in module:
            waiting.append((module.rpartition(".")[0], path))
        for imported, names in _imports(ast.parse(source[path]), image):
            waiting.append((imported, path))
            # A name that is not a module is something that the imported module defines.
            inside = [f"{imported}.{name}" for name in names]
            waiting += [(each, path) for each in inside if _path(source, each)]
    return {path: source[path] for path in sorted(found)}


def _path(source: Mapping[str, bytes], module: str) -> str | None:
    name = module.replace(".", "/")
    return next((path for path in (f"{name}.py", f"{name}/__init__.py") if path in source), None)


def _imports(node: ast.AST, image: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each module that is imported, with the names that are taken from it."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name, []
    elif isinstance(node, ast.ImportFrom):
        yield node.module or "", [alias.name for alias in node.names]
    elif not _without_compiler(node):
        runs = _holds(node.test, image) if isinstance(node, ast.If) else None
        for name, value in ast.iter_fields(node):
            if runs is None or name == ("body" if runs else "orelse"):
                for child in value if isinstance(value, list) else [value]:
                    if isinstance(child, ast.AST):
                        yield from _imports(child, image)


def _without_compiler(node: ast.AST) -> bool:
    """Return whether `node` handles the error of a MicroPython that cannot compile viper code.

    A lock gets compiled modules, so it never compiles such code itself.
    """
    return isinstance(node, ast.ExceptHandler) and isinstance(node.type, ast.Name) and node.type.id == "SyntaxError"


def _holds(test: ast.expr, image: str) -> bool | None:
    """Return whether the lock finds `test` true, or None if that is not known before the lock runs."""
    asked = ast.unparse(test)
    if asked in ("TYPE_CHECKING", "_MICROPYTHON"):
        return asked == "_MICROPYTHON"
    identity = _IDENTITY.fullmatch(asked)
    return None if identity is None else (identity[1] == "==") == (identity[2] == image)
