"""How the door tells guests apart. A grant names a guest at one of several levels, for example by number and birth
date. Each person takes only one place.
"""

from pathlib import Path
from typing import Any

import pytest

from firmware.door.claims import DocumentClaim
from protocol import crypto_cpython as crypto
from protocol import record
from protocol.profile import Profile
from sim.platform import Guest
from sim.province.quality import verdict
from sim.province.registry import PROFILES
from tests.support.door_bench import NOW, PLATFORM, Bench
from tests.support.placed_lock import LISTING

RESIDENT = "330106199003070014"
LICENCE = Guest("SE-1", "1990-03-07", name="Li Ann", id_type="driving-licence", country="SE")
OTHERS = {
    "type": Guest("SE-1", "1990-03-07", name="Li Ann", id_type="photo-id", country="SE"),
    "country": Guest("SE-1", "1990-03-07", name="Li Ann", id_type="driving-licence", country="NO"),
    "number": Guest("SE-2", "1990-03-07", name="Li Ann", id_type="driving-licence", country="SE"),
    "birth date": Guest("SE-1", "1990-03-08", name="Li Ann", id_type="driving-licence", country="SE"),
    "name": Guest("SE-1", "1990-03-07", name="Li Bo", id_type="driving-licence", country="SE"),
}
CITIZEN = Guest(RESIDENT, "1990-03-07", name="王伟", id_type="resident-id", country="CN")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def book(bench: Bench, *guests: Guest, places: int | None = None, admits: str = "named") -> Any:
    bench.place(admits=admits)
    booking = PLATFORM.book(bench.lock.identity.public, LISTING, NOW - 99, NOW + 86400, list(guests), places)
    send(bench, booking)
    return booking


def send(bench: Bench, booking: Any) -> None:
    assert bench.lock.deliver(PLATFORM.grant(booking)) == ("grant", None)


def kind(outcome: dict[Any, Any] | str) -> tuple[int, int] | str:
    return outcome if isinstance(outcome, str) else (outcome[record.KIND], outcome[record.GUEST])


# --- the levels ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "apart"),
    [
        (LICENCE, {"type", "country", "number", "birth date"}),
        (Guest("SE-1", "1990-03-07", name="Li Ann"), {"number", "birth date"}),
        (Guest("SE-1", name="Ann Li"), {"number", "name"}),
    ],
)
def test_a_guest_is_who_shows_all_that_the_grant_names_them_by(bench: Bench, known: Guest, apart: set[str]) -> None:
    book(bench, known)
    for what, other in OTHERS.items():
        if what in apart:
            assert bench.come(other) == "grant.none", what
    assert kind(bench.come(LICENCE)) == (record.CHECK_IN, 1)
    # From now on, the guest is also known by this document, even if a new copy of the document has a different name.
    for what, other in OTHERS.items():
        assert (kind(bench.come(other)) == (record.ENTRY, 1)) == (what not in apart - {"name"}), what


def test_a_name_that_is_spelt_otherwise_is_the_same(bench: Bench) -> None:
    book(bench, Guest("DE-1", name="Anna-Lena MUELLER"))
    assert kind(bench.come(Guest("DE-1", "1990-03-07", name="Müller Anna Lena"))) == (record.CHECK_IN, 1)


def test_a_grant_may_come_to_know_a_guest_better_or_worse_and_they_stay_the_same(bench: Bench) -> None:
    booking = book(bench, Guest("SE-1", name="Ann Li"))
    assert kind(bench.come(LICENCE)) == (record.CHECK_IN, 1)
    for number, known in enumerate((LICENCE, Guest("SE-1", "1990-03-07"), Guest("SE-1", name="Ann Li")), 2):
        booking = PLATFORM.change(booking, guests=[known])
        send(bench, booking)
        if number == 3:
            bench.reboot()
        assert kind(bench.come(LICENCE)) == (record.ENTRY, 1)
        assert kind(bench.serve(bench.typed(PLATFORM.pin(booking, known)))) == (record.ENTRY, 1)


def test_a_grant_that_names_somebody_else_by_the_new_level_turns_the_guest_out(bench: Bench) -> None:
    booking = book(bench, Guest("SE-1", "1990-03-07"))
    assert kind(bench.come(LICENCE)) == (record.CHECK_IN, 1)
    send(bench, PLATFORM.change(booking, guests=[OTHERS["type"]]))
    assert bench.come(LICENCE) == "grant.none"
    assert kind(bench.come(OTHERS["type"])) == (record.CHECK_IN, 2)


