"""Grants in the lock: newer versions, cancellations, and old grants that must not come back."""

from hashlib import sha256
from pathlib import Path

import pytest

from firmware.memory.journal_notes import opening
from firmware.memory.stays import LINGER_SECONDS, MAX_REMEMBERED, MAX_STAYS, Guest, Stays
from firmware.memory.store import Store
from firmware.memory.tally import Line
from protocol.errors import RefusedError, StorageError
from protocol.grant import MAX_GUESTS, Grant
from protocol.record import ENTRY, REFUSAL
from tests.support.on_lock import run_on_lock
from tests.support.rules import BEGIN, END, PLATFORM, grant, who

OTHER_PLATFORM = b"\x04" + b"\x01" * 64


class Bench:
    """The stays of a lock, in a folder that survives `reboot`. `earliest` is the lower end of the clock's interval."""

    def __init__(self, folder: Path) -> None:
        self._store = Store(str(folder))
        self.earliest = BEGIN
        self.stays = self.reboot()

    def reboot(self) -> Stays:
        self.stays = Stays(self._store)
        return self.stays

    def take(self, form: Grant, platform: bytes = PLATFORM) -> str | None:
        """Take a grant. Return None or the code of the refusal.

        An accepted grant is still there after a reboot, and the lock can accept the same grant again without an error.
        """
        try:
            self.stays.accept(form, platform, self.earliest)
        except RefusedError as error:
            return error.code
        self.reboot().accept(form, platform, self.earliest)
        return None

    def held(self, grant_id: bytes = b"G" * 16) -> Grant | None:
        stay = self.stays.get(grant_id)
        return None if stay is None else stay.grant


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def number(n: int) -> bytes:
    return n.to_bytes(16, "big")


def test_a_grant_is_taken_and_a_newer_version_replaces_it(bench: Bench) -> None:
    assert bench.take(grant("ann")) is None
    assert bench.take(grant("ann", serial=2, until=END + 9)) is None
    held = bench.held()
    assert held is not None and (held.serial, held.until) == (2, END + 9)


@pytest.mark.parametrize("serial", [1, 2])
def test_an_older_or_another_version_of_the_same_serial_is_refused(bench: Bench, serial: int) -> None:
    bench.take(grant("ann", serial=2))
    assert bench.take(grant("ann", "ben", serial=serial)) == "grant.serial"
    held = bench.held()
    assert held is not None and held.commitments == [who("ann")]


def test_a_version_that_hides_an_earlier_end_is_refused(bench: Bench) -> None:
    bench.take(grant("ann"))
    assert bench.take(grant("ann", serial=2, until=END - 9)) == "grant.horizon"
    assert bench.take(grant("ann", serial=2, until=END - 9, horizon=END)) is None


def test_a_stay_of_one_platform_cannot_be_changed_by_another(bench: Bench) -> None:
    bench.take(grant("ann"))
    assert bench.take(grant("ann", serial=2, cancelled=True), OTHER_PLATFORM) == "grant.platform"
    assert bench.take(grant("ann", grant_id=number(1)), OTHER_PLATFORM) is None


def test_a_stay_that_is_past_is_not_taken(bench: Bench) -> None:
    bench.earliest = END
    assert bench.take(grant("ann")) is None
    bench.earliest = END + 1
    assert bench.take(grant("ann", grant_id=number(1))) == "grant.over"
    assert bench.take(grant("ann", grant_id=number(1), cancelled=True)) == "grant.over"


def test_a_stay_ends_at_once_when_it_is_shortened_into_the_past(bench: Bench) -> None:
    bench.take(grant("ann"))
    bench.earliest = END - 100
    assert bench.take(grant("ann", serial=2, until=END - 200, horizon=END)) is None
    held = bench.held()
    assert held is not None and held.until == END - 200


# --- what must not come back -----------------------------------------------------------------------------------------


def test_a_cancelled_stay_is_gone_for_good(bench: Bench) -> None:
    first = grant("ann")
    bench.take(first)
    assert bench.take(grant("ann", serial=2, cancelled=True)) is None
    assert bench.held() is None
    assert bench.take(first) == "grant.serial"
    assert bench.take(grant("ann", serial=3)) == "grant.closed"
    assert bench.take(grant("ann", serial=3, cancelled=True)) is None
    assert bench.take(grant("ann", serial=3)) == "grant.serial"


def test_a_cancellation_that_comes_before_its_grant_holds_too(bench: Bench) -> None:
    assert bench.take(grant("ann", serial=2, cancelled=True)) is None
    assert bench.take(grant("ann")) == "grant.serial"
    assert bench.stays.all() == []


