"""Invented guests could exist. Name, number and sex agree, and no two guests at a site have the same name."""

import random

import pytest

from sim import issuer
from sim.people import FEMALE, GIVEN, MALE, RESIDENT_GIVEN, Person


@pytest.mark.parametrize("doc_type", [issuer.MDL, issuer.RESIDENT_ID])
def test_the_name_of_an_invented_guest_fits_the_sex_that_the_document_shows(doc_type: str) -> None:
    chance = random.Random(1)
    people = [Person.invent(chance, doc_type) for _ in range(200)]
    given = RESIDENT_GIVEN if doc_type == issuer.RESIDENT_ID else GIVEN
    for person in people:
        [shown] = [elements["sex"] for elements in person.document().values() if "sex" in elements]
        assert any(person.name.startswith(name) or person.name.endswith(name) for name in given[shown])
    assert {person.sex for person in people} == {MALE, FEMALE}
    assert not set(given[MALE]) & set(given[FEMALE])


def test_the_number_of_a_resident_tells_the_same_sex() -> None:
    chance = random.Random(2)
    for _ in range(100):
        person = Person.invent(chance, issuer.RESIDENT_ID)
        assert int(person.document_number[16]) % 2 == (person.sex == MALE)
