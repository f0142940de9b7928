"""Verdicts on registrations: numbers follow GB 11643-1999, and agree with the birth date and the sex."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import VerificationError
from protocol.profile import Profile
from sim.province.quality import check_digit, check_resident_id, verdict
from sim.province.registry import PROFILES
from tests.support.chain import NOW, RESIDENT, check_in, entry

CN = Profile.parse(PROFILES["CN"])

digits = st.text("0123456789", min_size=17, max_size=17)


def test_the_example_of_the_standard_has_its_check_character() -> None:
    assert check_digit("11010519491231002") == "X"


@given(digits, st.integers(0, 16), st.integers(1, 9))
def test_every_single_wrong_digit_is_noticed(number: str, at: int, by: int) -> None:
    wrong = number[:at] + str((int(number[at]) + by) % 10) + number[at + 1 :]
    assert check_digit(wrong) != check_digit(number)


@given(digits, st.integers(0, 15))
def test_every_swap_of_neighbours_is_noticed(number: str, at: int) -> None:
    swapped = number[:at] + number[at + 1] + number[at] + number[at + 2 :]
    assert swapped == number or check_digit(swapped) != check_digit(number)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"id_number": "330106199003070015"}, "resident-id.check-digit"),
        ({"id_number": "33010619900307001"}, "resident-id.form"),
        ({"id_number": "33010619900307001四"}, "resident-id.check-digit"),
        ({"id_number": "3301061990030700\u0661\u0661"}, "resident-id.form"),
        ({"birth_date": "1990-03-08"}, "resident-id.birth-date"),
        ({"sex": "female"}, "resident-id.sex"),
    ],
)
def test_a_number_that_contradicts_itself_or_its_holder_is_noticed(changed: dict[str, str], code: str) -> None:
    with pytest.raises(VerificationError) as caught:
        check_resident_id({**RESIDENT, **changed})
    assert caught.value.code == code


def test_a_good_registration_and_a_good_entry_are_called_good() -> None:
    assert verdict(CN, check_in()) == "ok"
    assert verdict(CN, entry()) == "ok"


@pytest.mark.parametrize(
    ("profile", "body", "expected"),
    [
        (CN, check_in(id_number="330106199003070015"), "resident-id.check-digit"),
        (CN, check_in(address=""), "profile.missing"),
        (CN, {**check_in(birth_date="2100-01-01", guardian="1", relation="parent"), 3: NOW}, "registration.birth-date"),
        (None, check_in(), "profile.id"),
    ],
)
def test_what_is_wrong_is_named_and_never_raised(profile: Profile | None, body: dict[Any, Any], expected: str) -> None:
    assert verdict(profile, body) == expected


def test_a_foreign_document_is_not_held_to_the_resident_number() -> None:
    fields = {k: v for k, v in RESIDENT.items() if k not in ("ethnicity", "address")}
    fields.update(id_type="photo-id", nationality="IT", id_number="YA1234567")
    assert verdict(CN, {**check_in(), 8: fields}) == "ok"
