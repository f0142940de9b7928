"""A disk changes what it stores. No changed record goes out, and the locks send again what the disk has lost."""

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from edge_agent import damage, database, inventory
from edge_agent.answers import damage_told
from edge_agent.outbox import Outbox
from protocol.errors import StorageError
from tests.support.signing_lock import SigningLock, applied, opened

LOCKS = [SigningLock() for _ in range(2)]
for _lock in LOCKS:
    _lock.journal(20)
ALL = sorted((lock.lock_id, item.counter, item.raw) for lock in LOCKS for item in lock.records)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with closing(Outbox(tmp_path / "outbox.sqlite3")) as box:
        box._db.execute("PRAGMA synchronous = OFF")
        for lock in LOCKS:
            box.lock_seen(lock.hello())
        for pair in zip(*(lock.records for lock in LOCKS), strict=True):
            assert [box.put(item) for item in pair] == ["stored", "stored"]
    return tmp_path / "outbox.sqlite3"


@pytest.fixture
def events(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level("INFO", logger="edge_agent")
    return lambda: [entry.getMessage() for entry in caplog.records]


@pytest.fixture
def box(path: Path) -> Iterator[Outbox]:
    with closing(Outbox(path)) as opened_box:
        opened_box._db.execute("PRAGMA synchronous = OFF")
        yield opened_box


def queued(box: Outbox) -> list[tuple[bytes, int, bytes]]:
    return sorted((row.lock_id, row.counter, row.record) for row in box.batch(0, 10**9, 1000))


def flip(path: Path, column: str, at: int, counter: int) -> None:
    """Flip a bit of one column in the first lock's row with this counter."""
    with closing(sqlite3.connect(path)) as disk:
        ((value,),) = disk.execute(f"SELECT {column} FROM records WHERE id = ?", (2 * counter - 1,)).fetchall()
        changed = bytes(byte ^ (1 if number == at else 0) for number, byte in enumerate(value))
        disk.execute(f"UPDATE records SET {column} = ? WHERE id = ?", (changed, 2 * counter - 1))
        disk.commit()


@pytest.mark.parametrize("changed", ["1", "1.5", "'text'", "CAST(x'fffe' AS TEXT)"])
def test_a_row_whose_record_has_become_another_type_is_dropped_in_a_long_file_too(path: Path, changed: str) -> None:
    with closing(sqlite3.connect(path)) as disk:
        disk.execute(f"UPDATE records SET record = {changed} WHERE id = 3")
        disk.commit()
    with closing(Outbox(path, checked_bytes=0)) as box:
        lost = (LOCKS[0].lock_id, 2)
        assert [(row.lock_id, row.counter) for row in box.lowest({lost[0]: 1}, 10**9, 1)] == [(lost[0], 3)]
        assert queued(box) == [each for each in ALL if each[:2] != lost]


def test_a_schema_that_no_text_can_quote_is_damage(path: Path) -> None:
    Outbox(path).close()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"CREATE TABLE records (", b"CREATE \xff\xfe\xff\xfe\xff records (", 1))
    with closing(Outbox(path)) as box:
        assert box.rebuilt == 1


def fetch(box: Outbox) -> None:
    """Connect each lock, and let it send what the outbox asks for."""
    for lock in LOCKS:
        box.lock_seen(lock.hello())
        for item in lock.records[box.known_through(lock.lock_id) :]:
            box.put(item)


def counts(path: Path) -> inventory.Counts:
    with closing(database.open_for_reading(path)) as look:
        return inventory.counts(look)


@pytest.mark.parametrize(
    ("column", "at"),
    [("record", 0), ("record", 300), ("record", -1), ("payload_hash", 3), ("previous", 31), ("lock_id", 5)],
)
def test_a_changed_row_does_not_go_out_is_counted_told_and_asked_from_its_lock_again(
    path: Path, box: Outbox, events: Callable[[], list[str]], column: str, at: int
) -> None:
    lock = LOCKS[0]
    flip(path, column, at % 600 if column == "record" else at, counter=7)
    assert queued(box) == [row for row in ALL if row[:2] != (lock.lock_id, 7)], "the others go out"
    assert events().count("record.rotten") == 1 and counts(path).damaged == 1
    assert [box.known_through(each.lock_id) for each in LOCKS] == [6, 20]
    fetch(box)
    assert queued(box) == ALL and counts(path).damaged == 1
    receipt = lock.receipt(20)
    assert len(applied(box, opened(receipt), receipt)) == 20


@pytest.mark.parametrize("column", ["payload_hash", "previous"])
def test_a_receipt_over_a_changed_row_is_obeyed(path: Path, box: Outbox, column: str) -> None:
    flip(path, column, 0, counter=7)
    receipt = LOCKS[0].receipt(12)
    assert len(applied(box, opened(receipt), receipt)) == 11, "one row was dropped"
    assert [row[1] for row in queued(box) if row[0] == LOCKS[0].lock_id] == list(range(13, 21))
    assert box.known_through(LOCKS[0].lock_id) == 20


