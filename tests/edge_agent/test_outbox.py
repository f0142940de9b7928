"""The outbox on real SQLite files."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent import database, inventory
from edge_agent.outbox import FORGED_LIMIT, Outbox
from protocol import crypto_cpython as crypto
from protocol import record
from protocol.cbor import LARGEST
from protocol.errors import StorageError, VerificationError
from tests.support.signing_lock import SigningLock, applied, opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "outbox.sqlite3"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    with closing(Outbox(path)) as opened_outbox:
        yield opened_outbox


@pytest.fixture
def lock() -> SigningLock:
    return SigningLock()


def counters(outbox: Outbox) -> list[int]:
    return [row.counter for row in outbox.batch(0, 10**9, 10**6)]


def fill(outbox: Outbox, lock: SigningLock, count: int) -> None:
    outbox.lock_seen(lock.hello())
    for item in lock.journal(count):
        assert outbox.put(item) == "stored"


def test_the_database_is_in_wal_mode_and_flushes_every_commit(path: Path) -> None:
    with closing(database.open_for_writing(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_only_the_service_can_read_the_file(path: Path, outbox: Outbox) -> None:
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_a_record_is_stored_once_however_often_it_comes(outbox: Outbox, lock: SigningLock) -> None:
    (item,) = lock.journal()
    assert [outbox.put(item) for _ in range(3)] == ["stored", "duplicate", "duplicate"]
    assert counters(outbox) == [1]


def test_the_same_payload_signed_anew_is_a_duplicate(outbox: Outbox, lock: SigningLock) -> None:
    (item,) = lock.journal()
    again = record.parse(record.sign(crypto, lock.private, item.payload))
    assert again.raw != item.raw
    assert [outbox.put(item), outbox.put(again)] == ["stored", "duplicate"]


def test_another_payload_under_a_taken_key_is_kept_aside_and_never_overwrites(
    path: Path, outbox: Outbox, lock: SigningLock
) -> None:
    first, other = lock.make(), lock.make()
    assert outbox.put(first) == "stored"
    assert [outbox.put(other), outbox.put(other)] == ["conflict", "conflict"]
    assert [row.record for row in outbox.batch(0, 10**6, 10)] == [first.raw]
    with closing(database.open_for_reading(path)) as look:
        (aside,) = inventory.quarantine(look)
    assert (aside["counter"], aside["code"]) == (1, "outbox.conflict")


def test_a_batch_respects_bytes_and_count_but_always_has_one(outbox: Outbox, lock: SigningLock) -> None:
    fill(outbox, lock, 6)
    size = len(lock.records[0].raw)
    assert len(outbox.batch(0, 10 * size, 4)) == 4
    assert len(outbox.batch(0, 2 * size + size // 2, 100)) == 2
    assert len(outbox.batch(0, 1, 100)) == 1


def test_a_batch_is_of_some_locks_or_of_all_but_some(outbox: Outbox, lock: SigningLock) -> None:
    other = SigningLock()
    for one in (lock, other, lock):
        fill(outbox, one, 1)
    rows = outbox.batch(0, 10**6, 10)
    assert outbox.newest() == rows[-1].id
    assert outbox.batch(0, 10**6, 10, only=[lock.lock_id]) == [rows[0], rows[2]]
    assert outbox.batch(0, 10**6, 10, without=[lock.lock_id]) == [rows[1]]
    assert outbox.batch(0, 10**6, 10, only=[lock.lock_id, other.lock_id]) == rows
    assert outbox.batch(0, 10**6, 10, only=[]) == []
    assert outbox.batch(0, 10**6, 1, without=[lock.lock_id]) == [rows[1]], (
        "records of other locks do not count towards the limit"
    )


def test_a_receipt_deletes_what_it_covers_and_waits_for_the_lock(outbox: Outbox, lock: SigningLock) -> None:
    fill(outbox, lock, 5)
    signed = lock.receipt(3)
    assert applied(outbox, opened(signed), signed) == [(lock.lock_id, n) for n in (1, 2, 3)]
    assert counters(outbox) == [4, 5]
    assert [(queued.kind, queued.signed) for queued in outbox.statements.waiting(lock.lock_id)] == [("receipt", signed)]
    assert outbox.known_through(lock.lock_id) == 5


def test_a_receipt_repeated_deletes_nothing_more(outbox: Outbox, lock: SigningLock) -> None:
    fill(outbox, lock, 2)
    signed = lock.receipt(2)
    assert len(applied(outbox, opened(signed), signed)) == 2
    assert applied(outbox, opened(signed), signed) == []


def test_a_receipted_record_sent_again_is_a_duplicate(outbox: Outbox, lock: SigningLock) -> None:
    fill(outbox, lock, 2)
    signed = lock.receipt(2)
    applied(outbox, opened(signed), signed)
    assert [outbox.put(item) for item in lock.records] == ["duplicate", "duplicate"]
    assert outbox.put(lock.make(counter=2, previous=lock.records[0].payload_hash)) == "conflict"


def test_a_receipt_of_one_lock_touches_no_other(outbox: Outbox, lock: SigningLock) -> None:
    other = SigningLock()
    fill(outbox, lock, 2)
    fill(outbox, other, 2)
    signed = lock.receipt(2)
    applied(outbox, opened(signed), signed)
    assert [row.lock_id for row in outbox.batch(0, 10**6, 10)] == [other.lock_id] * 2


@pytest.mark.parametrize(
    ("through", "head", "code"),
    [(1, None, "receipt.regressed"), (2, b"\1" * 32, "receipt.conflict"), (3, b"\1" * 32, "receipt.chain")],
)
def test_a_receipt_that_contradicts_is_refused_and_deletes_nothing(
    outbox: Outbox, lock: SigningLock, through: int, head: bytes | None, code: str
) -> None:
    fill(outbox, lock, 4)
    good = lock.receipt(2)
    applied(outbox, opened(good), good)
    signed = lock.receipt(through, head=head)
    with pytest.raises(VerificationError) as refusal:
        applied(outbox, opened(signed), signed)
    assert refusal.value.code == code
    assert counters(outbox) == [3, 4]


def test_a_record_whose_successor_names_another_is_not_deleted(outbox: Outbox, lock: SigningLock) -> None:
    """The province committed a record with counter 1 that differs from ours. The hash chain shows the difference."""
    outbox.put(lock.make())
    for item in lock.journal(3)[1:]:
        outbox.put(item)
    signed = lock.receipt(3)
    with pytest.raises(VerificationError) as refusal:
        applied(outbox, opened(signed), signed)
    assert refusal.value.code == "receipt.chain"
    assert counters(outbox) == [1, 2, 3]


def test_a_break_in_the_chain_is_passed_with_a_receipt_for_each_side(outbox: Outbox, lock: SigningLock) -> None:
    fill(outbox, lock, 2)
    lock.records.append(lock.make(previous=b"\5" * 32))
    outbox.put(lock.records[2])
    fill(outbox, lock, 1)
    sides = [(opened(signed), signed) for signed in (lock.receipt(2), lock.receipt(4))]
    with pytest.raises(VerificationError) as refusal:
        applied(outbox, *sides[1])
    assert refusal.value.code == "receipt.chain"
    assert [len(applied(outbox, *side)) for side in sides] == [2, 2]
    assert [queued.signed for queued in outbox.statements.waiting(lock.lock_id)] == [sides[1][1]]


def test_a_receipt_beyond_what_is_held_is_the_provinces_word(outbox: Outbox, lock: SigningLock) -> None:
    """A new Pi in place of a broken one has only some of the records."""
    lock.journal(5)
    outbox.lock_seen(lock.hello())
    outbox.put(lock.records[1])
    signed = lock.receipt(4)
    assert applied(outbox, opened(signed), signed) == [(lock.lock_id, 2)]
    assert outbox.known_through(lock.lock_id) == 4


@pytest.mark.parametrize("through", [4, 5, 1 << 50])
def test_a_genuine_receipt_beyond_what_the_lock_ever_had_deletes_nothing(
    outbox: Outbox, lock: SigningLock, through: int
) -> None:
    fill(outbox, lock, 3)
    outbox.lock_seen(lock.hello())
    signed = lock.receipt(through, head=bytes(32))
    with pytest.raises(VerificationError, match=r"receipt\.beyond"):
        applied(outbox, opened(signed), signed)
    assert counters(outbox) == [1, 2, 3] and outbox.statements.waiting(lock.lock_id) == []
    lock.journal(1)
    outbox.lock_seen(lock.hello())
    signed = lock.receipt(4)
    assert len(applied(outbox, opened(signed), signed)) == 3, "the lock has had it by now"


def test_a_lock_that_did_not_take_its_receipt_is_asked_for_its_records_again(outbox: Outbox, lock: SigningLock) -> None:
    fill(outbox, lock, 3)
    signed = lock.receipt(3)
    applied(outbox, opened(signed), signed)
    outbox.lock_seen(lock.hello())
    assert outbox.known_through(lock.lock_id) == 3, "the receipt still waits to be delivered"
    queue = outbox.statements
    queue.settle(queue.waiting(lock.lock_id)[0])
    outbox.lock_seen(lock.hello())
    assert outbox.known_through(lock.lock_id) == 0
    assert outbox.put(lock.records[0]) == "stored"


def test_a_receipt_the_lock_already_knows_is_not_held_for_it(outbox: Outbox, lock: SigningLock) -> None:
    fill(outbox, lock, 2)
    signed = lock.receipt(2)
    applied(outbox, opened(signed), signed)
    lock.receipted_through = 2
    outbox.lock_seen(lock.hello())
    assert outbox.statements.waiting(lock.lock_id) == []


def test_forged_records_do_not_move_the_counter_and_are_bounded(path: Path, outbox: Outbox, lock: SigningLock) -> None:
    assert outbox.keep_forged(lock.lock_id, 10**9, b"junk", "cose.signature")
    assert outbox.known_through(lock.lock_id) == 0
    with closing(database.open_for_writing(path)) as connection:
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO quarantine "
            "(lock_id, counter, record_hash, authentic, record, code, stored_at) "
            "SELECT x'00', i, x'00', 0, x'00', 'c', 0 FROM n",
            (FORGED_LIMIT,),
        )
    assert not outbox.keep_forged(lock.lock_id, 2, b"more", "cose.signature")


def test_a_full_outbox_refuses_to_take_and_still_lets_go(path: Path, lock: SigningLock) -> None:
    lock.journal(3)
    size = len(lock.records[0].raw)
    with closing(Outbox(path, max_bytes=2 * size + 10)) as outbox:
        outbox.put(lock.records[0])
        outbox.put(lock.records[1])
        with pytest.raises(StorageError) as refusal:
            outbox.put(lock.records[2])
        assert refusal.value.code == "outbox.limit"
        signed = lock.receipt(2)
        applied(outbox, opened(signed), signed)
        assert outbox.put(lock.records[2]) == "stored"


def test_the_disk_reserve_is_left_alone(path: Path, lock: SigningLock) -> None:
    with closing(Outbox(path, reserve_bytes=1 << 60)) as outbox:
        with pytest.raises(StorageError) as refusal:
            outbox.put(lock.make())
        assert refusal.value.code == "outbox.reserve"


def test_what_was_stored_is_there_after_a_restart(path: Path, lock: SigningLock) -> None:
    with closing(Outbox(path)) as outbox:
        fill(outbox, lock, 3)
    with closing(Outbox(path)) as outbox:
        assert [row.record for row in outbox.batch(0, 10**6, 10)] == [item.raw for item in lock.records]


def test_row_ids_are_never_used_again(outbox: Outbox, lock: SigningLock) -> None:
    """The number of a deleted record is not used again. Otherwise a cursor into the queue could skip a new record."""
    fill(outbox, lock, 2)
    last = outbox.batch(0, 10**6, 10)[-1].id
    signed = lock.receipt(2)
    applied(outbox, opened(signed), signed)
    fill(outbox, lock, 1)
    assert outbox.batch(last, 10**6, 10)[0].counter == 3


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        ("PRAGMA user_version = 99", "outbox.version"),
        ("PRAGMA user_version = 1", "outbox.version"),
        ("PRAGMA application_id = 7", "outbox.foreign"),
    ],
)
def test_a_file_of_someone_else_or_of_another_version_is_refused(path: Path, damage: str, code: str) -> None:
    Outbox(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(damage)
    with pytest.raises(StorageError) as refusal:
        Outbox(path)
    assert refusal.value.code == code
    with pytest.raises(StorageError) as refusal:
        database.open_for_reading(path)
    assert refusal.value.code == code


@pytest.mark.parametrize("version", [2, 3, 4])
def test_a_file_of_a_version_before_keeps_all_that_is_in_it(path: Path, version: int) -> None:
    lock = SigningLock()
    with closing(Outbox(path)) as outbox:
        fill(outbox, lock, 3)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP INDEX disputed_records")
        if version < 4:
            connection.executescript(
                "ALTER TABLE records DROP COLUMN checksum; DROP TABLE absent; DROP TABLE tally;"
                "CREATE TABLE damaged (lock_id BLOB NOT NULL, counter INTEGER NOT NULL, "
                "PRIMARY KEY (lock_id, counter));"
            )
        if version == 2:
            connection.execute("ALTER TABLE statements RENAME COLUMN queued_at TO held_at")
        connection.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(StorageError, match="Start this agent once"):
        database.open_for_reading(path)
    with closing(Outbox(path)) as outbox:
        assert [row.counter for row in outbox.batch(0, 10**6, 10)] == [1, 2, 3]
        assert outbox.rebuilt == 0
    database.open_for_reading(path).close()


@pytest.mark.parametrize("number", [LARGEST + 1, 2**63 - 1, 0, -1, "text", None])
def test_a_number_beyond_the_bound_neither_gets_into_the_file_nor_is_read_from_it(path: Path, number: object) -> None:
    lock = SigningLock()
    with closing(Outbox(path)) as outbox:
        outbox.put(*lock.journal())
    writing = "UPDATE records SET counter = ?"
    with closing(sqlite3.connect(path)) as other:
        with pytest.raises(sqlite3.IntegrityError):
            other.execute(writing, (number,))
        if number is not None:
            other.execute("PRAGMA ignore_check_constraints = ON")
            other.execute(writing, (number,))
            other.commit()
    if number is not None:
        with closing(Outbox(path)) as outbox:
            assert outbox.rebuilt == 1 and outbox.batch(0, 10**6, 10) == []


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as refusal:
        Outbox(tmp_path / "file" / "outbox.sqlite3")
    assert refusal.value.code == "outbox.access"


_WRITER = """
import sys
from pathlib import Path
from edge_agent.outbox import Outbox
from protocol import record
outbox = Outbox(Path(sys.argv[1]))
for line in sys.stdin:
    item = record.parse(bytes.fromhex(line))
    print(item.counter, outbox.put(item), flush=True)
"""


def test_after_kill_9_in_mid_stream_nothing_acknowledged_is_lost_and_nothing_is_there_twice(
    path: Path, lock: SigningLock
) -> None:
    lock.journal(120)
    lines = "".join(item.raw.hex() + "\n" for item in lock.records)
    acknowledged = 0
    kept: list[int] = []
    for stop_after in (20, 50, 120):
        # The lock sends all records again from the start, because it does not know which records the dead agent had.
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdin is not None
            assert writer.stdout is not None
            writer.stdin.write(lines)
            writer.stdin.flush()
            for _ in range(stop_after):
                counter, _outcome = writer.stdout.readline().split()
                acknowledged = max(acknowledged, int(counter))
            writer.kill()
            writer.wait()
            writer.stdout.read()
        with closing(Outbox(path)) as outbox:
            kept = counters(outbox)
        assert kept == sorted(set(kept))
        assert set(range(1, acknowledged + 1)) <= set(kept)
    assert kept == list(range(1, 121))
