"""Openings are recorded at once. Events are counted first, and become records at a limited rate.

A full journal does not lock out any registered guest, and nothing is lost.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from firmware.memory import recorder
from firmware.memory.store import Store
from protocol import record
from protocol.errors import StorageError
from protocol.record import BOOT, CHECK_IN, DOOR, ENTRY, MECHANICAL, REFUSAL, TAMPER, TIME
from sim.board.nor_flash import PowerCut
from tests.support.recording_lock import FIELDS, NOW, STAY, RecordingLock
from tests.support.rules import who


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecordingLock:
    return RecordingLock(tmp_path, monkeypatch).awake()


def openings(bench: RecordingLock) -> list[tuple[int, int | None]]:
    bodies = [body for body in bench.bodies() if body[record.KIND] in record.OPENINGS]
    return [(body[record.KIND], body[record.GUEST]) for body in bodies]


# --- openings --------------------------------------------------------------------------------------------------------


def test_an_opening_is_in_the_journal_when_the_call_returns_and_the_stay_knows(bench: RecordingLock) -> None:
    bench.check_in(2)
    bench.enter(2)
    assert openings(bench) == [(CHECK_IN, 2), (ENTRY, 2)]
    checked = next(body for body in bench.bodies() if body[record.KIND] == CHECK_IN)
    assert (checked[record.FIELDS], checked[record.GRANT_ID], checked[record.METHOD]) == (FIELDS, STAY, "mdoc")
    for lock in (bench.lock, bench.reboot()):
        [stay] = lock.stays.all()
        assert ([guest.commitment for guest in stay.guests], stay.openings) == ([who("b")], 2)
    assert bench.signed_by_it()


def test_an_encapsulation_made_ahead_serves_one_record_and_no_other(bench: RecordingLock) -> None:
    for _ in range(3):
        bench.rest()
        bench.enter()
        bench.enter()
    keys = [record.parse(data).sealed[:100] for _, data, _ in bench.lock.journal.entries_from(1)]
    assert len(set(keys)) == len(keys)


class NotingStore(Store):
    """A store that keeps a list of the files that are written. `written` has the names of the files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self.written: list[str] = []

    def write_parts(self, name: str, parts: Iterable[bytes | bytearray]) -> None:
        self.written.append(name)
        super().write_parts(name, parts)


def test_an_opening_writes_its_record_to_the_journal_and_nothing_to_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = NotingStore(tmp_path)
    bench = RecordingLock(tmp_path, monkeypatch, store=store).awake()
    assert store.written
    store.written.clear()
    bench.check_in()
    bench.enter()
    assert store.written == []
    assert bench.lock.journal.next_counter > 2


# --- events ----------------------------------------------------------------------------------------------------------


def test_an_alarm_becomes_a_record_at_once_and_takes_what_was_before_it_along(bench: RecordingLock) -> None:
    lock = bench.reboot()
    lock.recorder.event(BOOT, "watchdog")
    bench.rest()
    assert bench.told(BOOT, DOOR) == [], "a boot waits for more events of its kind"
    lock.recorder.event(DOOR, "forced")
    bench.rest()
    assert bench.told(BOOT, DOOR) == [(BOOT, "watchdog", 1), (DOOR, "forced", 1)]
    assert bench.signed_by_it()


def test_a_burst_of_refusals_becomes_one_record_for_each_class(bench: RecordingLock) -> None:
    refuse = bench.lock.recorder.refused
    for _ in range(5):
        refuse("stranger")
        bench.elapse(2)
    refuse("document")
    bench.rest()
    assert bench.told(REFUSAL) == []
    bench.elapse(recorder.QUIET_MS / 1000)
    bench.rest()
    assert bench.told(REFUSAL) == [(REFUSAL, "stranger", 5), (REFUSAL, "document", 1)]
    told = next(body for body in bench.bodies() if body.get(record.WHAT) == "stranger")
    assert set(told) == {1, 2, 3, 4, 7, 10, 11}, (
        "kind, times, listing, profile, class and count, and nothing about a person"
    )
    assert told[record.LATEST] - told[record.EARLIEST] >= 8


