"""The PN532 driver against the virtual chip, on virtual time: taps, cards in the field, and phones that leave."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from firmware.mdoc_reader.reader import Presentation
from firmware.nfc import pn532
from firmware.nfc.pn532 import Pn532Card, Pn532Reader
from protocol.errors import TransportError
from sim import issuer
from sim.nfc.card import Card, Traits
from sim.nfc.faults import Faults
from sim.nfc.virtual_pn532 import VirtualPn532
from sim.phone.phone import TapOutcome
from tests.support import pn532_scene as scene
from tests.support import tap
from tests.support.pn532_scene import LICENCE, nobody_for, one_visit, read, verified, visit


def field_of(board: VirtualPn532) -> bool:
    return board.antenna.field


# --- taps -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("authentication", ["signature", "mac"])
def test_a_presentation_read_through_the_chip_verifies(authentication: str) -> None:
    presentation, outcome = one_visit(tap.phone(authentication=authentication))
    (document,) = verified(presentation)
    assert sorted(document.elements["org.iso.18013.5.1"]) == LICENCE[issuer.MDL]["org.iso.18013.5.1"]
    assert outcome.result == "presented" and outcome.status == 20
    assert presentation.session_transcript == outcome.session_transcript


@pytest.mark.parametrize("fsci", range(9))
def test_nine_kilobytes_are_read_from_cards_with_frames_of_any_size(fsci: int) -> None:
    phone = tap.phone(tap.credential(issuer.MDL, portrait=7500))
    items = {issuer.MDL: {"org.iso.18013.5.1": ["portrait", "family_name"]}}
    presentation, _ = one_visit(phone, items=items, traits=Traits(fsci=fsci))
    assert len(presentation.device_response) > 9000
    assert len(verified(presentation)[0].elements["org.iso.18013.5.1"]["portrait"]) == 7500


def test_a_holder_who_thinks_for_long_is_waited_for_and_pays_in_waiting_time_extensions() -> None:
    presentation, _ = one_visit(tap.phone(consent_seconds=12.0))
    assert len(verified(presentation)) == 1 and presentation.read_ms >= 12000


def test_a_storm_of_waiting_time_extensions_before_each_answer_changes_nothing() -> None:
    assert len(verified(one_visit(tap.phone(), Faults(wtx_storm=30))[0])) == 1


@pytest.mark.parametrize("rate", [212, 424])
def test_a_faster_rate_is_spoken_where_card_and_driver_agree(rate: int) -> None:
    async def story() -> tuple[Presentation, int]:
        async with scene.board(traits=Traits(rates=0x33)) as board:
            reader = Pn532Reader(scene.wire(board), max_rate=rate)
            guest = asyncio.create_task(tap.phone().tap(board))
            card = await reader.wait_for_card()
            spoken = board.antenna.cards[0].rate
            presentation = await read(card)
            await guest
            await visit(reader, board, tap.phone())  # the next phone starts at 106 kbit/s again
            return presentation, spoken

    presentation, spoken = scene.run(story())
    assert spoken == rate and len(verified(presentation)) == 1


class Listening(Card):
    """A card that keeps a list of the blocks from the reader."""

    def __init__(self, uid: bytes, traits: Traits) -> None:
        super().__init__(uid, traits)
        self.heard: list[bytes] = []

    async def receive(self, block: bytes) -> bytes | None:
        self.heard.append(block)
        return await super().receive(block)


def test_a_card_is_told_that_frames_of_256_bytes_are_taken_and_sends_them() -> None:
    async def story() -> None:
        async with scene.reader() as (reader, board):
            await nobody_for(reader, 1)
            phone = Listening(b"\x08abc", board.traits)
            board.antenna.bring(phone)
            card = await reader.wait_for_card()
            assert phone.heard == [b"\xe0\x80"]  # clause 5.1: FSDI 8, no CID
            phone.answers.put_nowait(bytes(253) + b"\x90\x00")
            before = board.antenna.counts.frames_in
            assert len(await card.transceive(b"\x00\xb0\x00\x00")) == 255
            assert board.antenna.counts.frames_in - before == 2  # 253 bytes in the first frame, two in the second
            await card.release()

    scene.run(story())


def test_the_field_is_off_between_looks_and_after_a_tap() -> None:
    async def story() -> None:
        async with scene.reader() as (reader, board):
            guest = asyncio.create_task(tap.phone().tap(board))
            card = await reader.wait_for_card()
            assert field_of(board)
            await read(card)
            assert not field_of(board)
            await guest
            waiting = asyncio.create_task(reader.wait_for_card())
            on = 0
            for _ in range(200):
                await asyncio.sleep(0.0101)
                on += board.antenna.field
            assert on < 10
            waiting.cancel()

    scene.run(story())


# --- who is there -----------------------------------------------------------------------------------------------------


def test_a_phone_left_on_the_reader_is_not_reported_again_until_it_was_taken_away() -> None:
    async def story() -> None:
        async with scene.reader() as (reader, board):
            await nobody_for(reader, 1)
            phone = board.card(b"\x08abc")
            board.antenna.bring(phone)
            await (await reader.wait_for_card()).release()
            await nobody_for(reader, 10)
            assert phone.activations == 1
            board.antenna.take(phone)
            await nobody_for(reader, 1)
            board.antenna.bring(phone)
            await (await reader.wait_for_card()).release()

    scene.run(story())


def test_a_phone_that_blinks_at_the_edge_of_the_field_is_the_same_phone() -> None:
    async def story() -> None:
        async with scene.reader() as (reader, board):
            await nobody_for(reader, 1)
            phone = board.card(b"\x08abc")
            board.antenna.bring(phone)
            await (await reader.wait_for_card()).release()
            for _ in range(20):
                board.antenna.take(phone)
                await nobody_for(reader, 0.06)
                board.antenna.bring(phone)
                await nobody_for(reader, 0.06)

    scene.run(story())


def test_a_phone_that_lies_there_when_the_lock_boots_is_not_taken_for_a_new_one() -> None:
    async def story() -> None:
        async with scene.reader() as (reader, board):
            phone = board.card(b"\x08abc")
            board.antenna.bring(phone)
            await nobody_for(reader, 5)
            assert phone.activations == 0

    scene.run(story())


def test_of_two_cards_none_is_picked_and_it_is_said_once_until_one_is_alone() -> None:
    async def story() -> None:
        async with scene.reader() as (reader, board):
            await nobody_for(reader, 1)
            first, second = board.card(b"\x08abc"), board.card(b"\x08xyz")
            board.antenna.bring(first)
            board.antenna.bring(second)
            with pytest.raises(TransportError) as caught:
                await reader.wait_for_card()
            assert caught.value.code == "nfc.collision" and not board.antenna.field
            await nobody_for(reader, 3)
            assert first.activations == second.activations == 0
            board.antenna.take(second)
            await (await reader.wait_for_card()).release()
            assert first.activations == 1

    scene.run(story())


def test_a_phone_that_stays_asleep_once_it_was_put_to_sleep_is_read_all_the_same() -> None:
    presentation, outcome = one_visit(tap.phone(), traits=Traits(wakes=False))
    assert len(verified(presentation)) == 1 and outcome.result == "presented"


def test_a_card_without_iso_dep_is_passed_over() -> None:
    async def story() -> None:
        async with scene.reader(traits=Traits(sel_res=0x08)) as (reader, board):
            await nobody_for(reader, 1)
            board.antenna.bring(board.card(b"\x04abc"))
            await nobody_for(reader, 3)

    scene.run(story())


def test_a_frame_is_announced_whole_after_each_look_that_found_nobody_where_one_is_configured() -> None:
    frame = bytes.fromhex("6a02c801000300")

    async def story() -> None:
        async with scene.board() as board:
            reader = Pn532Reader(scene.wire(board), announce=frame)
            await nobody_for(reader, 1)
            looks, announced = board.antenna.counts.looks, board.antenna.announced
            assert looks > 15 and 0 <= looks - len(announced) <= 1 and set(announced) == {frame}
            presentation, _ = await visit(reader, board, tap.phone())
            assert len(verified(presentation)) == 1 and set(announced) == {frame}
            before = len(announced)
            board.antenna.bring(board.card(b"\x08abc"))
            await nobody_for(reader, 1)
            assert len(announced) <= before + 1, "nothing is announced while a card is there"

    scene.run(story())


def test_nothing_is_announced_unless_it_is_configured() -> None:
    async def story() -> None:
        async with scene.reader() as (reader, board):
            await nobody_for(reader, 1)
            assert board.antenna.counts.frames_out == 0 and board.antenna.announced == []

    scene.run(story())


# --- cards that leave -------------------------------------------------------------------------------------------------


def frames_of_a_visit() -> int:
    async def story() -> int:
        async with scene.reader() as (reader, board):
            await visit(reader, board, tap.phone())
            return board.antenna.counts.frames_out

    return scene.run(story())


def test_a_phone_torn_away_at_any_block_gives_the_whole_answer_or_none_and_leaves_the_reader_ready() -> None:
    blocks = frames_of_a_visit()
    assert blocks > 15
    results = []
    for at in range(1, blocks + 1):

        async def story(at: int = at) -> tuple[str, float, TapOutcome]:
            async with scene.reader(Faults(tear_off_at=at)) as (reader, board):
                guest = asyncio.create_task(tap.phone().tap(board))
                card = await reader.wait_for_card()
                try:
                    result = "presented" if verified(await read(card)) else "nothing"
                except TransportError as error:
                    result = error.code
                began = scene.now()  # the reader has given its result and released the card
                outcome = await guest
                # The reader finds the next phone as soon as a guest could have brought it.
                following = board.card(b"\x08next")
                waiting = asyncio.create_task(reader.wait_for_card())
                await scene.until(lambda: board.antenna.empty_looks >= 2 * pn532.ABSENT_POLLS)
                board.antenna.bring(following)
                await waiting
                return result, scene.now() - began, outcome

        result, ready_after, outcome = scene.run(story())
        results.append(result)
        assert result in ("nfc.gone", "nfc.timeout") or (result == "presented" and outcome.result == "presented")
        assert ready_after < 0.3, f"block {at}"
    # After the answer, only the last message and the release remain. The reader ignores failures of these two steps.
    assert results.index("presented") >= blocks - 4 and set(results[-3:]) == {"presented"}


def with_card(story: Callable[[Pn532Card, VirtualPn532], Awaitable[None]], **settings: Any) -> None:
    async def scenery() -> None:
        async with scene.reader(**settings) as (reader, board):
            await nobody_for(reader, 1)
            board.antenna.bring(board.card(b"\x08abc"))
            await story(await reader.wait_for_card(), board)

    scene.run(scenery())


async def refused(card: Pn532Card, code: str, timeout_ms: int = 1000) -> None:
    with pytest.raises(TransportError) as caught:
        await card.transceive(b"\x00\xa4\x00\x00", timeout_ms)
    assert caught.value.code == code


def test_a_card_that_fell_silent_is_gone_for_good() -> None:
    async def story(card: Pn532Card, board: VirtualPn532) -> None:
        board.antenna.cards[0].answers.put_nowait(b"\x90\x00")
        assert await card.transceive(b"\x00\xa4\x00\x00") == b"\x90\x00"
        board.antenna.take(board.antenna.cards[0])
        began = scene.now()
        await refused(card, "nfc.gone")
        assert scene.now() - began < 0.5
        await refused(card, "nfc.gone")
        await card.release()
        await refused(card, "nfc.gone")

    with_card(story)


@pytest.mark.parametrize(
    ("fwi", "wtxm", "seconds"), [(4, 4, 0.1), (8, 1, 0.6), (8, 7, 1.1), (8, 59, 5.2), (11, 1, 1.7), (14, 1, 5.2)]
)
def test_a_phone_torn_away_while_its_holder_is_asked_is_missed_soon_after_the_time_it_may_take(
    fwi: int, wtxm: int, seconds: float
) -> None:
    async def story(card: Pn532Card, board: VirtualPn532) -> None:
        async def tear() -> float:
            await asyncio.sleep(3)
            before = board.antenna.counts.frames_out
            await scene.until(lambda: board.antenna.counts.frames_out > before)
            board.antenna.take(board.antenna.cards[0])  # the card had all the time that it requested
            return scene.now()

        torn = asyncio.create_task(tear())
        await refused(card, "nfc.gone", timeout_ms=20000)
        missed = scene.now()
        assert missed - await torn <= seconds
        await card.release()
        assert scene.now() - missed < 0.05

    with_card(story, traits=Traits(fwi=fwi, wtxm=wtxm))


@pytest.mark.parametrize("fwi", [4, 8, 11, 14])
def test_a_card_that_thinks_for_ever_is_given_up_when_the_caller_has_no_more_time(fwi: int) -> None:
    async def story(card: Pn532Card, board: VirtualPn532) -> None:
        began = scene.now()
        await refused(card, "nfc.timeout", timeout_ms=700)
        assert scene.now() - began == pytest.approx(0.7, abs=0.06)
        began = scene.now()
        await card.release()
        await card.release()
        assert scene.now() - began < 0.2 and not board.antenna.field

    with_card(story, traits=Traits(fwi=fwi))


def test_a_response_that_is_too_long_ends_the_card() -> None:
    async def story(card: Pn532Card, board: VirtualPn532) -> None:
        board.antenna.cards[0].answers.put_nowait(bytes(pn532.MAX_APDU_RESPONSE + 2))
        assert len(await card.transceive(b"\x00\xb0\x00\x00")) == pn532.MAX_APDU_RESPONSE + 2
        board.antenna.cards[0].answers.put_nowait(bytes(pn532.MAX_APDU_RESPONSE + 3))
        await refused(card, "nfc.too_long")
        await refused(card, "nfc.gone")

    with_card(story)


def test_an_exchange_that_is_cancelled_ends_the_card_and_the_next_one_is_served() -> None:
    async def story() -> None:
        async with scene.reader() as (reader, board):
            guest = asyncio.create_task(tap.phone(consent_seconds=60).tap(board))
            card = await reader.wait_for_card()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(read(card), 3)
            board.antenna.take(board.antenna.cards[0])
            guest.cancel()
            presentation, _ = await visit(reader, board, tap.phone())
            assert len(verified(presentation)) == 1

    scene.run(story())
