"""Occupancy, guardians, and one ID at two listings at once. All this is computed from records as locks make them."""

from pathlib import Path
from typing import Any

import pytest

from protocol import uplink
from sim.platform import Platform
from sim.province import Province
from sim.province.__main__ import main
from sim.province.quality import check_digit
from sim.province.stays import doubles, guardian_of, stays
from tests.support.chain import NOW, Chain, check_in, entry

DAY = 86400
CHILD = {
    "name": "王小小",
    "birth_date": "2015-06-01",
    "id_number": "99010120150601001" + check_digit("99010120150601001"),
    "guardian": "1",
    "relation": "parent",
}


def door(province: Province, listing: str) -> Chain:
    chain = Chain(province.keys.sealing_public)
    province.register_lock(
        chain.public, listing=listing, room="1", platform_key=Platform().public, reader_chain=[b"\x30\x00"]
    )
    return chain


def tell(province: Province, chain: Chain, *bodies: dict[Any, Any]) -> None:
    province.registry.handle("edge-1", uplink.Batch(bytes(8), [chain.append(body) for body in bodies]).encode())


def at(body: dict[Any, Any], listing: str, earliest: int, until: int) -> dict[Any, Any]:
    return {**body, 2: earliest, 3: earliest + 3, 4: listing, 12: [2, 1, 1, until]}


def test_two_booked_and_one_registered_shows_in_any_record_of_the_stay(province: Province) -> None:
    chain = door(province, "HZ-0001")
    tell(province, chain, check_in(), {**entry(), 12: [2, 1, 2, NOW + DAY]}, {**entry(), 12: None})
    [stay] = stays(province.store)
    assert (stay.listing, stay.booked, stay.checked_in, stay.openings, stay.until) == ("HZ-0001", 2, 1, 2, NOW + DAY)


def test_a_guardian_is_the_guest_of_that_number_in_the_same_stay_and_in_no_other(province: Province) -> None:
    chain = door(province, "HZ-0001")
    other = {**check_in(name="别人", id_number="330106199003070022", sex="female"), 5: b"\x07" * 16}
    tell(province, chain, other, check_in(), {**check_in(**CHILD), 6: 2})
    minor = province.registrations()[2]
    assert minor.verdict == "ok"
    adult = guardian_of(province.store, minor)
    assert adult is not None and adult.fields["name"] == "王小明"


def test_a_guardian_who_is_not_registered_is_nobody(province: Province) -> None:
    chain = door(province, "HZ-0001")
    tell(province, chain, check_in(), {**check_in(**{**CHILD, "guardian": "9"}), 6: 2})
    assert guardian_of(province.store, province.registrations()[1]) is None


def test_one_id_at_two_listings_at_once_is_shown(
    province: Province, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = door(province, "HZ-0001"), door(province, "HZ-0002")
    tell(province, here, at(check_in(), "HZ-0001", NOW, NOW + DAY))
    tell(province, there, at(check_in(), "HZ-0002", NOW + DAY, NOW + 2 * DAY))
    [pair] = doubles(province.store)
    assert (pair.first.listing, pair.second.listing) == ("HZ-0001", "HZ-0002")
    province.stop()
    monkeypatch.setenv("COLUMNS", "160")
    assert main(["show", "--data", str(tmp_path)]) == 0
    assert "One ID at two listings at once" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("listing", "earliest", "number"),
    [
        ("HZ-0002", NOW + DAY + 1, "330106199003070014"),  # The first stay is over.
        ("HZ-0001", NOW + 60, "330106199003070014"),  # Another stay at the same listing.
        ("HZ-0002", NOW + 60, "330106199003070030"),  # Another ID.
    ],
)
def test_what_is_no_double(province: Province, listing: str, earliest: int, number: str) -> None:
    here = door(province, "HZ-0001")
    there = here if listing == "HZ-0001" else door(province, "HZ-0002")
    tell(province, here, at(check_in(), "HZ-0001", NOW, NOW + DAY))
    second = {**at(check_in(id_number=number), listing, earliest, NOW + 3 * DAY), 5: b"\x07" * 16}
    tell(province, there, second)
    assert len(province.store.records()) == 2
    assert doubles(province.store) == []
