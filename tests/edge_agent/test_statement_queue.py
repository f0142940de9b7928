"""The queue of statements for locks. The queue keeps statements signed by the right party, and junk cannot take the
places of these statements.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.downlink import Downlink
from edge_agent.faults import Faults
from edge_agent.lock_state import LockState
from edge_agent.lock_statements import PLACES
from edge_agent.outbox import Outbox
from edge_agent.statement_queue import ALL_UNVERIFIED_PLACES, UNKNOWN_PLACES, UNVERIFIED_PLACES
from protocol import crypto_cpython as crypto
from protocol import statement, uplink
from protocol.edge_pass import EdgePass
from protocol.refusal import EQUIVOCATION
from protocol.revocation_list import RevocationList
from protocol.trust import Issuer, TrustList
from sim.province.registry import PROFILES
from tests.support.building import WiredLink
from tests.support.signing_lock import (
    PLATFORM_PUBLIC,
    PROVINCE_PRIVATE,
    PROVINCE_PUBLIC,
    SigningLock,
    applied,
    grant,
    opened,
)

NOBODY = crypto.generate("P-256")[0]
SOON, LATER = 1_900_000_000, 1_950_000_000


class Edge:
    """The downlink of an edge that has seen one lock."""

    def __init__(self, folder: Path, province: bytes | None = PROVINCE_PUBLIC) -> None:
        self.outbox = Outbox(folder / "outbox.sqlite3")
        self.locks: dict[str, LockState] = {}
        self.down = Downlink(self.outbox, self.locks, province, Faults())
        self.lock = self.meet()

    def meet(self) -> SigningLock:
        lock = SigningLock()
        self.outbox.lock_seen(lock.hello())
        return lock

    def connect(self) -> LockState:
        """Let the lock say HELLO over a new link."""
        known = self.locks["A"] = LockState("A", lambda on_hello: WiredLink(self.lock, on_hello), LockState.keep_hello)
        known.keep_hello(self.lock.hello())
        return known

    def told(self, *statements: bytes, lock: SigningLock | None = None) -> None:
        """Let the broker send commands with these statements for a lock."""
        lock_id = (lock or self.lock).lock_id
        for part in uplink.in_messages(list(statements)):
            self.down.on_command(uplink.parse_command(uplink.Command(lock_id, part).encode()))

    def waiting(self, lock: SigningLock | None = None) -> list[bytes]:
        return [queued.signed for queued in self.outbox.statements.waiting((lock or self.lock).lock_id)]


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    made = Edge(tmp_path)
    # These tests are not about power cuts, so the database need not flush.
    made.outbox._db.execute("PRAGMA synchronous = OFF")
    yield made
    made.outbox.close()


def by_province(kind: str, body: dict[object, object], private: bytes = PROVINCE_PRIVATE) -> bytes:
    return statement.sign(crypto, private, kind, body)


def trust_list(serial: int, private: bytes = PROVINCE_PRIVATE) -> bytes:
    return by_province("trust-list", TrustList(serial, 1, [Issuer(b"\x30\x01", ["x"])], []).body(), private)


def revocation(number: int, serial: int, private: bytes = PROVINCE_PRIVATE) -> bytes:
    return by_province("revocation-list", RevocationList(serial, number, b"\x30\x00").body(), private)


def profile(name: str, version: int = 1, private: bytes = PROVINCE_PRIVATE) -> bytes:
    return by_province("profile", {**PROFILES["CN"], "id": name, "version": version}, private)


def test_what_province_and_platform_signed_waits_in_the_order_in_which_a_lock_can_use_it(edge: Edge) -> None:
    edge.lock.journal()
    statements = [
        edge.lock.placement(),
        profile("CN"),
        trust_list(1),
        revocation(1, 1),
        revocation(8, 1),
        grant(1),
        grant(2),
    ]
    edge.told(*reversed(statements))
    receipt = edge.lock.receipt(1)
    edge.outbox.lock_seen(edge.lock.hello())
    applied(edge.outbox, opened(receipt), receipt)
    waiting = edge.waiting()
    assert waiting[:4] == [receipt, *statements[:3]]
    assert set(waiting[4:6]) == set(statements[3:5]) and set(waiting[6:]) == set(statements[5:])
    edge.told(*statements)
    assert edge.waiting() == waiting, "each waits once, however often it comes"


def test_junk_takes_no_place_from_what_the_province_signed(edge: Edge) -> None:
    junk = [by_province("trust-list", {1: number, 2: bytes(200)}, NOBODY) for number in range(300)]
    junk += [trust_list(2**53 - 1, NOBODY), edge.lock.placement(2**53 - 1, private=NOBODY), profile("CN", 99, NOBODY)]
    junk += [revocation(number, 2**53 - 1, NOBODY) for number in range(1, 9)]
    edge.told(*junk)
    assert edge.waiting() == [] and edge.outbox.statements.placement_serial(edge.lock.lock_id) == 0
    genuine = [edge.lock.placement(), profile("CN"), trust_list(1), revocation(1, 1), grant(1)]
    edge.told(*genuine, *(grant(1, serial=2**53 - 1, private=NOBODY) for _ in range(3)), *junk)
    assert edge.waiting() == genuine


def test_an_older_statement_never_takes_the_place_of_a_newer_one(edge: Edge) -> None:
    newer = [edge.lock.placement(2), profile("CN", 2), trust_list(2), revocation(3, 2), grant(7, 2)]
    older = [edge.lock.placement(1), profile("CN", 1), trust_list(1), revocation(3, 1), grant(7, 1)]
    edge.told(*newer, *older)
    assert edge.waiting() == newer
    newest = [edge.lock.placement(3), profile("CN", 3), trust_list(3), revocation(3, 3), grant(7, 3)]
    edge.told(*newest)
    assert edge.waiting() == newest, "one statement of each kind and name"


def test_the_same_serial_signed_anew_takes_no_place(edge: Edge) -> None:
    first = trust_list(5)
    edge.told(first, trust_list(5), trust_list(5))
    assert edge.waiting() == [first]


def test_the_result_for_a_statement_does_not_settle_the_newer_one_that_took_its_place(edge: Edge) -> None:
    edge.told(trust_list(1))
    (handed,) = edge.outbox.statements.waiting(edge.lock.lock_id)
    edge.told(trust_list(2))
    edge.outbox.statements.settle(handed)
    assert len(edge.waiting()) == 1


def test_a_flood_of_one_kind_or_for_one_lock_starves_no_other(edge: Edge) -> None:
    """The broker repeats all genuine statements that one lock got in years."""
    edge.told(edge.lock.placement(), *(grant(number) for number in range(PLACES["grant"] + 20)))
    assert len(edge.waiting()) == 1 + PLACES["grant"]
    edge.told(trust_list(1), profile("CN"), *(revocation(number, 1) for number in range(1, 9)))
    assert len(edge.waiting()) == 1 + PLACES["grant"] + 10
    other = edge.meet()
    edge.told(other.placement(), trust_list(1), grant(1), lock=other)
    assert len(edge.waiting(other)) == 3


def test_replayed_grants_of_stays_that_are_over_take_no_place_from_the_current_ones(edge: Edge) -> None:
    edge.told(edge.lock.placement(), *(grant(number, until=SOON) for number in range(PLACES["grant"])))
    current = [grant(5000 + number, until=LATER) for number in range(3)]
    edge.told(*current)
    assert set(current) < set(edge.waiting()) and len(edge.waiting()) == 1 + PLACES["grant"]
    edge.told(*(grant(9000 + number, until=SOON - 1) for number in range(50)))
    assert set(current) < set(edge.waiting())
    assert grant(9000, until=SOON - 1)[:-64] not in [signed[:-64] for signed in edge.waiting()]


def test_more_than_256_statements_for_a_lock_come_through_in_order(edge: Edge) -> None:
    grants = [grant(number) for number in range(300)]
    edge.told(edge.lock.placement(), *grants)
    assert edge.waiting()[1:] == grants


def test_grants_before_a_placement_have_a_few_places_of_their_own_and_are_judged_when_it_comes(edge: Edge) -> None:
    good, junk = grant(1), [grant(number, private=NOBODY) for number in range(2, 100)]
    edge.told(good, *junk, trust_list(1))
    assert len(edge.waiting()) == 1, "only the trust list; no grant is handed over yet"
    unverified = edge.outbox.statements.grants(edge.lock.lock_id, verified=False)
    assert len(unverified) == UNVERIFIED_PLACES and unverified[0].signed == good
    edge.told(edge.lock.placement())
    assert edge.outbox.statements.grants(edge.lock.lock_id, verified=False) == []
    assert [statement.parse(signed).kind for signed in edge.waiting()] == ["placement", "trust-list", "grant"]
    assert edge.waiting()[2] == good
    edge.told(*junk)
    assert len(edge.waiting()) == 3


def test_an_unverified_grant_takes_no_place_from_another_of_the_same_id(edge: Edge) -> None:
    good, placed = grant(1), edge.lock.placement()
    edge.told(grant(1, serial=2**53 - 1, private=NOBODY), good, placed)
    assert edge.waiting() == [placed, good]


def test_all_locks_together_hold_only_so_many_grants_that_cannot_be_verified(edge: Edge) -> None:
    locks = [edge.meet() for _ in range(ALL_UNVERIFIED_PLACES // UNVERIFIED_PLACES + 2)]
    for lock in locks:
        edge.told(*(grant(number, private=NOBODY) for number in range(UNVERIFIED_PLACES)), lock=lock)
    unverified = [len(edge.outbox.statements.grants(lock.lock_id, verified=False)) for lock in locks]
    assert sum(unverified) == ALL_UNVERIFIED_PLACES
    edge.told(locks[-1].placement(), grant(1), lock=locks[-1])
    assert len(edge.waiting(locks[-1])) == 2, "a grant that can be verified still finds a place"


def test_a_placement_that_names_another_platform_drops_the_grants_of_the_former(edge: Edge) -> None:
    private, public = crypto.generate("P-256")
    edge.told(edge.lock.placement(1), grant(1), grant(2))
    second = edge.lock.placement(2, platform=public)
    edge.told(second, grant(3, private=private))
    assert edge.waiting()[0] == second
    assert [statement.open(crypto, signed, "grant", public)[2] for signed in edge.waiting()[1:]] == [
        (3).to_bytes(16, "big")
    ]
    edge.told(edge.lock.placement(1), grant(4))
    assert len(edge.waiting()) == 2, "a replay of the former placement does not bring its platform back"


def test_what_a_lock_says_it_holds_is_learned_from_and_not_brought_again_but_older_and_newer_are(edge: Edge) -> None:
    edge.lock.held = {"placement": 2, "trust-list": 2, "revocation-list.3": 2}
    edge.connect()
    edge.told(edge.lock.placement(2), trust_list(2), revocation(3, 2))
    assert edge.waiting() == [] and edge.outbox.statements.platform_key(edge.lock.lock_id) == PLATFORM_PUBLIC
    older = [edge.lock.placement(1), trust_list(1), revocation(3, 1)]
    newer = [edge.lock.placement(3), trust_list(3), revocation(3, 3)]
    for statements in (older, newer):
        edge.told(*statements)
        assert edge.waiting() == statements, "the lock itself decides what is too old"
    edge.told(revocation(4, 2))
    assert len(edge.waiting()) == 4, "the lock holds another list"


def test_a_placement_of_another_lock_is_not_held_for_this_one(edge: Edge) -> None:
    edge.told(edge.meet().placement())
    assert edge.waiting() == [] and edge.outbox.statements.platform_key(edge.lock.lock_id) is None


def test_the_profile_that_the_placement_names_is_held_and_no_other(edge: Edge) -> None:
    edge.told(*(profile(f"X{number}") for number in range(9)))
    assert len(edge.waiting()) == PLACES["profile"], "before a placement comes, the latest few"
    edge.told(edge.lock.placement(), *(profile(f"Y{number}") for number in range(9)))
    own = profile("CN")
    edge.told(own, *(profile(f"Z{number}") for number in range(9)))
    assert own in edge.waiting()


def test_what_the_province_signed_in_a_form_of_later_is_carried_too_in_a_few_places(edge: Edge) -> None:
    statements = [by_province("placement", {1: 2, "new": number}) for number in range(UNKNOWN_PLACES + 5)]
    edge.told(edge.lock.placement(), *statements)
    assert edge.waiting()[1:] == statements[-UNKNOWN_PLACES:]
    edge.told(*(by_province("placement", {1: 2, "new": number}, NOBODY) for number in range(5)))
    assert edge.waiting()[1:] == statements[-UNKNOWN_PLACES:]


def test_kinds_that_are_not_for_locks_are_never_held(edge: Edge) -> None:
    edge.lock.journal()
    others = [
        edge.lock.refusal(EQUIVOCATION, *edge.lock.records),
        edge.lock.receipt(1),
        edge.lock.time_answer(bytes(16)),
        by_province("edge-pass", EdgePass(1, "edge", PROVINCE_PUBLIC, 2, [edge.lock.lock_id]).body()),
        by_province("listing-code", {1: 1}),
    ]
    edge.told(*others, b"junk")
    assert edge.waiting() == []
    assert edge.outbox.known_through(edge.lock.lock_id) == 0


def test_nothing_is_held_for_a_lock_that_was_never_here(edge: Edge) -> None:
    stranger = SigningLock()
    edge.told(stranger.placement(), trust_list(1), grant(1), lock=stranger)
    assert edge.waiting(stranger) == [] and edge.outbox.statements.platform_key(stranger.lock_id) is None


def test_a_time_for_another_lock_is_not_passed_on(edge: Edge) -> None:
    edge.lock.nonce = b"n" * 16
    known = edge.connect()
    edge.told(edge.meet().time_answer(b"n" * 16))
    assert known.time_answer is None
    forged = edge.lock.time_answer(b"n" * 16)
    edge.told(forged[:-1] + bytes((forged[-1] ^ 1,)))
    assert known.time_answer is None
    good = edge.lock.time_answer(b"n" * 16)
    edge.told(good)
    assert known.time_answer == (b"n" * 16, good)


def test_what_is_held_is_there_after_a_restart_with_what_the_placement_says(tmp_path: Path) -> None:
    edge = Edge(tmp_path)
    statements = [edge.lock.placement(), trust_list(1)]
    edge.told(*statements)
    edge.outbox.close()
    outbox = Outbox(tmp_path / "outbox.sqlite3")
    assert [queued.signed for queued in outbox.statements.waiting(edge.lock.lock_id)] == statements
    assert outbox.statements.platform_key(edge.lock.lock_id) == PLATFORM_PUBLIC
    outbox.close()


def test_in_an_experiment_without_the_provinces_key_statements_are_held_by_their_form(tmp_path: Path) -> None:
    edge = Edge(tmp_path, province=None)
    statements = [edge.lock.placement(private=NOBODY), trust_list(1, NOBODY), grant(1, private=NOBODY)]
    edge.told(*statements)
    assert edge.waiting() == statements
    edge.outbox.close()


def test_a_full_disk_leaves_what_is_held_as_it_was_and_ends_nothing(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    edge.told(trust_list(1))
    before = edge.waiting()
    pages = edge.outbox._db.execute("PRAGMA page_count").fetchone()[0]
    edge.outbox._db.execute(f"PRAGMA max_page_count = {pages}")
    edge.lock.nonce = b"n" * 16
    known = edge.connect()
    answer = edge.lock.time_answer(b"n" * 16)
    edge.told(*(by_province("placement", {1: 2, 2: bytes(7000), 3: number}) for number in range(5)), answer)
    assert edge.waiting() == before and known.time_answer == (b"n" * 16, answer)
    assert caplog.records[-1].getMessage() == "statement.not_queued"
    assert caplog.records[-1].__dict__["facts"]["code"] == "outbox.full"
