"""Messages in parts. The messages arrive complete at every MTU, need few packets, and use no more memory than the
limit.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import FormatError
from protocol.parts import Assembler, Parts

MESSAGES = st.binary(min_size=1, max_size=3000)
MTUS = st.integers(23, 517)


def assembled(parts: list[bytes], limit: int = 4000) -> list[bytes]:
    assembler = Assembler()
    return [message for part in parts if (message := assembler.push(part, limit)) is not None]


@given(MESSAGES, MTUS)
def test_a_message_survives_its_parts_at_every_mtu(message: bytes, mtu: int) -> None:
    parts = list(Parts(message, mtu))
    assert assembled(parts) == [message]
    assert [part[0] for part in parts] == [1] * (len(parts) - 1) + [0]
    assert max(map(len, parts)) <= min(mtu - 3, 512)


@pytest.mark.parametrize(
    ("mtu", "longest"), [(23, 20), (185, 182), (247, 244), (300, 244), (497, 244), (498, 495), (515, 495)]
)
def test_parts_fill_the_packets_of_the_link_layer(mtu: int, longest: int) -> None:
    parts = list(Parts(bytes(3000), mtu))
    assert max(map(len, parts)) == longest
    assert mtu < 247 or (longest + 7) % 251 == 0


@pytest.mark.parametrize(("mtu", "parts"), [(515, 7), (185, 19), (23, 174), (517, 7), (0, 174)])
def test_the_largest_response_of_our_vectors_takes_the_parts_that_the_standard_implies(mtu: int, parts: int) -> None:
    assert len(list(Parts(bytes(3293), mtu))) == parts


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(0, 60))
def test_no_parts_make_the_assembler_keep_more_than_its_limit_or_fail_otherwise(parts: list[bytes], limit: int) -> None:
    assembler = Assembler()
    for part in parts:
        try:
            message = assembler.push(part, limit)
        except FormatError as error:
            assert error.code in ("parts.form", "parts.too_long")
            assert limit == 0 or assembler.push(b"\0x", limit) == b"x"
            return
        assert message is None or len(message) <= limit


@pytest.mark.parametrize("part", [b"", b"\x02x", b"\xffx", b"\x01", b"\x00"])
def test_a_part_that_cannot_be_is_refused_and_the_next_message_is_whole(part: bytes) -> None:
    assembler = Assembler()
    with pytest.raises(FormatError, match=r"parts\.form"):
        assembler.push(part, 10)
    assert assembler.push(b"\0whole", 10) == b"whole"


def test_a_message_beyond_the_limit_is_refused_at_the_part_that_exceeds_it() -> None:
    assembler = Assembler()
    assert assembler.push(b"\x01" + bytes(10), 10) is None
    with pytest.raises(FormatError, match=r"parts\.too_long"):
        assembler.push(b"\x00x", 10)
    assert assembler.push(b"\x00next", 10) == b"next"


def test_an_empty_last_part_ends_a_message_that_has_begun() -> None:
    assert assembled([b"\x01abc", b"\x00"]) == [b"abc"]


def test_an_empty_message_has_no_parts() -> None:
    with pytest.raises(FormatError, match=r"parts\.empty"):
        Parts(b"", 23)


def test_messages_follow_each_other_without_mixing() -> None:
    assert assembled([part for message in (b"a" * 50, b"b") for part in Parts(message, 23)]) == [b"a" * 50, b"b"]