def test_the_genuine_record_takes_the_place_of_a_changed_row(path: Path, box: Outbox) -> None:
    flip(path, "payload_hash", 0, counter=7)
    assert box.put(LOCKS[0].records[6]) == "stored"
    assert queued(box) == ALL and counts(path).quarantined == 0


def test_a_record_that_its_lock_has_lost_is_counted_and_asked_for_no_more(path: Path, box: Outbox) -> None:
    flip(path, "record", 100, counter=7)
    queued(box)
    box.note_absent(LOCKS[0].lock_id, 7, 7)
    assert box.known_through(LOCKS[0].lock_id) == 20 and counts(path).absent == 1
    told = " ".join(damage_told(counts(path)))
    assert "changed 1 record." in told and "1 record without a receipt, and not in the lock" in told
    receipt = LOCKS[0].receipt(20)
    applied(box, opened(receipt), receipt)
    assert counts(path).absent == 0, "the province has it from elsewhere"


def _garbage(path: Path, page: int) -> None:
    data = bytearray(path.read_bytes())
    data[page * 4096 : (page + 1) * 4096] = random.Random(page).randbytes(4096)
    path.write_bytes(data)


def recovered(path: Path, checked_bytes: int = database.CHECKED_BYTES) -> int:
    """Use a damaged outbox as the agent does, until it has everything again. Return how often it was rebuilt."""
    with closing(Outbox(path, checked_bytes=checked_bytes)) as box:
        box._db.execute("PRAGMA synchronous = OFF")
        for _ in range(3):
            try:
                assert set(queued(box)) <= set(ALL)
                fetch(box)
            except StorageError as error:
                assert error.code == "outbox.corrupt"
            box.check()
        assert queued(box) == ALL
        return box.rebuilt


def test_a_file_with_any_page_destroyed_is_rebuilt_from_the_locks_by_itself(path: Path) -> None:
    whole = path.read_bytes()
    rebuilt = 0
    for page in range(len(whole) // 4096):
        path.write_bytes(whole)
        _garbage(path, page)
        # A long queue is not checked at the start. So damage is found only where something is read.
        is_long = page % 2 == 0
        rebuilt += recovered(path, 0 if is_long else database.CHECKED_BYTES)
        with closing(sqlite3.connect(path)) as look:
            assert is_long or look.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert rebuilt >= len(whole) // 4096 - 3, "a page that nobody reads may be destroyed without harm"


def test_a_file_with_any_bit_changed_loses_nothing(path: Path) -> None:
    whole = path.read_bytes()
    chance = random.Random(12)
    # The numbers of our schema and our program. A file with other numbers is not touched.
    numbers = {*range(60, 64), *range(68, 72)}
    places = [*range(16, 24), *(chance.randrange(100, len(whole)) for _ in range(60))]
    for at in set(places) - numbers:
        changed = bytearray(whole)
        changed[at] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
        recovered(path, database.CHECKED_BYTES * (at % 2))


@pytest.mark.parametrize("content", [b"not a database at all" * 1000, b"SQLite format 3\0" + bytes(5000)])
def test_a_file_of_junk_is_set_aside_and_the_locks_send_everything_again(
    path: Path, events: Callable[[], list[str]], content: bytes
) -> None:
    path.write_bytes(content)
    assert recovered(path) == 1 and events().count("outbox.rebuilt") == 1
    assert path.with_name(path.name + damage.ASIDE).read_bytes() == content
    assert counts(path).rebuilt == 1


def test_a_rebuilt_file_keeps_what_is_whole_and_only_one_damaged_file_is_kept(path: Path) -> None:
    with closing(Outbox(path)) as box:
        receipt = LOCKS[0].receipt(4)
        applied(box, opened(receipt), receipt)
    for _ in range(2):
        _garbage(path, path.stat().st_size // 4096 - 2)
        with closing(Outbox(path)) as box:
            assert len(queued(box)) > 10, "most pages are whole"
            assert [each.signed for each in box.statements.waiting(LOCKS[0].lock_id)] in ([receipt], [])
    assert len(list(path.parent.iterdir())) == 2


def test_damage_that_is_found_at_work_is_mended_at_the_next_check(path: Path) -> None:
    with closing(Outbox(path)) as box:
        box._db.execute("PRAGMA cache_size = 0")
        for page in range(2, path.stat().st_size // 4096):
            _garbage(path, page)
        with pytest.raises(StorageError, match=r"outbox\.corrupt"):
            queued(box)
        box.check()
        assert box.rebuilt == 1
        with suppress(StorageError):
            box.put(LOCKS[0].records[0])
        fetch(box)
        assert queued(box) == ALL
