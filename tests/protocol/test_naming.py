"""Canonical numbers, canonical names and the identities made of them are the same on both runtimes."""

import json
import string
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import cbor, naming
from protocol.naming import canonical_number, fold, identities, is_resident
from sim.board.interpreter import ROOT
from sim.platform import Guest
from sim.province.quality import check_digit
from tests.support.on_lock import run_on_lock

ROWS = json.loads((ROOT / "tests" / "data" / "folded_names.json").read_text(encoding="utf-8"))["rows"]
VECTORS = [(name, folded) for folded, names in ROWS for name in names]
RESIDENT = "330106199003070014"
MARKED = [
    chr(point) for block in ((0xC0, 0x250), (0x386, 0x3CF), (0x400, 0x460), (0x1E00, 0x1F00)) for point in range(*block)
]


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "folded"), VECTORS)
def test_names_that_are_written_otherwise_come_to_the_same(name: str, folded: str) -> None:
    assert fold(name) == folded


@pytest.mark.parametrize(
    ("one", "other"),
    [("Li Ann", "Li Anne"), ("Schmidt", "Schmitt"), ("王伟", "王玮"), ("Anna Lena", "Annalena"), ("Елена", "Elena")],
)
def test_names_that_differ_by_a_letter_or_a_script_stay_apart(one: str, other: str) -> None:
    assert fold(one) != fold(other)


def test_the_table_has_every_letter_as_unicode_takes_it_apart() -> None:
    for letter in MARKED:
        bare = "".join(part for part in unicodedata.normalize("NFD", letter) if not unicodedata.combining(part))
        if unicodedata.category(letter)[0] == "L" and len(bare) == 1 and fold(bare) != bare:
            assert fold(letter) == fold(bare) == fold(unicodedata.normalize("NFD", letter)), letter
    assert sum(fold(letter) in string.ascii_uppercase for letter in MARKED) > 480


def test_the_table_makes_capitals_of_all_letters_of_a_name() -> None:
    for letter in MARKED:
        if unicodedata.category(letter) == "Ll" and letter.upper() in MARKED and fold(letter) != letter:
            assert fold(letter) == fold(letter.upper()), letter


@settings(max_examples=100)
@given(st.text(st.characters(max_codepoint=0x2E7F), max_size=30))
def test_what_is_folded_is_settled_and_the_order_of_words_does_not_matter(name: str) -> None:
    folded = fold(name)
    assert fold(folded) == folded == fold(" ".join(reversed(folded.split(" "))))


def test_the_lock_folds_alike() -> None:
    names = [name for name, _ in VECTORS] + ["".join(MARKED[at : at + 40]) for at in range(0, len(MARKED), 40)]
    source = """
from protocol.naming import fold
answer([fold(name) for name in given])
"""
    assert run_on_lock(source, names) == [fold(name) for name in names]


# --- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [RESIDENT, "11010519491231002X", "440524198001010013"])
def test_a_residents_number_is_known_by_its_form(number: str) -> None:
    assert number[17] == check_digit(number) and is_resident(number)


@pytest.mark.parametrize(
    "number",
    [
        RESIDENT[:17] + "5",
        RESIDENT[:17],
        RESIDENT + "0",
        "SE12345678",
        "",
        "X" * 18,
        "33010619900307001X",
        "３３０１０６１９９００３０７００１４",
        "11010519491231002x",
        "330106199013070010",
    ],
)
def test_any_other_number_is_not_a_residents(number: str) -> None:
    assert not is_resident(number)


def test_18_digits_that_hold_no_birth_date_are_not_a_residents_whatever_their_check_character() -> None:
    stem = "33010619901307001"
    assert not is_resident(stem + check_digit(stem))


# --- identities ------------------------------------------------------------------------------------------------------


def made(
    id_type: str = "driving-licence",
    country: str = "SE",
    number: str = "SE1",
    name: str = "ANN LI",
    born: str = "1990-03-07",
    resident: bool = False,
) -> list[bytes]:
    return identities(id_type, country, number, name, born, resident)


