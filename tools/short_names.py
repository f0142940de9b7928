"""Short names for private members and parameters, which only the lock's own software uses by name.

MicroPython keeps one copy of every name on the heap for ever. So names that never occur in the same file get the same
short name. Then a thousand names need only as much memory as a hundred names. A long name has the same short name in
every file, so the meaning of the program does not change.
"""

import ast
import builtins
import io
import tokenize
from collections import Counter
from collections.abc import Iterator, Mapping

_Functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def short_names(source: Mapping[str, bytes]) -> dict[str, str]:
    """Return a short name for each name that may be shortened. `source` is a whole program: its files by path."""
    trees = {}
    for path, content in sorted(source.items()):
        try:
            trees[path] = ast.parse(content)
        except SyntaxError:
            continue  # the compiler will report the error better
    facts = {path: _Names(tree) for path, tree in trees.items()}
    bound = set().union(*(each.bound for each in facts.values()))
    public = set().union(*(each.public for each in facts.values()))
    kept = set().union(*(each.kept for each in facts.values()))
    parameters = set().union(*(each.parameters for each in facts.values()))
    private = {name for name in bound | public if name.startswith("_") and not name.startswith("__")}
    kept |= set(dir(builtins))
    # Files outside the rooms stand in for modules of the interpreter, so their parameters keep the names that those
    # modules use.
    kept |= set().union(*(each.parameters for path, each in facts.items() if "/" not in path))
    kept |= {part for path in source for part in path.removesuffix(".py").split("/")}
    free = ((private & bound) | (parameters - bound - public)) - kept
    meetings = [
        free & set().union(each.present, *(facts[base].present for base in _bases(trees, path)))
        for path, each in facts.items()
    ]
    return _share(free, meetings, set().union(*(each.present for each in facts.values())))


def rename(content: bytes, names: Mapping[str, str]) -> bytes:
    """Return the Python file `content` with its names replaced as in `names`. A file that cannot be parsed is returned
    unchanged."""
    try:
        tokens = list(tokenize.tokenize(io.BytesIO(content).readline))
    except (SyntaxError, tokenize.TokenError):
        return content
    lines = content.decode().splitlines(keepends=True)
    for token in reversed(tokens):
        if token.type == tokenize.NAME and token.string in names:
            row, left = token.start
            line = lines[row - 1]
            lines[row - 1] = line[:left] + names[token.string] + line[left + len(token.string) :]
    return "".join(lines).encode()


class _Names:
    """The names of one file.

    `present` has all names. `bound` has the names that this file gives to members, globals and functions. `public` has
    the names that this file only looks up. `kept` has names that other code has given, or that may be looked up by a
    string. `parameters` has the names of parameters.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.present: set[str] = set()
        self.bound: set[str] = set()
        self.public: set[str] = set()
        self.kept: set[str] = set()
        self.parameters: set[str] = set()
        self._used: set[str] = set()
        for node in ast.walk(tree):
            self._take(node)
        constants: set[str] = set()
        for node in _outside_functions(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self.bound.add(node.id)
            if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("const("):
                constants |= {ast.unparse(each) for each in node.targets}
        self.present |= self.bound | self.public | self.parameters
        self.kept |= self._used - self.present
        self.present |= self._used
        # The compiler replaces such a constant by its value, so its name costs nothing.
        self.kept |= {name for name in constants if name.startswith("_")}

    def _take(self, node: ast.AST) -> None:
        if isinstance(node, ast.FunctionDef) and any("asm_" in ast.unparse(each) for each in node.decorator_list):
            self.kept |= {each.arg for each in node.args.args}  # in assembler, the parameters are registers
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                self._used.add(name)
            case ast.Name(id=name) | ast.ExceptHandler(name=str(name)):
                self.present.add(name)
            case (
                ast.Attribute(attr=name, ctx=ast.Store()) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name)
            ):
                self.bound.add(name)
            case ast.Attribute(attr=name):
                self.public.add(name)
            case ast.keyword(arg=str(name)):
                self.kept.add(name)
            case ast.ClassDef(name=name):
                self.kept.add(name)  # the name of an error is shown
            case ast.arg(arg=name):
                self.parameters.add(name)
            case ast.Import(names=modules):
                self.kept |= {part for each in modules for part in (each.asname or each.name).split(".")}
            case ast.ImportFrom(module=str(name)):
                self.kept |= set(name.split("."))
            case ast.alias(name=name, asname=given):
                self.public |= {*name.split("."), given or name}
            case ast.Global(names=names):
                self.public |= set(names)
            case ast.Constant(value=str(text)):
                self.kept.add(text)


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _Functions):
            yield child
            yield from _outside_functions(child)


def _bases(trees: Mapping[str, ast.Module], path: str) -> set[str]:
    """Return the files that define base classes of the classes in `path`. An object has the members of its class and of
    all base classes."""
    found: set[str] = set()
    for node in ast.walk(trees[path]):
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                name = base.attr if isinstance(base, ast.Attribute) else ast.unparse(base)
                for other, tree in trees.items():
                    defines = any(isinstance(each, ast.ClassDef) and each.name == name for each in tree.body)
                    if other != path and other not in found and defines:
                        found |= {other} | _bases(trees, other)
    return found


def _share(free: set[str], meetings: list[set[str]], taken: set[str]) -> dict[str, str]:
    """Choose a short name for each name in `free`. The names in each set of `meetings` get different short names. No
    name in `taken` is chosen."""
    neighbours: dict[str, set[str]] = {name: set() for name in free}
    for meeting in meetings:
        for name in meeting:
            neighbours[name] |= meeting
    often = Counter(name for meeting in meetings for name in meeting)
    chosen: dict[str, str] = {}
    for name in sorted(free, key=lambda each: (-often[each], each)):
        others = {chosen.get(other) for other in neighbours[name]}
        number = 0
        while f"_{number}" in others or f"_{number}" in taken:
            number += 1
        chosen[name] = f"_{number}"
    return chosen
