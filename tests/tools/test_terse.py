"""The lock's build leaves out the sentences of errors and what only types need, and nothing else."""

import ast

import pytest

from tests.on_lock import run_on_lock
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
    assert refusal.value.args == ("frame.long", "")


def test_what_cannot_be_parsed_is_left_to_the_compiler() -> None:
    assert terse(b"def (:\n") == b"def (:\n"


@pytest.mark.parametrize("path", sources())
def test_a_module_is_the_same_program_but_for_that(path: str) -> None:
    source = sources()[path]
    before, after = ast.parse(source), ast.parse(terse(source))
    for call in ast.walk(before):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in SPOKEN:
            call.args[1:2] = [ast.Constant("") for _ in call.args[1:2]]
    before.body = [
        node
        for node in before.body
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        and ast.unparse(node) != "TYPE_CHECKING = False"
    ]
    assert ast.dump(before) == ast.dump(after)
    assert terse(source).count(b"\n") == source.count(b"\n")


def test_on_the_lock_an_error_has_its_code_and_no_sentence_but_where_people_read_it() -> None:
    source = """
from protocol import fittings, parts
from protocol.errors import MooringError
def said(act):
    try:
        act()
    except MooringError as error:
        return [error.code, bool(error.message)]
answer([said(lambda: parts.Assembler(9).push(b"")), said(lambda: fittings.Fittings.parse(b"["))])
"""
    assert run_on_lock(source) == [["parts.form", False], ["fittings.form", True]]
