"""The buffer for a phone's responses takes messages of any length, and nothing changes a message that is being read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.mdoc_reader.response_buffer import SIZE, ResponseBuffer
from protocol.errors import FormatError
from protocol.parts import Assembler


@given(st.lists(st.binary(max_size=700), max_size=12), st.booleans())
def test_a_message_of_any_length_comes_out_as_it_went_in(pieces: list[bytes], busy: bool) -> None:
    buffer = ResponseBuffer()
    if busy:
        buffer.extend(b"earlier")
        assert bytes(buffer.take()) == b"earlier"
    for piece in pieces:
        buffer.extend(memoryview(piece))
    assert len(buffer) == len(b"".join(pieces))
    assert buffer.take() == b"".join(pieces)
    assert len(buffer) == 0


LENGTHS = (0, 1, 300, SIZE - 1, SIZE, SIZE + 1, 2 * SIZE + 1)
PIECES = st.tuples(st.just("piece"), st.sampled_from(LENGTHS))
OTHERS = st.tuples(st.sampled_from(["take", "lose", "release"]), st.just(0))


@given(st.lists(PIECES | OTHERS, max_size=20))
def test_whatever_a_phone_sends_and_whenever_it_goes_messages_stay_whole_and_the_next_one_needs_no_heap(
    steps: list[tuple[str, int]],
) -> None:
    """A phone may fill the reserved bytes to the last one and beyond, and may go between `take` and `release`."""
    buffer = ResponseBuffer()
    buffer.extend(b"x")
    reserved = buffer.take().obj
    buffer.release()
    arriving, begun_while_lent = b"", False
    taken: list[tuple[memoryview, bytes]] = []

    def lent() -> bool:
        return any(view.obj is reserved for view, _ in taken)

    for number, (step, length) in enumerate(steps, 1):
        if step == "piece":
            begun_while_lent = lent() if not arriving else begun_while_lent
            piece = bytes((number,)) * length
            buffer.extend(piece)
            arriving += piece
        elif step == "lose":
            buffer.drop()
            arriving = b""
        elif step == "take" and arriving:
            view = buffer.take()
            assert (view.obj is reserved) is (len(arriving) <= SIZE and not begun_while_lent)
            taken.append((view, arriving))
            arriving = b""
        elif step == "release":
            buffer.release()
            assert all(view == bytes(len(view)) for view, _ in taken if view.obj is reserved)
            taken.clear()
        assert len(buffer) == len(arriving)
        assert all(view == content for view, content in taken)


def test_a_message_that_is_being_read_does_not_change_whatever_arrives() -> None:
    buffer = ResponseBuffer()
    buffer.extend(b"checked")
    view = buffer.take()
    buffer.extend(b"hostile" * 1000)
    assert bytes(view) == b"checked"
    later = buffer.take()
    assert (bytes(view), bytes(later)) == (b"checked", b"hostile" * 1000)
    buffer.extend(b"x")
    buffer.drop()
    assert bytes(view) == b"checked"


def test_a_message_that_began_while_another_was_read_survives_the_release_of_that_one() -> None:
    buffer = ResponseBuffer()
    buffer.extend(b"first")
    first = buffer.take()
    buffer.extend(b"la")
    buffer.release()
    assert first == bytes(5)
    buffer.extend(b"ter")
    second = buffer.take()
    buffer.extend(b"third")
    buffer.release()
    assert bytes(second) == b"later" and bytes(buffer.take()) == b"third"


def test_a_released_message_is_wiped_and_its_memory_is_used_again() -> None:
    buffer = ResponseBuffer()
    buffer.extend(b"x" * SIZE)
    view = buffer.take()
    buffer.release()
    assert view == bytes(SIZE)
    buffer.extend(b"again")
    assert bytes(view[:5]) == b"again"


def test_after_a_reset_nothing_is_left() -> None:
    buffer = ResponseBuffer()
    buffer.extend(b"x" * SIZE)
    view = buffer.take()
    buffer.extend(b"half")
    buffer.reset()
    assert view == bytes(SIZE) and len(buffer) == 0
    buffer.extend(b"next")
    assert bytes(view[:4]) == bytes(buffer.take()) == b"next"


def test_a_dropped_message_leaves_its_memory_to_the_next_one() -> None:
    buffer = ResponseBuffer()
    assembler = Assembler(buffer)
    assert assembler.push(b"\x01half", 10) is None
    with pytest.raises(FormatError, match=r"parts\.too_long"):
        assembler.push(b"\x01" + bytes(7), 10)
    assert assembler.push(b"\x00whole", 10) == b"whole"
    buffer.extend(b"x" * 5)
    assert bytes(buffer.take()) == b"xxxxx", "while the message is lent, the next one is elsewhere"


def test_a_request_has_the_memory_until_it_is_sent_and_then_the_answer_has_it() -> None:
    buffer = ResponseBuffer()
    room = buffer.room()
    room[:7] = b"request"
    assert len(room) == SIZE
    buffer.sent()
    buffer.extend(b"the answer")
    assert bytes(buffer.take()) == bytes(room[:10]) == b"the answer"


def test_a_message_before_the_request_is_sent_changes_no_byte_of_it() -> None:
    buffer = ResponseBuffer()
    room = buffer.room()
    room[:7] = b"request"
    buffer.extend(b"too early")
    early = buffer.take()
    assert (bytes(room[:7]), bytes(early)) == (b"request", b"too early")
    buffer.sent()
    buffer.extend(b"answer")
    assert bytes(buffer.take()) == bytes(room[:6]) and bytes(early) == b"too early"


def test_a_request_changes_no_byte_of_a_message_that_came_before_it() -> None:
    buffer = ResponseBuffer()
    buffer.extend(b"too ")
    room = buffer.room()
    room[:7] = b"request"
    buffer.extend(b"early")
    early = buffer.take()
    buffer.sent()
    buffer.extend(b"x" * 50)
    assert bytes(early) == b"too early"


def test_a_request_that_was_never_sent_is_wiped() -> None:
    for end in (ResponseBuffer.release, ResponseBuffer.reset):
        buffer = ResponseBuffer()
        room = buffer.room()
        room[:7] = b"request"
        end(buffer)
        assert room == bytes(SIZE)
        buffer.extend(b"free")
        assert bytes(room[:4]) == b"free"
