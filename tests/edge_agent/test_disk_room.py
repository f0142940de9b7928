"""Strangers can fill one megabyte of the outbox. Strangers can never fill the room of our own locks."""

import itertools
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from edge_agent.disk_room import STRANGERS_BYTES
from edge_agent.outbox import Outbox
from protocol import cbor, record
from protocol import crypto_cpython as crypto
from protocol.errors import StorageError
from protocol.record import Record
from tests.support.signing_lock import SigningLock, applied, opened


def junk(lock: SigningLock, size: int = 3700) -> Iterator[Record]:
    """Yield records of a fake lock. Each record is signed and continues the chain. The content is not sealed, but the
    edge cannot see this.
    """
    while True:
        last = lock.records[-1].payload_hash if lock.records else record.GENESIS
        payload = cbor.encode([1, lock.lock_id, len(lock.records) + 1, last, os.urandom(size)])
        lock.records.append(record.parse(record.sign(crypto, lock.private, payload)))
        yield lock.records[-1]


def fill(box: Outbox, lock: SigningLock) -> tuple[int, str]:
    """Store junk of a lock until the outbox refuses more. Return the number of stored bytes and the code of the
    refusal.
    """
    taken = 0
    for item in junk(lock):
        try:
            assert box.put(item) == "stored"
        except StorageError as error:
            return taken, error.code
        taken += len(item.raw)
    raise AssertionError("it never ended")


@pytest.mark.parametrize("max_bytes", [1_000_000, 1_500_000])
def test_self_made_locks_hold_a_megabyte_together_and_an_own_lock_all_that_is_its(
    tmp_path: Path, max_bytes: int
) -> None:
    own, one, two = SigningLock(), SigningLock(), SigningLock()
    with closing(Outbox(tmp_path / "o.sqlite3", max_bytes=max_bytes, is_own=lambda id_: id_ == own.lock_id)) as box:
        for lock in (own, one, two):
            box.lock_seen(lock.hello())
        taken, code = fill(box, one)
        assert code == "outbox.strangers" and STRANGERS_BYTES - 4096 < taken <= STRANGERS_BYTES
        assert fill(box, two) == (0, "outbox.strangers"), "strangers share one megabyte"
        taken, code = fill(box, own)
        assert code == "outbox.limit" and max_bytes - 4096 < taken <= max_bytes


def test_what_strangers_hold_is_known_after_a_restart_and_given_back_by_a_receipt(tmp_path: Path) -> None:
    stranger = SigningLock()
    path = tmp_path / "o.sqlite3"
    with closing(Outbox(path, is_own=lambda _: False)) as box:
        box.lock_seen(stranger.hello())
        fill(box, stranger)
        stranger.records.pop()
    with closing(Outbox(path, is_own=lambda _: False)) as box:
        with pytest.raises(StorageError, match=r"outbox\.strangers"):
            box.put(next(junk(stranger)))
        receipt = stranger.receipt(len(stranger.records) - 1)
        applied(box, opened(receipt), receipt)
        assert box.put(stranger.records[-1]) == "stored"


def test_a_lock_that_the_passes_list_no_more_takes_no_more_than_a_stranger_and_leaves_the_total_as_it_was(
    tmp_path: Path,
) -> None:
    own, former = SigningLock(), SigningLock()
    listed = {own.lock_id, former.lock_id}
    with closing(Outbox(tmp_path / "o.sqlite3", max_bytes=3_000_000, is_own=listed.__contains__)) as box:
        for lock in (own, former):
            box.lock_seen(lock.hello())
        items = junk(former)
        size = 0
        while size < 2_000_000:
            item = next(items)
            assert box.put(item) == "stored"
            size += len(item.raw)
        listed.remove(former.lock_id)
        with pytest.raises(StorageError, match=r"outbox\.strangers"):
            box.put(next(items))
        taken, code = fill(box, own)
        assert code == "outbox.limit" and size + taken <= 3_000_000 + STRANGERS_BYTES
        assert taken > 1_990_000, "the former lock takes no room from the own one"


def test_records_that_no_lock_signed_are_strangers_too(tmp_path: Path) -> None:
    own, forger = SigningLock(), SigningLock()
    with closing(Outbox(tmp_path / "o.sqlite3", max_bytes=2_000_000)) as box:
        box.lock_seen(own.hello())
        kept = 0
        for item in junk(forger):
            if not box.keep_forged(own.lock_id, item.counter, item.raw, "cose.signature"):
                break
            kept += len(item.raw)
        assert STRANGERS_BYTES - 4096 < kept <= STRANGERS_BYTES
        assert fill(box, own)[0] > 1_990_000


@contextmanager
def no_file_grows_beyond(size: int) -> Iterator[None]:
    """Act like a full disk: in this block, no file can grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_a_disk_did_not_take_costs_nobody_room(tmp_path: Path) -> None:
    own = SigningLock()
    path = tmp_path / "o.sqlite3"
    with closing(Outbox(path, max_bytes=100_000)) as box:
        box.lock_seen(own.hello())
        first, second = own.journal(2)
        assert [box.put(first), box.put(second)] == ["stored", "stored"]
        payload = cbor.encode([1, own.lock_id, 2, first.payload_hash, b"another"])
        other = record.parse(record.sign(crypto, own.private, payload))
        with no_file_grows_beyond(path.with_name("o.sqlite3-wal").stat().st_size):
            for number in range(300):
                with pytest.raises(StorageError, match=r"outbox\.io"):
                    box.keep_forged(own.lock_id, number + 1, bytes(4000), "cose.signature")
                with pytest.raises(StorageError, match=r"outbox\.io"):
                    box.put(other)
                with pytest.raises(StorageError, match=r"outbox\.io"):
                    box.set_aside((own.lock_id, 1), "cose.signature", authentic=False)
        assert box.keep_forged(own.lock_id, 1, bytes(4000), "cose.signature")
        assert box.put(other) == "conflict"
        taken, code = fill(box, own)
        size = len(first.raw) + len(second.raw) + len(other.raw)
        assert code == "outbox.limit" and 100_000 - 4096 < size + taken <= 100_000


def test_free_pages_of_the_file_count_as_room(tmp_path: Path) -> None:
    own = SigningLock()
    path = tmp_path / "o.sqlite3"
    with closing(Outbox(path)) as box:
        box.lock_seen(own.hello())
        box._db.execute("PRAGMA synchronous = OFF")
        for item in itertools.islice(junk(own), 40):
            box.put(item)
        receipt = own.receipt(40)
        applied(box, opened(receipt), receipt)
    free = shutil.disk_usage(tmp_path).free
    for over, outcome in ((50_000, "stored"), (50_000_000_000, "outbox.reserve")):
        with closing(Outbox(path, reserve_bytes=free + over)) as box:
            if outcome == "stored":
                assert box.put(next(junk(own))) == "stored"
                continue
            with pytest.raises(StorageError, match=outcome) as refusal:
                box.put(next(junk(own)))
            assert box.refusal is refusal.value
