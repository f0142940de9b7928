"""The UART-attached reader: its frames, and what comes of garbage, silence and cards taken away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.nfc.apdu_bridge import (
    COMMAND,
    GONE,
    MAX_RESPONSE,
    PRESENT,
    RELEASE,
    RESPONSE,
    TROUBLE,
    ApduBridge,
    BridgeCard,
    Frames,
)
from protocol.errors import TransportError
from tests import tap


def frame(kind: int, content: bytes = b"") -> bytes:
    return bytes((kind,)) + len(content).to_bytes(2, "big") + content


def frames_of(*pieces: bytes) -> list[tuple[int, bytes]]:
    frames, found = Frames(), []
    for piece in pieces:
        frames.push(piece)
        while (one := frames.take()) is not None:
            found.append(one)
    return found


KINDS = st.sampled_from([(PRESENT, 10), (GONE, 0), (RESPONSE, 300), (TROUBLE, 64)])
FRAMES = KINDS.flatmap(lambda kind: st.tuples(st.just(kind[0]), st.binary(max_size=kind[1])))


@given(st.lists(FRAMES, max_size=6), st.integers(1, 40))
def test_frames_come_out_whole_however_the_bytes_arrive(sent: list[tuple[int, bytes]], step: int) -> None:
    stream = b"".join(frame(kind, content) for kind, content in sent)
    assert frames_of(*(stream[at : at + step] for at in range(0, len(stream), step))) == sent


def test_bytes_that_start_no_frame_are_passed_over() -> None:
    assert frames_of(b"\x00\xff\x09" + frame(PRESENT, b"uid")) == [(PRESENT, b"uid")]
    assert frames_of(b"\x02\x77\x77" + frame(PRESENT, b"uid")) == [(PRESENT, b"uid")]


def test_a_response_beyond_the_limit_is_passed_over_whole_and_comes_out_empty() -> None:
    long = frame(RESPONSE, b"\x01" * (MAX_RESPONSE + 3))
    assert frames_of(long[:2000], long[2000:], frame(GONE)) == [(RESPONSE, b""), (GONE, b"")]


@given(st.lists(st.binary(max_size=30), max_size=8))
def test_no_garbage_makes_the_frames_fail_and_a_resync_always_gets_further(pieces: list[bytes]) -> None:
    frames = Frames()
    for piece in pieces:
        frames.push(piece)
        while frames.take() is not None:
            pass
    for _ in range(sum(map(len, pieces)) + 1):
        frames.resync()
        while frames.take() is not None:
            pass
    assert not frames.partial


class Line:
    """The far end of the UART, in the hands of a test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def frame(self) -> tuple[int, bytes]:
        head = await self.reader.readexactly(3)
        return head[0], await self.reader.readexactly(int.from_bytes(head[1:], "big"))

    def send(self, *parts: bytes) -> None:
        self.writer.write(b"".join(parts))


