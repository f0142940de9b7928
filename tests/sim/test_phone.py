"""The phone alone, with plain APDUs, and the phone held to a reader."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import cbor2
import ndef
import pytest

from firmware.nfc.pn532 import Pn532Reader
from protocol.errors import TransportError
from sim.nfc.stream_line import StreamLine
from sim.nfc.virtual_pn532 import VirtualPn532
from sim.phone.phone import Event, TapOutcome, Transaction
from tests.support import pn532_scene as scene
from tests.support import tap

SELECT_NDEF = bytes.fromhex("00a4040007d276000085010100")
SELECT_MDOC = bytes.fromhex("00a4040007a000000248040000")


def send(transaction: Transaction, command: str) -> str:
    return transaction.process(bytes.fromhex(command)).hex()


def test_its_tag_reads_as_a_handover_select_to_an_independent_library() -> None:
    transaction = tap.phone().touch()
    transaction.process(SELECT_NDEF)
    assert send(transaction, "00a4000c02e103") == "9000"
    assert send(transaction, "00b000000f") == "000f207fff7fff0406e1047fff00ff9000"
    assert send(transaction, "00a4000c02e104") == "9000"
    size = int(send(transaction, "00b0000002")[:4], 16)
    message = bytes.fromhex(send(transaction, f"00b0000200{size:04x}"))[:-2]
    select, engagement, carrier = ndef.message_decoder(message)
    assert select.type == "urn:nfc:wkt:Hs" and select.hexversion == 0x15
    assert engagement.type == "urn:nfc:ext:iso.org:18013:deviceengagement" and engagement.name == "mdoc"
    assert carrier.data.hex() == "010301ffff0402010000"
    assert cbor2.loads(engagement.data)[0] == "1.0"


def test_every_touch_brings_a_new_engagement() -> None:
    phone = tap.phone()
    first, second = phone.touch(), phone.touch()
    for transaction in (first, second):
        transaction.process(SELECT_NDEF)
        send(transaction, "00a4000c02e104")
    assert send(first, "00b00002ff") != send(second, "00b00002ff")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("00", "6700"),
        ("00a4040003aabb", "6700"),
        ("80a40000", "6e00"),
        ("00a4040002aabb", "6a82"),
        ("00a4000c02e105", "6a82"),
        ("00c0000000", "6d00"),
        ("00c3000000", "6d00"),
        ("00d60000", "6d00"),
        ("00b000000f", "6985"),
    ],
)
def test_commands_out_of_place_get_their_status_word(command: str, expected: str) -> None:
    transaction = tap.phone().touch()
    transaction.process(SELECT_NDEF)
    assert send(transaction, command) == expected


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("00c0000000", "6985"),
        ("00c300000354017f00", "6a80"),
        ("00b000000f", "6d00"),
    ],
)
def test_the_mdoc_application_answers_nonsense_without_falling_over(command: str, expected: str) -> None:
    transaction = tap.phone().touch()
    assert transaction.process(SELECT_MDOC) == b"\x90\x00"
    assert send(transaction, command) == expected


def test_a_session_message_that_is_no_cbor_map_is_answered_with_status_11() -> None:
    transaction = tap.phone().touch()
    transaction.process(SELECT_MDOC)
    answer = bytes.fromhex(send(transaction, "00c300000353010000"))
    assert cbor2.loads(answer[2:-2]) == {"status": 11}


def in_the_field(story: Callable[[VirtualPn532, Pn532Reader], Awaitable[None]], **settings: Any) -> None:
    async def play() -> None:
        async with scene.reader(**settings) as (driver, board):
            await story(board, driver)

    scene.run(play())


def test_a_tap_ends_when_the_reader_lets_go_and_tells_its_moments() -> None:
    heard: list[Event] = []

    async def story(board: VirtualPn532, reader: Pn532Reader) -> None:
        tapping = asyncio.create_task(tap.phone(on_event=heard.append).tap(board))
        card = await reader.wait_for_card()
        assert await card.transceive(SELECT_NDEF) == b"\x90\x00"
        await card.release()
        outcome = await tapping
        assert outcome.result == "unfinished" and outcome.apdus == 1
        assert (outcome.received, outcome.sent) == (13, 2)

    in_the_field(story)
    assert [event.name for event in heard] == ["tap", "removed"]


def test_an_impatient_guest_takes_the_phone_away() -> None:
    async def story(board: VirtualPn532, reader: Pn532Reader) -> None:
        waiting = asyncio.create_task(reader.wait_for_card())
        outcome = await tap.phone().tap(board, patience=2)
        assert outcome.result == "unfinished" and outcome.events[-1].facts["patience_lost"] is True
        with pytest.raises(TransportError, match=r"nfc\.gone"):
            await (await waiting).transceive(SELECT_NDEF)

    in_the_field(story)


def test_a_phone_taken_away_before_the_reader_let_go_does_not_spoil_the_next_tap() -> None:
    async def story(board: VirtualPn532, reader: Pn532Reader) -> None:
        first = asyncio.create_task(tap.phone().tap(board, tear_off_after=0))
        card = await reader.wait_for_card()
        with pytest.raises(TransportError, match=r"nfc\.gone"):
            await card.transceive(SELECT_NDEF)
        await first
        await card.release()
        second = asyncio.create_task(tap.phone().tap(board))
        following = await reader.wait_for_card()
        assert await following.transceive(SELECT_NDEF) == b"\x90\x00"
        await following.release()
        assert (await second).apdus == 1

    in_the_field(story)


def test_a_lock_that_goes_dark_ends_the_tap_and_one_that_comes_back_is_served() -> None:
    async def story() -> None:
        board = VirtualPn532(looks_between=8)
        host, port = (await board.start()).split(":")
        for _ in range(2):
            incoming, outgoing = await asyncio.open_connection(host, int(port))
            await board.connected()
            tapping = asyncio.create_task(tap.phone().tap(board))
            card = await Pn532Reader(StreamLine(incoming, outgoing.write)).wait_for_card()
            assert await card.transceive(SELECT_NDEF) == b"\x90\x00"
            outgoing.close()
            assert (await tapping).result == "unfinished"
        await board.stop()

    tap.run(story())


def test_the_owner_takes_time_to_agree_and_the_reader_waits() -> None:
    phone = tap.phone(consent_seconds=5)
    outcomes: list[TapOutcome] = []

    async def story(board: VirtualPn532, reader: Pn532Reader) -> None:
        began = scene.now()
        _, outcome = await scene.visit(reader, board, phone)
        outcomes.append(outcome)
        assert scene.now() - began > 5

    in_the_field(story)
    assert outcomes[0].result == "presented"
    assert [event.name for event in outcomes[0].events] == ["tap", "engaged", "asked", "presented", "ended", "removed"]