# --- whose number it is ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "known", [CITIZEN, Guest(RESIDENT, "1990-03-07"), Guest(RESIDENT, name="王伟"), Guest(RESIDENT)]
)
@pytest.mark.parametrize(
    ("id_type", "country"), [("driving-licence", "SE"), ("driving-licence", "CN"), ("photo-id", "CN")]
)
def test_a_document_of_another_class_or_country_with_a_residents_number_is_never_the_resident(
    bench: Bench, known: Guest, id_type: str, country: str
) -> None:
    book(bench, known)
    other = Guest(RESIDENT, "1990-03-07", name="王伟", id_type=id_type, country=country)
    assert bench.come(other) == "grant.none"
    assert kind(bench.come(CITIZEN)) == (record.CHECK_IN, 1)
    assert bench.come(other) == "grant.none"


def test_a_residents_document_of_another_countrys_issuer_is_not_one(bench: Bench) -> None:
    book(bench, Guest(RESIDENT, "1990-03-07"))
    claim = bench.claim(Guest(RESIDENT, "1990-03-07", id_type="resident-id", country="SE"))
    assert bench.serve([claim]) == "grant.none"


def test_who_takes_an_unnamed_place_with_a_residents_number_of_theirs_is_marked_at_the_province(bench: Bench) -> None:
    book(bench, places=1, admits="walk-in")
    outcome = bench.come(Guest(RESIDENT, "1990-03-07", name="Eve Adams"))
    assert isinstance(outcome, dict)
    outcome[record.FIELDS].update(sex="female", nationality="SE")
    assert verdict(Profile.parse(PROFILES["CN"]), outcome) == "registration.number"
    assert kind(bench.come(CITIZEN)) == "grant.full"


# --- one person, one place -------------------------------------------------------------------------------------------

SECOND = Guest("PP-778899", "1990-03-07", name="Ann LI", id_type="photo-id", country="FR")
BEN = Guest("BEN-1", "1985-01-01", name="Ben Ny")


def test_the_second_document_of_one_person_takes_no_place_and_makes_no_entry(bench: Bench) -> None:
    book(bench, Guest("SE-1", "1990-03-07"), places=2, admits="unnamed")
    assert kind(bench.come(LICENCE)) == (record.CHECK_IN, 1)
    assert bench.come(SECOND) == "grant.full"
    assert kind(bench.come(BEN)) == (record.CHECK_IN, 2)
    assert bench.come(SECOND) == "grant.full"
    assert kind(bench.come(LICENCE)) == (record.ENTRY, 1)
    assert kind(bench.come(SECOND, LICENCE)) == (record.ENTRY, 1), "shown together with the first, it does no harm"


def test_a_power_cut_gives_one_person_no_second_place(bench: Bench) -> None:
    book(bench, Guest("SE-1", "1990-03-07"), places=2, admits="unnamed")
    assert kind(bench.come(LICENCE)) == (record.CHECK_IN, 1)
    bench.reboot()
    bench.tell_time(bench.now)
    assert bench.come(SECOND) == "grant.full"


def test_it_is_so_for_walk_ins_and_for_two_documents_that_the_grant_names(bench: Bench) -> None:
    book(bench, places=3, admits="walk-in")
    assert kind(bench.come(SECOND)) == (record.CHECK_IN, 1)
    assert bench.come(LICENCE) == "grant.full"


def test_two_whom_the_grant_names_and_who_share_name_and_birth_date_get_one_place(bench: Bench) -> None:
    book(bench, LICENCE, Guest("PP-778899", "1990-03-07"))
    assert kind(bench.come(SECOND)) == (record.CHECK_IN, 1)
    assert bench.come(LICENCE) == "grant.full"


def test_another_name_or_birth_date_is_another_person(bench: Bench) -> None:
    book(bench, LICENCE, places=3, admits="unnamed")
    assert kind(bench.come(LICENCE)) == (record.CHECK_IN, 1)
    assert kind(bench.come(Guest("T-1", "1990-03-07", name="Li Anne"))) == (record.CHECK_IN, 2)
    assert kind(bench.come(Guest("T-2", "1990-03-06", name="Li Ann"))) == (record.CHECK_IN, 3)


