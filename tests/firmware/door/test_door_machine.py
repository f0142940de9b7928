"""The door and its model must agree for many steps: grants, replays by couriers, all kinds of guests, time, reboots."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from protocol import record
from sim.platform import Booking, Guest
from tests.support.door_bench import PLATFORM, Bench
from tests.support.door_model import BORN, DAY, Model, Opening
from tests.support.placed_lock import LISTING
from tests.support.returning_steps import ReturningSteps

NAMES = sorted(BORN)
SPANS = st.sampled_from([3600, DAY, DAY, 3 * DAY, 7 * DAY])
PARTIES = st.lists(st.sampled_from(NAMES), max_size=4, unique=True)
EVERYBODY = st.permutations(NAMES)
ADMITS = st.sampled_from(["named", "unnamed", "unnamed", "walk-in", "walk-in"])
CODES = {"revoked": "door.revoked", "suspended": "door.suspended", "unknown": "clock.unknown"}


def guests(names: list[str], tie: int) -> list[Guest]:
    """Return the guests of a booking. The platform knows more about some guests than about others.

    A minor is tied to the guest at place `tie`, unless this place has no guest or is the place of the minor.
    """
    listed = []
    for place, name in enumerate(names, 1):
        tied = tie if tie <= len(names) and tie != place and BORN[name] > "2005" else 0
        level = (place + tie) % 3
        known = {"id_type": "driving-licence", "country": "SE"} if level == 0 else {"name": "X"}
        listed.append(Guest(name, "" if level == 2 else BORN[name], tied, "parent" if tied else "unstated", **known))
    return listed


class DoorMachine(ReturningSteps, RuleBasedStateMachine):
    """Each rule makes something happen. Afterwards the door and the model must agree."""

    def __init__(self) -> None:
        super().__init__()
        self._patch = pytest.MonkeyPatch()
        self._folder = tempfile.TemporaryDirectory()
        self.bench = Bench(Path(self._folder.name), self._patch)
        self.bench.record_each()
        self.model = Model()
        self.bookings: list[Booking] = []  # The newest version of each booking.
        self.signed: list[tuple[Booking, bytes]] = []  # All versions that the platform has signed.
        self.openings = 0

    def teardown(self) -> None:
        self._patch.undo()
        self._folder.cleanup()

    @initialize(names=PARTIES, spare=st.integers(0, 2), admits=ADMITS, order=EVERYBODY)
    def somebody_has_booked(self, names: list[str], spare: int, admits: str, order: list[str]) -> None:
        self.place("active", admits)
        self.book(names=names, tie=1, spare=spare, begins=0, lasts=2 * DAY, arrives=1)
        self.everybody_comes(names=order)

    # --- the platform and its couriers -------------------------------------------------------------------------------

    def _say(self, booking: Booking, arrives: bool) -> None:
        self.signed.append((booking, PLATFORM.grant(booking)))
        if arrives:
            self._bring(len(self.signed) - 1)

    def _bring(self, at: int) -> None:
        booking, data = self.signed[at]
        taken = self.model.offer(booking, self.bench.lock.clock.interval()[0])
        code = self.bench.lock.deliver(data)[1]
        assert (code is None) == taken, (code, booking)

    @precondition(lambda self: len(self.bookings) < 4)
    @rule(
        names=PARTIES,
        tie=st.integers(1, 3),
        spare=st.integers(0, 2),
        begins=st.sampled_from([-60, -60, 0, 3600]),
        lasts=SPANS,
        arrives=st.integers(0, 3),
    )
    def book(self, names: list[str], tie: int, spare: int, begins: int, lasts: int, arrives: int) -> None:
        start = self.bench.now + begins
        booking = PLATFORM.book(
            *(self.bench.lock.identity.public, LISTING, start, start + lasts),
            *(guests(names, tie), max(1, len(names) + spare)),
        )
        booking = replace(booking, grant_id=len(self.bookings).to_bytes(16, "big"))
        self.bookings.append(booking)
        self._say(booking, arrives > 0)

    @precondition(lambda self: self.bookings)
    @rule(
        at=st.integers(0, 3), by=st.sampled_from([-3 * DAY, -DAY, -3600, 60, DAY, 3 * DAY]), arrives=st.integers(0, 3)
    )
    def move_the_end(self, at: int, by: int, arrives: int) -> None:
        at %= len(self.bookings)
        booking = self.bookings[at]
        until = max(booking.valid_from + 1, booking.until + by)
        if not booking.cancelled:
            self.bookings[at] = PLATFORM.change(booking, until=until)
            self._say(self.bookings[at], arrives > 0)

    @precondition(lambda self: self.bookings)
    @rule(at=st.integers(0, 3), names=PARTIES, tie=st.integers(1, 3), spare=st.integers(0, 2), order=EVERYBODY)
    def change_the_guests(self, at: int, names: list[str], tie: int, spare: int, order: list[str]) -> None:
        at %= len(self.bookings)
        booking = self.bookings[at]
        if not booking.cancelled:
            places = max(1, len(names) + spare)
            self.bookings[at] = PLATFORM.change(booking, guests=guests(names, tie), places=places)
            self._say(self.bookings[at], True)
            self.everybody_comes(names=order)

    @precondition(lambda self: self.bookings)
    @rule(at=st.integers(0, 3), arrives=st.integers(0, 3))
    def cancel(self, at: int, arrives: int) -> None:
        at %= len(self.bookings)
        self.bookings[at] = PLATFORM.cancel(self.bookings[at])
        self._say(self.bookings[at], arrives > 0)

    @precondition(lambda self: self.signed)
    @rule(at=st.integers(0, 99))
    def a_courier_brings_anything_that_was_ever_signed(self, at: int) -> None:
        self._bring(at % len(self.signed))

    # --- the province ------------------------------------------------------------------------------------------------

    @rule(
        status=st.sampled_from(["active", "active", "active", "suspended", "revoked"]),
        admits=ADMITS,
    )
    def place(self, status: str, admits: str) -> None:
        self.bench.place(status, admits)
        self.model.status, self.model.admits = status, admits

    @rule()
    def tell_the_time(self) -> None:
        self.bench.tell_time(self.bench.now)

    @rule()
    def receipt(self) -> None:
        self.bench.receipt(self.bench.now)

    # --- what happens ------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 1, 60, 60, 3600, 6 * 3600, DAY, 2 * DAY]))
    def time_passes(self, seconds: int) -> None:
        self.bench.wait(seconds)

    @rule(told=st.booleans())
    def the_power_goes_and_comes_back(self, told: bool) -> None:
        self.bench.reboot()
        if told:
            self.bench.tell_time(self.bench.now)

    @rule(names=EVERYBODY)
    def everybody_comes(self, names: list[str]) -> None:
        for name in names:
            self._comes([name])

    @rule(name=st.sampled_from(NAMES))
    def somebody_comes(self, name: str) -> None:
        self._comes([name])

    @rule(names=EVERYBODY)
    def somebody_shows_two_documents(self, names: list[str]) -> None:
        self._comes(names[:2])

    def _comes(self, names: list[str]) -> None:
        if self.bench.lock.journal.free_sectors() < 6:
            self.bench.receipt(self.bench.now)
        interval = self.bench.lock.clock.interval()
        expected = self.model.come(names, interval)
        outcome = self.bench.come(*(Guest(name, BORN[name]) for name in names), stay_key=self.stay_key())
        if isinstance(expected, str):
            assert outcome == CODES.get(expected, "grant." + expected)
            return
        assert isinstance(outcome, dict), (outcome, expected)
        self.model.opened(expected, interval[0])
        self.openings += 1
        if expected.check_in:
            self.checked_in(expected)
        self._compare(outcome, expected)

    def _compare(self, body: dict[int, object], expected: Opening) -> None:
        stay = expected.stay
        kind = record.CHECK_IN if expected.check_in else record.ENTRY
        assert (body[record.KIND], body[record.GUEST]) == (kind, expected.number)
        assert body[record.GRANT_ID] == stay.booking.grant_id
        assert body[record.OCCUPANCY] == [
            *(stay.booking.places, len(stay.inside), stay.openings, stay.booking.until),
        ]
        if expected.check_in:
            fields = body[record.FIELDS]
            assert isinstance(fields, dict) and fields["id_number"] == expected.name
            number = None if expected.guardian is None else str(stay.came.index(expected.guardian) + 1)
            assert (fields.get("guardian"), fields.get("relation")) == (number, expected.relation)

    # --- what holds after every step ---------------------------------------------------------------------------------

    @invariant()
    def every_opening_has_one_record(self) -> None:
        assert self.bench.lock.journal.next_counter - 1 == self.openings

    @invariant()
    def the_lock_knows_the_stays_of_the_model(self) -> None:
        held = {stay.grant.grant_id: (stay.grant.serial, stay.joined()) for stay in self.bench.lock.stays.all()}
        expected = {grant_id: (stay.booking.serial, len(stay.came)) for grant_id, stay in self.model.stays.items()}
        assert held == expected


TestDoorMachine = DoorMachine.TestCase
TestDoorMachine.settings = settings(stateful_step_count=50, phases=[Phase.generate])  # shrinking would take minutes
