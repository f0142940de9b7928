"""The board's own record shows whether each opening was in flash before the strike moved. Every defect is found."""

import asyncio
import random
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from firmware.boards import esp32_c6_devkitc_1 as pins
from firmware.memory import journal_notes
from firmware.memory.flash import TALLY_SECTORS
from firmware.memory.journal import Journal
from firmware.memory.tally import Line, Tally
from protocol import crypto_cpython as crypto
from protocol import record
from protocol.record import DOOR, ENTRY
from sim.board import flash
from sim.board.bus import BoardBus, BoardEvent
from sim.board.memory_flash import MemoryFlash
from sim.board.openings import Opening, OpeningsSoFar, openings
from sim.scenarios import perform, stories
from sim.site import Plan
from tests.support.board_process import RUNTIMES, board
from tests.support.chain import Chain, check_in, entry, event

GRANT = bytes(range(16))


def as_they_come(history: list[BoardEvent]) -> Sequence[Opening]:
    """Read the reports one by one, and return the openings that were found."""
    so_far = OpeningsSoFar()
    for told in range(len(history)):
        so_far.read(history[: told + 1])
    return so_far.read(history)


class Board:
    """The record of a board whose journal and tally are written by the firmware's own code."""

    def __init__(self) -> None:
        self.history: list[BoardEvent] = []
        self.flash = MemoryFlash(4 + TALLY_SECTORS)
        self.chain = Chain(crypto.generate("P-256")[1])
        self.boots = 0
        self.boot()

    def boot(self) -> None:
        self.boots += 1
        self.number = -1
        self.note(journal=zlib.compress(bytes(self.flash.content)))
        self.flash.log = None
        self.journal, self.tally = Journal(self.flash), Tally(self.flash)
        self.flash.log = []

    def note(self, **facts: object) -> None:
        self.number += 1
        self.history.append(BoardEvent(0, 0, facts, self.boots, self.number))

    def flashed(self) -> None:
        """Report the flash operations since the last call, in pieces like those of the stand-in."""
        done = self.flash.log or []
        self.flash.log = []
        for _, offset, data in done:
            for at in range(0, 1 if data is None else len(data), 128):
                self.note(offset=offset + at, data=None if data is None else data[at : at + 128].hex())

    def record(self, note: bytes, body: "dict[object, object]") -> None:
        made = record.parse(self.chain.append(body))
        self.journal.append(self.journal.place(), made.payload_hash, made.raw, note)
        self.flashed()

    def opening(self) -> None:
        self.record(journal_notes.opening(GRANT), entry() if self.chain.records else check_in())

    def counted(self) -> None:
        self.tally.add(Line(ENTRY, "mdoc", 1, None, 1, GRANT, 1))
        self.flashed()

    def event(self) -> None:
        line = Line(DOOR, "forced", 1, None)
        self.tally.add(line)
        self.flashed()
        self.record(line.note(), event(DOOR, "forced"))
        self.tally.close(line)
        self.flashed()

    def strike(self) -> None:
        self.note(pin=pins.STRIKE, value=1)
        self.note(pin=pins.STRIKE, value=0)

    def judged(self) -> list[int | str | None]:
        """Return one item for each opening: the counter of the opening's record, "counted" if the opening was only
        counted, or None if the opening was not recorded.
        """
        found = [one.durable for one in openings(self.history)]
        return [None if one is None else one.counter or "counted" for one in found]


def test_reports_that_overtake_each_other_change_no_opening() -> None:
    """A timer's callback can run, and send its report, between two lines of the firmware. So a report may come before a
    report with a lower number.
    """
    lock, chance = Board(), random.Random(5)
    for _ in range(5):
        lock.opening()
        lock.strike()
    lock.counted()
    lock.strike()
    lock.boot()
    lock.strike()
    assert as_they_come(lock.history) == openings(lock.history)
    for _ in range(20):
        swapped = list(lock.history)
        for at in range(1, len(swapped) - 1):
            if chance.random() < 0.3 and swapped[at].boot == swapped[at + 1].boot and swapped[at].number:
                swapped[at], swapped[at + 1] = swapped[at + 1], swapped[at]
        found = as_they_come(swapped)
        assert [one.durable and one.durable.counter for one in found] == [1, 2, 3, 4, 5, None, None]
        assert found == openings(lock.history)


def test_each_record_or_count_of_an_opening_serves_one_move_of_the_strike() -> None:
    lock = Board()
    for _ in range(9):  # nine records fill several sectors
        lock.opening()
        lock.strike()
    lock.counted()
    lock.strike()
    lock.boot()
    lock.opening()
    lock.strike()
    assert lock.judged() == [*range(1, 10), "counted", 10]


def test_a_strike_that_moves_before_its_record_is_in_flash_breaks_the_promise() -> None:
    lock = Board()
    lock.strike()
    lock.opening()
    lock.strike()
    lock.strike()
    lock.counted()
    assert lock.judged() == [None, 1, None]


def test_a_record_of_an_event_or_half_a_record_of_an_opening_is_none() -> None:
    lock = Board()
    lock.event()
    lock.strike()
    lock.opening()
    lock.history.pop()  # the last piece of the record is missing
    lock.strike()
    assert lock.judged() == [None, None]


def test_what_was_recorded_before_a_power_cut_does_not_serve_an_opening_after_it() -> None:
    lock = Board()
    lock.opening()
    lock.boot()
    lock.strike()
    assert lock.judged() == [None]


def test_the_number_of_an_operation_counts_and_not_when_its_line_came() -> None:
    lock = Board()
    lock.opening()
    lock.strike()
    lock.history.reverse()
    assert lock.judged() == [1]
    late = [replace(each, number=99) if "offset" in each.facts else each for each in lock.history]
    assert [one.durable for one in openings(late)] == [None]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_flash_and_pins_are_numbered_in_the_order_in_which_the_board_did_them(tmp_path: Path, runtime: str) -> None:
    source = """
import esp32
from machine import Pin
journal = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="journal")[0]
strike = Pin(10, Pin.OUT, value=0)
journal.writeblocks(1, bytes(range(200)), 8)
strike.on()
journal.ioctl(6, 1)
"""

    async def scenario() -> list[BoardEvent]:
        image = flash.create(tmp_path / "flash.img")
        bus = BoardBus(journal=lambda: flash.journal(image, {}))
        async with bus.listening():
            environment = {"MOORING_BOARD": bus.address, "MOORING_FLASH": str(image)}
            async with board(tmp_path, source, runtime, environment) as lock:
                assert await lock.wait() == 0
            await bus.wait_for(10, 0)
        return bus.history

    first, *rest = asyncio.run(scenario())
    assert zlib.decompress(first.facts["journal"]) == b"\xff" * 256 * 1024
    did = [(e.facts.get("offset"), e.facts.get("data"), e.facts.get("value")) for e in rest]
    whole = bytes(range(200)).hex()
    assert did[:5] == [
        (None, None, 0),
        (4096 + 8, whole[:256], None),
        (4096 + 8 + 128, whole[256:], None),
        (None, None, 1),
        (4096, None, None),
    ]
    assert [event.number for event in rest[:5]] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_firmware_that_opens_before_it_records_breaks_that_promise_and_no_other(runtime: str) -> None:
    story = replace(stories["first-checkin"], plan=Plan(board={"MOORING_FAULT": "opens-first"}))
    result = asyncio.run(perform(story, runtime=runtime))
    assert (result.opened, result.records, result.ok) == (1, 1, False)
    broken = [str(promise.claim) for promise in result.promises if not promise.held]
    assert broken == ["each opening was in flash before the strike moved"]