def test_each_level_says_which_it_is_and_holds_what_it_is_named_for() -> None:
    assert [cbor.decode(each) for each in made()] == [
        [1, "driving-licence", "SE", "SE1", "1990-03-07"],
        [2, "SE1", "1990-03-07"],
        [3, "SE1", "ANN LI"],
        [4, "ANN LI", "1990-03-07"],
        [5, "1990-03-07"],
    ]


@pytest.mark.parametrize(
    ("missing", "whole"),
    [
        ({"born": ""}, [True, False, True, False, False]),
        ({"name": ""}, [True, True, False, False, True]),
        ({"number": ""}, [True, False, False, True, True]),
    ],
)
def test_what_lacks_something_is_not_whole(missing: dict[str, str], whole: list[bool]) -> None:
    assert [len(each) > 2 for each in made(**missing)] == whole  # type: ignore[arg-type]  # all of them are text


@pytest.mark.parametrize(
    ("id_type", "country", "resident"),
    [
        ("driving-licence", "SE", False),
        ("resident-id", "SE", True),
        ("driving-licence", "CN", False),
        ("photo-id", "HK", False),
    ],
)
def test_a_residents_number_on_another_document_makes_nothing_that_a_grant_can_name(
    id_type: str, country: str, resident: bool
) -> None:
    right = made("resident-id", "CN", RESIDENT, resident=True)
    wrong = made(id_type, country, RESIDENT, resident=resident)
    assert not set(wrong[:3]) & set(right[:3]) and [len(each) > 2 for each in wrong[1:3]] == [False, False]
    assert wrong[0] != cbor.encode([1, id_type, country, RESIDENT, "1990-03-07"]), "nor by a platform that says so"
    assert wrong[3:] == right[3:], "the person is the same all the same"


# --- what a platform makes of what it knows --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("guest", "identity"),
    [
        (Guest("se 1", "1990-03-07", id_type="photo-id", country="se"), [1, "photo-id", "SE", "SE1", "1990-03-07"]),
        (Guest("SE1", "1990-03-07", name="Ann Li"), [2, "SE1", "1990-03-07"]),
        (Guest("SE1", "1990-03-07", id_type="photo-id"), [2, "SE1", "1990-03-07"]),
        (Guest("SE1", name="Li Ann"), [3, "SE1", "ANN LI"]),
        (Guest("SE1", name="Li Ann", id_type="photo-id", country="SE"), [3, "SE1", "ANN LI"]),
        (Guest(RESIDENT), [2, RESIDENT, "1990-03-07"]),
        (Guest(RESIDENT, id_type="resident-id", country="CN"), [1, "resident-id", "CN", RESIDENT, "1990-03-07"]),
        (Guest(phone="+46 70 000 00 00"), None),
        (Guest(name="Ann Li", birth_date="1990-03-07"), None),
    ],
)
def test_the_platform_names_a_guest_by_the_most_exact_that_it_knows(
    guest: Guest, identity: list[object] | None
) -> None:
    found = guest.identity()
    assert (found if found is None else cbor.decode(found)) == identity


@pytest.mark.parametrize(
    "guest",
    [
        Guest("SE1"),
        Guest("SE1", id_type="photo-id", country="SE"),
        Guest(RESIDENT, "1990-03-07", id_type="driving-licence", country="SE"),
        Guest(RESIDENT, "1990-03-07", id_type="driving-licence", country="CN"),
        Guest(RESIDENT, "1990-03-07", country="SE"),
    ],
)
def test_the_platform_names_nobody_by_a_number_alone_or_by_a_residents_on_anothers_document(guest: Guest) -> None:
    with pytest.raises(ValueError):
        guest.identity()


def test_the_lock_makes_the_same_identities() -> None:
    shown = [
        ["resident-id", "CN", RESIDENT, "林晓梅", "1990-03-07", True],
        ["driving-licence", "SE", RESIDENT, "ANN LI", "1990-03-07", False],
        ["photo-id", "FR", "Ü1", "", "", False],
    ]
    source = """
from protocol.naming import identities
answer([[one.hex() for one in identities(*each)] for each in given])
"""
    assert run_on_lock(source, shown) == [[one.hex() for one in identities(*each)] for each in shown]  # type: ignore[arg-type]


def test_numbers_are_canonical_in_one_way() -> None:
    assert canonical_number(" ab 12-3 ") == "AB12-3" and naming.canonical_number("ñ1") == "ñ1"
