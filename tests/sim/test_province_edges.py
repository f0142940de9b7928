"""Edges and their passes: who is admitted gets one, in time, and nobody else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol import crypto_cpython as crypto
from protocol import statement, uplink
from protocol.edge_pass import KIND, MAX_LOCKS, EdgePass
from protocol.errors import ConfigError
from sim.province import Province
from sim.province.edges import PASS_SECONDS, RENEW_SECONDS

KEY = crypto.generate("P-256")[1]
OTHER_KEY = crypto.generate("P-256")[1]
START = 1_800_000_000


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


def asks(province: Province, edge: str = "edge-1", key: bytes = KEY, has: int = 0) -> EdgePass | None:
    """The pass that the province answers with, verified."""
    answers = province.registry.handle(edge, uplink.PassRequest(key, has).encode())
    if not answers:
        return None
    [(to, leaf, signed)] = answers
    assert (to, leaf) == (edge, uplink.PASS)
    return EdgePass.parse(statement.open(crypto, signed, KIND, province.public))


def test_an_admitted_edge_gets_a_pass_for_its_key(province: Province) -> None:
    province.admit_edge("edge-1")
    given = asks(province)
    assert given is not None
    assert vars(given) == vars(EdgePass(START, "edge-1", KEY, START + PASS_SECONDS, None))


def test_an_edge_that_is_not_admitted_gets_none(province: Province) -> None:
    province.admit_edge("edge-1")
    assert asks(province, "edge-2") is None


def test_another_key_gets_none_until_the_edge_is_admitted_anew(province: Province) -> None:
    province.admit_edge("edge-1")
    first = asks(province)
    assert asks(province, key=OTHER_KEY) is None
    province.admit_edge("edge-1")
    second = asks(province, key=OTHER_KEY)
    assert first is not None and second is not None and second.edge_public == OTHER_KEY
    assert second.issued_at > first.issued_at, "so that the new key puts an end to the old one at the locks"
    assert asks(province) is None


def test_a_pass_is_given_again_and_renewed_long_before_its_end(province: Province, clock: Clock) -> None:
    province.admit_edge("edge-1")
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
    province.admit_edge("edge-1")
    first = asks(province)
    assert first is not None
    province.admit_edge("edge-1", [bytes(16)])
    listed = asks(province, has=first.issued_at)
    assert listed is not None and listed.locks == [bytes(16)]


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
        ("edge-1", [bytes(16)] * (MAX_LOCKS + 1), "edge.locks"),
    ],
)
def test_an_admission_that_makes_no_pass_is_refused(
    province: Province, edge: str, locks: list[bytes] | None, code: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        province.admit_edge(edge, locks)
    assert raised.value.code == code
