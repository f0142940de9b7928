"""The maintenance console. A log may contain lines of the console between other lines, and both runtimes read the
console's lines strictly.
"""

from base64 import b64encode
from binascii import crc32
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import console, console_cpython
from protocol.console import DOWN_LIMIT, Assembler
from protocol.errors import FormatError
from tests.support.on_lock import run_on_lock

REQUESTS: list[tuple[int, str, Any]] = [
    (0, "status", None),
    (1, "log", None),
    (2, "export", 1),
    (3, "export", (1 << 53) - 1),
    (4, "fittings", None),
    (5, "fittings", b"{}"),
    (6, "inputs", None),
    (7, "signals", None),
    ((1 << 53) - 1, "strike", None),
]
STATUS = [1, bytes(16), 5, 4, True, False, 100_000, 7, 3, None]


def found(stream: bytes, limit: int = DOWN_LIMIT) -> list[bytes]:
    """Return all console lines in `stream`."""
    assembler = Assembler(limit)
    lines = (assembler.push(byte) for byte in stream)
    return [line for line in lines if line is not None]


def line(message: bytes) -> bytes:
    """Return the console line of `message`, which may be any bytes. The line's mark and end are left out."""
    content = len(message).to_bytes(2, "big") + message
    return b64encode(content + crc32(content).to_bytes(4, "big"))


@pytest.mark.parametrize("asked", REQUESTS, ids=str)
def test_a_request_is_found_in_a_log_and_read_again(asked: tuple[int, str, Any]) -> None:
    stream = b"12 lock.ready heap=1\r\n\x00\x03~" + console.encode(list(asked)) + b"13 tap.start\n"
    [one] = found(stream)
    assert console.request(one) == asked


def test_a_line_is_printed_characters_between_its_mark_and_its_end() -> None:
    written = console.encode([1, "fittings", bytes(range(256))])
    assert written[:1] == b"~" and written[-1:] == b"\n" and all(32 < byte < 127 for byte in written[:-1])
    assert written[1:-1] == line(cbor2.dumps([1, "fittings", bytes(range(256))], canonical=True))


@pytest.mark.parametrize(
    "message",
    [
        *([1, command, None] for command in ("exec", "", "STATUS", "status ", 1, True, None, b"status", "export")),
        *([1, "export", start] for start in (0, -1, 1 << 53, "1", True, [1])),
        *([1, command, b""] for command in ("status", "log", "inputs", "signals", "strike")),
        *([number, "status", None] for number in (-1, 1 << 53, True, "1", None)),
        [1, "fittings", "{}"],
        [1, "status"],
        [1, "status", None, None],
        [],
        {1: "status"},
        None,
    ],
    ids=str,
)
def test_what_is_no_request_is_refused(message: Any) -> None:
    with pytest.raises(FormatError) as refused:
        console.request(line(cbor2.dumps(message, canonical=True)))
    assert refused.value.code == "console.form" or refused.value.code.startswith("cbor.")


GOOD = line(cbor2.dumps([1, "status", None], canonical=True))


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        GOOD[:-4],
        GOOD + b"AAAA",
        b"AAAA" + GOOD,
        GOOD.rstrip(b"="),
        GOOD.replace(GOOD[4:5], b" ", 1),
        GOOD[:8] + b"\r" + GOOD[8:],
        GOOD + b" ",
        GOOD + b"=",
        b64encode(b"\x00\x01" + b"\xf6" + bytes(4)),
        line(b""),
        line(cbor2.dumps([1, "status", None], canonical=True) + b"\x00"),
        line(b"\x83\x18\x01\x66status\xf6"),  # The number 1 is not in its shortest form.
    ],
    ids=repr,
)
def test_a_line_that_is_not_exactly_one_is_refused(broken: bytes) -> None:
    with pytest.raises(FormatError) as refused:
        console.request(broken)
    assert refused.value.code.split(".")[0] in ("console", "cbor")


def test_no_single_character_can_be_another() -> None:
    for at in range(len(GOOD)):
        for other in b"AB/+9z=~ ":
            changed = GOOD[:at] + bytes([other]) + GOOD[at + 1 :]
            if changed != GOOD:
                with pytest.raises(FormatError):
                    console.request(changed)


def test_what_is_too_long_is_passed_over_and_costs_no_more_than_the_longest() -> None:
    longest = console.encode([1, "fittings", bytes(DOWN_LIMIT - 14)])
    too_long = console.encode([1, "fittings", bytes(DOWN_LIMIT + 8)])
    assembler = Assembler(DOWN_LIMIT)
    for byte in b"~" + b"A" * 100_000:
        assert assembler.push(byte) is None
    assert len(found(longest)) == 1 and found(too_long) == []
    assert found(too_long + longest) == [longest[1:-1]]
    assert found(b"~" + b"A" * 100_000 + longest) == [longest[1:-1]]


