"""Edges and their passes. Each admitted edge gets a pass in time, and nobody else gets a pass."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol import crypto_cpython as crypto
from protocol import placement, statement, uplink
from protocol.edge_pass import KIND, MAX_LOCKS, EdgePass
from protocol.errors import ConfigError
from sim.province import Province
from sim.province.edges import MOST_LOCKS, PASS_SECONDS, RENEW_SECONDS

KEY = crypto.generate("P-256")[1]
OTHER_KEY = crypto.generate("P-256")[1]
START = 1_800_000_000
LOCKS = [number.to_bytes(16, "big") for number in range(200)]


class Clock:
    now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def province(tmp_path: Path, clock: Clock) -> Iterator[Province]:
    running = Province(tmp_path, "127.0.0.1", 1, clock=clock)
    yield running
    running.stop()


def all_asked(province: Province, edge: str = "edge-1", key: bytes = KEY, has: int = 0) -> list[EdgePass]:
    """Ask for passes, and return the passes in the province's answer after verifying them."""
    answers = province.registry.handle(edge, uplink.PassRequest(key, has).encode())
    if not answers:
        return []
    [(to, leaf, message)] = answers
    assert (to, leaf) == (edge, uplink.PASS)
    return opened(province, message)


def opened(province: Province, message: bytes) -> list[EdgePass]:
    """Return the passes in a message, after verifying them."""
    signed = uplink.parse_passes(message).statements
    return [EdgePass.parse(statement.open(crypto, each, KIND, province.public)) for each in signed]


def asks(province: Province, edge: str = "edge-1", key: bytes = KEY, has: int = 0) -> EdgePass | None:
    """Ask for passes, and return the only pass in the answer. Returns None without an answer."""
    passes = all_asked(province, edge, key, has)
    assert len(passes) < 2
    return passes[0] if passes else None


def test_an_admitted_edge_gets_a_pass_for_its_key(province: Province) -> None:
    province.admit_edge("edge-1", LOCKS[:1])
    given = asks(province)
    assert given is not None
    assert vars(given) == vars(EdgePass(START, "edge-1", KEY, START + PASS_SECONDS, LOCKS[:1]))


def test_a_lock_named_twice_is_listed_once_and_each_pass_says_how_many_there_are(province: Province) -> None:
    many = [number.to_bytes(16, "big") for number in range(1, 66)]
    province.admit_edge("edge-1", [*many, *many[::-1]])
    given = all_asked(province, "edge-1", KEY, 0)
    assert [len(each.locks) for each in given] == [64, 1] and [each.parts for each in given] == [2, 2]
    assert [lock_id for each in given for lock_id in each.locks] == many


def test_an_edge_that_is_not_admitted_gets_none(province: Province) -> None:
    province.admit_edge("edge-1", LOCKS[:1])
    assert asks(province, "edge-2") is None


def test_another_key_gets_none_until_the_edge_is_admitted_anew(province: Province) -> None:
    province.admit_edge("edge-1", LOCKS[:1])
    first = asks(province)
    assert asks(province, key=OTHER_KEY) is None
    province.admit_edge("edge-1", LOCKS[:1])
    second = asks(province, key=OTHER_KEY)
    assert first is not None and second is not None and second.edge_public == OTHER_KEY
    assert second.issued_at > first.issued_at, "so that the new key puts an end to the old one at the locks"
    assert asks(province) is None


def test_a_pass_is_given_again_and_renewed_long_before_its_end(province: Province, clock: Clock) -> None:
    province.admit_edge("edge-1", LOCKS[:1])
    first = asks(province)
    assert first is not None
    clock.now += 100
    again = asks(province)
    assert again is not None and vars(again) == vars(first)
    assert asks(province, has=first.issued_at) is None
    clock.now = first.not_after - RENEW_SECONDS
    renewed = asks(province, has=first.issued_at)
    assert renewed is not None and renewed.not_after == clock.now + PASS_SECONDS


def test_a_change_of_locks_reaches_the_edge_with_its_next_request(province: Province) -> None:
    province.admit_edge("edge-1", LOCKS[:1])
    first = asks(province)
    assert first is not None
    province.admit_edge("edge-1", LOCKS[1:3])
    listed = asks(province, has=first.issued_at)
    assert listed is not None and listed.locks == LOCKS[1:3]


def test_admissions_survive_a_restart(tmp_path: Path, province: Province, clock: Clock) -> None:
    province.admit_edge("edge-1", [bytes(16), b"\x01" * 16])
    first = asks(province)
    again = Province(tmp_path, "127.0.0.1", 1, clock=clock)
    second = asks(again)
    again.stop()
    assert first is not None and second is not None and vars(first) == vars(second)


@pytest.mark.parametrize(
    ("edge", "locks", "code"),
    [
        ("Edge 1", None, "edge.name"),
        ("edge-1", [], "edge.locks"),
        ("edge-1", [b"short"], "edge.locks"),
        ("edge-1", [bytes(16)] * (MOST_LOCKS + 1), "edge.locks"),
    ],
)
def test_an_admission_that_makes_no_pass_is_refused(
    province: Province, edge: str, locks: list[bytes] | None, code: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        province.admit_edge(edge, locks)
    assert raised.value.code == code


def test_an_edge_with_many_locks_gets_several_passes_in_one_message(province: Province) -> None:
    province.admit_edge("edge-1", LOCKS)
    passes = all_asked(province)
    assert [len(each.locks) for each in passes] == [MAX_LOCKS, MAX_LOCKS, MAX_LOCKS, 200 - 3 * MAX_LOCKS]
    assert [lock_id for each in passes for lock_id in each.locks] == LOCKS
    assert len({each.issued_at for each in passes}) == 1
    assert all_asked(province, has=passes[0].issued_at) == []


def register(province: Province) -> bytes:
    identity = crypto.generate("P-256")[1]
    province.register_lock(identity, listing="LC", room="1", platform_key=KEY, reader_chain=[b"\x30"])
    return placement.lock_id(crypto, identity)


def test_an_edge_that_is_admitted_to_all_gets_a_pass_that_lists_those_that_are_registered(province: Province) -> None:
    province.admit_edge("edge-1")
    assert all_asked(province) == [], "none yet"
    first = register(province)
    given = asks(province)
    assert given is not None and given.locks == [first]


def test_passes_go_out_unasked_when_the_locks_of_an_edge_have_changed(province: Province) -> None:
    province.declare_listing("LC", doors=2)
    edges = province.registry.edges
    province.admit_edge("edge-1")
    province.admit_edge("edge-2", LOCKS[:3])
    assert edges.changed() == [], "neither has shown a key"
    for edge in ("edge-1", "edge-2"):
        all_asked(province, edge)
    locks = {register(province)}
    with province.store.transaction():
        signed = province.store.statement(KIND, "edge-1")
    assert signed is not None and {lock_id for form in opened(province, signed[1]) for lock_id in form.locks} == locks
    assert edges.changed() == [], "said once"
    locks.add(register(province))
    given = all_asked(province)
    assert {lock_id for form in given for lock_id in form.locks} == locks