def test_a_shortened_stay_cannot_be_brought_back_in_its_longer_version(bench: Bench) -> None:
    longer = grant("ann")
    bench.take(longer)
    bench.take(grant("ann", serial=2, until=BEGIN + 9, horizon=END))
    bench.earliest = BEGIN + 10 + LINGER_SECONDS
    assert bench.earliest < END
    assert bench.take(grant("ben", grant_id=number(1))) is None, "with the next grant the lock forgets the first"
    assert bench.held() is None
    assert bench.take(longer) == "grant.serial"
    bench.earliest = END
    assert bench.take(longer) == "grant.serial"
    bench.earliest = END + 1
    assert bench.take(longer) == "grant.over", "from here on only its time keeps it out"


def test_what_was_forgotten_by_a_clock_stays_out_when_the_clock_falls_back_to_its_floor(bench: Bench) -> None:
    longer = grant("ann")
    bench.take(longer)
    bench.take(grant("ann", serial=2, cancelled=True))
    bench.earliest = END + 1
    bench.take(grant("ben", grant_id=number(1), until=END + 99))
    bench.earliest = BEGIN  # after a reboot, the clock starts from the floor in flash, which may be an hour old
    assert bench.take(longer) == "grant.over"


# --- room ------------------------------------------------------------------------------------------------------------


def test_more_stays_than_a_room_can_have_are_not_taken(bench: Bench) -> None:
    for n in range(MAX_STAYS):
        assert bench.take(grant("ann", grant_id=number(n))) is None
    assert bench.take(grant("ann", grant_id=number(99))) == "grant.many"
    assert bench.take(grant("ann", grant_id=number(3), serial=2, until=END + 1)) is None, (
        "but a changed grant is written"
    )


def test_a_stay_that_is_over_gives_room(bench: Bench) -> None:
    for n in range(MAX_STAYS):
        bench.take(grant("ann", grant_id=number(n), until=END + n))
    bench.earliest = END + 1
    assert bench.take(grant("ann", grant_id=number(99), until=END + 99)) is None
    assert bench.held(number(0)) is None and bench.held(number(1)) is not None


def test_a_full_memory_of_cancellations_takes_no_new_stay_and_still_every_cancellation(bench: Bench) -> None:
    for n in range(MAX_REMEMBERED - 1):
        assert bench.take(grant("ann", grant_id=number(n))) is None
        assert bench.take(grant("ann", grant_id=number(n), serial=2, cancelled=True)) is None
    assert bench.take(grant("ann", grant_id=number(100))) is None, "the last room"
    assert bench.take(grant("ann", grant_id=number(101))) == "grant.many"
    assert bench.take(grant("ann", grant_id=number(100), serial=2, cancelled=True)) is None
    assert bench.take(grant("ann", grant_id=number(101))) == "grant.many"
    bench.earliest = END + 1
    assert bench.take(grant("ann", grant_id=number(101), until=END + 9)) is None, "all of those stays are over"


# --- extensions that come late ---------------------------------------------------------------------------------------


def test_a_document_that_looks_like_what_fills_a_table_up_is_nobodys(bench: Bench) -> None:
    bench.take(grant())
    (stay,) = bench.stays.all()
    filling = sha256(stay.grant.grant_id).digest()
    for at in range(0, 32, 4):
        shown = filling[at : at + 4] + bytes(28)
        assert stay.known([shown] * 4) == (0, shown, False, False)


def test_an_extension_that_comes_late_finds_the_guests_of_the_stay(bench: Bench) -> None:
    bench.take(grant("ann"))
    bench.stays.record(1, opening(b"G" * 16, Guest.of(who("ann"), True, True).pack()))
    bench.stays.checkpoint()
    bench.earliest = END + LINGER_SECONDS
    assert bench.take(grant("ben", grant_id=number(1), until=END + 999999)) is None
    assert bench.take(grant("ann", serial=2, until=END + 999999)) is None
    stay = bench.stays.get(b"G" * 16)
    assert stay is not None and stay.present() == [1] and stay.openings == 1


class Exhausting(list[bytes]):
    """Commitments with which a lock runs out of memory while it makes its tables."""

    def __contains__(self, name: object) -> bool:
        raise MemoryError


def test_a_version_for_which_there_was_no_memory_is_taken_when_it_comes_again(bench: Bench) -> None:
    bench.take(grant("ann"))
    bench.stays.record(1, opening(b"G" * 16, Guest.of(who("ann"), True, True).pack()))
    newer = grant("ann", serial=2, until=END + 9)
    newer.commitments = Exhausting(newer.commitments)
    with pytest.raises(MemoryError):
        bench.stays.accept(newer, PLATFORM, BEGIN)
    held = bench.held()
    assert held is not None and held.serial == 1
    assert bench.take(grant("ann", serial=2, until=END + 9)) is None
    bench.reboot()
    held = bench.held()
    assert held is not None and held.serial == 2


