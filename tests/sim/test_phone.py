"""The phone by itself, spoken to with bare APDUs, and its end of the reader module."""

import asyncio
from collections.abc import Awaitable, Callable

import cbor2
import ndef
import pytest

from firmware.nfc.apdu_bridge import ApduBridge
from firmware.reader import read_mdoc
from protocol import crypto_cpython as crypto
from protocol.errors import TransportError
from sim import issuer
from sim.phone.bridge import Bridge
from sim.phone.phone import Event, Transaction
from tests import tap

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


def in_the_field(story: Callable[[Bridge, ApduBridge], Awaitable[None]], bit_rate: int | None = None) -> None:
    async def scene() -> None:
        bridge = Bridge(bit_rate)
        host, port = (await bridge.start()).split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            await story(bridge, ApduBridge(reader, writer))
        finally:
            writer.close()
            await bridge.stop()

    tap.run(scene())


def test_a_tap_ends_when_the_reader_lets_go_and_tells_its_moments() -> None:
    heard: list[Event] = []

    async def story(bridge: Bridge, reader: ApduBridge) -> None:
        tapping = asyncio.create_task(tap.phone(on_event=heard.append).tap(bridge))
        card = await reader.wait_for_card()
        assert await card.transceive(SELECT_NDEF) == b"\x90\x00"
        await card.release()
        outcome = await tapping
        assert outcome.result == "unfinished" and outcome.apdus == 1
        assert (outcome.received, outcome.sent) == (13, 2)

    in_the_field(story)
    assert [event.name for event in heard] == ["tap", "removed"]


def test_an_impatient_guest_takes_the_phone_away() -> None:
    async def story(bridge: Bridge, reader: ApduBridge) -> None:
        tapping = asyncio.create_task(tap.phone().tap(bridge, patience=0.05))
        card = await reader.wait_for_card()
        outcome = await tapping
        assert outcome.result == "unfinished" and outcome.events[-1].facts["patience_lost"] is True
        with pytest.raises(TransportError, match=r"nfc\.gone"):
            await card.transceive(SELECT_NDEF)

    in_the_field(story)


def test_the_release_of_a_phone_already_taken_away_does_not_end_the_next_tap() -> None:
    async def story(bridge: Bridge, reader: ApduBridge) -> None:
        first = asyncio.create_task(tap.phone().tap(bridge, tear_off_after=0))
        card = await reader.wait_for_card()
        with pytest.raises(TransportError, match=r"nfc\.gone"):
            await card.transceive(SELECT_NDEF)
        await first
        second = asyncio.create_task(tap.phone().tap(bridge))
        following = await reader.wait_for_card()
        await card.release()
        assert await following.transceive(SELECT_NDEF) == b"\x90\x00"
        await following.release()
        assert (await second).apdus == 1

    in_the_field(story)


def test_noise_on_the_line_does_not_keep_a_tap_from_being_noticed() -> None:
    async def story(bridge: Bridge, reader: ApduBridge) -> None:
        await bridge.connected()
        bridge.noise(b"\x00\xff\x55\x03")
        tapping = asyncio.create_task(tap.phone().tap(bridge))
        card = await reader.wait_for_card()
        await card.release()
        assert (await tapping).apdus == 0

    in_the_field(story)


def test_a_lock_that_goes_dark_ends_the_tap_and_one_that_comes_back_is_served() -> None:
    async def scene() -> None:
        bridge = Bridge()
        host, port = (await bridge.start()).split(":")
        for _ in range(2):
            reader, writer = await asyncio.open_connection(host, int(port))
            await bridge.connected()
            tapping = asyncio.create_task(tap.phone().tap(bridge))
            await ApduBridge(reader, writer).wait_for_card()
            writer.close()
            assert (await tapping).result == "unfinished"
        await bridge.stop()

    tap.run(scene())


def test_the_owner_takes_time_to_agree_and_the_reader_waits() -> None:
    phone = tap.phone(consent_seconds=0.05)

    async def story(bridge: Bridge, reader: ApduBridge) -> None:
        tapping = asyncio.create_task(phone.tap(bridge))
        served = await reader.wait_for_card()
        items = {issuer.MDL: tap.ITEMS[issuer.MDL]}
        await read_mdoc(served, crypto, items, tap.reader_key()[0], list(tap.reader_chain()))
        await served.release()
        outcome = await tapping
        assert outcome.result == "presented" and outcome.seconds > 0.05
        assert [event.name for event in outcome.events] == ["tap", "engaged", "asked", "presented", "ended", "removed"]

    in_the_field(story)


def test_a_slow_air_makes_a_tap_take_its_time() -> None:
    async def story(bridge: Bridge, reader: ApduBridge) -> None:
        tapping = asyncio.create_task(tap.phone().tap(bridge))
        card = await reader.wait_for_card()
        await card.transceive(SELECT_NDEF)
        await card.release()
        assert (await tapping).seconds >= 0.9 * 15 * 8 / 10600

    in_the_field(story, bit_rate=10600)
