"""The reader's task with a whole door, on virtual time: what guests see, and how soon the next guest is served."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from firmware.door.reader_task import WELL_MS
from sim.board.interpreter import ROOT
from sim.nfc.faults import Faults
from sim.phone.applet import Habits
from tests.support import pn532_scene as scene
from tests.support.ble_wire import BleWire, lock_on
from tests.support.doorway import Visitor
from tests.support.served_reader import READY_SECONDS, Scene, play

# --- refused and failed -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NoGo:
    """A failure, and the light that the door must then show.

    `phone` holds changes of the guest's phone. `faults` are the faults of the reader and its chip before the light is
    shown, and `faults_then` are the faults after that. The function `breaks` makes a part of the lock fail. The test
    repairs this part before the next guest comes.
    """

    signal: str
    phone: dict[str, Any] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    faults_then: Faults = field(default_factory=Faults)
    breaks: Callable[[Scene, pytest.MonkeyPatch], None] | None = None
    booked: bool = True


def dead_flash(here: Scene, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(here.doorway.flash, "dead", True)


def no_memory(here: Scene, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(here.doorway.primitives, "exhausted", {"open_gcm", "open_gcm_in_place"})


NO_GO = {
    "an altered document": NoGo("refused_document", {"tamper": "element-value"}),
    "an altered message": NoGo("refused_phone", {"tamper": "session-data"}),
    "a phone that hangs up": NoGo("refused_document", {"tamper": "element-value", "habits": Habits(hangs_up=True)}),
    "a no on the phone": NoGo("refused_phone", {"consent": lambda asked: False}),
    "a reader that the phone does not know": NoGo("refused_phone", {"reader_roots": []}),
    "a phone without retrieval": NoGo("refused_phone", {"nfc": False}),
    "a file that stays empty": NoGo("again", {"habits": Habits(empty_polls=1000)}),
    "a holder who never answers": NoGo("again", {"consent_seconds": 1000}),
    "torn away while engaging": NoGo("again", faults=Faults(tear_off_at=4)),
    "torn away while asked": NoGo("again", faults=Faults(tear_off_at=20)),
    "a chip that fails while engaging": NoGo("again", faults=Faults(deaf_after=18)),
    "a chip that fails while the holder is asked": NoGo("again", faults=Faults(deaf_after=28)),
    "a chip that fails as the card is let go": NoGo(
        "refused_document", {"tamper": "element-value"}, faults_then=Faults(deaf_after=0)
    ),
    "a stranger": NoGo("refused_stay", booked=False),
    "a flash that holds nothing": NoGo("fault", breaks=dead_flash),
    "no memory left": NoGo("fault", breaks=no_memory),
}


@pytest.mark.parametrize("case", NO_GO)
def test_a_read_that_is_refused_or_fails_leaves_the_door_shut_and_the_reader_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    no_go = NO_GO[case]

    async def story(here: Scene) -> None:
        guest, other = here.doorway.visitor(), here.doorway.visitor()
        here.doorway.book(*([guest, other] if no_go.booked else [other]))
        here.board.go_wrong(no_go.faults)
        here.seen.at_the_light = lambda: here.board.go_wrong(no_go.faults_then)
        with monkeypatch.context() as patch:
            if no_go.breaks is not None:
                no_go.breaks(here, patch)
            # The guest is more patient than the door, sees the light, and leaves.
            tapping = asyncio.create_task(replace(guest.plain_phone, **no_go.phone).tap(here.board, patience=60))
            answered = await here.until("answer " + no_go.signal)
            assert here.seen.done[:2] == ["show idle", "show reading"] and not here.doorway.opened()
        tapping.cancel()
        await asyncio.wait({tapping})
        await welcome(here, other, answered)
        assert here.board.chip.revived == case.startswith("a chip that fails")

    play(tmp_path, monkeypatch, story, paced=True, looks_between=7)


async def welcome(here: Scene, guest: Visitor, answered: int) -> None:
    """Check that a guest who comes at once is served soon enough. `answered` is the index of the light that answered
    the previous guest.
    """
    here.seen.at_the_light = lambda: None
    following = asyncio.create_task(guest.plain_phone.tap(here.board))
    begun = await here.until("show reading", answered + 1)
    assert here.seen.times[begun] - here.seen.times[answered] <= READY_SECONDS
    assert await here.until("open", begun) and (await following).result == "presented"


NO_GO_OVER_BLE: dict[str, tuple[str, bool, dict[str, Any]]] = {
    "an altered document": ("refused_document", True, {"tamper": "element-value"}),
    "a no on the phone": ("refused_phone", True, {"consent": lambda asked: False}),
    "a phone whose Bluetooth is off": ("again", False, {}),
}


@pytest.mark.parametrize("case", NO_GO_OVER_BLE)
def test_so_does_one_that_went_on_over_ble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    signal, comes, changes = NO_GO_OVER_BLE[case]
    wire = BleWire(comes)

    async def story(here: Scene) -> None:
        guest, other = here.doorway.visitor(), here.doorway.visitor()
        here.doorway.book(guest, other)
        phone = replace(guest.plain_phone, nfc=False, ble_modes=frozenset({"central"}), radio=wire, **changes)
        tapping = asyncio.create_task(phone.tap(here.board))
        answered = await here.until("answer " + signal)
        assert here.seen.done[:2] == ["show idle", "show reading"] and not here.doorway.opened()
        await welcome(here, other, answered)
        assert (await tapping).carrier == "ble"

    with lock_on(wire, monkeypatch) as mdoc_ble:
        play(tmp_path, monkeypatch, story, paced=True, looks_between=7, mdoc_ble=mdoc_ble)


# --- what guests see --------------------------------------------------------------------------------------------------


def test_a_guest_who_has_to_agree_is_told_so_and_then_let_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(here: Scene) -> None:
        guest = here.doorway.visitor()
        here.doorway.book(guest)
        outcome = await replace(guest.plain_phone, consent_seconds=3).tap(here.board)
        await here.until("answer allowed")
        assert outcome.result == "presented"
        page = (ROOT / "docs/door-signals.md").read_text().replace("\n", " ")
        (told,) = re.findall(r"`ask` comes only if the phone has not answered within ([\d.]+) seconds", page)
        after = f"in {told} seconds ask"
        # The lock begins to compute right after the response, and a tone would not end in time. So the light comes back
        # without a tone.
        back = "show reading in silence"
        assert here.seen.done == ["show idle", "show reading", after, back, "open", "answer allowed"]

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
        back = await here.until("show idle", failed)
        assert here.seen.times[back] - here.seen.times[failed] > WELL_MS / 1000
        assert here.seen.done.count("show fault") == 1
        assert (await guest.plain_phone.tap(here.board)).result == "presented"
        await here.until("answer allowed")

    play(tmp_path, monkeypatch, story)