def test_an_extension_that_comes_a_day_late_is_for_a_new_stay_to_make(bench: Bench) -> None:
    bench.take(grant("ann"))
    bench.earliest = END + LINGER_SECONDS + 1
    assert bench.take(grant("ann", serial=2, until=END + 999999)) is None
    stay = bench.stays.get(b"G" * 16)
    assert stay is not None and stay.present() == [], "its guests check in again"


# --- guests ----------------------------------------------------------------------------------------------------------


def test_a_guest_who_came_as_a_companion_and_is_named_later_can_be_taken_off_the_list(bench: Bench) -> None:
    bench.take(grant("ann", places=2))
    stay = bench.stays.get(b"G" * 16)
    assert stay is not None
    bench.stays.record(1, opening(b"G" * 16, Guest.of(who("zoe"), False, True).pack()))
    for serial, named, belongs in ((2, ("ann",), True), (3, ("ann", "zoe"), True), (4, ("ann",), False)):
        stay.renew(grant(*named, places=2, serial=serial))
        assert stay.belongs(1) == belongs


def test_openings_are_counted_also_those_that_the_tally_counted(bench: Bench) -> None:
    bench.take(grant("ann", places=2))
    bench.stays.record(1, opening(b"G" * 16, Guest.of(who("ann"), True, True).pack()))
    bench.stays.record(2, opening(b"G" * 16))
    bench.stays.record(3, Line(ENTRY, "mdoc", 1, 2, 5, b"G" * 16, 1).note())
    bench.stays.record(4, Line(REFUSAL, "stranger", 1, 2, 7).note())
    stay = bench.stays.get(b"G" * 16)
    assert stay is not None
    assert stay.occupancy(1) == [2, 1, 8, END]
    assert stay.occupancy(1, Guest.of(who("zoe"), False, True)) == [2, 2, 8, END]


def test_new_records_of_a_journal_that_lost_its_newest_ones_count_as_any_other_also_after_a_boot(bench: Bench) -> None:
    bench.take(grant("ann", places=2))
    for counter in range(1, 19):
        bench.stays.record(counter, opening(b"G" * 16))
    bench.stays.checkpoint()
    bench.reboot().resume(19)
    bench.stays.record(18, opening(b"G" * 16))
    stay = bench.stays.get(b"G" * 16)
    assert stay is not None and stay.openings == 18, "a record that the checkpoint has changes nothing"
    bench.stays.resume(3)
    for stays in (bench.stays, bench.reboot()):
        stays.record(3, opening(b"G" * 16, Guest.of(who("ann"), True, True).pack()))
        stay = stays.get(b"G" * 16)
        assert stay is not None and (stay.openings, len(stay.present())) == (19, 1)


def test_a_checkpoint_of_another_form_stops_the_boot(tmp_path: Path) -> None:
    Store(str(tmp_path)).write("stays", b"\x82\x00\x80")
    with pytest.raises(StorageError, match=r"stays\.corrupt"):
        Bench(tmp_path)


_FULL = """
from firmware.memory.journal_notes import opening
from firmware.memory.stays import Guest, Stays
from protocol.grant import Grant
class Memory:
    def __init__(self):
        self.files = {}
    def read(self, name):
        return self.files.get(name)
    def write_parts(self, name, parts):
        parts = list(parts)
        self.longest = max([len(part) for part in parts])
        self.files[name] = b"".join(parts)
memory = Memory()
stays = Stays(memory)
for n in range(given["tombstones"]):
    stays.accept(Grant(bytes([255, n]) * 8, 2, "HZ-1", 1, 9, 1, [], True, 10 ** 9, b""), bytes(65), 0)
counter = 0
for n in range(given["stays"]):
    names = [bytes([n, guest]) * 16 for guest in range(given["guests"])]
    grant = Grant(bytes([n]) * 16, 1, "HZ-1", 1, 10 ** 9, len(names), names, False, 10 ** 9, bytes(2 * len(names)))
    stays.accept(grant, bytes(65), 0)
    for name in names:
        counter += 1
        stays.record(counter, opening(grant.grant_id, Guest.of(name, True, True).pack()))
stays.checkpoint()
stays = None  # a boot begins with what is in flash
stays = Stays(memory)
present = sum([len(stay.present()) for stay in stays.all()])
answer([len(stays.all()), present, len(memory.files["stays"]), memory.longest])
"""


def test_a_lock_with_all_stays_guests_and_tombstones_it_can_have_boots_on_its_heap() -> None:
    most = {"stays": MAX_STAYS, "guests": MAX_GUESTS, "tombstones": MAX_REMEMBERED - MAX_STAYS}
    held, present, size, longest = run_on_lock(_FULL, most)
    assert (held, present) == (MAX_STAYS, MAX_STAYS * MAX_GUESTS)
    assert size < 58 * 1024
    assert longest < 4 * 1024, "the file is written one stay at a time"
