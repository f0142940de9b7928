"""The tally needs little space to count events. No power cut loses a count or doubles it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.memory import tally
from firmware.memory.flash import TALLY_SECTORS
from firmware.memory.stays import MAX_STAYS
from firmware.memory.tally import Line, Tally
from protocol.errors import StorageError
from protocol.record import BOOT, DOOR, ENTRY, EVENTS, REFUSAL
from sim.board.memory_flash import SECTOR, MemoryFlash
from sim.board.nor_flash import PowerCut
from tests.support.sources import ROOT


def said(tally: Tally) -> list[tuple[int, str, bytes, int, int]]:
    return [(line.kind, line.what, line.grant_id, line.guest, line.count) for line in tally.lines()]


def counts(tally: Tally) -> dict[tuple[int, str, bytes, int], int]:
    return {line.key(): line.count for line in tally.lines()}


def test_what_was_counted_is_there_again_after_a_reboot_in_the_order_it_first_happened() -> None:
    device = MemoryFlash(4)
    tally = Tally(device)
    tally.add(Line(DOOR, "forced", 10, 12))
    tally.add(Line(BOOT, "power-on", 20, None))
    tally.add(Line(ENTRY, "mdoc", 30, 31, 1, b"G" * 16, 2))
    tally.add(Line(DOOR, "forced", 40, 41, 3))
    for each in (tally, Tally(device)):
        assert said(each) == [
            (DOOR, "forced", b"", 0, 4),
            (BOOT, "power-on", b"", 0, 1),
            (ENTRY, "mdoc", b"G" * 16, 2, 1),
        ]
        assert [(line.earliest, line.latest) for line in each.lines()] == [(10, 41), (20, None), (30, 31)]


def test_an_unknown_time_stays_unknown_when_known_ones_follow() -> None:
    tally = Tally(MemoryFlash(4))
    tally.add(Line(REFUSAL, "stranger", 10, None))
    tally.add(Line(REFUSAL, "stranger", 50, 60))
    assert [(line.earliest, line.latest, line.count) for line in tally.lines()] == [(10, None, 2)]


def test_a_line_that_became_a_record_is_gone_and_begins_anew() -> None:
    device = MemoryFlash(4)
    tally = Tally(device)
    tally.add(Line(DOOR, "opened", 10, 10))
    tally.close(tally.lines()[0])
    assert said(tally) == [] == said(Tally(device))
    tally.add(Line(DOOR, "opened", 20, 20))
    assert said(Tally(device)) == [(DOOR, "opened", b"", 0, 1)]


def test_a_line_named_by_the_journals_last_note_has_become_a_record_before_the_power_went() -> None:
    device = MemoryFlash(4)
    tally = Tally(device)
    tally.add(Line(DOOR, "opened", 10, 10))
    note = tally.lines()[0].note()
    assert said(Tally(MemoryFlash(4, bytes(device.content)), note)) == []
    tally.add(Line(DOOR, "opened", 20, 20))
    # The event has happened again since the note was made. So the note must be about an earlier line with this key, and
    # that line is closed already.
    assert said(Tally(device, note)) == [(DOOR, "opened", b"", 0, 2)]


@pytest.mark.parametrize("note", [b"", b"\x80", b"\x82\x50" + bytes(16) + b"\x01", b"\x86\x01\x02\x03\x04\x05\x06"])
def test_the_note_of_any_other_record_says_nothing_of_a_line(note: bytes) -> None:
    device = MemoryFlash(4)
    Tally(device).add(Line(DOOR, "opened", 10, 10))
    assert len(said(Tally(device, note))) == 1


def test_ten_thousand_entries_fit_and_every_one_is_counted() -> None:
    device = MemoryFlash(4)
    tally = Tally(device)
    for number in range(10_000):
        tally.add(Line(ENTRY, "mdoc", number, number, 1, b"G" * 16, number % 5 + 1))
    for each in (tally, Tally(device)):
        assert counts(each) == {(ENTRY, "mdoc", b"G" * 16, guest): 2_000 for guest in range(1, 6)}
        assert (min(line.earliest for line in each.lines()), max(line.latest or 0 for line in each.lines())) == (
            0,
            9999,
        )
    assert device.erases < 10_000 / 50


def count_each_event(tally: Tally) -> None:
    for kind, whats in EVENTS.items():
        for what in whats:
            tally.add(Line(kind, what, 1, 1))


def test_more_guests_than_have_room_apart_are_counted_by_stay_and_none_is_lost() -> None:
    device = MemoryFlash(4)
    tally = Tally(device)
    count_each_event(tally)
    for stay in range(16):
        for guest in range(1, 33):
            tally.add(Line(ENTRY, "mdoc", 1, 1, 1, bytes([stay]) * 16, guest))
    for each in (tally, Tally(device)):
        entries = [line for line in each.lines() if line.kind == ENTRY]
        assert sum(line.count for line in entries) == 16 * 32
        by_stay = {line.grant_id: 0 for line in entries}
        for line in entries:
            by_stay[line.grant_id] += line.count
        assert by_stay == {bytes([stay]) * 16: 32 for stay in range(16)}
        assert sum(line.count for line in each.lines() if line.kind != ENTRY) == sum(map(len, EVENTS.values()))


def test_more_ways_to_come_than_have_room_apart_are_counted_together_and_the_tally_stays_in_its_sector() -> None:
    device = MemoryFlash(4)
    tally = Tally(device)
    count_each_event(tally)
    for stay in range(16):
        for method in ("mdoc", "pin", "stay-key"):
            for guest in (1, 2):
                tally.add(Line(ENTRY, method, 1, 1, 1, bytes([stay]) * 16, guest))
    before = bytes(device.content[: 2 * SECTOR])
    for each in (tally, Tally(device)):
        assert sum(line.count for line in each.lines() if line.kind == ENTRY) == 16 * 3 * 2
        assert len(each.lines()) < SECTOR // 64, "a slot for each, beside the header"
    assert bytes(device.content[: 2 * SECTOR]) == before == b"\xff" * (2 * SECTOR), "the journal's own sectors"


def test_to_close_what_was_counted_together_loses_nothing_that_is_counted_together_just_then() -> None:
    device = MemoryFlash(4)
    tally = Tally(device)
    tally.add(Line(ENTRY, "mdoc", 10, 10, 5, b"G" * 16))  # this line counts entries of several guests
    for number in range(1, 63):
        tally.add(Line(ENTRY, "mdoc", 10, 10, 1, b"G" * 16, number))
    together = next(line for line in tally.lines() if not line.guest)
    assert together.count == 5 and len(tally.lines()) == 63, "the sector is full and has more lines than a move keeps"
    tally.close(together)
    assert sum(counts(tally).values()) == 62
    assert counts(Tally(device)) == counts(tally)


def test_a_place_that_does_not_hold_what_is_written_is_passed_over() -> None:
    device = MemoryFlash(4)
    tally = Tally(device)
    tally.add(Line(DOOR, "opened", 1, 1))
    sector = device.sectors - TALLY_SECTORS + tally._sector
    device.content[sector * SECTOR + 128 : sector * SECTOR + 192] = bytes(64)
    tally.add(Line(DOOR, "closed", 2, 2))
    assert [what for _, what, _, _, _ in said(Tally(device))] == ["opened", "closed"]


def test_flash_that_holds_nothing_is_noticed_and_nothing_is_called_counted() -> None:
    device = MemoryFlash(4)
    tally = Tally(device)
    device.dead = True
    with pytest.raises(StorageError, match=r"journal\.flash"):
        tally.add(Line(DOOR, "opened", 1, 1))
    assert said(tally) == []


def story(device: MemoryFlash, acknowledged: list[Line]) -> None:
    """Count entries, and close a line after every ten, until the tally has moved to the other sector twice."""
    tally = Tally(device)
    for number in range(140):
        line = Line(ENTRY, "mdoc", number, number, 1, b"G" * 16, number % 3 + 1)
        tally.add(line)
        acknowledged.append(line)
        if number % 10 == 9:
            closing = tally.lines()[0]
            acknowledged[:] = [each for each in acknowledged if each.key() != closing.key()]
            tally.close(closing)
        tally.tidy()


@pytest.mark.parametrize("torn", [False, True], ids=["clean", "torn"])
def test_a_power_cut_at_any_operation_loses_no_count_and_doubles_none(torn: bool) -> None:
    whole = MemoryFlash(4)
    story(whole, [])
    assert whole.operations > 150 and whole.erases >= 2
    for cut_at in range(1, whole.operations + 1):
        device = MemoryFlash(4)
        device.cut_at, device.torn = cut_at, torn
        acknowledged: list[Line] = []
        with pytest.raises(PowerCut):
            story(device, acknowledged)
        after = MemoryFlash(4, bytes(device.content))
        tally = Tally(after)
        expected: dict[tuple[int, str, bytes, int], int] = {}
        for line in acknowledged:
            expected[line.key()] = expected.get(line.key(), 0) + 1
        held = counts(tally)
        # One line may differ. Either this line has a count that was not acknowledged, or the line was about to be
        # closed.
        extra = [key for key in held if held[key] != expected.get(key, 0)]
        assert len(extra) <= 1, (cut_at, held, expected)
        assert all(held.get(key, 0) >= count for key, count in expected.items()), (cut_at, held, expected)
        tally.add(Line(DOOR, "opened", 1, 1))
        assert counts(Tally(MemoryFlash(4, bytes(after.content))))[DOOR, "opened", b"", 0] == 1


@given(st.binary(min_size=64, max_size=2 * SECTOR))
def test_whatever_the_flash_holds_the_tally_opens_and_counts(noise: bytes) -> None:
    device = MemoryFlash(2, (noise + b"\xff" * (2 * SECTOR))[: 2 * SECTOR])
    tally = Tally(device)
    before = counts(tally).get((DOOR, "held", b"", 0), 0)
    tally.add(Line(DOOR, "held", 1, 1))
    assert counts(Tally(device))[DOOR, "held", b"", 0] == before + 1


def test_every_kind_of_event_and_a_line_for_each_stay_fit_the_tally_with_room_for_more() -> None:
    counted, device = [(kind, what) for kind, whats in EVENTS.items() for what in whats], MemoryFlash(4)
    here = Tally(device)
    for kind, what in counted:
        here.add(Line(kind, what, 1, 1))
    for stay in range(MAX_STAYS):
        for method in ("mdoc", "pin"):
            here.add(Line(ENTRY, method, 1, 1, 1, bytes([stay + 1]) * 16, 1))
    here._move()
    kept = said(Tally(device))
    assert sorted((kind, what) for kind, what, _, _, _ in kept if kind != ENTRY) == sorted(counted)
    assert sum(count for kind, _, _, _, count in kept if kind == ENTRY) == 2 * MAX_STAYS
    assert len(kept) + 8 < tally._SLOTS, "one event too many: without room for new lines, each would move all others"


def test_the_page_on_the_journal_has_the_numbers_of_the_code() -> None:
    page = " ".join((ROOT / "docs/journal.md").read_text(encoding="utf-8").split())
    events = sum(map(len, EVENTS.values()))
    assert f"one of {len(EVENTS[REFUSAL])} reason classes" in page
    assert f"{events} kinds of event and one line for each of {MAX_STAYS} stays are {events + MAX_STAYS}" in page
    assert f"a sector has {tally._SLOTS} slots, and a move fills at most {tally._KEPT}" in page
