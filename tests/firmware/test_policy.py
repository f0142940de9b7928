"""Who may open, when: every row of the decision, accept and reject."""

import pytest

from firmware.policy import decide
from firmware.stays import Stay
from protocol.errors import RefusedError
from protocol.grant import Grant
from protocol.placement import Placement
from protocol.record import CHECK_IN, ENTRY

BEGIN, END = 1_000_000, 2_000_000
INSIDE = (1_500_000, 1_500_010)
POINT = b"\x04" + bytes(64)


def placement(status: str = "active", listing: str = "HZ-1") -> Placement:
    return Placement(1, bytes(16), listing, status, POINT, POINT, "CN", "302", [b"certificate"])


def stay(checked_in: list[int] | None = None, guests: int = 2, cancelled: bool = False, listing: str = "HZ-1") -> Stay:
    named = [bytes([n]) * 32 for n in range(guests)]
    return Stay(Grant(bytes(16), 1, listing, BEGIN, END, guests, named, cancelled), checked_in or [])


def judge(
    stays: list[Stay],
    interval: tuple[int, int | None] = INSIDE,
    number: int | None = 1,
    at: Placement | None = None,
) -> int:
    return decide(at or placement(), stays, interval, lambda grant: number).kind


def refusal(*arguments: object, **named: object) -> str:
    with pytest.raises(RefusedError) as refused:
        judge(*arguments, **named)  # type: ignore[arg-type]  # the point is what judge says, not its parameters
    return refused.value.code


def test_a_named_guest_inside_the_window_checks_in() -> None:
    assert judge([stay()]) == CHECK_IN


def test_a_guest_who_checked_in_enters() -> None:
    assert judge([stay([1])]) == ENTRY


def test_a_second_guest_of_the_stay_checks_in_too() -> None:
    assert judge([stay([1])], number=2) == CHECK_IN


def test_a_stranger_is_refused() -> None:
    assert refusal([stay()], number=None) == "grant.none"


def test_a_lock_without_placement_opens_for_nobody() -> None:
    with pytest.raises(RefusedError, match=r"door\.unplaced"):
        decide(None, [stay()], INSIDE, lambda grant: 1)


def test_no_grant_no_opening() -> None:
    assert refusal([]) == "grant.none"


def test_a_cancelled_grant_is_no_grant_even_for_one_who_checked_in() -> None:
    assert refusal([stay([1], cancelled=True)]) == "grant.none"


def test_a_grant_for_another_listing_is_no_grant() -> None:
    assert refusal([stay(listing="HZ-2")]) == "grant.none"


def test_before_the_stay_is_too_early_even_by_a_second_of_doubt() -> None:
    assert refusal([stay()], interval=(BEGIN - 1, BEGIN + 5)) == "grant.early"
    assert judge([stay()], interval=(BEGIN, BEGIN + 5)) == CHECK_IN


def test_after_the_stay_is_too_late_even_by_a_second_of_doubt() -> None:
    assert refusal([stay()], interval=(END - 5, END + 1)) == "grant.over"
    assert refusal([stay([1])], interval=(END - 5, END + 1)) == "grant.over"
    assert judge([stay()], interval=(END - 5, END)) == CHECK_IN


def test_a_new_check_in_waits_for_a_signed_time() -> None:
    assert refusal([stay()], interval=(INSIDE[0], None)) == "clock.unknown"


def test_a_registered_guest_enters_by_the_floor_alone() -> None:
    assert judge([stay([1])], interval=(INSIDE[0], None)) == ENTRY
    assert judge([stay([1])], interval=(0, None)) == ENTRY
    assert refusal([stay([1])], interval=(END + 1, None)) == "grant.over"


def test_more_guests_than_booked_are_refused() -> None:
    full = stay([2], guests=2)
    full.grant.guests = 1
    assert refusal([full]) == "grant.full"


@pytest.mark.parametrize("status", ["suspended", "revoked"])
def test_a_listing_that_is_not_active_admits_nobody_new_and_honours_running_stays(status: str) -> None:
    assert refusal([stay()], at=placement(status)) == "door." + status
    assert judge([stay([1])], at=placement(status)) == ENTRY


def test_the_stay_that_fits_wins_over_one_that_does_not() -> None:
    past = Stay(Grant(b"\x01" * 16, 1, "HZ-1", 1, 2, 1, [bytes(32)]), [])
    assert judge([past, stay()]) == CHECK_IN
    assert judge([stay(), past]) == CHECK_IN
