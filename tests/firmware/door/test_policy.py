"""Who may open the door, and when. Every row of the table in docs/door-rules.md is tested with cases to accept and
cases to refuse.
"""

import pytest

from firmware.door.policy import Decision, check_grant, decide
from firmware.memory.stays import Stay
from protocol.errors import RefusedError
from protocol.placement import Placement
from protocol.profile import Profile
from protocol.record import CHECK_IN, ENTRY
from sim.province.registry import PROFILES
from tests.support.rules import ADULT, BEGIN, CHILD, CN, END, INSIDE, Somebody, grant, placement, stay

BOTH = grant("ann", "ben")
GREAT = grant("ann", places=3)
OPEN = grant(places=2)

LENIENT = Profile.parse(
    {**PROFILES["CN"], "minors": {"of_age": 18, "adult_first": False, "fields": ["guardian", "relation"]}}
)
SILENT = Profile.parse({**PROFILES["CN"], "minors": {"of_age": 0, "adult_first": True, "fields": []}})


def judge(
    stays: list[Stay],
    *claims: Somebody,
    interval: tuple[int, int | None] = INSIDE,
    at: Placement | None = None,
    profile: Profile = CN,
) -> Decision:
    return decide(at or placement(), profile, stays, interval, claims or (Somebody("ann"),))


def refusal(
    stays: list[Stay],
    *claims: Somebody,
    interval: tuple[int, int | None] = INSIDE,
    at: Placement | None = None,
    profile: Profile = CN,
) -> str:
    with pytest.raises(RefusedError) as refused:
        judge(stays, *claims, interval=interval, at=at, profile=profile)
    return refused.value.code


# --- whom a grant names ----------------------------------------------------------------------------------------------


def test_a_named_guest_inside_the_window_checks_in() -> None:
    decision = judge([stay(BOTH)])
    assert (decision.kind, decision.number) == (CHECK_IN, 1)
    assert decision.guest is not None and decision.guest.named and decision.guest.adult


def test_a_second_guest_of_the_stay_checks_in_too() -> None:
    decision = judge([stay(BOTH, "ann")], Somebody("ben"))
    assert (decision.kind, decision.number) == (CHECK_IN, 2)


def test_guests_are_numbered_in_the_order_in_which_they_check_in() -> None:
    assert judge([stay(BOTH, "ben")]).number == 2
    assert judge([stay(BOTH, "ben", "ann")]).number == 2


def test_a_stranger_is_refused() -> None:
    assert refusal([stay(BOTH)], Somebody("zoe")) == "grant.none"


def test_no_grant_no_opening() -> None:
    assert refusal([]) == "grant.none"


def test_a_grant_for_another_listing_is_no_grant() -> None:
    assert refusal([stay(grant("ann", listing="HZ-2"))]) == "grant.none"
    assert refusal([stay(grant("ann", listing="HZ-2"), "ann")]) == "grant.none"


# --- entries ---------------------------------------------------------------------------------------------------------


def test_a_guest_who_checked_in_enters() -> None:
    decision = judge([stay(BOTH, "ann")])
    assert (decision.kind, decision.number, decision.guest, decision.fields) == (ENTRY, 1, None, None)


def test_a_guest_whom_the_grant_names_no_more_is_out_and_gives_the_place_free() -> None:
    changed = stay(BOTH, "ann", "ben")
    changed.renew(grant("ann", "cat", serial=2))
    assert refusal([changed], Somebody("ben")) == "grant.none"
    assert judge([changed], Somebody("ann")).kind == ENTRY
    decision = judge([changed], Somebody("cat"))
    assert (decision.kind, decision.number) == (CHECK_IN, 3), "numbers are not used twice"


def test_who_shows_no_identity_enters_but_never_checks_in() -> None:
    assert judge([stay(BOTH, "ann")], Somebody("ann", born=None)).kind == ENTRY
    assert refusal([stay(BOTH)], Somebody("ann", born=None)) == "grant.none"
    assert refusal([stay(OPEN)], Somebody("zoe", born=None), at=placement(admits="walk-in")) == "grant.none"


# --- time ------------------------------------------------------------------------------------------------------------


