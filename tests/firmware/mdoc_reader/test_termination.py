"""The end of a session costs the guest no time, because the door does not wait for the phone's answer to the
termination."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from firmware.door.reader_task import serve
from sim.phone.applet import Habits
from tests.support import pn532_scene as scene
from tests.support import tap
from tests.support.ble_wire import BleWire, lock_on
from tests.support.doorway import Doorway, Outputs
from tests.support.served_reader import READY_SECONDS, Scene, play

HANGS_UP = Habits(hangs_up=True)
CASES = {
    "the only request, and an opening": (True, False),
    "the only request, and a refusal": (False, False),
    "one of several, and an opening": (True, True),
    "the last of several, and a refusal": (False, True),
}


class Tap:
    """Times of one tap, in seconds of virtual time.

    `door` holds two times: from the first light to the strike, and from the first light to the last light. If the
    strike did not move, both times are the time to the last light. `release` is the time from the last light until the
    reader released the phone.
    """

    def __init__(self, strike: float, light: float, release: float) -> None:
        self.door = [strike, light]
        self.release = release


def over_nfc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, habits: Habits) -> Tap:
    """Tap once, and return the times. Afterwards another guest is let in."""
    booked, several = CASES[case]
    taps: list[Tap] = []

    async def story(here: Scene) -> None:
        seen = here.seen
        guest, other = here.doorway.visitor(), here.doorway.visitor()
        here.doorway.book(*([guest, other] if booked else [other]))
        if several:
            here.doorway.trust_all()
        tapping = asyncio.create_task(replace(guest.plain_phone, habits=habits).tap(here.board, patience=600))
        begun = await here.until("show reading")
        light = await here.until("answer allowed" if booked else "answer refused_stay")
        await scene.until(lambda: not here.board.antenna.field, step=0.001)
        released = scene.now()
        tapping.cancel()
        await asyncio.wait({tapping})
        strike = seen.place("open")
        times = [seen.times[at] - seen.times[begun] for at in (light if strike is None else strike, light)]
        taps.append(Tap(times[0], times[1], released - seen.times[light]))
        following = asyncio.create_task(other.plain_phone.tap(here.board))
        assert await here.until("open", light + 1) and (await following).result == "presented"

    play(tmp_path, monkeypatch, story, paced=True, looks_between=7)
    return taps[0]


@pytest.mark.parametrize("case", CASES)
def test_a_holder_who_never_answers_the_termination_delays_neither_strike_nor_light_nor_the_next_guest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    folders = [tmp_path / "answers", tmp_path / "silent"]
    for folder in folders:
        folder.mkdir()
    answers = over_nfc(folders[0], monkeypatch, case, Habits())
    silent = over_nfc(folders[1], monkeypatch, case, HANGS_UP)
    # Certificates differ by a byte or two from door to door, and each byte takes time on the air.
    assert silent.door == pytest.approx(answers.door, abs=0.005)
    assert answers.release <= silent.release <= READY_SECONDS


class DeafWire(BleWire):
    """After `answers` answers of the phone, the stack of this wire takes nothing more from the lock."""

    def __init__(self, answers: int) -> None:
        super().__init__()
        self._answers = answers
        self.refused = 0

    async def send(self, message: bytes) -> None:
        self._answers -= 1
        await super().send(message)

    def gatts_notify(self, connection: int, handle: int, data: bytes) -> None:
        if self._answers <= 0:
            self.refused += 1
            raise OSError(12)
        super().gatts_notify(connection, handle, data)


@pytest.mark.parametrize(("several", "answers"), [(False, 1), (True, 2)])
def test_over_ble_a_stack_that_does_not_take_the_termination_delays_nothing_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, several: bool, answers: int
) -> None:
    times: list[float] = []
    for wire in (BleWire(), DeafWire(answers)):
        folder = tmp_path / type(wire).__name__
        folder.mkdir()

        async def story(here: Scene, wire: BleWire = wire) -> None:
            guest, other = here.doorway.visitor(), here.doorway.visitor()
            here.doorway.book(guest, other)
            if several:
                here.doorway.trust_all()
            phone = replace(guest.plain_phone, nfc=False, ble_modes=frozenset({"central"}), radio=wire)
            tapping = asyncio.create_task(phone.tap(here.board))
            begun = await here.until("show reading")
            opened = await here.until("open")
            light = await here.until("answer allowed")
            assert here.seen.times[light] == here.seen.times[opened]
            times.append(round(here.seen.times[light] - here.seen.times[begun], 3))
            following = asyncio.create_task(other.plain_phone.tap(here.board))
            assert await here.until("open", light + 1) and (await following).result == "presented"
            await tapping

        with lock_on(wire, monkeypatch) as mdoc_ble:
            play(folder, monkeypatch, story, looks_between=7, mdoc_ble=mdoc_ble)
        assert not isinstance(wire, DeafWire) or wire.refused > 1
    assert times[0] == times[1]


@pytest.mark.parametrize("several", [False, True])
def test_the_holder_hears_that_it_is_over_before_verification_only_if_nothing_more_can_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, several: bool
) -> None:
    told: list[int | None] = []

    class Light(Outputs):
        """Each time the light says that a response is being verified, `told` gets the last status that the phone has
        received.
        """

        def show(self, name: str, after_ms: int = 0, sound: bool = True) -> None:
            super().show(name, after_ms)
            if self.done[-2:] == ["show ask", "show reading"]:
                told.append(transaction.outcome().status)

    here = Doorway(tmp_path, monkeypatch)
    if several:
        here.trust_all()
    here.outputs = Light()
    here.reboot()
    guest = here.visitor()
    here.book(guest)
    transaction, card = tap.touch(guest.plain_phone)
    here.present(card)
    assert here.opened() and transaction.outcome().status == 20
    # The phone is asked for the first type, which it does not have, and then for the second type.
    assert told == ([None, None] if several else [20])


def test_a_card_is_released_after_the_last_word_of_its_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the field dropped during a command, the phone would not know whether the session has ended."""
    order: list[str] = []

    class Slow(tap.DirectCard):
        async def transceive(self, command: bytes | memoryview, timeout_ms: int = 1000, sink: Any = None) -> bytes:
            response = await super().transceive(command, timeout_ms, sink)
            await asyncio.sleep(0.01)
            order.append("answered")
            return response

        async def release(self) -> None:
            order.append("released")

    class OneCard:
        def __init__(self) -> None:
            self.cards = [Slow(transaction.process)]

        async def wait_for_card(self, on_obstructed: Any) -> tap.DirectCard:
            if not self.cards:
                await asyncio.Event().wait()
            return self.cards.pop()

    doorway = Doorway(tmp_path, monkeypatch)
    guest = doorway.visitor()
    doorway.book(guest)
    transaction = guest.plain_phone.touch()

    async def story() -> None:
        serving = asyncio.create_task(serve(OneCard(), doorway.door, doorway.outputs))  # type: ignore[arg-type]
        await scene.until(lambda: "released" in order, step=0.001)
        serving.cancel()

    scene.run(story())
    assert doorway.opened() and order == ["answered"] * transaction.outcome().apdus + ["released"]
    assert transaction.outcome().status == 20