def test_the_clock_tells_when_it_came_to_know_the_time_and_when_it_was_contradicted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = RecordingLock(tmp_path, monkeypatch)
    bench.tell_time(NOW)
    bench.elapse(7 * 3600)
    bench.tell_time(NOW + 7 * 3600)  # the clock may drift as far as this, so there is no event
    bench.elapse(7 * 3600)
    assert bench.answer_time(NOW + 15 * 3600) == "time.ahead"  # one hour passed that the lock did not notice
    bench.elapse(recorder.QUIET_MS / 1000)
    bench.rest()
    assert bench.told(TIME) == [(TIME, "known", 1), (TIME, "doubted", 1)]
    known, doubted = (body for body in bench.bodies() if body[record.KIND] == TIME)
    assert (known[record.EARLIEST], known[record.LATEST]) == (0, NOW + 2)
    assert NOW + 14 * 3600 - 10 < doubted[record.EARLIEST] <= NOW + 14 * 3600
    assert doubted[record.LATEST] is None


def test_nothing_is_recorded_before_there_is_a_key_to_seal_it_to_and_then_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = RecordingLock(tmp_path, monkeypatch, placed=False)
    bench.lock.recorder.event(TAMPER, "opened")
    bench.rest()
    assert bench.lock.journal.next_counter == 1
    again = RecordingLock(tmp_path, monkeypatch)
    again.flash.content[:] = bench.flash.content
    again.reboot()
    again.rest()
    assert again.told() == [(TAMPER, "opened", 1)]


def test_no_event_is_counted_under_a_name_that_the_format_does_not_have(bench: RecordingLock) -> None:
    with pytest.raises(ValueError, match="no such event"):
        bench.lock.recorder.event(DOOR, "Nobody At All")
    bench.rest()
    assert bench.told(DOOR) == []


# --- what many failed attempts may cost ------------------------------------------------------------------------------


def test_a_night_of_failing_costs_few_records_little_flash_and_loses_no_count(bench: RecordingLock) -> None:
    records, erased, programmed = bench.lock.journal.next_counter, bench.flash.erases, bench.flash.programmed
    reasons = ("stranger", "document", "issuer", "pin")
    failures = 8 * 3600 // 2
    for number in range(failures):
        bench.lock.recorder.refused(reasons[number % 4])
        bench.elapse(2)
        if number % 5 == 0:
            bench.rest()
    for _ in range(60):
        bench.elapse(recorder.RECORD_MS / 1000)
        bench.rest()
    made = bench.lock.journal.next_counter - records
    hours = 8 + 60 * recorder.RECORD_MS / 3_600_000
    assert made <= recorder.RECORDS + hours * 3_600_000 / recorder.RECORD_MS
    assert bench.flash.erases - erased <= 40
    assert bench.flash.programmed - programmed <= 300_000
    assert sum(count for (kind, _), count in counted(bench).items() if kind == REFUSAL) == failures


def test_a_lock_that_boots_all_the_time_writes_a_slot_each_time_and_a_record_now_and_then(
    bench: RecordingLock,
) -> None:
    records, programmed = bench.lock.journal.next_counter, bench.flash.programmed
    for _ in range(200):
        bench.reboot().recorder.event(BOOT, "reset")
        bench.rest()
        bench.elapse(5)  # then the power supply fails again
    assert bench.lock.journal.next_counter == records
    assert bench.flash.programmed - programmed <= 200 * 64 + 4 * 4096
    bench.elapse(recorder.QUIET_MS / 1000)
    bench.rest()
    assert bench.told(BOOT) == [(BOOT, "reset", 200)]


def test_events_leave_half_of_the_journal_to_those_who_come_in(bench: RecordingLock) -> None:
    journal = bench.lock.journal
    for number in range(3000):
        bench.lock.recorder.event(DOOR, "opened" if number % 2 else "closed")
        bench.elapse(recorder.RECORD_MS / 1000)
        bench.rest()
    assert journal.free_sectors() >= journal.sectors // 2 - 1
    bench.check_in()
    assert openings(bench) == [(CHECK_IN, 1)]


def test_an_event_never_makes_a_record_while_a_guest_is_served(bench: RecordingLock) -> None:
    async def serve() -> int:
        task = asyncio.create_task(bench.lock.recorder.run())
        bench.lock.visits.begin()
        bench.lock.recorder.event(TAMPER, "opened")
        for _ in range(20):
            await asyncio.sleep(0)
        during = len(bench.told(TAMPER))
        bench.lock.visits.end()
        await bench.new_record.wait()
        task.cancel()
        return during

    assert asyncio.run(serve()) == 0