def test_who_left_the_stay_leaves_the_place_to_their_other_document(bench: Bench) -> None:
    booking = book(bench, LICENCE)
    assert kind(bench.come(LICENCE)) == (record.CHECK_IN, 1)
    send(bench, PLATFORM.change(booking, guests=[SECOND]))
    assert bench.come(LICENCE) == "grant.none"
    assert kind(bench.come(SECOND)) == (record.CHECK_IN, 2)


def test_another_stay_is_another_matter(bench: Bench) -> None:
    book(bench, LICENCE)
    assert kind(bench.come(LICENCE)) == (record.CHECK_IN, 1)
    book(bench, SECOND)
    assert kind(bench.come(SECOND)) == (record.CHECK_IN, 1)


# --- what cannot be told ---------------------------------------------------------------------------------------------


def mark(outcome: dict[Any, Any] | str) -> int | None:
    assert isinstance(outcome, dict)
    found: int | None = outcome.get(record.MARK)
    return found


@pytest.mark.parametrize("name", ["Wang Wei", "王小伟"])
def test_of_one_birth_date_under_another_name_it_is_marked_that_it_cannot_be_told(bench: Bench, name: str) -> None:
    book(bench, CITIZEN, places=3, admits="unnamed")
    assert mark(bench.come(CITIZEN)) is None
    outcome = bench.come(Guest("P-1", "1990-03-07", name=name))
    assert mark(outcome) == 2 and isinstance(outcome, dict)
    outcome[record.FIELDS].update(sex="male", nationality="SE")
    assert verdict(Profile.parse(PROFILES["CN"]), outcome) == "registration.name"
    assert mark(bench.come(Guest("P-2", "1990-03-08", name=name))) is None


@pytest.mark.parametrize("missing", ["name", "birth_date"])
def test_without_a_name_or_a_birth_date_it_is_marked_and_nobody_is_taken_for_another(
    bench: Bench, missing: str
) -> None:
    book(bench, places=2, admits="walk-in")
    claims: list[DocumentClaim] = []
    for claim in [bench.claim(Guest(number, "1990-03-07", name="Li")) for number in "AB"]:
        shown = {name: text for name, text in claim.fields.items() if name != missing}
        claims.append(DocumentClaim(crypto, bench.lock.commitment_keys.of, shown, "SE", False))  # less was asked for
    first, second = claims
    assert [mark(bench.serve([first])), mark(bench.serve([second]))] == [1, 1]
    assert kind(bench.serve([first])) == (record.ENTRY, 1) and kind(bench.serve([second])) == (record.ENTRY, 2)


def test_who_shows_no_number_checks_in_nowhere(bench: Bench) -> None:
    book(bench, places=2, admits="walk-in")
    claim = DocumentClaim(crypto, bench.lock.commitment_keys.of, {"name": "Li Ann"}, "SE", False)
    assert bench.serve([claim]) == "grant.none"


# --- bookings that know little ---------------------------------------------------------------------------------------


def test_a_booking_that_knows_a_phone_number_alone_has_an_unnamed_place(bench: Bench) -> None:
    book(bench, LICENCE, Guest(phone="+46 70 000 00 00"))
    assert bench.come(BEN) == "grant.none", "where the listing admits by name"
    book(bench, LICENCE, Guest(phone="+46 70 000 00 00"), admits="unnamed")
    assert bench.come(BEN) == "grant.unnamed"
    assert kind(bench.come(LICENCE)) == (record.CHECK_IN, 1)
    assert kind(bench.come(BEN)) == (record.CHECK_IN, 2)
    assert bench.come(Guest("ZOE", "1999-01-01", name="Zoe")) == "grant.full"


def test_the_ties_of_a_booking_count_those_whom_the_grant_names(bench: Bench) -> None:
    child = Guest("K-1", "2016-01-01", name="Kim Li", adult=3, relation="parent")
    book(bench, BEN, Guest(phone="+46 70 000 00 00"), LICENCE, child, admits="unnamed")
    for guest in (BEN, LICENCE):
        bench.come(guest)
    outcome = bench.come(child)
    assert isinstance(outcome, dict)
    assert (outcome[record.FIELDS]["guardian"], outcome[record.FIELDS]["relation"]) == ("2", "parent")
