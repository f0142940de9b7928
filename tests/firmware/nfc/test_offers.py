"""A phone agrees to BLE, but never connects. Such a phone does not affect the edge link, and hardly delays the next
guest.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sim.nfc.virtual_pn532 import VirtualPn532
from sim.phone.ble import BleJob
from sim.phone.phone import Phone
from tests.support import pn532_scene as scene
from tests.support import tap
from tests.support.ble_wire import BleWire, lock_on
from tests.support.ble_world import BleWorld, ble_world, edge_beside
from tests.support.served_reader import Scene, play

SECOND = 1.0


def over_ble(phone: Phone, radio: Any = None) -> Phone:
    return replace(phone, nfc=False, ble_modes=frozenset({"central"}), radio=radio)


async def engage(phone: Phone, board: VirtualPn532, uid: bytes = b"\x08\x00\x00\x01") -> BleJob:
    """Hold the phone to the reader, and take the phone away. The phone's Bluetooth does nothing."""
    transaction = phone.touch()
    await board.present(uid)
    while (command := await board.command()) is not None:
        await board.respond(transaction.process(command))
    await board.remove()
    return transaction.ble_job()


def at_the_door(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, story: Callable[[Scene, BleWire], Awaitable[None]], comes: bool
) -> None:
    wire = BleWire(comes)

    async def scenery(here: Scene) -> None:
        await story(here, wire)

    with lock_on(wire, monkeypatch) as mdoc_ble:
        play(tmp_path, monkeypatch, scenery, paced=True, looks_between=7, mdoc_ble=mdoc_ble)


# --- the next guest ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offers", [1, 3])
def test_the_next_guest_is_served_within_a_second_although_a_phone_was_engaged_that_has_not_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offers: int
) -> None:
    async def story(here: Scene, wire: BleWire) -> None:
        stranger, guest = here.doorway.visitor(), here.doorway.visitor()
        here.doorway.book(guest)
        for _ in range(offers):
            await engage(over_ble(stranger.plain_phone), here.board)
        before = len(here.seen.done)
        await scene.until(lambda: here.board.antenna.empty_looks >= 7)
        came = scene.now()
        tapping = asyncio.create_task(guest.plain_phone.tap(here.board))
        begun = await here.until("show reading", before)
        assert here.seen.times[begun] - came < SECOND
        assert await here.until("open", begun) and (await tapping).result == "presented"
        assert scene.now() - came < SECOND + 1
        assert "aside busy" not in here.seen.done and here.seen.done.count("open") == 1
        await asyncio.sleep(30)
        assert [what for what in here.seen.done if what.startswith("answer")] == ["answer allowed"], (
            "the other phone gets no light"
        )

    at_the_door(tmp_path, monkeypatch, story, comes=False)


def test_a_phone_that_is_engaged_for_ble_itself_takes_the_place_of_one_that_has_not_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(here: Scene, wire: BleWire) -> None:
        stranger, guest = here.doorway.visitor(), here.doorway.visitor()
        here.doorway.book(guest)
        await engage(over_ble(stranger.plain_phone), here.board)
        outcome = await over_ble(guest.plain_phone, wire).tap(here.board)
        assert outcome.result == "presented" and outcome.carrier == "ble"
        await here.until("answer allowed")
        assert here.seen.done.count("open") == 1

    at_the_door(tmp_path, monkeypatch, story, comes=True)


def test_a_phone_that_has_come_is_not_put_aside_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(here: Scene, wire: BleWire) -> None:
        guest, other = here.doorway.visitor(), here.doorway.visitor()
        here.doorway.book(guest, other)
        slow = replace(over_ble(guest.plain_phone, wire), consent_seconds=5)
        tapping = asyncio.create_task(slow.tap(here.board))
        await here.until("in 0.6 seconds ask")
        pushing = asyncio.create_task(other.plain_phone.tap(here.board))
        await here.until("aside busy")
        await here.until("answer allowed")
        assert (await tapping).result == "presented" and here.seen.done.count("open") == 1
        pushing.cancel()

    at_the_door(tmp_path, monkeypatch, story, comes=True)


def test_a_phone_that_does_not_come_and_nobody_after_it_is_told_to_try_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(here: Scene, wire: BleWire) -> None:
        await engage(over_ble(here.doorway.visitor().plain_phone), here.board)
        await here.until("answer again")

    at_the_door(tmp_path, monkeypatch, story, comes=False)


# --- the edge link, on the lock's interpreter -------------------------------------------------------------------------


def test_beside_phones_that_never_come_the_edges_connection_goes_on_and_another_edge_finds_the_lock() -> None:
    async def story(world: BleWorld) -> None:
        async with edge_beside(world) as edge:
            for mode in ("central", "peripheral", "central"):
                phone = await world.phone(mode)
                await engage(phone, world.reader)
                await world.heard("ble.waiting")
                for number in range(5):
                    assert await edge.echo(bytes((number,))) == bytes((number,))
            assert edge.arrivals == 1
        async with edge_beside(world) as late:
            assert await late.echo(b"found") == b"found"
        read, _ = await world.tapped(tap.phone())
        assert read.code is None

    async def scenery() -> None:
        async with ble_world() as world:
            await story(world)

    asyncio.run(scenery())