# --- a full journal --------------------------------------------------------------------------------------------------


def fill(bench: RecordingLock) -> int:
    """Check guests in until a check-in is refused. Then let guests enter until no further record fits. Return the
    number of entries.
    """
    bench.check_in()
    with pytest.raises(StorageError, match=r"journal\.full"):
        while True:
            bench.check_in()
    entries = 0
    while bench.lock.journal.has_room():
        bench.enter()
        bench.elapse(601)
        entries += 1
    assert entries > 10, "check-ins leave room for entries"
    return entries


def test_a_full_journal_lets_every_registered_guest_in_and_tells_of_each_entry_once_there_is_room(
    bench: RecordingLock,
) -> None:
    entries = fill(bench)
    last = bench.lock.journal.next_counter
    for number in range(500):
        bench.enter(number % 2 + 1)
        entries += 1
        bench.elapse(600)
        bench.rest()
    assert bench.lock.journal.next_counter == last, "no further record"
    bench.reboot()
    bench.receipt(NOW)
    bench.rest()
    told = [body for body in bench.bodies() if body[record.KIND] == ENTRY]
    assert sum(body[record.COUNT] for body in told) == entries
    assert sorted((body[record.GUEST], body[record.COUNT]) for body in told[-2:]) == [(1, 250), (2, 250)]
    assert told[-1][record.LATEST] - told[-1][record.EARLIEST] >= 498 * 600
    assert bench.signed_by_it()
    bench.rest()
    assert sum(body[record.COUNT] for body in bench.bodies() if body[record.KIND] == ENTRY) == entries, (
        "each of them once"
    )


def test_a_full_journal_takes_no_check_in_and_says_so(bench: RecordingLock) -> None:
    fill(bench)
    with pytest.raises(StorageError, match=r"journal\.full"):
        bench.check_in(2)
    bench.receipt(NOW)
    bench.check_in(2)


def test_an_entry_that_flash_does_not_hold_opens_nothing(bench: RecordingLock) -> None:
    fill(bench)
    bench.flash.dead = True
    with pytest.raises(StorageError, match=r"journal\.flash"):
        bench.enter()


def test_an_event_that_flash_does_not_hold_stops_nothing(bench: RecordingLock) -> None:
    bench.flash.dead = True
    bench.lock.recorder.event(MECHANICAL, "key")
    bench.flash.dead = False
    bench.enter()
    assert openings(bench) == [(ENTRY, 1)]


# --- power cuts while counts become records -------------------------------------------------------------------------


def counted(bench: RecordingLock) -> Counter[tuple[int, str]]:
    """Return how often each event happened. Both records and tally count."""
    total: Counter[tuple[int, str]] = Counter()
    for kind, what, count in bench.told():
        total[kind, what] += count
    for line in bench.lock.recorder._tally.lines():
        total[line.kind, line.what] += line.count
    return total


@pytest.mark.parametrize("torn", [False, True], ids=["clean", "torn"])
def test_a_power_cut_between_count_and_record_neither_loses_nor_doubles_an_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: bool
) -> None:
    bench = RecordingLock(tmp_path, monkeypatch)
    before = bytes(bench.flash.content)
    events = [(DOOR, "opened"), (DOOR, "closed"), (TAMPER, "opened"), (DOOR, "opened"), (MECHANICAL, "key")]

    def happen() -> None:
        for kind, what in events:
            bench.lock.recorder.event(kind, what)
            done.append((kind, what))
        bench.elapse(3600)
        bench.rest()
        bench.lock.recorder.event(DOOR, "held")
        done.append((DOOR, "held"))
        bench.rest()

    cut_at, cuts = 0, 0
    while True:
        cut_at += 1
        bench.flash.content[:] = before
        bench.reboot()
        bench.flash.operations, bench.flash.cut_at, bench.flash.torn = 0, cut_at, torn
        done: list[tuple[int, str]] = []
        try:
            happen()
        except PowerCut:
            cuts += 1
        else:
            break
        bench.reboot()
        bench.elapse(3600)
        bench.rest()
        total, expected = counted(bench), Counter(done)
        assert all(total[key] >= count for key, count in expected.items()), (cut_at, total, expected)
        assert sum(total.values()) <= sum(expected.values()) + 1, (cut_at, total, expected)
        assert bench.signed_by_it()
    assert cuts > 15
