"""Grants and their commitments. Platform and lock read the same in a grant. Nobody else can read a grant, and other
forms are refused.
"""

import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import cbor, statement
from protocol import crypto_cpython as crypto
from protocol.errors import FormatError, RefusedError, VerificationError
from protocol.grant import NO_TIE, RELATIONS, Grant, commitment, commitment_key, mask_ties
from protocol.naming import canonical_number, identities
from sim.platform import Guest, Platform
from tests.support.on_lock import run_on_lock

FROM, UNTIL = 1_795_000_000, 1_795_086_400
GRANT_ID = bytes(range(16))


def form(**changed: object) -> Grant:
    members: dict[str, object] = {
        "grant_id": GRANT_ID,
        "serial": 1,
        "listing": "HZ-0001",
        "valid_from": FROM,
        "until": UNTIL,
        "guests": 2,
        "commitments": [bytes(32)],
        "cancelled": False,
        "horizon": UNTIL,
        "ties": bytes(2),
    }
    return Grant(**{**members, **changed})  # type: ignore[arg-type]  # some tests pass wrong types on purpose


@pytest.mark.parametrize(
    "changed",
    [
        {"valid_from": UNTIL, "until": FROM},
        {"horizon": UNTIL - 1},
        {"horizon": None},
        {"ties": b""},
        {"ties": bytes(3)},
        {"ties": bytes(66)},
        {"ties": [0, 0]},
        {"until": FROM},
        {"guests": 0},
        {"guests": 33},
        {"guests": 1, "commitments": [bytes(32), b"\x01" * 32], "ties": bytes(4)},
        {"commitments": [bytes(32), bytes(32)], "ties": bytes(4)},
        {"commitments": [bytes(31)]},
        {"commitments": None},
        {"cancelled": 0},
        {"serial": 0},
        {"grant_id": bytes(15)},
        {"listing": ""},
        {"listing": "HZ\x1b[2J"},
    ],
)
def test_a_grant_of_a_wrong_form_can_neither_be_made_nor_read(changed: dict[str, object]) -> None:
    with pytest.raises(FormatError) as caught:
        form(**changed).body()
    assert caught.value.code == "grant.form"


def test_a_grant_may_name_nobody_and_may_be_cancelled() -> None:
    assert Grant.parse(form(commitments=[], ties=b"").body()).commitments == []
    assert Grant.parse(form(cancelled=True).body()).cancelled


def known(number: str = "E12345678", born: str = "1990-03-07") -> bytes:
    return identities("", "", canonical_number(number), "", born, False)[1]


def test_platform_and_lock_compute_the_same_commitment() -> None:
    platform, lock = crypto.generate("P-256"), crypto.generate("P-256")
    there = commitment_key(crypto, platform[0], lock[1])
    here = commitment_key(crypto, lock[0], platform[1])
    assert there == here
    mine, theirs = known("e12345678"), known(" E 1234 5678")
    assert commitment(crypto, there, GRANT_ID, mine) == commitment(crypto, here, GRANT_ID, theirs)


def test_a_commitment_is_an_hmac_over_grant_id_and_identity() -> None:
    # Python's hmac computes the same over these bytes: 82 50 <grant id> 83 02 "E12345678" "1990-03-07"
    said = b"\x82\x50" + GRANT_ID + b"\x83\x02\x69E12345678\x6a1990-03-07"
    assert commitment(crypto, bytes(32), GRANT_ID, known()) == hmac.digest(bytes(32), said, "sha256")
    assert said == cbor.encode([GRANT_ID, [2, "E12345678", "1990-03-07"]])


def test_another_guest_stay_birth_date_lock_or_platform_gives_another_commitment() -> None:
    platform, lock, stranger = (crypto.generate("P-256") for _ in range(3))
    key = commitment_key(crypto, platform[0], lock[1])
    guest = commitment(crypto, key, GRANT_ID, known())
    others = [
        commitment(crypto, key, GRANT_ID, known("E12345679")),
        commitment(crypto, key, GRANT_ID, known(born="1990-03-08")),
        commitment(crypto, key, bytes(16), known()),
        commitment(crypto, commitment_key(crypto, platform[0], stranger[1]), GRANT_ID, known()),
        commitment(crypto, commitment_key(crypto, stranger[0], lock[1]), GRANT_ID, known()),
    ]
    assert guest not in others and len(set(others)) == len(others)


