"""Many entries of one guest are counted instead of recorded. So other guests find room, and no entry is lost."""

from pathlib import Path

import pytest

from firmware.memory import entries
from firmware.memory.tally import Tally
from protocol import record
from protocol.record import CHECK_IN, ENTRY
from sim.board.memory_flash import MemoryFlash
from sim.board.nor_flash import PowerCut
from sim.platform import Guest
from tests.support.door_bench import NOW as DOOR_NOW
from tests.support.door_bench import PLATFORM, Bench
from tests.support.placed_lock import LISTING
from tests.support.recording_lock import NOW, RecordingLock

NIGHT = 8 * 3600
WINDOW = entries._WINDOW_MS // 1000


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecordingLock:
    return awake(RecordingLock(tmp_path, monkeypatch))


def awake(bench: RecordingLock) -> RecordingLock:
    """Wake the lock, check a guest in, and return the lock."""
    bench.awake()
    bench.check_in()
    return bench


def told(bench: RecordingLock) -> list[tuple[int | None, int]]:
    """Return (guest, count) of each record of entries in the journal."""
    return [(body[record.GUEST], body[record.COUNT]) for body in bench.bodies() if body[record.KIND] == ENTRY]


def all_entries(bench: RecordingLock) -> int:
    """Return the number of all entries, both in records and in the tally."""
    waiting = sum(line.count for line in bench.lock.recorder._tally.lines() if line.kind == ENTRY)
    return waiting + sum(count for _, count in told(bench))


# --- which are counted -----------------------------------------------------------------------------------------------


def test_from_the_third_entry_within_ten_minutes_on_entries_are_counted_and_become_one_record_of_first_and_last(
    bench: RecordingLock,
) -> None:
    times = []
    for _ in range(7):
        bench.enter()
        times.append(bench.lock.clock.interval())
        bench.elapse(60)
        bench.rest()
    assert told(bench) == [(1, 1), (1, 1)]
    bench.elapse(WINDOW - 61)
    bench.rest()
    assert told(bench) == [(1, 1), (1, 1)], "the guest may come again"
    bench.elapse(1)
    bench.rest()
    assert told(bench) == [(1, 1), (1, 1), (1, 5)]
    last = bench.bodies()[-1]
    assert (last[record.EARLIEST], last[record.LATEST]) == (times[2][0], times[-1][1])
    assert bench.lock.recorder._tally.lines() == [] and bench.signed_by_it()


def test_two_entries_in_ten_minutes_are_recorded_each_and_so_are_two_in_the_next(bench: RecordingLock) -> None:
    for _ in range(6):
        bench.enter()
        bench.enter()
        bench.elapse(WINDOW)
        bench.rest()
    assert told(bench) == [(1, 1)] * 12


def test_a_third_entry_just_before_the_ten_minutes_are_over_is_counted(bench: RecordingLock) -> None:
    bench.enter()
    bench.enter()
    bench.elapse(WINDOW - 0.001)
    bench.enter()
    assert told(bench) == [(1, 1)] * 2 and all_entries(bench) == 3


def test_a_guest_who_comes_again_and_again_takes_nothing_from_another(bench: RecordingLock) -> None:
    for _ in range(5):
        bench.enter(1)
    bench.check_in(2)
    bench.enter(2)
    bench.enter(2)
    assert told(bench) == [(1, 1), (1, 1), (2, 1), (2, 1)]
    assert [body[record.GUEST] for body in bench.bodies() if body[record.KIND] == CHECK_IN] == [1, 2]


def test_the_number_of_openings_in_each_record_is_that_of_all_records_up_to_it(bench: RecordingLock) -> None:
    for _ in range(5):
        bench.enter(1)
    bench.enter(2)
    bench.elapse(WINDOW)
    bench.rest()
    bench.enter(1)
    openings = 0
    for body in bench.bodies():
        if body[record.KIND] in record.OPENINGS:
            openings += body.get(record.COUNT, 1)
            assert body[record.OCCUPANCY][2] == openings
    assert openings == 1 + 7 and bench.lock.stays.all()[0].openings == openings


