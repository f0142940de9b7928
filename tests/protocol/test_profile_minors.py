"""Minors in the profile: which guests are minors, the extra fields of their registration, and the province's check."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import dates, record, registration
from protocol.errors import FormatError, VerificationError
from protocol.grant import RELATIONS
from protocol.profile import Profile
from sim.province.quality import check_digit
from sim.province.registry import PROFILES
from tests.support.chain import NOW, check_in
from tests.support.on_lock import run_on_lock

CN = Profile.parse(PROFILES["CN"])
STEM = "99010120150601001"
CHILD = {"birth_date": "2015-06-01", "id_number": STEM + check_digit(STEM)}

BIRTHDAYS = [
    # Birth date, and the first second of age eighteen. This second is at noon UTC, when the birthday begins at UTC-12.
    ("2008-11-23", "2026-11-23T12:00:00Z"),
    ("2008-02-29", "2026-03-01T12:00:00Z"),
    ("2008-12-31", "2026-12-31T12:00:00Z"),
    ("2010-02-28", "2028-02-28T12:00:00Z"),
]


def profile(**minors: Any) -> Profile:
    return Profile.parse({**PROFILES["CN"], "minors": {**PROFILES["CN"]["minors"], **minors}})


def test_the_rules_for_minors_are_those_on_the_books() -> None:
    # Law on the Protection of Minors (2020). By article 2, minors are under eighteen. By article 57, a hotel asks for
    # parents or guardians, and for the relation of the guests who stay together.
    assert PROFILES["CN"]["minors"] == {"of_age": 18, "adult_first": True, "fields": ["guardian", "relation"]}


@pytest.mark.parametrize(("born", "of_age"), BIRTHDAYS)
def test_of_age_is_whose_birthday_has_begun_everywhere_on_earth(born: str, of_age: str) -> None:
    now = dates.from_rfc3339(of_age)
    assert CN.is_minor(born, now - 1) and not CN.is_minor(born, now)


def test_both_runtimes_know_the_same_minors() -> None:
    cases = [[born, dates.from_rfc3339(of_age) + by] for born, of_age in BIRTHDAYS for by in (-1, 0)]
    answer = run_on_lock(
        """
from protocol.profile import Profile
profile = Profile.parse(given["profile"])
answer([profile.is_minor(born, now) for born, now in given["cases"]])
""",
        {"profile": PROFILES["CN"], "cases": cases},
    )
    assert answer == [True, False] * len(BIRTHDAYS)


@given(st.dates().map(str), st.integers(0, 1 << 40))
def test_nobody_is_a_minor_where_there_is_no_age_and_nobody_grows_younger(born: str, now: int) -> None:
    assert not profile(of_age=0).is_minor(born, now)
    assert CN.is_minor(born, now) or not CN.is_minor(born, now + 86400)


def test_a_registration_has_those_fields_that_the_profile_wants() -> None:
    assert CN.of_minor(2, "parent") == {"guardian": "2", "relation": "parent"}
    assert CN.of_minor(None, "unstated") == {"guardian": "nobody", "relation": "unstated"}
    assert profile(fields=["guardian"]).of_minor(2, "parent") == {"guardian": "2"}
    assert profile(fields=[]).of_minor(2, "parent") == {}


@pytest.mark.parametrize(
    "minors",
    [
        *({"of_age": value} for value in (-1, 100, None, True, "18")),
        *({"adult_first": value} for value in (0, None, "yes")),
        *({"fields": value} for value in (None, ["name"], ["guardian", "relation", "guardian"], "guardian")),
        {"more": 1},
    ],
)
def test_rules_of_another_form_are_refused(minors: dict[str, Any]) -> None:
    with pytest.raises(FormatError) as caught:
        profile(**minors)
    assert caught.value.code == "profile.form"


def test_rules_for_minors_need_a_birth_date_in_every_class() -> None:
    body = copy.deepcopy(PROFILES["CN"])
    body["fields"]["foreign"].remove("birth_date")
    with pytest.raises(FormatError):
        Profile.parse(body)
    body["minors"]["of_age"] = 0
    assert Profile.parse(body).id == "CN"


# --- at the province -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("relation", RELATIONS)
def test_a_minor_with_an_adult_of_the_stay_is_taken(relation: str) -> None:
    registration.check(CN, check_in(**CHILD, guardian="1", relation=relation))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (check_in(**CHILD), "profile.missing"),
        (check_in(**CHILD, guardian="1"), "profile.missing"),
        (check_in(**CHILD, guardian="nobody", relation="unstated"), "profile.guardian"),
        *(
            (check_in(**CHILD, guardian=number, relation="parent"), "profile.value")
            for number in ("0", "01", "x", "1 ")
        ),
        (check_in(**CHILD, guardian="1", relation="friend"), "profile.value"),
        (check_in(guardian="1", relation="parent"), "profile.extra"),
        (check_in(relation="parent"), "profile.extra"),
    ],
)
def test_what_is_amiss_with_a_guardian_is_told_apart(body: dict[Any, Any], code: str) -> None:
    with pytest.raises(VerificationError) as caught:
        registration.check(CN, body)
    assert caught.value.code == code


def test_a_minor_alone_is_taken_where_the_profile_lets_them_check_in_alone() -> None:
    registration.check(profile(adult_first=False), check_in(**CHILD, guardian="nobody", relation="unstated"))


def test_age_is_judged_as_at_the_door_by_the_earliest_time() -> None:
    teen = {**check_in(birth_date="2008-11-20"), record.EARLIEST: dates.from_rfc3339("2026-11-20T11:59:59Z")}
    teen[record.LATEST] = NOW + 10 * 86400
    with pytest.raises(VerificationError) as caught:
        registration.check(CN, teen)
    assert caught.value.code == "profile.missing"
    registration.check(CN, {**teen, record.EARLIEST: dates.from_rfc3339("2026-11-20T12:00:00Z")})
