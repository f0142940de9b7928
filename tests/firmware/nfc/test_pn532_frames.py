"""Frames of the PN532: examples from the documents, round trips, and arbitrary bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.nfc.pn532_frames import (
    ACK,
    ACK_BYTES,
    BROKEN,
    CONTENT,
    ERROR,
    MAX_CONTENT,
    NACK,
    NACK_BYTES,
    Frames,
    encode,
)
from protocol.errors import FormatError
from sim.nfc import frames as chip_side

CONTENTS = st.binary(min_size=1, max_size=MAX_CONTENT).filter(lambda content: content != b"\x7f")


def cut(*pieces: bytes) -> list[tuple[int, bytes]]:
    frames, found = Frames(), []
    for piece in pieces:
        frames.push(piece)
        while (one := frames.take()) is not None:
            found.append(one)
    return found


def test_the_manuals_frames_are_written_and_read() -> None:
    assert encode(b"\xd4\x02") == bytes.fromhex("0000ff02fed4022a00")  # GetFirmwareVersion
    assert encode(b"\xd4\x14\x01\x00\x00") == bytes.fromhex("0000ff05fbd4140100001700")  # SAMConfiguration
    assert cut(bytes.fromhex("0000ff06fad50332010607e800")) == [(CONTENT, bytes.fromhex("d50332010607"))]
    assert cut(ACK_BYTES + NACK_BYTES) == [(ACK, b""), (NACK, b"")]
    assert cut(bytes.fromhex("0000ff01ff7f8100")) == [(ERROR, b"")]


@given(st.lists(CONTENTS, max_size=4), st.integers(1, 300))
def test_frames_come_out_whole_however_the_bytes_arrive(contents: list[bytes], step: int) -> None:
    stream = b"".join(encode(content) for content in contents)
    pieces = [stream[at : at + step] for at in range(0, len(stream), step)]
    assert cut(*pieces) == [(CONTENT, content) for content in contents]


@given(st.binary(max_size=263))
def test_the_chips_own_reading_and_writing_agrees_with_ours(data: bytes) -> None:
    assert chip_side.parse(bytearray(encode(b"\xd4\x42" + data))) == [chip_side.Command(0x42, data)]
    assert cut(chip_side.response(0x42, data)) == [(CONTENT, b"\xd5\x43" + data)]


@pytest.mark.parametrize("size", [0, 266, 1000])
def test_content_that_no_frame_can_hold_is_refused(size: int) -> None:
    with pytest.raises(FormatError, match=r"pn532\.too_long"):
        encode(bytes(size))


@given(st.binary(max_size=1500), st.integers(1, 700))
def test_no_bytes_make_it_fail_or_keep_more_than_a_frame(data: bytes, step: int) -> None:
    frames = Frames()
    for at in range(0, len(data), step):
        frames.push(data[at : at + step])
        while (one := frames.take()) is not None:
            assert one[0] in (ACK, NACK, CONTENT, ERROR, BROKEN)
        assert len(frames._buffer) <= 7 + MAX_CONTENT + 1


@given(st.binary(max_size=40).filter(lambda noise: b"\xff" not in noise), CONTENTS)
def test_noise_before_a_frame_costs_nothing(noise: bytes, content: bytes) -> None:
    assert cut(noise + encode(content)) == [(CONTENT, content)]


@given(CONTENTS, st.data())
def test_a_frame_with_a_bit_turned_is_never_taken_for_another(content: bytes, data: st.DataObject) -> None:
    frame = bytearray(encode(content))
    at = data.draw(st.integers(3, len(frame) - 2))
    frame[at] ^= 1 << data.draw(st.integers(0, 7))
    assert (CONTENT, content) not in cut(bytes(frame))


@given(CONTENTS, st.data())
def test_a_frame_that_lost_bytes_does_not_swallow_the_ones_behind_it(content: bytes, data: st.DataObject) -> None:
    frame = encode(content)
    at = data.draw(st.integers(4, len(frame) - 2))
    stream = frame[:at] + frame[at + 1 :] + ACK_BYTES + encode(b"\xd5\x43\x00next") * (MAX_CONTENT // 14 + 1)
    assert (CONTENT, b"\xd5\x43\x00next") in cut(stream)


def test_a_frame_longer_than_the_chip_can_send_is_broken() -> None:
    assert cut(bytes.fromhex("0000ffffff040000fc")[:8])[0] == (BROKEN, b"")
    assert cut(bytes.fromhex("0000ffffff00"), bytes.fromhex("0000")) == [(BROKEN, b"")]
    assert cut(bytes.fromhex("0000ff05aa")) == [(BROKEN, b"")]