@asynccontextmanager
async def wired() -> AsyncIterator[tuple[ApduBridge, Line]]:
    lines: asyncio.Queue[Line] = asyncio.Queue()
    server = await asyncio.start_server(lambda r, w: lines.put_nowait(Line(r, w)), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    line = await lines.get()
    try:
        yield ApduBridge(reader, writer), line
    finally:
        writer.close()
        line.writer.close()
        server.close()


def with_card(story: Callable[[ApduBridge, BridgeCard, Line], Awaitable[None]]) -> None:
    async def scene() -> None:
        async with wired() as (bridge, line):
            line.send(frame(PRESENT, b"uid"))
            await story(bridge, await bridge.wait_for_card(), line)

    tap.run(scene())


async def refused(card: BridgeCard, code: str, timeout_ms: int = 1000) -> None:
    with pytest.raises(TransportError) as caught:
        await card.transceive(b"\x00\xa4\x00\x00", timeout_ms)
    assert caught.value.code == code


def test_a_command_goes_out_and_its_response_comes_back() -> None:
    async def story(bridge: ApduBridge, card: BridgeCard, line: Line) -> None:
        line.send(frame(RESPONSE, b"\x01\x90\x00"))
        assert await card.transceive(b"\x00\xb0\x00\x00\x01") == b"\x01\x90\x00"
        assert await line.frame() == (COMMAND, b"\x00\xb0\x00\x00\x01")

    with_card(story)


def test_a_card_is_released_once() -> None:
    async def story(bridge: ApduBridge, card: BridgeCard, line: Line) -> None:
        await card.release()
        await card.release()
        await refused(card, "nfc.gone")
        line.send(frame(PRESENT, b"next"))
        await (await bridge.wait_for_card()).release()
        assert [await line.frame(), await line.frame()] == [(RELEASE, b""), (RELEASE, b"")]

    with_card(story)


def test_silence_ends_the_card_and_a_late_response_is_not_taken_for_the_next_ones() -> None:
    async def story(bridge: ApduBridge, card: BridgeCard, line: Line) -> None:
        await refused(card, "nfc.timeout", timeout_ms=20)
        await refused(card, "nfc.gone")
        line.send(frame(RESPONSE, b"late\x90\x00"), frame(GONE), frame(PRESENT, b"next"), frame(RESPONSE, b"\x90\x00"))
        following = await bridge.wait_for_card()
        assert await following.transceive(b"\x00\xa4\x00\x00") == b"\x90\x00"

    with_card(story)


def test_a_card_taken_away_during_an_exchange_is_gone() -> None:
    async def story(bridge: ApduBridge, card: BridgeCard, line: Line) -> None:
        line.send(frame(GONE))
        await refused(card, "nfc.gone")

    with_card(story)


def test_a_second_card_during_an_exchange_ends_the_first_and_is_served_next() -> None:
    async def story(bridge: ApduBridge, card: BridgeCard, line: Line) -> None:
        line.send(frame(PRESENT, b"other"))
        await refused(card, "nfc.gone")
        line.send(frame(RESPONSE, b"\x90\x00"))
        assert await (await bridge.wait_for_card()).transceive(b"\x00\xa4\x00\x00") == b"\x90\x00"

    with_card(story)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (frame(TROUBLE, b"field"), "nfc.reader"),
        (frame(RESPONSE, b"\x90"), "nfc.too_long"),
        (frame(RESPONSE, bytes(MAX_RESPONSE + 3)), "nfc.too_long"),
    ],
)
def test_trouble_and_impossible_responses_end_the_card(answer: bytes, code: str) -> None:
    async def story(bridge: ApduBridge, card: BridgeCard, line: Line) -> None:
        line.send(answer)
        await refused(card, code)
        await refused(card, "nfc.gone")

    with_card(story)


def test_half_a_frame_does_not_swallow_what_comes_after_a_pause() -> None:
    async def scene() -> None:
        async with wired() as (bridge, line):
            line.send(b"\x04\x01\x00half of a response")
            waiting = asyncio.create_task(bridge.wait_for_card())
            # Nothing says when the driver has given the half frame up, other than that it sees the card.
            while not waiting.done():
                line.send(frame(PRESENT, b"uid"))
                await asyncio.wait([waiting], timeout=0.4)
            await waiting

    tap.run(scene())


def test_a_wait_that_is_cancelled_loses_no_bytes() -> None:
    async def scene() -> None:
        async with wired() as (bridge, line):
            whole = frame(PRESENT, b"uid")
            line.send(whole[:4])
            waiting = asyncio.create_task(bridge.wait_for_card())
            await asyncio.wait([waiting], timeout=0.05)
            waiting.cancel()
            await asyncio.wait([waiting])
            line.send(whole[4:])
            await bridge.wait_for_card()

    tap.run(scene())


def test_a_line_that_is_closed_is_a_reader_in_trouble() -> None:
    async def scene() -> None:
        async with wired() as (bridge, line):
            line.writer.close()
            with pytest.raises(TransportError, match=r"nfc\.reader"):
                await bridge.wait_for_card()

    tap.run(scene())
