"""Many addresses claim to be our lock. Each address has its turn, and no address is kept for ever."""

import random

from edge_agent.sightings import AGAIN, LIFETIME_SECONDS, MOST, Sightings


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def everybody(_lock_id: bytes) -> bool:
    return True


def test_turns_go_round_among_the_locks_that_are_claimed_and_then_among_the_addresses() -> None:
    clock = Clock()
    seen = Sightings(clock)
    seen.heard([*((f"A{number}", b"a" * 16) for number in range(50)), ("B", b"b" * 16)])
    turns = []
    for _ in range(6):
        clock.now += 1
        address = seen.next(everybody)
        assert address is not None
        turns.append(address)
    assert "B" in turns[:2] and len(set(turns)) == 6


def test_an_address_in_turn_is_not_given_again_before_it_is_over_and_later_each_time() -> None:
    clock = Clock()
    seen = Sightings(clock)
    waits = []
    for _ in range(12):
        seen.heard([("A", b"a" * 16)])
        began = clock.now
        while seen.next(everybody) is None:
            clock.now += 1
            seen.heard([("A", b"a" * 16)])
        assert seen.next(everybody) is None
        waits.append(clock.now - began)
        seen.failed("A")
    assert waits[0] == 0 and waits[1] <= 2 and 29 <= waits[-1] <= 61


def test_what_is_not_wanted_or_has_left_the_air_gets_no_turn() -> None:
    seen = Sightings(Clock())
    seen.heard([("A", b"a" * 16), ("B", b"b" * 16)])
    assert seen.next(lambda lock_id: lock_id == b"c" * 16) is None
    seen.heard([("B", b"b" * 16)])
    assert seen.next(lambda lock_id: lock_id == b"a" * 16) is None and seen.next(everybody) == "B"


def test_of_more_addresses_than_are_kept_those_on_the_air_stay() -> None:
    clock = Clock()
    seen = Sightings(clock)
    seen.heard([("REAL", b"a" * 16), *((f"old-{number}", b"a" * 16) for number in range(MOST - 1))])
    for scan in range(5):
        clock.now += 70
        seen.heard([("REAL", b"a" * 16), *((f"{scan}-{number}", b"a" * 16) for number in range(MOST - 1))])
        assert len(seen) == MOST
        first = seen.next(everybody)
        assert first == "REAL" or scan
        if first is not None:
            seen.failed(first)
    clock.now += LIFETIME_SECONDS
    seen.heard([])
    assert len(seen) == 0


def test_nobody_on_the_air_is_kept_out_for_good_by_number() -> None:
    random.seed(7)
    clock = Clock()
    kept = 0
    crowd = [(f"{number}", b"a" * 16) for number in range(4 * MOST)]
    seen = Sightings(clock)
    for _ in range(40):
        clock.now += 70
        seen.heard([*crowd, ("REAL", b"a" * 16)])
        kept += "REAL" in seen._seen
        assert len(seen) == MOST
    assert kept > 5


def test_a_claim_of_an_address_in_turn_is_not_changed() -> None:
    seen = Sightings(Clock())
    seen.heard([("A", b"a" * 16)])
    assert seen.next(everybody) == "A"
    seen.heard([("A", b"b" * 16)])
    seen.forget("A")
    assert len(seen) == 0 and seen.next(everybody) is None
    assert AGAIN.limit <= LIFETIME_SECONDS


def test_half_of_the_lane_takes_newcomers_first_and_the_other_who_has_waited_longest() -> None:
    clock = Clock()
    seen = Sightings(clock)
    crowd = [(f"old-{number}", b"a" * 16) for number in range(50)]
    seen.heard(crowd)
    for _ in crowd:
        address = seen.next(everybody)
        assert address is not None
        seen.failed(address)
        clock.now += 1
    clock.now += 70
    seen.heard([*crowd, ("new", b"a" * 16)])
    assert seen.next(everybody) == "old-0" and seen.next(everybody, newcomers=True) == "new"
    assert seen.next(everybody, newcomers=True) == "old-1", "without newcomers it does the same as the other"