@given(st.binary(max_size=200))
def test_any_bytes_are_passed_over_or_refused_and_what_follows_is_read(noise: bytes) -> None:
    lines = found(noise + b"\n" + console.encode([1, "status", None]))
    assert console.request(lines[-1]) == (1, "status", None)
    for one in lines[:-1]:
        with pytest.raises(FormatError):
            console.request(one)


@given(st.integers(0, (1 << 53) - 1), st.binary(max_size=DOWN_LIMIT - 30))
def test_what_was_written_is_read_again(number: int, fittings: bytes) -> None:
    [one] = found(console.encode([number, "fittings", fittings]).replace(b"\n", b"\r\n"))
    assert console.request(one) == (number, "fittings", fittings)


def test_both_runtimes_write_and_read_the_same() -> None:
    source = """
from binascii import hexlify
from protocol import console
from protocol.errors import FormatError
said = []
for number, command, argument in given["requests"]:
    if isinstance(argument, str):
        argument = argument.encode()
    said.append(hexlify(console.encode([number, command, argument])).decode())
refused = 0
for one in given["broken"]:
    try:
        console.request(bytes(one))
    except FormatError:
        refused += 1
answer([said, refused])
"""
    asked = [[number, command, "{}" if argument == b"{}" else argument] for number, command, argument in REQUESTS]
    broken = [GOOD[:-4], GOOD + b"AAAA", GOOD + b" ", GOOD[:8] + b"\r" + GOOD[8:], b"", b"=", b"\xff\xfe", GOOD + b"="]
    given_there = {"requests": asked, "broken": [list(one) for one in broken]}
    assert run_on_lock(source, given_there) == [[console.encode(list(one)).hex() for one in REQUESTS], len(broken)]


# --- the laptop's side -----------------------------------------------------------------------------------------------


def test_an_answer_has_content_or_a_code() -> None:
    assert console_cpython.answer(line(cbor2.dumps([7, None, b"log"], canonical=True))) == (7, None, b"log")
    assert console_cpython.answer(line(cbor2.dumps([7, "console.button", None], canonical=True)))[1] == "console.button"
    for message in ([7, "console.button", 1], [7, "", None], [7, 3, None], [7, "a\nb", None]):
        with pytest.raises(FormatError):
            console_cpython.answer(line(cbor2.dumps(message, canonical=True)))


def test_a_status_says_what_is_in_it() -> None:
    told = console_cpython.status(STATUS)
    assert (told.lock_id, told.next_counter, told.receipted_through, told.placed, told.timed) == (
        *(bytes(16), 5, 4),
        *(True, False),
    )
    assert (told.free, told.up, told.button, told.halted) == (100_000, 7, "held", None)
    assert console_cpython.status([1, None, 0, 0, False, False, 0, 0, 0, "identity.corrupt"]).lock_id is None


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, 2),
        (0, True),
        (1, b""),
        (1, "0" * 16),
        (2, -1),
        (3, None),
        (4, 1),
        (5, "no"),
        (6, 1.5),
        (8, 4),
        (8, -1),
        (9, ""),
    ],
)
def test_a_status_with_a_wrong_member_is_refused(at: int, value: Any) -> None:
    for content in ([*STATUS[:at], value, *STATUS[at + 1 :]], STATUS[:at] + STATUS[at + 1 :], [*STATUS, None], None):
        with pytest.raises(FormatError):
            console_cpython.status(content)


def test_a_log_cannot_steer_the_terminal_that_shows_it() -> None:
    assert console_cpython.lines(b"1 a\n2 \x1b[2Jb\xff\n") == ["1 a", "2 �[2Jb�"]
    with pytest.raises(FormatError):
        console_cpython.lines("1 a")


@pytest.mark.parametrize("content", [1, b"", [1], [1, b""], ["1", b""], [1, "record"], [1, b"", 2]])
def test_what_is_no_record_is_not_exported(content: Any) -> None:
    assert console_cpython.exported(None) is None
    with pytest.raises(FormatError):
        console_cpython.exported(content)


@pytest.mark.parametrize("content", [None, [], {"contact": 1}, {1: True}, {"": True}])
def test_what_are_no_inputs_are_refused(content: Any) -> None:
    assert console_cpython.inputs({"contact": True}) == {"contact": True}
    with pytest.raises(FormatError):
        console_cpython.inputs(content)
