"""The lock's build leaves out the sentences of errors, and nothing else."""

import ast

import pytest

from tests.on_lock import run_on_lock
from tools.software import sources
from tools.terse import without_sentences

SEVERAL_LINES = b"""\
def check(size):
    if size > 9:
        raise FormatError(
            "frame.long",
            "a frame of %d bytes; "
            "nine are enough" % size,
        )
    raise _kept(StorageError("frame.lost", f"no {size}"), "why") if size else ConfigError("frame.none", "write a size")
"""


def test_the_sentence_goes_and_the_code_and_every_other_line_stay() -> None:
    shorter = without_sentences(SEVERAL_LINES)
    assert b"bytes" not in shorter and b"nine" not in shorter and b"no {size}" not in shorter
    assert b'ConfigError("frame.none", "write a size")' in shorter and b'"why"' in shorter
    assert shorter.count(b"\n") == SEVERAL_LINES.count(b"\n")
    raised: dict[str, object] = {}

    class FormatError(Exception):
        pass

    exec(shorter, {"FormatError": FormatError}, raised)
    with pytest.raises(FormatError) as refusal:
        raised["check"](10)  # type: ignore[operator]
    assert refusal.value.args == ("frame.long", "")


@pytest.mark.parametrize("path", sources())
def test_a_module_is_the_same_program_but_for_its_sentences(path: str) -> None:
    source = sources()[path]
    before, after = ast.parse(source), ast.parse(without_sentences(source))
    spoken = [node for node in ast.walk(before) if isinstance(node, ast.Call) and len(node.args) == 2]
    for call in spoken:
        if isinstance(call.func, ast.Name) and call.func.id in (
            "FormatError",
            "VerificationError",
            "RefusedError",
            "TransportError",
            "StorageError",
        ):
            call.args[1] = ast.Constant("")
    assert ast.dump(before) == ast.dump(after)


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