def test_before_the_stay_is_too_early_even_by_a_second_of_doubt() -> None:
    assert refusal([stay(BOTH)], interval=(BEGIN - 1, BEGIN + 5)) == "grant.early"
    assert judge([stay(BOTH)], interval=(BEGIN, BEGIN + 5)).kind == CHECK_IN


def test_after_the_stay_is_too_late_even_by_a_second_of_doubt() -> None:
    assert refusal([stay(BOTH)], interval=(END - 5, END + 1)) == "grant.over"
    assert refusal([stay(BOTH, "ann")], interval=(END - 5, END + 1)) == "grant.over"
    assert judge([stay(BOTH)], interval=(END - 5, END)).kind == CHECK_IN
    assert judge([stay(BOTH, "ann")], interval=(END - 5, END)).kind == ENTRY


def test_a_new_check_in_waits_for_a_signed_time() -> None:
    assert refusal([stay(BOTH)], interval=(INSIDE[0], None)) == "clock.unknown"


def test_a_registered_guest_enters_by_the_floor_alone() -> None:
    assert judge([stay(BOTH, "ann")], interval=(INSIDE[0], None)).kind == ENTRY
    assert judge([stay(BOTH, "ann")], interval=(0, None)).kind == ENTRY
    assert refusal([stay(BOTH, "ann")], interval=(END + 1, None)) == "grant.over"


# --- whether the document counts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["trust-list.stale", "crl.stale", "status-list.stale", "mdoc.unlisted"])
def test_a_document_of_which_too_little_is_known_checks_nobody_in_and_lets_in_who_has(code: str) -> None:
    ann = Somebody("ann", barred=code)
    assert refusal([stay(BOTH)], ann) == code
    assert judge([stay(BOTH, "ann")], ann).kind == ENTRY
    assert refusal([stay(BOTH)], Somebody("zoe", barred=code)) == "grant.none", "a stranger learns no more"
    assert judge([stay(BOTH)], ann, Somebody("ann")).claim.barred is None, "their other document is accepted"


# --- the placement ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["suspended", "revoked"])
def test_a_listing_that_is_not_active_admits_nobody_new_and_honours_running_stays(status: str) -> None:
    assert refusal([stay(BOTH)], at=placement(status)) == "door." + status
    assert refusal([stay(BOTH, "ann")], Somebody("ben"), at=placement(status)) == "door." + status
    assert judge([stay(BOTH, "ann")], at=placement(status)).kind == ENTRY


def test_an_active_or_suspended_listing_takes_grants() -> None:
    for status in ("active", "suspended"):
        check_grant(placement(status), None, BOTH)
        check_grant(placement(status), stay(BOTH), grant("ann", "ben", serial=2, until=END + 1))


def test_a_revoked_listing_takes_no_new_stay_and_no_longer_one() -> None:
    for held, new in ((None, BOTH), (stay(BOTH), grant("ann", "ben", serial=2, until=END + 1))):
        with pytest.raises(RefusedError, match=r"door\.revoked"):
            check_grant(placement("revoked"), held, new)
    check_grant(placement("revoked"), stay(BOTH), grant("ann", serial=2, until=END))
    check_grant(placement("revoked"), stay(BOTH), grant("ann", "ben", serial=2, until=END - 1, horizon=END))


def test_a_cancellation_is_taken_whatever_the_status() -> None:
    for status in ("active", "suspended", "revoked"):
        check_grant(placement(status), stay(BOTH), grant("ann", "ben", serial=2, cancelled=True))
        check_grant(placement(status), None, grant("ann", "ben", cancelled=True))


def test_a_grant_for_another_listing_is_not_taken() -> None:
    with pytest.raises(RefusedError, match=r"grant\.listing"):
        check_grant(placement(), None, grant("ann", listing="HZ-2"))


# --- places ----------------------------------------------------------------------------------------------------------


def test_more_guests_than_booked_are_refused() -> None:
    # Two companions have checked in. Then the platform names two other guests. The stay has three places in all.
    full = stay(grant(places=3), "zoe", "yan")
    full.renew(grant("ann", "ben", places=3, serial=2))
    assert judge([full]).kind == CHECK_IN
    full.join(stay(BOTH, "ann").guest(1))
    assert refusal([full], Somebody("ben")) == "grant.full"


