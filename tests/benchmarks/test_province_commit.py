"""How long the province takes to commit a record, beside the least that it must do: one key agreement, one verification
and one row.

The floor is a loop over the same three calls, with the keys loaded before and the rows in transactions as large as a
batch. The floor decodes nothing, and decrypts nothing.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from protocol import cbor, cose, record, uplink
from protocol import crypto_cpython as crypto
from sim.province.keys import Keys
from sim.province.province import Province
from sim.province.store import Store
from tests.support.signing_lock import PROVINCE_PRIVATE, PROVINCE_PUBLIC, SEALING_PRIVATE, SEALING_PUBLIC, SigningLock

LOCKS, OF_EACH, A_BATCH, ROUNDS = 16, 128, 64, 3
KEYS = Keys(
    *(crypto.LoadedKey("P-256", PROVINCE_PRIVATE), PROVINCE_PUBLIC),
    *(crypto.LoadedKey("P-256", SEALING_PRIVATE), SEALING_PUBLIC),
)


@contextmanager
def province_of(folder: Path, locks: list[SigningLock]) -> Iterator[Province]:
    province = Province(folder, "127.0.0.1", 1, keys=KEYS)
    province.declare_listing("LC-1", doors=len(locks))
    for lock in locks:
        province.register_lock(
            lock.public, listing="LC-1", room="1", platform_key=lock.public, reader_chain=[b"\x30\x00"]
        )
    yield province
    province.store.close()


def _batches(records: list[record.Record]) -> list[bytes]:
    return [
        uplink.Batch(bytes(8), [item.raw for item in records[at : at + A_BATCH]]).encode()
        for at in range(0, len(records), A_BATCH)
    ]


def _floor(folder: Path, locks: list[SigningLock], records: list[record.Record]) -> float:
    """Return the processor time in seconds for the least that the same records cost."""
    keys = {lock.lock_id: crypto.load_public("P-256", lock.public) for lock in locks}
    opener = ec.derive_private_key(int.from_bytes(SEALING_PRIVATE, "big"), ec.SECP256R1())
    parts = []
    for item in records:
        sealed = cose.parse(cbor.decode(item.sealed), 3)
        signed = cose.sig_structure(item.message.protected_bytes, item.payload)
        r, s = (int.from_bytes(item.signature[at : at + 32], "big") for at in (0, 32))
        parts.append((item, sealed.unprotected[cose.EK], encode_dss_signature(r, s), signed))
    Store(folder).close()
    with closing(sqlite3.connect(folder / "province.db", isolation_level=None)) as database:
        database.execute("PRAGMA synchronous = FULL")
        start = time.process_time()
        for at, (item, enc, signature, signed) in enumerate(parts):
            if at % A_BATCH == 0:
                database.execute("BEGIN IMMEDIATE")
            point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), enc)
            opener.exchange(ec.ECDH(), point)
            keys[item.lock_id].verify(signature, signed, ec.ECDSA(hashes.SHA256()))
            database.execute(
                "INSERT INTO records VALUES (?,?,?,?,?,1,1,1,'',NULL,1,NULL,'mdoc','',1,'null','ok',1)",
                (item.lock_id, item.counter, item.payload_hash, item.previous, item.raw),
            )
            if at % A_BATCH == A_BATCH - 1:
                database.execute("COMMIT")
        return time.process_time() - start


@pytest.mark.bench
def test_the_time_to_commit_a_record(tmp_path: Path) -> None:
    best: dict[str, float] = {}
    for number in range(ROUNDS):
        locks = [SigningLock() for _ in range(LOCKS)]
        for lock in locks:
            lock.journal(OF_EACH)
        by_lock = [item for lock in locks for item in lock.records]
        in_turn = [item for row in zip(*(lock.records for lock in locks), strict=True) for item in row]
        for name, records in (("a lock after the other", by_lock), ("all locks in turn", in_turn)):
            with province_of(tmp_path / f"{name}-{number}", locks) as province:
                start = time.process_time()
                for batch in _batches(records):
                    assert province.registry.handle("edge", batch)
                seconds = time.process_time() - start
                assert province.store.tally() == {"records committed": len(records)}
            best[name] = min(best.get(name, seconds), seconds)
        seconds = _floor(tmp_path / f"floor-{number}", locks, by_lock)
        best["floor"] = min(best.get("floor", seconds), seconds)
    print(f"\nto commit a record at the province, {A_BATCH} in a batch: processor time")
    for name, seconds in best.items():
        a_record = seconds / LOCKS / OF_EACH
        ratio = seconds / best["floor"]
        print(f"  {name:<24}{a_record * 1e6:>6.0f} us{1 / a_record:>8,.0f} a second{ratio:>6.2f} times the floor")