def test_a_number_and_a_date_cannot_be_shifted_into_each_other() -> None:
    assert known("12", "3") != known("1", "23")


def test_a_platform_key_off_the_curve_is_rejected() -> None:
    private, public = crypto.generate("P-256")
    with pytest.raises(VerificationError) as caught:
        commitment_key(crypto, private, public[:-1] + bytes((public[-1] ^ 1,)))
    assert caught.value.code == "crypto.key"


@settings(max_examples=30)
@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=20))
def test_canonical_numbers_are_settled_and_the_same_in_any_case_and_spacing(numbers: list[str]) -> None:
    for number in numbers:
        settled = canonical_number(number)
        assert canonical_number(settled) == settled
        assert canonical_number(" ".join(number)) == settled


def test_the_lock_computes_the_commitments_of_the_platform() -> None:
    platform = Platform()
    private, public = crypto.generate("P-256")
    guests = [
        Guest("e12345678", "1990-03-07", id_type="photo-id", country="se"),
        Guest("330106199003070014"),
        Guest("straße 9ñ", "2001-01-31"),
        Guest("A 12", name="Jürgen Müller-Lüdenscheidt"),
    ]
    shown = [
        ("photo-id", "SE", "E12345678", "X", "1990-03-07", False),
        ("resident-id", "CN", "330106199003070014", "王", "1990-03-07", True),
        ("driving-licence", "DE", "straße9ñ", "Y", "2001-01-31", False),
        ("driving-licence", "DE", "A12", "LUDENSCHEIDT JUERGEN MUELLER", "", False),
    ]
    booking = platform.book(public, "HZ-0001", FROM, UNTIL, guests)
    answer = run_on_lock(
        """
import firmware.crypto as crypto
from protocol import cbor, statement
from protocol.grant import Grant, commitment, commitment_key
from protocol.naming import canonical_number, fold, identities
public = bytes.fromhex(given["platform"])
grant = Grant.parse(statement.open(crypto, bytes.fromhex(given["grant"]), "grant", public))
key = commitment_key(crypto, bytes.fromhex(given["private"]), public)
levels = []
for id_type, country, number, name, born, resident in given["shown"]:
    made = identities(id_type, country, canonical_number(number), fold(name), born, resident)
    named = [commitment(crypto, key, grant.grant_id, each) for each in made]
    levels.append([named[at] in grant.commitments for at in range(5)].index(True) + 1)
answer(levels)
""",
        {
            "platform": platform.public.hex(),
            "private": private.hex(),
            "grant": platform.grant(booking).hex(),
            "shown": shown,
        },
    )
    assert answer == [1, 2, 2, 3]


def test_a_grant_says_nothing_of_a_guest_in_clear() -> None:
    platform, (_, public) = Platform(), crypto.generate("P-256")
    booking = platform.book(public, "HZ-0001", FROM, UNTIL, [Guest("E12345678", "1990-03-07")])
    data = platform.grant(booking)
    assert b"E12345678" not in data and b"1990" not in data


# --- whose minor a guest is ------------------------------------------------------------------------------------------

FAMILY = [bytes([n]) * 32 for n in (1, 2, 3)]
KEY = b"K" * 32


def tied(*ties: tuple[int, str], serial: int = 1) -> Grant:
    masked = mask_ties(crypto, KEY, GRANT_ID, serial, FAMILY, list(ties))
    return form(guests=3, commitments=FAMILY, ties=masked, serial=serial)


@pytest.mark.parametrize("relation", RELATIONS)
def test_a_tie_reads_as_it_was_made_and_a_guest_who_is_not_named_has_none(relation: str) -> None:
    grant = Grant.parse(tied(NO_TIE, NO_TIE, (2, relation)).body())
    assert [grant.tie(crypto, KEY, guest) for guest in FAMILY] == [NO_TIE, NO_TIE, (2, relation)]
    assert grant.tie(crypto, KEY, b"\x09" * 32) == NO_TIE