def test_no_stay_numbers_more_guests_than_a_grant_can_name() -> None:
    many = stay(grant(*[f"guest {n}" for n in range(32)]), *[f"guest {n}" for n in range(32)])
    many.renew(grant("ann", serial=2))
    assert many.present() == []
    assert refusal([many]) == "grant.full"


def test_an_unnamed_place_admits_nobody_where_the_listing_admits_by_name() -> None:
    assert refusal([stay(GREAT, "ann")], Somebody("zoe")) == "grant.none"
    assert refusal([stay(OPEN)], Somebody("zoe")) == "grant.none"


def test_companions_come_in_after_a_guest_whom_the_grant_names() -> None:
    at = placement(admits="unnamed")
    assert refusal([stay(GREAT)], Somebody("zoe"), at=at) == "grant.unnamed"
    decision = judge([stay(GREAT, "ann")], Somebody("zoe"), at=at)
    assert decision.kind == CHECK_IN and decision.guest is not None and not decision.guest.named


def test_a_companion_who_checked_in_enters_again_whatever_the_listing_admits_now() -> None:
    for admits in ("named", "unnamed", "walk-in"):
        assert judge([stay(GREAT, "ann", "zoe")], Somebody("zoe"), at=placement(admits=admits)).kind == ENTRY


def test_companions_never_take_the_place_of_a_named_guest() -> None:
    at = placement(admits="unnamed")
    pair = grant("ann", "ben", places=3)
    assert judge([stay(pair, "ann")], Somebody("zoe"), at=at).kind == CHECK_IN
    assert refusal([stay(pair, "ann", "zoe")], Somebody("yan"), at=at) == "grant.full"
    assert judge([stay(pair, "ann", "zoe")], Somebody("ben"), at=at).kind == CHECK_IN


def test_a_grant_without_names_needs_a_listing_for_walk_ins() -> None:
    assert refusal([stay(OPEN)], Somebody("zoe"), at=placement(admits="unnamed")) == "grant.none"
    assert judge([stay(OPEN)], Somebody("zoe"), at=placement(admits="walk-in")).kind == CHECK_IN
    assert judge([stay(OPEN, "zoe")], Somebody("yan"), at=placement(admits="walk-in")).kind == CHECK_IN
    assert refusal([stay(OPEN, "zoe", "yan")], Somebody("xi"), at=placement(admits="walk-in")) == "grant.full"


def test_walk_in_companions_wait_for_the_named_guest_as_elsewhere() -> None:
    at = placement(admits="walk-in")
    assert refusal([stay(GREAT)], Somebody("zoe"), at=at) == "grant.unnamed"
    assert judge([stay(GREAT, "ann")], Somebody("zoe"), at=at).kind == CHECK_IN


# --- minors ----------------------------------------------------------------------------------------------------------


def test_a_minor_alone_is_refused_where_the_profile_demands_an_adult() -> None:
    assert refusal([stay(BOTH)], Somebody("ben", CHILD)) == "grant.guardian"
    assert refusal([stay(BOTH, ("ann", CHILD))], Somebody("ben", CHILD)) == "grant.guardian"


def test_a_minor_after_an_adult_is_registered_with_that_guest_as_guardian() -> None:
    decision = judge([stay(BOTH, "ann")], Somebody("ben", CHILD))
    assert decision.kind == CHECK_IN and decision.guest is not None and not decision.guest.adult
    assert decision.fields == {"birth_date": CHILD, "guardian": "1", "relation": "unstated"}


def test_an_adult_registers_no_guardian() -> None:
    assert judge([stay(BOTH, "ann")], Somebody("ben")).fields == {"birth_date": ADULT}


def test_of_several_adults_the_one_that_the_grant_names_answers_for_the_minor() -> None:
    family = grant("ann", "ben", "kim")
    kim = Somebody("kim", CHILD, tie=(2, "parent"))
    told = judge([stay(family, "ann", "ben")], kim).fields
    assert told is not None and (told["guardian"], told["relation"]) == ("2", "parent")
    # If only Ann has checked in, she answers for Kim. Their relation is not stated.
    told = judge([stay(family, "ann")], kim).fields
    assert told is not None and (told["guardian"], told["relation"]) == ("1", "unstated")


