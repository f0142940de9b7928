"""A sticker or a forgotten card on the reader does not block the door. The lock records the obstacle, and the light
shows the obstacle.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from firmware.memory import recorder
from firmware.nfc import pn532
from firmware.nfc.pn532 import Pn532Card, Pn532Reader
from protocol import record
from protocol.errors import MooringError, TransportError
from sim.nfc.card import Card, Traits
from sim.nfc.virtual_pn532 import VirtualPn532
from tests.support import pn532_scene as scene
from tests.support import tap
from tests.support.pn532_scene import nobody_for
from tests.support.recording_lock import NOW, RecordingLock
from tests.support.served_reader import Scene, play

NTAG = Traits(sel_res=0x00, sens_res=b"\x44\x00")
CLASSIC = Traits(sel_res=0x08)
PHONE = Traits(fresh_uid=True)


def sticker(number: int = 0, traits: Traits = NTAG) -> Card:
    return Card(b"\x04NTAG2" + bytes((number,)), traits)


def bank_card(uid: bytes = b"\xc0ard") -> Card:
    """Return a card that speaks ISO-DEP, and answers every command with 6A82."""
    card = Card(uid, Traits(fwi=4))
    for _ in range(20):
        card.answers.put_nowait(b"\x6a\x82")
    return card


async def is_read(reader: Pn532Reader, board: VirtualPn532, uid: bytes = b"\x08ann") -> bool:
    """Bring a phone to the reader, and take the phone away again. Return whether the phone was served."""
    phone = Card(uid, PHONE)
    board.antenna.bring(phone)
    card = await asyncio.wait_for(reader.wait_for_card(), 2)
    served = phone.state == "protocol"
    await card.release()
    board.antenna.take(phone)
    await nobody_for(reader, 1)
    return served


async def refuse(card: Pn532Card) -> None:
    """Do what the door does with a card that has no mdoc."""
    with pytest.raises(MooringError):
        await tap.read_mdoc(card, scene.LICENCE)
    await card.release()


def on_reader(story: Any, **settings: Any) -> None:
    async def scenery() -> None:
        async with scene.reader(**settings) as (reader, board):
            await nobody_for(reader, 1)
            await story(reader, board)

    scene.run(scenery(), 3600)


# --- who is read beside it --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stickers", "traits"), [(1, NTAG), (2, CLASSIC), (3, NTAG), (5, CLASSIC)])
def test_beside_stickers_each_phone_that_comes_is_read(stickers: int, traits: Traits) -> None:
    async def story(reader: Pn532Reader, board: VirtualPn532) -> None:
        glued = [sticker(number, traits) for number in range(stickers)]
        for each in glued:
            board.antenna.bring(each)
        await nobody_for(reader, 20)
        for _ in range(2):
            assert await is_read(reader, board)
        for each in glued:
            board.antenna.take(each)
        assert await is_read(reader, board)

    on_reader(story, paced=stickers == 2)


def test_it_does_not_matter_whose_uid_is_the_lower_nor_whether_a_phone_wakes_once_it_was_put_to_sleep() -> None:
    async def story(reader: Pn532Reader, board: VirtualPn532) -> None:
        board.antenna.bring(Card(b"\x01LOWEST", NTAG))
        board.antenna.bring(Card(b"\xfeHIGHES", NTAG))
        for traits in (PHONE, Traits(wakes=False), Traits(wakes=False, fresh_uid=True)):
            phone = Card(b"\x08mid", traits)
            board.antenna.bring(phone)
            card = await asyncio.wait_for(reader.wait_for_card(), 2)
            assert phone.state == "protocol"
            await card.release()
            board.antenna.take(phone)
            await nobody_for(reader, 1)

    on_reader(story)


@pytest.mark.parametrize("stickers", [0, 1, 2, 3])
def test_beside_stickers_two_phones_are_refused_and_it_is_said_once(stickers: int) -> None:
    async def story(reader: Pn532Reader, board: VirtualPn532) -> None:
        for number in range(stickers):
            board.antenna.bring(sticker(number))
        await nobody_for(reader, 1)
        phones = [Card(b"\x08ann", PHONE), Card(b"\x08ben", PHONE)]
        for phone in phones:
            board.antenna.bring(phone)
        with pytest.raises(TransportError, match=r"nfc\.collision"):
            await asyncio.wait_for(reader.wait_for_card(), 2)
        await nobody_for(reader, 5)
        assert [phone.activations for phone in phones] == [0, 0]
        board.antenna.take(phones[0])
        await (await asyncio.wait_for(reader.wait_for_card(), 2)).release()
        assert phones[1].activations == 1

    on_reader(story)


def test_a_phone_beside_a_sticker_is_not_read_again_until_it_was_taken_away() -> None:
    async def story(reader: Pn532Reader, board: VirtualPn532) -> None:
        board.antenna.bring(sticker())
        phone = Card(b"\x08ann", PHONE)
        board.antenna.bring(phone)
        await (await asyncio.wait_for(reader.wait_for_card(), 2)).release()
        await nobody_for(reader, 12)
        assert phone.activations == 1
        board.antenna.take(phone)
        await nobody_for(reader, 1)
        board.antenna.bring(phone)
        await (await asyncio.wait_for(reader.wait_for_card(), 2)).release()

    on_reader(story)


# --- cards that speak ISO-DEP and hold no mdoc ------------------------------------------------------------------------


def test_a_card_that_was_read_held_no_mdoc_and_stays_is_passed_over_until_it_leaves() -> None:
    async def story(reader: Pn532Reader, board: VirtualPn532) -> None:
        forgotten = bank_card()
        board.antenna.bring(forgotten)
        await refuse(await asyncio.wait_for(reader.wait_for_card(), 2))
        for _ in range(3):
            assert await is_read(reader, board)
        board.antenna.bring(sticker())
        assert await is_read(reader, board)
        assert forgotten.activations == 1
        board.antenna.take(forgotten)
        await nobody_for(reader, 1)
        board.antenna.bring(forgotten)
        await refuse(await asyncio.wait_for(reader.wait_for_card(), 2))
        assert forgotten.activations == 2, "a card that was away counts as new"

    on_reader(story)


def test_a_card_that_held_an_mdoc_is_not_passed_over() -> None:
    async def story(reader: Pn532Reader, board: VirtualPn532) -> None:
        phone, other = Card(b"\x11\x22\x33\x44", Traits()), Card(b"\x08ben", PHONE)
        board.antenna.bring(phone)
        await (await asyncio.wait_for(reader.wait_for_card(), 2)).release()
        await nobody_for(reader, 5)
        board.antenna.bring(other)
        await nobody_for(reader, 5)
        assert (phone.activations, other.activations) == (1, 0), "a card that was served must be taken away first"

    on_reader(story)


def test_a_card_with_a_random_uid_is_a_new_one_whenever_it_comes_and_lies_in_the_way_while_it_stays() -> None:
    async def story(reader: Pn532Reader, board: VirtualPn532) -> None:
        passport = bank_card(b"\x08pas")
        passport.traits = Traits(fwi=4, fresh_uid=True)
        board.antenna.bring(passport)
        await refuse(await asyncio.wait_for(reader.wait_for_card(), 2))
        await nobody_for(reader, 5)
        assert passport.activations == 1
        board.antenna.take(passport)
        await nobody_for(reader, 1)
        board.antenna.bring(passport)
        await refuse(await asyncio.wait_for(reader.wait_for_card(), 2))
        assert passport.activations == 2

    on_reader(story)


class SilentCard(Card):
    """A card that claims to speak ISO-DEP, but never answers."""

    async def receive(self, block: bytes) -> bytes | None:
        if block == b"\x50\x00":  # HLTA
            self.halt()
        return None


def test_a_card_that_claims_iso_dep_and_does_not_speak_it_is_passed_over_soon() -> None:
    async def story(reader: Pn532Reader, board: VirtualPn532) -> None:
        board.antenna.bring(SilentCard(b"\xdeadcrd", Traits()))
        await nobody_for(reader, 5)
        assert await is_read(reader, board)

    on_reader(story)


def test_a_card_that_lay_there_when_the_lock_started_is_never_read_and_after_a_minute_passed_over() -> None:
    async def story() -> None:
        async with scene.reader() as (reader, board):
            forgotten = bank_card()
            board.antenna.bring(forgotten)
            await nobody_for(reader, pn532._LEFT_MS / 1000 + 1)
            assert await is_read(reader, board) and forgotten.activations == 0

    scene.run(story())


def test_a_phone_that_waits_for_the_readers_frame_gets_it_beside_a_sticker() -> None:
    frame = bytes.fromhex("6a02c801000300")

    async def story() -> None:
        async with scene.board() as board:
            reader = Pn532Reader(scene.wire(board), announce=frame)
            board.antenna.bring(sticker())
            await nobody_for(reader, 5)
            assert board.antenna.announced.count(frame) > 50
            assert await is_read(reader, board)

    scene.run(story())


# --- what is told, and to whom ----------------------------------------------------------------------------------------


def rest(here: Scene) -> None:
    """Let the recorder do all the work that it can do now."""
    while here.doorway.lock.recorder.work():
        pass


def obstructions(here: Scene) -> list[dict[Any, Any]]:
    rest(here)
    return [body for body in here.doorway.bodies() if body[record.KIND] == record.READER]


@pytest.mark.parametrize("thing", [sticker, bank_card])
def test_a_door_with_something_on_its_reader_says_so_serves_every_guest_and_is_as_before_when_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, thing: Any
) -> None:
    async def story(here: Scene) -> None:
        first, second = here.doorway.visitor(), here.doorway.visitor()
        here.doorway.book(first, second)
        await asyncio.sleep(1)
        lying = thing()
        here.board.antenna.bring(lying)
        seen = await here.until("show obstructed")
        for guest in (first, second):
            here.board.antenna.empty_looks = 99
            tapping = asyncio.create_task(guest.plain_phone.tap(here.board))
            seen = await here.until("answer allowed", seen)
            assert (await tapping).result == "presented"
            await asyncio.sleep(3)
        assert here.seen.done.count("open") == 2
        here.board.antenna.take(lying)
        await here.until("show idle", seen)
        assert here.seen.done.count("show obstructed") == 1
        [told] = obstructions(here)
        assert (told[record.WHAT], told[record.COUNT]) == ("obstructed", 1)

    play(tmp_path, monkeypatch, story, looks_between=0, traits=PHONE)


def test_a_wallet_that_is_held_there_for_some_seconds_is_no_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(here: Scene) -> None:
        await asyncio.sleep(1)
        lying = bank_card()
        here.board.antenna.bring(lying)
        await asyncio.sleep(pn532._OBSTRUCTED_MS / 1000 - 1)
        here.board.antenna.take(lying)
        await asyncio.sleep(30)
        assert "show obstructed" not in here.seen.done and obstructions(here) == []

    play(tmp_path, monkeypatch, story)


def test_stickers_that_come_and_go_all_night_make_few_records_and_no_count_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = RecordingLock(tmp_path, monkeypatch)
    bench.tell_time(NOW)
    for _ in range(8 * 300):
        bench.lock.recorder.event(record.READER, "obstructed")
        bench.elapse(12)
        bench.rest()
    told = [body[record.COUNT] for body in bench.bodies() if body[record.KIND] == record.READER]
    waiting = sum(line.count for line in bench.lock.recorder._tally.lines() if line.kind == record.READER)
    waiting += sum(line.count for line in bench.lock.recorder._waiting.values())
    assert sum(told) + waiting == 8 * 300 and len(told) <= recorder.RECORDS * 9
