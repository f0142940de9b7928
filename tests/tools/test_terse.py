"""The lock's build leaves out the sentences of errors. The build also leaves out code that only types or CPython need.
The build keeps everything else.
"""

import ast

import pytest

from tests.support.on_lock import run_on_lock
from tools.software import sources
from tools.terse import terse

SPOKEN = ("FormatError", "VerificationError", "RefusedError", "TransportError", "StorageError")

PROGRAM = b'''\
import gc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    class Line:
        """A line."""


def check(size: "int") -> "Line":
    if size > 9:
        raise FormatError(
            "frame.long",
            "a frame of %d bytes; "
            "nine are enough" % size,
        )
    raise _kept(StorageError("frame.lost", f"no {size}"), "why") if size else ConfigError("frame.none", "write a size")
'''


def test_sentences_and_typings_go_and_the_code_and_every_other_line_stay() -> None:
    shorter = terse(PROGRAM)
    for gone in (b"bytes", b"nine", b"no {size}", b"TYPE_CHECKING", b"Callable", b"class Line"):
        assert gone not in shorter
    assert b'ConfigError("frame.none", "write a size")' in shorter and b'"why"' in shorter
    lines = PROGRAM.splitlines()
    assert len(shorter.splitlines()) == len(lines)
    assert shorter.splitlines().index(b"import gc") == 0
    assert shorter.splitlines()[10] == lines[10]
    made: dict[str, object] = {}

    class FormatError(Exception):
        pass

    exec(shorter, {"FormatError": FormatError}, made)
    with pytest.raises(FormatError) as refusal:
        made["check"](10)  # type: ignore[operator]
    assert refusal.value.args == ("frame.long",)


@pytest.mark.parametrize("branch", ["else:\n", "else :  # on the lock\n", "elif size > 3:\n", "elif size < 3:\n"])
def test_the_branch_beside_the_code_for_types_stays_in_its_lines(branch: str) -> None:
    source = f"""\
TYPE_CHECKING = False
size = 4
made = None
if TYPE_CHECKING:
    from typing import Any

    Any = None
# or
{branch}    made = [
        size,
    ]
ended = True
"""
    shorter = terse(source.encode()).decode()
    assert "TYPE_CHECKING" not in shorter and "Any" not in shorter
    assert shorter.splitlines()[9:] == source.splitlines()[9:]
    told: dict[str, object] = {}
    said: dict[str, object] = {}
    exec(source, told)
    exec(shorter, said)
    assert said["made"] == told["made"] == (None if "<" in branch else [4]) and said["ended"]
    assert run_on_lock(shorter + "answer([made, ended])\n") == [told["made"], True]


def test_what_cannot_be_parsed_is_left_to_the_compiler() -> None:
    assert terse(b"def (:\n") == b"def (:\n"


def test_const_is_imported_only_where_the_compiler_does_not_put_in_its_values() -> None:
    """For constants of a module, MicroPython's compiler needs no import of `const`. The import would cost heap."""
    folded = b"from protocol import const, record\nfrom protocol import const\n_ONE = const(1)\n"
    assert terse(folded) == b"from protocol import record\n\n_ONE = const(1)\n"
    for called in (b"print(const(1))\n", b"_ONE, _TWO = const(1), const(2)\n"):
        assert terse(b"from protocol import const\n" + called) == b"from protocol import const\n" + called


class Joined(ast.NodeTransformer):
    """Replaces each sum of strings by a single string."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.BinOp(left=ast.Constant(value=str(left)), op=ast.Add(), right=ast.Constant(value=str(right))):
                return ast.Constant(left + right)
        return node


@pytest.mark.parametrize("path", sources())
def test_a_module_is_the_same_program_but_for_that(path: str) -> None:
    source = sources()[path]
    before, after = Joined().visit(ast.parse(source)), Joined().visit(ast.parse(terse(source)))
    makers = [
        node.name
        for node in before.body
        if isinstance(node, ast.FunctionDef) and node.returns is not None and ast.unparse(node.returns) in SPOKEN
    ]
    for call in ast.walk(before):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            if call.func.id in SPOKEN:
                call.args[1:2] = []
            if call.func.id in makers:
                call.args[:1] = [ast.Constant("") for _ in call.args[:1]]
    for node in before.body:
        if ast.unparse(node) == "_MICROPYTHON = sys.implementation.name == 'micropython'":
            node.value = ast.parse("const(1)", mode="eval").body
    before.body = [
        node
        for node in before.body
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        and ast.unparse(node) != "TYPE_CHECKING = False"
    ]
    for node in (*before.body, *after.body):
        if isinstance(node, ast.ImportFrom) and node.module == "protocol":
            node.names = [alias for alias in node.names if alias.name != "const"]
    for tree in (before, after):
        tree.body = [node for node in tree.body if not (isinstance(node, ast.ImportFrom) and not node.names)]
    assert ast.dump(before) == ast.dump(after)
    assert terse(source).count(b"\n") == source.count(b"\n")


def test_a_code_is_in_pieces_that_the_compiler_makes_names_of_and_whole_when_it_is_told() -> None:
    source = b"""\
def tell(b, c=("a.b", "status-list.stale")):
    log("nfc.engaged") if b == "grant.none" else log("nfc." + b)
    raise RefusedError("engagement.not_for_us", "not for us")
"""
    assert terse(source).splitlines()[1:] == [
        b'    log(("nfc." + "engaged")) if b == "grant.none" else log("nfc." + b)',
        b'    raise RefusedError(("engagement" + "." + "not_for_us"))',
    ]
    assert eval(b'("engagement" + "." + "not_for_us")') == "engagement.not_for_us"


def test_on_the_lock_an_error_has_its_code_and_no_sentence_but_where_people_read_it() -> None:
    source = """
from protocol import fittings, parts
from protocol.errors import MooringError
def said(act):
    try:
        act()
    except MooringError as error:
        return [error.code, bool(error.message)]
answer([said(lambda: parts.Assembler().push(b"", 9)), said(lambda: fittings.Fittings.parse(b"["))])
"""
    assert run_on_lock(source) == [["parts.form", False], ["fittings.form", True]]
