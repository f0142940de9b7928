"""Refusals at the edge. Each row of the table in docs/formats.md has a test. Other tests show what a refusal cannot
do."""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent import database, inventory, lock_statements
from edge_agent.downlink import Downlink
from edge_agent.faults import Faults
from edge_agent.outbox import Key, Outbox
from protocol import cbor, record, statement, uplink
from protocol import crypto_cpython as crypto
from protocol.errors import FormatError
from protocol.record import Record
from protocol.refusal import EQUIVOCATION, SIGNATURE, Refusal
from tests.support.signing_lock import PROVINCE_PRIVATE, PROVINCE_PUBLIC, SigningLock, grant


class Edge:
    """An outbox and a downlink. The outbox has five records of one lock."""

    def __init__(
        self, folder: Path, province: bytes | None = PROVINCE_PUBLIC, kind: Callable[[Path], Outbox] = Outbox
    ) -> None:
        self.path = folder / "outbox.sqlite3"
        self.outbox = kind(self.path)
        self.settled: list[Key] = []
        self.faults = Faults()
        self.down = Downlink(self.outbox, {}, province, self.faults)
        self.lock = SigningLock()
        self.outbox.lock_seen(self.lock.hello())
        for item in self.lock.journal(5):
            assert self.outbox.put(item) == "stored"

    def told(self, *statements: bytes) -> None:
        """Let the broker send a message with these statements."""
        self.told_raw(uplink.Receipts(list(statements)).encode())

    def told_raw(self, message: bytes) -> None:
        self.settled += self.down.on_receipts(uplink.parse_receipts(message))

    def commanded_raw(self, message: bytes) -> None:
        self.down.on_command(uplink.parse_command(message))

    def queue(self) -> list[int]:
        return [row.counter for row in self.outbox.batch(0, 10**9, 100)]

    def damage(self, counter: int, at: int) -> Record:
        """Flip one bit of a record, as a bad SD card does. Return the changed record."""
        raw = bytearray(self.lock.records[counter - 1].raw)
        raw[at] ^= 1
        self._overwrite(counter, bytes(raw))
        return record.parse(bytes(raw))

    def cut_short(self, counter: int) -> None:
        """Lose the end of a record, as a bad SD card does."""
        self._overwrite(counter, self.lock.records[counter - 1].raw[:-1])

    def _overwrite(self, counter: int, raw: bytes) -> None:
        with closing(database.open_for_writing(self.path)) as connection:
            connection.execute("UPDATE records SET record = ? WHERE counter = ?", (raw, counter))

    def aside(self) -> list[tuple[object, object]]:
        with closing(database.open_for_reading(self.path)) as look:
            return [(row["counter"], row["code"]) for row in inventory.quarantine(look)]

    def disputed(self) -> list[tuple[object, object]]:
        with closing(database.open_for_reading(self.path)) as look:
            return [(row["counter"], row["code"]) for row in inventory.disputed(look)]


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    made = Edge(tmp_path)
    yield made
    made.outbox.close()


@pytest.fixture
def lock(edge: Edge) -> SigningLock:
    return edge.lock