@pytest.mark.parametrize("tie", [(4, "parent"), (200, "parent"), (3, "parent")])
def test_a_tie_to_oneself_or_to_nobody_of_the_grant_is_refused(tie: tuple[int, str]) -> None:
    with pytest.raises(RefusedError) as caught:
        tied(NO_TIE, NO_TIE, tie).tie(crypto, KEY, FAMILY[2])
    assert caught.value.code == "grant.tie"


def test_ties_tell_a_courier_nothing_and_no_mask_serves_twice() -> None:
    party, family, again = (
        tied(NO_TIE, NO_TIE, NO_TIE),
        tied((3, "parent"), NO_TIE, NO_TIE),
        tied(*[NO_TIE] * 3, serial=2),
    )
    assert len({len(each.ties) for each in (party, family, again)}) == 1
    assert party.ties[:2] != bytes(2) and len({party.ties[at : at + 2] for at in (0, 2, 4)}) == 3
    assert party.ties != again.ties and party.ties[2:] == family.ties[2:]


def test_another_key_reads_no_tie_that_was_made() -> None:
    grant, read = tied((2, "parent"), NO_TIE, NO_TIE), []
    for n in range(40):
        try:
            read.append(grant.tie(crypto, bytes([n]) * 32, FAMILY[0]))
        except RefusedError:
            read.append((0, "refused"))
    assert read.count((0, "refused")) > 30, "two bytes of noise are rarely a tie"


def test_the_lock_reads_the_ties_of_the_platform() -> None:
    platform, (private, public) = Platform(), crypto.generate("P-256")
    guests = [Guest("A1", "1990-03-07"), Guest("B2", "2015-06-01", 1, "grandparent")]
    answer = run_on_lock(
        """
import firmware.crypto as crypto
from protocol import cbor, statement
from protocol.grant import Grant, commitment_key
public = bytes.fromhex(given["platform"])
grant = Grant.parse(statement.open(crypto, bytes.fromhex(given["grant"]), "grant", public))
key = commitment_key(crypto, bytes.fromhex(given["private"]), public)
answer([list(grant.tie(crypto, key, guest)) for guest in grant.commitments])
""",
        {
            "platform": platform.public.hex(),
            "private": private.hex(),
            "grant": platform.grant(platform.book(public, "HZ-0001", FROM, UNTIL, guests)).hex(),
        },
    )
    assert answer == [[0, "unstated"], [1, "grandparent"]]


def test_every_version_names_the_latest_end_that_the_stay_ever_had() -> None:
    platform, (_, public) = Platform(), crypto.generate("P-256")
    booking = platform.book(public, "HZ-0001", FROM, UNTIL, [])
    longer = platform.change(booking, until=UNTIL + 60)
    shorter = platform.change(longer, until=FROM + 60)
    assert [each.horizon for each in (booking, longer, shorter, platform.cancel(shorter))] == [UNTIL, *[UNTIL + 60] * 3]


def test_an_extension_and_a_cancellation_carry_higher_serials_of_the_same_stay() -> None:
    platform, (_, public) = Platform(), crypto.generate("P-256")
    booking = platform.book(public, "HZ-0001", FROM, UNTIL, [Guest("E12345678", "1990-03-07")], places=2)
    longer = platform.change(booking, until=UNTIL + 3600)
    off = platform.cancel(longer)
    read = [
        Grant.parse(statement.open(crypto, platform.grant(each), "grant", platform.public))
        for each in (booking, longer, off)
    ]
    assert [grant.serial for grant in read] == [1, 2, 3]
    assert len({grant.grant_id for grant in read}) == 1
    assert [grant.until for grant in read] == [UNTIL, UNTIL + 3600, UNTIL + 3600]
    assert [grant.cancelled for grant in read] == [False, False, True]
    assert all(grant.commitments == read[0].commitments and grant.guests == 2 for grant in read)
