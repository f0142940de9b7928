"""The reader's task with a whole door behind it, on virtual time: what guests see, and how soon the next is served."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from firmware.serving import WELL_MS, serve
from sim.nfc.faults import Faults
from sim.nfc.virtual_pn532 import VirtualPn532
from sim.phone.applet import Habits
from sim.phone.phone import Phone
from sim.phone.response import Tamper
from tests.firmware import pn532_scene as scene
from tests.firmware.doorway import Doorway, Outputs

READY_SECONDS = 0.3


class Seen(Outputs):
    """What can be seen of the door, and when, in seconds of virtual time."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def _note(self, what: str) -> None:
        self.done.append(what)
        self.times.append(scene.now())

    def open(self) -> None:
        self._note("open")

    def show(self, name: str, after_ms: int = 0) -> None:
        self._note(("soon " if after_ms else "show ") + name)

    def answer(self, name: str) -> None:
        self._note("answer " + name)

    def aside(self, name: str) -> None:
        self._note("aside " + name)

    def when(self, what: str, since: float = 0) -> float | None:
        found = (at for at, done in zip(self.times, self.done, strict=True) if done == what and at >= since)
        return next(found, None)


class Scene:
    """A door that is being served, and the reader before it."""

    def __init__(self, doorway: Doorway, board: VirtualPn532) -> None:
        self.doorway = doorway
        self.board = board
        assert isinstance(doorway.outputs, Seen)
        self.seen: Seen = doorway.outputs

    async def until(self, what: str, since: float = 0) -> float:
        """When something can be seen for the first time since then."""
        await scene.until(lambda: self.seen.when(what, since) is not None)
        found = self.seen.when(what, since)
        assert found is not None
        return found


def play(tmp_path: Path, monkeypatch: Any, story: Callable[[Scene], Awaitable[None]], **settings: Any) -> None:
    doorway = Doorway(tmp_path, monkeypatch)
    doorway.outputs = Seen()
    doorway.reboot()

    async def scenery() -> None:
        async with scene.reader(settings.pop("faults", None), **settings) as (reader, board):
            serving = asyncio.create_task(serve(reader, doorway.door, doorway.outputs))  # type: ignore[arg-type]
            await story(Scene(doorway, board))
            assert not serving.done()
            serving.cancel()

    scene.run(scenery())


TAMPERED: list[Tamper] = ["element-value", "session-data"]
NO_GO: dict[str, tuple[Callable[[Phone], Phone], Faults, str]] = {
    "an altered document": (lambda phone: replace(phone, tamper=TAMPERED[0]), Faults(), "refused_document"),
    "an altered message": (lambda phone: replace(phone, tamper=TAMPERED[1]), Faults(), "refused_phone"),
    "a no on the phone": (lambda phone: replace(phone, consent=lambda asked: False), Faults(), "refused_phone"),
    "a phone without retrieval": (lambda phone: replace(phone, nfc=False), Faults(), "refused_phone"),
    "a file that stays empty": (lambda phone: replace(phone, habits=Habits(empty_polls=1000)), Faults(), "again"),
    "torn away while engaging": (lambda phone: phone, Faults(tear_off_at=4), "again"),
    "torn away while asked": (lambda phone: phone, Faults(tear_off_at=20), "again"),
    "a stranger": (lambda phone: phone, Faults(), "refused_stay"),
}
"""What a guest's phone does, what goes wrong at the reader, and what is shown. The stranger is only not booked."""


@pytest.mark.parametrize("case", NO_GO)
def test_a_read_that_is_refused_or_fails_leaves_the_door_shut_and_the_reader_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    change, faults, signal = NO_GO[case]

    async def story(here: Scene) -> None:
        guest, other = here.doorway.visitor(), here.doorway.visitor()
        here.doorway.book(*([other] if case == "a stranger" else [guest, other]))
        here.board.go_wrong(faults)
        await change(guest.plain_phone).tap(here.board)
        left = scene.now()
        answered = await here.until("answer " + signal)
        assert here.seen.done[:2] == ["show idle", "show reading"] and not here.doorway.opened()
        here.board.go_wrong(Faults())
        following = asyncio.create_task(other.plain_phone.tap(here.board))
        begun = await here.until("show reading", since=answered)
        assert begun - max(left, answered) <= READY_SECONDS
        assert await here.until("open") and (await following).result == "presented"

    play(tmp_path, monkeypatch, story, paced=True, looks_between=7)


def test_a_guest_who_has_to_agree_is_told_so_and_then_let_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(here: Scene) -> None:
        guest = here.doorway.visitor()
        here.doorway.book(guest)
        outcome = await replace(guest.plain_phone, consent_seconds=3).tap(here.board)
        await here.until("answer allowed")
        assert outcome.result == "presented"
        assert here.seen.done == ["show idle", "show reading", "soon ask", "show reading", "open", "answer allowed"]

    play(tmp_path, monkeypatch, story)


def test_a_phone_left_on_the_reader_does_not_repeat_the_act(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(here: Scene) -> None:
        guest = here.doorway.visitor()
        here.doorway.book(guest)
        lying = here.board.card(b"\x08abc")
        lying.power(True)
        phone = guest.plain_phone.touch()
        await asyncio.sleep(1)
        here.board.antenna.bring(lying)
        while (command := await lying.commands.get()) is not None:
            lying.answers.put_nowait(phone.process(command))
        await here.until("answer allowed")
        await asyncio.sleep(30)
        assert here.seen.done.count("open") == 1 and here.seen.done[-1] == "answer allowed"
        here.board.antenna.take(lying)
        assert (await guest.plain_phone.tap(here.board)).result == "presented"
        await scene.until(lambda: here.seen.done.count("open") == 2)

    play(tmp_path, monkeypatch, story)


def test_of_two_phones_at_the_reader_neither_is_read_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(here: Scene) -> None:
        guest = here.doorway.visitor()
        here.doorway.book(guest)
        beside = here.board.card(b"\x08two")
        await asyncio.sleep(1)
        here.board.antenna.bring(beside)
        tapping = asyncio.create_task(guest.plain_phone.tap(here.board))
        await here.until("aside busy")
        assert "show reading" not in here.seen.done
        here.board.antenna.take(beside)
        assert (await tapping).result == "presented"
        await here.until("open")

    play(tmp_path, monkeypatch, story, looks_between=0)


def test_a_reader_chip_that_fails_shows_as_a_fault_until_it_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(here: Scene) -> None:
        guest = here.doorway.visitor()
        here.doorway.book(guest)
        await asyncio.sleep(60)
        here.board.go_wrong(Faults(deaf_after=0, deaf_wakes=30))
        failed = await here.until("show fault")
        back = await here.until("show idle", since=failed)
        assert back - failed > WELL_MS / 1000 and here.seen.done.count("show fault") == 1
        assert (await guest.plain_phone.tap(here.board)).result == "presented"
        await here.until("answer allowed")

    play(tmp_path, monkeypatch, story)
