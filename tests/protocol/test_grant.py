"""Grants and the commitments in them: platform and lock agree, nobody else can tell, nothing else is taken."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import crypto_cpython as crypto
from protocol import statement
from protocol.errors import FormatError, VerificationError
from protocol.grant import Grant, canonical_number, commitment, commitment_key
from sim.platform import Guest, Platform
from tests.on_lock import run_on_lock

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
    return Grant(**{**members, **changed})  # type: ignore[arg-type]  # wrong types are the point of some tests


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


def test_platform_and_lock_compute_the_same_commitment() -> None:
    platform, lock = crypto.generate("P-256"), crypto.generate("P-256")
    there = commitment_key(crypto, platform[0], lock[1])
    here = commitment_key(crypto, lock[0], platform[1])
    assert there == here
    assert commitment(crypto, there, GRANT_ID, "e12345678", "1990-03-07") == commitment(
        crypto, here, GRANT_ID, " E 1234 5678", "1990-03-07"
    )


def test_another_guest_stay_birth_date_lock_or_platform_gives_another_commitment() -> None:
    platform, lock, stranger = (crypto.generate("P-256") for _ in range(3))
    key = commitment_key(crypto, platform[0], lock[1])
    guest = commitment(crypto, key, GRANT_ID, "E12345678", "1990-03-07")
    others = [
        commitment(crypto, key, GRANT_ID, "E12345679", "1990-03-07"),
        commitment(crypto, key, GRANT_ID, "E12345678", "1990-03-08"),
        commitment(crypto, key, bytes(16), "E12345678", "1990-03-07"),
        commitment(crypto, commitment_key(crypto, platform[0], stranger[1]), GRANT_ID, "E12345678", "1990-03-07"),
        commitment(crypto, commitment_key(crypto, stranger[0], lock[1]), GRANT_ID, "E12345678", "1990-03-07"),
    ]
    assert guest not in others and len(set(others)) == len(others)


def test_a_number_and_a_date_cannot_be_shifted_into_each_other() -> None:
    key = bytes(32)
    assert commitment(crypto, key, GRANT_ID, "12", "3") != commitment(crypto, key, GRANT_ID, "1", "23")


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
        Guest("e12345678", "1990-03-07"),
        Guest("330106199003070014", "1990-03-07"),
        Guest("straße 9ñ", "2001-01-31"),
    ]
    booking = platform.book(public, "HZ-0001", FROM, UNTIL, guests)
    answer = run_on_lock(
        """
import firmware.crypto as crypto
from protocol import statement
from protocol.grant import Grant, commitment, commitment_key
public = bytes.fromhex(given["platform"])
grant = Grant.parse(statement.open(crypto, bytes.fromhex(given["grant"]), "grant", public))
key = commitment_key(crypto, bytes.fromhex(given["private"]), public)
named = [commitment(crypto, key, grant.grant_id, number, birth_date) for number, birth_date in given["guests"]]
answer([grant.commitments.index(one) for one in named])
""",
        {
            "platform": platform.public.hex(),
            "private": private.hex(),
            "grant": platform.grant(booking).hex(),
            "guests": [[guest.document_number, guest.birth_date] for guest in guests],
        },
    )
    assert answer == [0, 1, 2]


def test_a_grant_says_nothing_of_a_guest_in_clear() -> None:
    platform, (_, public) = Platform(), crypto.generate("P-256")
    booking = platform.book(public, "HZ-0001", FROM, UNTIL, [Guest("E12345678", "1990-03-07")])
    data = platform.grant(booking)
    assert b"E12345678" not in data and b"1990" not in data


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
