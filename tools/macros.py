"""Loops and macros for MicroPython's inline assembler.

The inline assembler only takes plain instructions. So a module with an assembler function may have these in addition.
`without_macros` replaces them by plain instructions before the module is compiled:

- `for j in range(8):` repeats its body with the numbers 0 to 7 for `j`.
- `if j:` takes its body if the condition is true, and otherwise what follows `else`.
- A function without a decorator is a macro. A call of a macro is replaced by the macro's body.
- A tuple of registers, for example `X = (s1, s2)`, is a constant. `X[j]` is one of its registers.
- Constants and macros may come from another module. The import only says where they are.
- An expression of integers is replaced by its value. `lw(t0, (4 * j)(a2))` loads a word from the address a2 + 4 j.
"""

import ast
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence

_OPERATORS: Mapping[type[ast.AST], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Lt: operator.lt,
    ast.Eq: operator.eq,
}

_PAD = "label(PAD)"
"""One more label for a function whose number of labels is a multiple of 4.

For a label that comes later, MicroPython's first pass reads the word behind its table of labels (`lookup_label` in
`emitinlinerv32.c`, version 1.29). With this distance, the pass checks the range of the branch. The word is 0 if it is
the rest of a block of memory, and a block has four words. Otherwise it may be anything, and the check fails by chance.
So the table must not fill its last block.
"""

_Names = Mapping[str, ast.expr]
"""The meaning of each name of a loop, of a parameter or of a constant."""


def without_macros(sources: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return `sources`, Python files by path, without loops and macros in assembler functions for RISC-V. A module that
    only has macros is left out.

    Raises ValueError for a statement or an expression that this module does not know.
    """
    found = dict(sources)
    for path in [path for path, content in sources.items() if b"@micropython.asm_rv32" in content]:
        tree = ast.parse(sources[path])
        names: dict[str, ast.expr] = {}
        macros: dict[str, ast.FunctionDef] = {}
        kept: list[ast.stmt] = []
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module:
                library = node.module.replace(".", "/") + ".py"
                found.pop(library, None)
                _define(ast.parse(sources[library]).body, names, macros)
            else:
                kept += _define([node], names, macros)
        for node in kept:
            if isinstance(node, ast.FunctionDef):
                node.body = list(_Expansion(macros).of(node.body, names))
                if ast.unparse(node).count(" label(") % 4 == 0:
                    node.body += ast.parse(_PAD).body
        found[path] = ast.unparse(ast.Module(kept, [])).encode() + b"\n"
    return found


def _define(body: Sequence[ast.stmt], names: dict[str, ast.expr], macros: dict[str, ast.FunctionDef]) -> list[ast.stmt]:
    """Add the constants and the macros in `body` to `names` and `macros`. Return all other statements."""
    others = []
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            names[node.targets[0].id] = node.value
        elif isinstance(node, ast.FunctionDef) and not node.decorator_list:
            macros[node.name] = node
        else:
            others.append(node)
    return others


class _Expansion:
    def __init__(self, macros: Mapping[str, ast.FunctionDef]) -> None:
        self._macros = macros

    def of(self, body: Sequence[ast.stmt], names: _Names) -> Iterator[ast.stmt]:
        """Return the plain instructions of `body`."""
        for statement in body:
            match statement:
                case ast.For(target=ast.Name(id=name), iter=ast.Call(func=ast.Name(id="range"), args=limits)):
                    for number in range(*[_number(_replaced(limit, names)) for limit in limits]):
                        yield from self.of(statement.body, {**names, name: ast.Constant(number)})
                case ast.If(test=test):
                    chosen = statement.body if _number(_replaced(test, names)) else statement.orelse
                    yield from self.of(chosen, names)
                case ast.Expr(value=ast.Call(func=ast.Name(id=name), args=given)) if name in self._macros:
                    macro = self._macros[name]
                    values = [_replaced(each, names) for each in given]
                    parameters = [each.arg for each in macro.args.args]
                    yield from self.of(macro.body, {**names, **dict(zip(parameters, values, strict=True))})
                case ast.Expr(value=ast.Call(func=func, args=given)):
                    yield ast.Expr(ast.Call(func, [_replaced(each, names) for each in given], []))
                case ast.Expr(value=ast.Constant(value=str())):
                    pass  # a docstring
                case _:
                    raise ValueError("not a statement of an assembler function: " + ast.unparse(statement))


def _number(node: ast.expr) -> int:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    raise ValueError("not a number: " + ast.unparse(node))


def _replaced(node: ast.expr, names: _Names) -> ast.expr:
    """Return `node` with each name replaced by its meaning, and with each expression replaced by its value."""
    match node:
        case ast.Name(id=name):
            return _replaced(names[name], {}) if name in names else node
        case ast.Tuple(elts=registers):
            return ast.Tuple([_replaced(each, names) for each in registers], ast.Load())
        case ast.Subscript(value=value, slice=place):
            constant = _replaced(value, names)
            if isinstance(constant, ast.Tuple):
                return constant.elts[_number(_replaced(place, names))]
        case (
            ast.BinOp(left=left, op=operation, right=right)
            | ast.Compare(left=left, ops=[operation], comparators=[right])
        ):
            numbers = [_number(_replaced(each, names)) for each in (left, right)]
            return ast.Constant(int(_OPERATORS[type(operation)](*numbers)))
        case ast.Call(func=offset, args=[base]):
            return ast.Call(ast.Constant(_number(_replaced(offset, names))), [_replaced(base, names)], [])
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return ast.Constant(-_number(_replaced(operand, names)))
    return node
