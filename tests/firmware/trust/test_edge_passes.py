"""Which edges a lock talks to, and which it refuses."""

from collections.abc import Callable
from pathlib import Path

import pytest

from firmware.memory import identity
from firmware.memory.store import Store
from firmware.trust.edge_passes import NAMES, EdgePasses
from protocol import crypto_cpython as crypto
from protocol import link_initiator, link_session, statement
from protocol.edge_pass import MAX_LOCKS
from protocol.errors import MooringError
from tests.support.link_keys import NOW, LinkKeys

KEYS = LinkKeys(crypto)
EDGE = KEYS.edge[1]


class Clock:
    """A clock that stands still. Tests set its interval."""

    def __init__(self) -> None:
        self.now: tuple[int, int | None] = (NOW + 10, NOW + 15)

    def interval(self) -> tuple[int, int | None]:
        return self.now


class Gate:
    """The edge passes of a lock. The flash survives `reboot`. Signature checks are counted."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(str(folder))
        self.clock = Clock()
        self.checked = 0
        self.reboot()

    def reboot(self) -> None:
        own = identity.Identity(crypto, KEYS.lock[0], KEYS.lock[0], KEYS.province[1], KEYS.link, KEYS.proof())
        self.passes = EdgePasses(self, self.store, own, self.clock)  # type: ignore[arg-type]  # crypto, and a clock

    def __getattr__(self, name: str) -> object:
        return getattr(crypto, name)

    def verify(self, *arguments: object) -> bool:
        self.checked += 1
        return crypto.verify(*arguments)  # type: ignore[arg-type]  # counted and handed on

    def enters(self, edge_pass: bytes, public: bytes = EDGE) -> bool:
        self.passes.judge(edge_pass, public)
        return True

    def refusal(self, edge_pass: bytes, public: bytes = EDGE) -> str:
        with pytest.raises(MooringError) as raised:
            self.passes.judge(edge_pass, public)
        return raised.value.code


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


def test_an_edge_with_a_good_pass_enters(gate: Gate) -> None:
    assert gate.passes.judge(KEYS.edge_pass(), EDGE).edge == "edge-1"
    assert gate.enters(KEYS.edge_pass(locks=[bytes(16), KEYS.lock_id]))


def test_a_stolen_pass_is_of_no_use_to_another_key(gate: Gate) -> None:
    assert gate.refusal(KEYS.edge_pass(), crypto.generate("P-256")[1]) == "edge-pass.key"
    assert gate.checked == 0, "and no signature was checked"


def test_a_pass_that_nobody_or_somebody_else_signed_is_refused(gate: Gate) -> None:
    forged = KEYS.edge_pass(signer=KEYS.edge[0])
    assert gate.refusal(forged) == "cose.signature"
    assert gate.refusal(forged) == "cose.signature", "it is refused the second time too"


def test_a_statement_of_another_kind_is_no_pass(gate: Gate) -> None:
    grant = statement.sign(crypto, KEYS.province[0], "grant", statement.parse(KEYS.edge_pass()).read("edge-pass"))
    assert gate.refusal(grant) == "statement.kind"


@pytest.mark.parametrize("change", [lambda p: p[:-1], lambda p: p + b"\0", lambda p: b"", lambda p: b"\xff" * 200])
def test_what_is_no_statement_is_no_pass(gate: Gate, change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(MooringError):
        gate.passes.judge(change(KEYS.edge_pass()), EDGE)


def test_a_pass_for_other_locks_is_refused(gate: Gate) -> None:
    assert gate.refusal(KEYS.edge_pass(locks=[bytes(16)])) == "edge-pass.lock"


@pytest.mark.parametrize("locks", [None, [], [KEYS.lock_id] * (MAX_LOCKS + 1)], ids=["none", "empty", "too many"])
def test_a_pass_without_a_list_of_at_most_64_locks_admits_nobody(gate: Gate, locks: list[bytes] | None) -> None:
    body = statement.parse(KEYS.edge_pass()).read("edge-pass")
    signed = statement.sign(crypto, KEYS.province[0], "edge-pass", {**body, 6: locks})
    assert gate.refusal(signed) == "edge-pass.form"


@pytest.mark.parametrize(
    ("clock", "enters"),
    [
        ((NOW + 86390, NOW + 86400), True),
        ((NOW + 86390, NOW + 86401), False),  # the pass may have expired
        ((NOW + 86401, NOW + 86500), False),
        ((0, None), True),  # after a cold start without a floor, the lock gets the time over this link
        ((NOW + 86400, None), True),
        ((NOW + 86401, None), False),  # a floor after the end of the pass proves that the pass has expired
    ],
)
def test_an_expired_pass_is_refused_by_what_the_lock_knows_of_the_time(
    gate: Gate, clock: tuple[int, int | None], enters: bool
) -> None:
    gate.clock.now = clock
    if enters:
        assert gate.enters(KEYS.edge_pass())
    else:
        assert gate.refusal(KEYS.edge_pass()) == "edge-pass.expired"


def test_a_pass_expires_also_after_it_has_been_seen(gate: Gate) -> None:
    gate.enters(KEYS.edge_pass())
    gate.clock.now = (NOW + 90000, NOW + 90001)
    assert gate.refusal(KEYS.edge_pass()) == "edge-pass.expired"


def test_a_signature_is_checked_once_and_then_known_by_its_hash(gate: Gate) -> None:
    edge_pass = KEYS.edge_pass()
    for _ in range(5):
        gate.enters(edge_pass)
    assert gate.checked == 1


def test_a_stolen_edge_is_shut_out_once_its_replacement_has_been_here(gate: Gate) -> None:
    replacement = crypto.generate("P-256")[1]
    gate.enters(KEYS.edge_pass())
    gate.enters(KEYS.edge_pass(issued_at=NOW + 5, public=replacement), replacement)
    assert gate.refusal(KEYS.edge_pass()) == "edge-pass.replaced"
    gate.reboot()
    assert gate.refusal(KEYS.edge_pass()) == "edge-pass.replaced", "it is refused after a power cut too"
    assert gate.enters(KEYS.edge_pass(edge="edge-2")), "other edges are not affected"


def test_a_forged_pass_replaces_nothing(gate: Gate) -> None:
    gate.refusal(KEYS.edge_pass(issued_at=NOW + 5, signer=KEYS.edge[0]))
    assert gate.enters(KEYS.edge_pass())


def test_the_lock_remembers_a_bounded_number_of_edges(gate: Gate) -> None:
    for number in range(NAMES + 5):
        gate.enters(KEYS.edge_pass(issued_at=NOW + number, edge=f"edge-{number}"))
    gate.reboot()
    assert gate.refusal(KEYS.edge_pass(issued_at=NOW, edge=f"edge-{NAMES + 4}")) == "edge-pass.replaced"


def test_a_lock_makes_its_link_key_once_and_proves_it_with_its_identity(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    identity.enrol(crypto, store, KEYS.province[1])
    first, second = identity.load(crypto, store), identity.load(crypto, store)
    assert first is not None and second is not None
    assert first.link == second.link and first.link[0] not in (first.private, first.reader_auth_private)
    edge = link_initiator.Initiator(crypto, KEYS.edge)
    lock = link_session.Responder(crypto, first.link, first.link_proof, crypto.generate("P-256"))
    lock.opened(edge.open())
    assert edge.answered(lock.answer()) == first.public


def test_a_lock_enrolled_before_there_was_a_link_key_gets_one_at_boot(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    identity.enrol(crypto, store, KEYS.province[1])
    (tmp_path / "link").unlink()
    own, again = identity.load(crypto, store), identity.load(crypto, store)
    assert own is not None and again is not None and own.link == again.link
