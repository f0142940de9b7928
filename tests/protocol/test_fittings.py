"""Fittings are read strictly, and a missing member means the safe choice."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ConfigError
from protocol.fittings import HELD_SECONDS, INPUTS, Fittings
from tests.support.on_lock import run_on_lock


def test_a_lock_of_which_nothing_is_told_has_a_fail_secure_strike_and_no_inputs() -> None:
    told = Fittings.parse(b"{}")
    assert (told.fail_safe, told.inputs, told.held_seconds, told.announce) == (False, (), HELD_SECONDS, b"")
    assert told.button is False, "without one nothing of a lock in service is written"


@given(st.booleans(), st.sets(st.sampled_from(INPUTS)), st.integers(1, 3600), st.binary(max_size=32), st.booleans())
def test_what_was_written_is_read_again(
    fail_safe: bool, inputs: set[str], held: int, announce: bytes, button: bool
) -> None:
    told = Fittings.parse(Fittings(fail_safe, tuple(inputs), held, announce, button).encode())
    assert told.button == button
    assert (told.fail_safe, set(told.inputs), told.held_seconds) == (fail_safe, inputs, held)
    assert told.announce == announce


WRONG: list[Any] = [
    [],
    None,
    7,
    {"strike": "fail-open"},
    {"strike": True},
    {"strike": None},
    {"inputs": "contact"},
    {"inputs": ["window"]},
    {"inputs": ["contact", "contact"]},
    {"inputs": [["contact"]]},
    {"inputs": {"contact": True}},
    {"held_seconds": 0},
    {"held_seconds": 3601},
    {"held_seconds": "60"},
    {"held_seconds": True},
    {"held_seconds": 1.5},
    {"failsafe": True},
    {"announce": "6a0"},
    {"announce": "6A02"},
    {"announce": "0x6a"},
    {"announce": "6a 02"},
    {"announce": 6},
    {"announce": ["6a"]},
    {"announce": None},
    {"announce": "00" * 33},
    {"button": 1},
    {"button": "true"},
    {"button": None},
]


@pytest.mark.parametrize("told", WRONG, ids=json.dumps)
def test_what_cannot_be_meant_is_refused_with_what_to_mend(told: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        Fittings.parse(json.dumps(told).encode())
    assert caught.value.code == "fittings.form" and caught.value.message


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b'{"strike": "fail-safe"', b"{}{}"])
def test_bytes_that_are_no_json_are_refused(data: bytes) -> None:
    with pytest.raises(ConfigError):
        Fittings.parse(data)


def test_inputs_that_the_board_has_are_fitting() -> None:
    Fittings(inputs=("contact", "key")).check({"contact": 0, "key": 2, "tamper": 3})
    Fittings().check({})


def test_an_input_that_the_board_lacks_is_refused_by_its_name() -> None:
    with pytest.raises(ConfigError) as caught:
        Fittings(inputs=("contact", "key")).check({"contact": 0})
    assert caught.value.code == "fittings.input"
    assert caught.value.message == "this board has no input key. Take it out of the fittings"


def test_the_lock_reads_and_refuses_the_same() -> None:
    source = """
from protocol.errors import ConfigError
from protocol.fittings import INPUTS, Fittings
def read(text, board=INPUTS):
    try:
        told = Fittings.parse(text.encode())
        told.check(board)
    except ConfigError as error:
        return error.code
    return [told.fail_safe, sorted(told.inputs), told.held_seconds, told.announce.hex()]
answer([read(text) for text in given] + [read(given[0], ["contact"])])
"""
    good = Fittings(True, ("tamper", "contact"), 5, b"\x6a\x02").encode().decode()
    texts = [good, "{}", *(json.dumps(told) for told in WRONG), "", "{", '{"strike": "fail-safe"']
    said = run_on_lock(source, texts)
    assert said[:2] == [[True, ["contact", "tamper"], 5, "6a02"], [False, [], HELD_SECONDS, ""]]
    assert said[2:-1] == ["fittings.form"] * (len(texts) - 2)
    assert said[-1] == "fittings.input"