def test_a_minor_never_answers_for_a_minor_even_if_the_grant_says_so() -> None:
    family = grant("ann", "ben", "kim")
    told = judge([stay(family, ("ben", CHILD), "ann")], Somebody("kim", CHILD, tie=(2, "sibling"))).fields
    assert told is not None and (told["guardian"], told["relation"]) == ("2", "unstated"), "guest 2 is ann"


def test_an_adult_who_is_out_of_the_stay_answers_for_nobody() -> None:
    changed = stay(BOTH, "ann")
    changed.renew(grant("ben", serial=2))
    assert refusal([changed], Somebody("ben", CHILD)) == "grant.guardian"


def test_a_minor_at_an_unnamed_place_needs_an_adult_too() -> None:
    at = placement(admits="walk-in")
    assert refusal([stay(OPEN)], Somebody("kim", CHILD), at=at) == "grant.guardian"
    told = judge([stay(OPEN, "zoe")], Somebody("kim", CHILD), at=at).fields
    assert told is not None and told["guardian"] == "1"


def test_a_minor_checks_in_alone_where_the_profile_lets_them() -> None:
    told = judge([stay(BOTH)], Somebody("ben", CHILD), profile=LENIENT).fields
    assert told is not None and (told["guardian"], told["relation"]) == ("nobody", "unstated")
    assert judge([stay(BOTH)], Somebody("ben", CHILD), profile=SILENT).fields == {"birth_date": CHILD}


def test_a_minor_who_checked_in_enters_alone() -> None:
    changed = stay(BOTH, "ann", ("ben", CHILD))
    changed.renew(grant("ben", serial=2))
    assert judge([changed], Somebody("ben", CHILD)).kind == ENTRY


def test_who_may_be_a_minor_by_the_clock_is_one() -> None:
    born = "2008-11-23"  # this person turns 18 on 23 November 2026; that day begins last in UTC-12
    of_age = 1_795_435_200
    late = grant("ben", until=of_age + 86400)
    assert refusal([stay(late)], Somebody("ben", born), interval=(of_age - 1, of_age + 9)) == "grant.guardian"
    assert judge([stay(late)], Somebody("ben", born), interval=(of_age, of_age + 9)).fields == {"birth_date": born}


# --- more than one stay, more than one document ----------------------------------------------------------------------


def test_the_stay_that_fits_wins_over_one_that_does_not() -> None:
    past = stay(grant("ann", grant_id=bytes(16), valid_from=1, until=2))
    assert judge([past, stay(BOTH)]).kind == CHECK_IN
    assert judge([stay(BOTH), past]).kind == CHECK_IN


def test_an_entry_comes_before_a_check_in_and_a_name_before_an_unnamed_place() -> None:
    at = placement(admits="walk-in")
    other = stay(grant("ann", grant_id=b"A" * 16, valid_from=BEGIN - 9))
    for stays in ([other, stay(BOTH, "ann")], [stay(BOTH, "ann"), other]):
        assert judge(stays).kind == ENTRY
    anybody = stay(grant(places=2, grant_id=b"B" * 16, valid_from=BEGIN - 99))
    for stays in ([anybody, stay(BOTH)], [stay(BOTH), anybody]):
        assert judge(stays, at=at).stay.grant is BOTH


def test_of_two_stays_that_fit_the_earlier_counts() -> None:
    second = stay(grant("ann", grant_id=b"A" * 16, valid_from=BEGIN + 1))
    assert judge([second, stay(BOTH)]).stay.grant is BOTH


def test_the_refusal_that_came_farthest_is_the_one_given() -> None:
    past = stay(grant("ann", grant_id=b"P" * 16, valid_from=1, until=2))
    coming = stay(grant("ann", grant_id=b"C" * 16, valid_from=END, until=END + 1))
    for stays in ([past, coming], [coming, past]):
        assert refusal(stays) == "grant.early"


def test_any_one_of_several_documents_will_do() -> None:
    assert judge([stay(BOTH)], Somebody("a second card"), Somebody("ann")).number == 1
    assert refusal([stay(BOTH)], Somebody("a second card"), Somebody("a third")) == "grant.none"
