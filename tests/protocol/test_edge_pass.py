"""The edge pass has one form, and the longest pass fits into a handshake."""

from typing import Any

import pytest

from protocol import crypto_cpython as crypto
from protocol import link_session, statement, uplink
from protocol.edge_pass import KIND, MAX_LOCKS, EdgePass
from protocol.errors import FormatError

PRIVATE, POINT = crypto.generate("P-256")
LOCKS = [bytes([number]) * 16 for number in range(3)]


def edge_pass(**changes: Any) -> EdgePass:
    return EdgePass(
        **{"issued_at": 100, "edge": "edge-1", "edge_public": POINT, "not_after": 200, "locks": LOCKS, **changes}
    )


@pytest.mark.parametrize("locks", [LOCKS[:1], LOCKS])
def test_a_pass_survives_the_way_through_bytes(locks: list[bytes] | None) -> None:
    signed = statement.sign(crypto, PRIVATE, KIND, edge_pass(locks=locks).body())
    assert vars(EdgePass.parse(statement.open(crypto, signed, KIND, POINT))) == vars(edge_pass(locks=locks))
    assert statement.parse(signed).read(KIND) == statement.open(crypto, signed, KIND, POINT)


def test_a_pass_admits_the_locks_that_it_lists_and_no_others() -> None:
    assert edge_pass(locks=LOCKS).admits(LOCKS[1])
    assert not edge_pass(locks=LOCKS).admits(b"?" * 16)


@pytest.mark.parametrize(
    "changes",
    [
        {"issued_at": 0},
        {"issued_at": 201},
        {"not_after": -1},
        {"edge": ""},
        {"edge": "Edge"},
        {"edge": "x" * 33},
        {"edge_public": POINT[1:]},
        {"locks": None},
        {"locks": []},
        {"locks": [b"short"]},
        {"locks": [bytes(16)] * (MAX_LOCKS + 1)},
        {"locks": bytes(16)},
        {"parts": 0},
        {"parts": uplink.MAX_PASSES + 1},
        {"parts": True},
    ],
)
def test_what_is_no_pass_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError, match=r"edge-pass\.form"):
        edge_pass(**changes).body()


def test_a_member_too_many_or_another_version_is_refused() -> None:
    for change in ({8: 1}, {1: 2}):
        with pytest.raises(FormatError, match=r"edge-pass\.form"):
            EdgePass.parse({**edge_pass().body(), **change})


def test_the_longest_pass_fits_a_handshake() -> None:
    longest = edge_pass(
        edge="x" * 32, issued_at=2**53 - 2, not_after=2**53 - 1, locks=[bytes(16)] * MAX_LOCKS, parts=uplink.MAX_PASSES
    )
    assert len(statement.sign(crypto, PRIVATE, KIND, longest.body())) <= link_session.PASS_LIMIT


@pytest.mark.parametrize("name", ["a", "edge-1", "x" * 32, "", "A", "x" * 33, "a/b", "ä", "+"])
def test_a_name_is_an_edges_name_here_exactly_if_it_is_one_in_a_topic(name: str) -> None:
    try:
        edge_pass(edge=name).body()
        good = True
    except FormatError:
        good = False
    assert good == uplink.is_edge_name(name)