@pytest.fixture
def events(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return the names of the events that were logged."""
    caplog.set_level("INFO", logger="edge_agent")
    return lambda: [record.getMessage() for record in caplog.records]


ALL = [1, 2, 3, 4, 5]


# --- the table: what is refused, and what our own check says --------------------------------------------------------


def test_a_record_that_the_lock_signed_twice_is_set_aside_kept_and_shown(edge: Edge, lock: SigningLock) -> None:
    edge.told(lock.refusal(EQUIVOCATION, lock.records[1]))
    assert edge.queue() == [1, 3, 4, 5] and edge.settled == [(lock.lock_id, 2)]
    assert edge.aside() == [(2, EQUIVOCATION)] and edge.disputed() == []
    with closing(database.open_for_reading(edge.path)) as look:
        assert look.execute("SELECT record FROM quarantine").fetchall() == [(lock.records[1].raw,)]


def test_a_record_set_aside_does_not_come_back_from_the_lock_whatever_its_signature(
    edge: Edge, lock: SigningLock
) -> None:
    edge.told(lock.refusal(EQUIVOCATION, lock.records[4]))
    signed_anew = lock.sign_again(lock.records[4])
    assert [edge.outbox.put(item) for item in (lock.records[4], signed_anew)] == ["duplicate", "duplicate"]
    assert edge.outbox.known_through(lock.lock_id) == 5 and edge.queue() == [1, 2, 3, 4]


def test_a_record_whose_signature_is_refused_and_is_good_is_kept_and_the_fault_is_shown(
    edge: Edge, lock: SigningLock, events: Callable[[], list[str]]
) -> None:
    edge.told(lock.refusal(SIGNATURE, *lock.records))
    assert edge.queue() == ALL and edge.settled == [] and edge.aside() == []
    assert edge.disputed() == [(counter, SIGNATURE) for counter in ALL]
    edge.told(lock.refusal(SIGNATURE, *lock.records))
    assert events().count("refusal.disputed") == 5, "one log line, however often it is repeated"


def test_a_dispute_is_over_with_the_receipt_for_the_record(edge: Edge, lock: SigningLock) -> None:
    edge.told(lock.refusal(SIGNATURE, *lock.records))
    edge.told(lock.receipt(3))
    assert edge.queue() == [4, 5]
    assert edge.disputed() == [(4, SIGNATURE), (5, SIGNATURE)]


@pytest.mark.parametrize("at", [-1, -80], ids=["signature", "payload"])
def test_a_record_whose_signature_is_refused_and_was_damaged_here_is_set_aside_and_fetched_again(
    edge: Edge, lock: SigningLock, at: int
) -> None:
    sent = edge.damage(2, at)
    edge.told(lock.refusal(SIGNATURE, sent, lock.records[2]))
    assert edge.queue() == [1, 3, 4, 5] and edge.settled == [(lock.lock_id, 2)]
    assert edge.aside() == [(2, SIGNATURE)] and edge.disputed() == [(3, SIGNATURE)]
    assert edge.outbox.known_through(lock.lock_id) == 1, "the lock is asked again from this record on"
    assert [edge.outbox.put(item) for item in lock.records[1:]] == ["stored"] + ["duplicate"] * 3
    assert edge.outbox.known_through(lock.lock_id) == 5


def test_a_refused_record_is_judged_by_its_copy_on_the_disk_and_not_by_what_arrived(
    edge: Edge, lock: SigningLock
) -> None:
    """The copy must be parsed again. If the edge used the data that arrived, the record would seem good, and the
    refusal would seem to be about another record.
    """
    copy = edge.damage(2, -80)
    assert edge.outbox.queued((lock.lock_id, 2)) == (copy.raw, lock.records[1].payload_hash)
    assert copy.payload_hash != lock.records[1].payload_hash
    edge.told(lock.refusal(SIGNATURE, copy, lock.records[2]))
    assert (edge.aside(), edge.disputed()) == ([(2, SIGNATURE)], [(3, SIGNATURE)])
    edge.cut_short(4)  # this copy is not a record any more
    edge.told(lock.refusal(SIGNATURE, lock.records[3]))
    assert edge.aside() == [(2, SIGNATURE), (4, SIGNATURE)]


@pytest.mark.parametrize("over", ["the province's receipt", "the lock's word"])
def test_a_damaged_record_that_was_receipted_meanwhile_is_not_fetched(edge: Edge, lock: SigningLock, over: str) -> None:
    edge.told(lock.refusal(SIGNATURE, edge.damage(2, -1)))
    if over == "the province's receipt":
        edge.told(lock.receipt(3))
    else:
        lock.receipted_through = 3
        edge.outbox.lock_seen(lock.hello())
    assert edge.outbox.known_through(lock.lock_id) == 5


def test_a_refusal_for_a_reason_that_this_agent_does_not_know_keeps_the_record_and_is_shown(
    edge: Edge, lock: SigningLock
) -> None:
    edge.told(lock.refusal("profile.missing", lock.records[2]))
    assert edge.queue() == ALL and edge.aside() == [] and edge.disputed() == [(3, "profile.missing")]


def test_a_refusal_of_another_payload_under_that_counter_does_nothing(edge: Edge, lock: SigningLock) -> None:
    """The refusal is about a record that is not stored here. The refused record has the same counter as ours.

    The lock or a stranger made that record.
    """
    edge.told(*(lock.refusal(code, lock.make(counter=2)) for code in (EQUIVOCATION, SIGNATURE, "other")))
    assert (edge.queue(), edge.aside(), edge.disputed()) == (ALL, [], [])


def test_a_refusal_of_records_that_are_not_here_does_nothing(edge: Edge, lock: SigningLock) -> None:
    refused = [(number, bytes(32), EQUIVOCATION) for number in (6, 2**53 - 1)]
    body = Refusal(lock.lock_id, 1_800_000_000, refused).body()
    edge.told(statement.sign(crypto, PROVINCE_PRIVATE, "refusal", body))
    stranger = SigningLock()
    edge.told(stranger.refusal(EQUIVOCATION, *stranger.journal(3)))
    assert (edge.queue(), edge.aside(), edge.disputed()) == (ALL, [], [])


def test_a_refusal_that_names_another_lock_touches_no_record_of_this_one(edge: Edge, lock: SigningLock) -> None:
    refused = sorted((item.counter, item.payload_hash, EQUIVOCATION) for item in lock.records)
    body = Refusal(SigningLock().lock_id, 1_800_000_000, refused).body()
    edge.told(statement.sign(crypto, PROVINCE_PRIVATE, "refusal", body))
    assert (edge.queue(), edge.aside()) == (ALL, [])


def test_a_refusal_replayed_does_nothing_more(edge: Edge, lock: SigningLock) -> None:
    signed = lock.refusal(EQUIVOCATION, lock.records[0])
    for _ in range(3):
        edge.told(signed, signed)
    assert edge.aside() == [(1, EQUIVOCATION)] and edge.settled == [(lock.lock_id, 1)]


def test_a_refusal_and_a_receipt_that_reaches_over_it_keep_the_refused_record_in_any_order(
    edge: Edge, lock: SigningLock
) -> None:
    edge.told(lock.receipt(5), lock.refusal(EQUIVOCATION, lock.records[1]))
    assert edge.queue() == [] and edge.aside() == [(2, EQUIVOCATION)]


# --- what is no refusal ---------------------------------------------------------------------------------------------


def _unsigned(lock: SigningLock) -> bytes:
    return cbor.encode([lock.lock_id, 1, lock.records[0].payload_hash, EQUIVOCATION])


def _by_nobody(lock: SigningLock) -> bytes:
    return lock.refusal(EQUIVOCATION, *lock.records, private=crypto.generate("P-256")[0])


def _by_the_lock(lock: SigningLock) -> bytes:
    return lock.refusal(EQUIVOCATION, *lock.records, private=lock.private)


def _altered(lock: SigningLock) -> bytes:
    protected, unprotected, payload, signature = cbor.decode(lock.refusal(SIGNATURE, *lock.records))
    return cbor.encode([protected, unprotected, payload.replace(SIGNATURE.encode(), b"cose.signaturf"), signature])


def _beyond_the_limit(lock: SigningLock) -> bytes:
    entries = [[number, bytes(32), EQUIVOCATION] for number in range(1, 66)]
    return statement.sign(crypto, PROVINCE_PRIVATE, "refusal", {1: 1, 2: lock.lock_id, 3: 1, 4: entries})


def _huge_counter(lock: SigningLock) -> bytes:
    body = {1: 1, 2: lock.lock_id, 3: 1, 4: [[2**64 - 1, lock.records[0].payload_hash, EQUIVOCATION]]}
    return statement.sign(crypto, PROVINCE_PRIVATE, "refusal", body)


def _of_another_kind(lock: SigningLock) -> bytes:
    body = statement.parse(lock.refusal(EQUIVOCATION, *lock.records)).read("refusal")
    return statement.sign(crypto, PROVINCE_PRIVATE, "receipt", body)


@pytest.mark.parametrize(
    "made", [_unsigned, _by_nobody, _by_the_lock, _altered, _beyond_the_limit, _huge_counter, _of_another_kind]
)
def test_what_the_province_did_not_sign_in_this_form_moves_nothing(
    edge: Edge, lock: SigningLock, made: Callable[[SigningLock], bytes], events: Callable[[], list[str]]
) -> None:
    edge.told(made(lock))
    assert (edge.queue(), edge.aside(), edge.disputed(), edge.settled) == (ALL, [], [], [])
    assert events() == ["statement.refused"]


def test_junk_on_the_receipt_topic_is_told_in_a_line_for_each_reason(
    edge: Edge, lock: SigningLock, events: Callable[[], list[str]]
) -> None:
    edge.told(*[b"junk"] * 100, *[_by_nobody(lock)] * 100, lock.receipt(1))
    assert edge.queue() == [2, 3, 4, 5]
    assert sorted(events()) == ["receipt.accepted", "statement.refused", "statement.refused"]


def test_a_receipt_for_a_lock_that_was_never_here_leaves_nothing_behind(edge: Edge) -> None:
    stranger = SigningLock()
    stranger.journal(2)
    edge.told(stranger.receipt(2))
    assert not edge.outbox.knows(stranger.lock_id) and edge.outbox.statements.waiting(stranger.lock_id) == []


def test_a_refusal_is_never_held_for_a_lock_whatever_topic_it_comes_by(edge: Edge, lock: SigningLock) -> None:
    signed = lock.refusal(EQUIVOCATION, lock.records[1])
    edge.down.on_command(uplink.Command(lock.lock_id, [signed]))
    assert edge.queue() == ALL, "that topic is for locks"
    edge.told(signed)
    assert edge.queue() == [1, 3, 4, 5]
    assert edge.outbox.statements.waiting(lock.lock_id) == []


# --- whatever is not signed -----------------------------------------------------------------------------------------


def _content(path: Path) -> list[str]:
    """Return the whole content of the outbox, except times."""
    with closing(database.open_for_reading(path)) as look:
        return list(look.iterdump())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_bit_turned_in_what_the_province_signed_moves_or_holds_anything(edge: Edge, data: st.DataObject) -> None:
    lock = edge.lock
    edge.outbox.statements.add(
        lock.lock_id, lock_statements.read(statement.parse(lock.placement()), lock.lock_id, PROVINCE_PUBLIC, None)
    )
    signed = data.draw(st.sampled_from(["receipt", "refusal", "placement", "grant"]))
    raw, take = {
        "receipt": (uplink.Receipts([lock.receipt(3)]).encode(), edge.told_raw),
        "refusal": (uplink.Receipts([lock.refusal(EQUIVOCATION, *lock.records)]).encode(), edge.told_raw),
        "placement": (uplink.Command(lock.lock_id, [lock.placement(2)]).encode(), edge.commanded_raw),
        "grant": (uplink.Command(lock.lock_id, [grant(1)]).encode(), edge.commanded_raw),
    }[signed]
    at, bit = data.draw(st.integers(0, len(raw) - 1)), data.draw(st.integers(0, 7))
    before = _content(edge.path)
    with suppress(FormatError):
        take(raw[:at] + bytes((raw[at] ^ 1 << bit,)) + raw[at + 1 :])
    assert _content(edge.path) == before


class Defective(Outbox):
    """An outbox with a defect: it cannot set the third record aside."""

    def set_aside(self, key: Key, code: str, *, authentic: bool) -> None:
        if key[1] == 3:
            raise ZeroDivisionError
        super().set_aside(key, code, authentic=authentic)


def test_an_unforeseen_error_in_a_message_ends_one_statement_and_hides_no_record_that_has_left(tmp_path: Path) -> None:
    edge = Edge(tmp_path, kind=Defective)
    with closing(edge.outbox):
        lock = edge.lock
        edge.told(lock.refusal(EQUIVOCATION, *lock.records[1:4]), lock.receipt(1))
        assert edge.settled == [(lock.lock_id, 2), (lock.lock_id, 1)] and edge.queue() == [3, 4, 5]
        assert edge.faults.counts == {"ZeroDivisionError": 1}
