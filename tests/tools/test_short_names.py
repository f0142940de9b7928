"""If only the lock's software uses a name, this name becomes short. Two names in the same file never get the same short
name.
"""

import ast
import io
import tokenize

import pytest

from tests.support.on_lock import run_on_lock
from tools.short_names import rename, short_names
from tools.software import lean_sources, sources
from tools.terse import terse

LEAN = {path: terse(content) for path, content in sources().items()}
NAMES = short_names(LEAN)

DOOR = b"""\
import time
from room.walls import Wall

_LATCH = const(3)
_count = 0


class Door(Wall):
    def __init__(self, width, height=2):
        super().__init__()
        self._width, self.height = width, height

    def _swing(self, angle):
        global _count
        _count += angle * _LATCH * len(self._bricks)


def _open(door, *, slowly):
    try:
        door._swing(90)
        getattr(time, "_sleep")(1)
    except OSError as error:
        return error
"""
WALL = b"""\
class Wall:
    def __init__(self):
        self._bricks = []
        self._sleep = open(_missing, slowly=True)
"""
ROOM = {"room/doors.py": DOOR, "room/walls.py": WALL}


def meeting(content: bytes) -> set[str]:
    """Return every name in a file, according to the tokens of the file."""
    return {t.string for t in tokenize.tokenize(io.BytesIO(content).readline) if t.type == tokenize.NAME}


def test_the_parameters_of_assembler_keep_their_names_which_are_registers() -> None:
    for decorator, kept in (("micropython.asm_rv32", True), ("micropython.native", False)):
        source = f"@{decorator}\ndef _add(a0, a1):\n    add(a0, a0, a1)\n".encode()
        assert set(short_names({"room/sums.py": source})) == ({"_add"} if kept else {"_add", "a0", "a1"})


def test_private_members_and_parameters_are_shortened_and_nothing_that_others_call() -> None:
    names = short_names(ROOM)
    assert set(names) == {"self", "width", "angle", "door", "_bricks", "_count", "_open", "_swing", "_width"}


def test_names_of_one_file_and_of_a_class_and_its_base_differ() -> None:
    names = short_names(ROOM)
    for content in ROOM.values():
        met = meeting(content) & set(names)
        assert len({names[name] for name in met}) == len(met)
    assert names["_bricks"] not in {names["_swing"], names["_width"]}


def test_names_that_never_meet_share_a_short_one() -> None:
    names = short_names({"room/a.py": b"def _long(): pass\n", "room/b.py": b"def _other(): pass\n"})
    assert names["_long"] == names["_other"]


def test_a_short_name_that_somebody_has_already_is_left_to_them() -> None:
    names = short_names({"room/a.py": b"_0 = 1\ndef _long(_1): return _0\n"})
    assert len(set(names.values())) == len(names) == 3


def test_what_stands_in_for_a_module_of_the_interpreter_keeps_its_parameters() -> None:
    source = b"class Pin:\n    def __init__(self, pull): self._pull = pull\n"
    assert short_names({"machine.py": source}) == {"_pull": "_0"}


def test_what_cannot_be_parsed_is_left_to_the_compiler() -> None:
    assert short_names({"room/a.py": b"def (:\n"}) == {}
    assert rename(b"def (:\n", {"a": "b"}) == b"def (:\n"


def test_only_names_are_renamed_and_no_text_or_comment() -> None:
    source = b'def _far(x):  # _far\n    return "_far", x._far, _farther\n'
    assert rename(source, {"_far": "_1"}) == b'def _1(x):  # _far\n    return "_far", x._1, _farther\n'


@pytest.mark.parametrize("path", LEAN)
def test_a_module_of_the_lock_is_the_same_program_under_other_names(path: str) -> None:
    met = meeting(LEAN[path])
    assert len({NAMES.get(name, name) for name in met}) == len(met)
    renamed = lean_sources(sources())[0][path] if path == "firmware/door/door.py" else rename(LEAN[path], NAMES)
    # If the names are changed back, the source is the same as before. The syntax trees have the same structure.
    back = {NAMES[name]: name for name in met if name in NAMES}
    assert rename(renamed, back) == LEAN[path]
    assert [type(node) for node in ast.walk(ast.parse(renamed))] == [
        type(node) for node in ast.walk(ast.parse(LEAN[path]))
    ]


def test_hundreds_of_names_take_the_room_of_a_hundred() -> None:
    assert len(NAMES) > 600
    assert len(set(NAMES.values())) <= 120


def test_on_the_lock_a_private_member_is_found_by_the_name_it_has_in_the_sources() -> None:
    source = """
from protocol.parts import Assembler
answer(len(Assembler()._parts))
"""
    assert run_on_lock(source) == 0