def test_a_count_that_goes_on_becomes_a_record_every_hour(bench: RecordingLock) -> None:
    for _ in range(4 * 3600 // 20):
        bench.enter()
        bench.elapse(20)
        bench.rest()
    assert 5 <= len(told(bench)) <= 6 and all_entries(bench) == 4 * 3600 // 20


# --- durable before the strike moves ---------------------------------------------------------------------------------


def test_what_is_counted_is_in_flash_before_the_strike_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, monkeypatch)
    guest = Guest("A1", "1990-03-07")
    booked = PLATFORM.book(bench.lock.identity.public, LISTING, DOOR_NOW - 99, DOOR_NOW + 86400, [guest])
    bench.lock.deliver(PLATFORM.grant(booked))
    for _ in range(3):
        bench.come(guest)
    found: list[int] = []

    def open_now() -> None:
        held = Tally(MemoryFlash(bench.flash.sectors, bytes(bench.flash.content))).lines()
        found.append(sum(line.count for line in held if line.kind == ENTRY))
        bench.outputs.seen.append(("open", bench.lock.journal.next_counter))

    monkeypatch.setattr(bench.outputs, "open", open_now)
    for number in range(1, 4):
        bench.come(guest)
        assert found[-1] == number


@pytest.mark.parametrize("torn", [False, True], ids=["clean", "torn"])
def test_a_power_cut_at_any_operation_loses_no_entry_and_doubles_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: bool
) -> None:
    bench = awake(RecordingLock(tmp_path, monkeypatch))
    before = bytes(bench.flash.content)

    def happen() -> None:
        for number in range(70):  # more entries than the number of slots in a sector of the tally
            bench.enter(number % 2 + 1)
            done.append(number)
            bench.elapse(0.5)
        bench.elapse(WINDOW)
        bench.rest()
        for _ in range(3):
            bench.enter()
            done.append(0)

    cut_at, cuts = 0, 0
    while True:
        cut_at += 1 if cut_at > 50 else 5  # the first operations all write the same kind of slot
        bench.flash.content[:] = before
        bench.reboot()
        bench.flash.operations, bench.flash.cut_at, bench.flash.torn = 0, cut_at, torn
        done: list[int] = []
        try:
            happen()
        except PowerCut:
            cuts += 1
        else:
            break
        bench.reboot()
        assert len(done) <= all_entries(bench) <= len(done) + 1, cut_at
        [stay] = bench.lock.stays.all()
        assert stay.openings == 1 + sum(count for _, count in told(bench))
        bench.elapse(WINDOW)
        bench.rest()
        assert len(done) <= sum(count for _, count in told(bench)) <= len(done) + 1, cut_at
    assert cuts > 30


# --- what many entries may cost --------------------------------------------------------------------------------------


def test_a_night_of_one_guests_tapping_while_no_receipt_comes_costs_few_records_and_a_fellow_guest_checks_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = awake(RecordingLock(tmp_path, monkeypatch, 64))
    records, erased, taps = bench.lock.journal.next_counter, bench.flash.erases, NIGHT // 3
    for number in range(taps):
        bench.enter()
        bench.elapse(3)
        if number % 20 == 0:
            bench.rest()
    assert bench.lock.journal.next_counter - records <= 2 + NIGHT * 1000 // entries._LONGEST_MS
    assert bench.flash.erases - erased <= taps // 50
    assert all_entries(bench) == taps
    bench.check_in(2)
    bench.elapse(WINDOW)
    bench.rest()
    assert sum(count for _, count in told(bench)) == taps


@pytest.mark.parametrize("cuts", [False, True], ids=["power on", "power cut every 80 seconds"])
def test_nor_do_thirty_two_guests_fill_the_journal_in_a_night_nor_does_taking_the_power_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuts: bool
) -> None:
    bench = awake(RecordingLock(tmp_path, monkeypatch, 64))
    records, erased, taps = bench.lock.journal.next_counter, bench.flash.erases, NIGHT // 10
    for number in range(taps):
        bench.enter(number % 32 + 1)
        bench.elapse(10)
        if number % 8 == 0:
            if cuts:
                bench.reboot()
            bench.rest()
    assert bench.lock.journal.next_counter - records <= entries._AT_ONCE + NIGHT * 1000 // entries._EACH_MS
    assert bench.flash.erases - erased <= taps // 10
    assert bench.lock.journal.free_sectors() >= bench.lock.journal.sectors // 3
    assert all_entries(bench) == taps
    bench.check_in(2)
    bench.receipt(NOW + NIGHT)
    for _ in range(40):  # an hour or two later, all entries are in records
        bench.elapse(WINDOW)
        bench.rest()
    assert [line for line in bench.lock.recorder._tally.lines() if line.kind == ENTRY] == []


def test_what_was_counted_for_want_of_room_becomes_records_as_soon_as_there_is_some(bench: RecordingLock) -> None:
    while bench.lock.journal.has_room():
        bench.enter()
        bench.elapse(WINDOW)
    bench.enter(1)
    bench.enter(2)
    bench.rest()
    bench.receipt(NOW)
    bench.rest()
    assert told(bench)[-2:] == [(1, 1), (2, 1)]
    assert [line for line in bench.lock.recorder._tally.lines() if line.kind == ENTRY] == []
