"""Hostile and broken input at the province is counted, skipped and limited. The content of such input never gets into a
log.
"""

import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import cbor, record, uplink
from protocol import crypto_cpython as crypto
from sim.platform import Platform
from sim.province import Province
from sim.province.store import QUARANTINE_ROWS
from tests.support.chain import NOW, RESIDENT, Chain, check_in, entry
from tests.support.edge_side import EDGE, codes, deliver, place, receipts


@settings(max_examples=100)
@given(st.binary(max_size=300))
def test_no_message_breaks_the_province(tmp_path_factory: pytest.TempPathFactory, payload: bytes) -> None:
    province = _shared(tmp_path_factory)
    assert province.registry.handle(EDGE, payload) == []


@settings(max_examples=60)
@given(at=st.integers(0, 400), bit=st.integers(0, 7))
def test_no_bit_turned_in_a_batch_breaks_the_province_or_passes(
    tmp_path_factory: pytest.TempPathFactory, at: int, bit: int
) -> None:
    province = _shared(tmp_path_factory)
    chain = Chain(province.keys.sealing_public)
    place(province, chain, Platform(), chain.lock_id.hex())
    good = uplink.Batch(bytes(8), [chain.append({**entry(), 4: chain.lock_id.hex()})]).encode()
    at = at % len(good)
    province.registry.handle(EDGE, good[:at] + bytes((good[at] ^ 1 << bit,)) + good[at + 1 :])
    # A flipped bit in the batch id does not matter. After a flipped bit anywhere else, nothing may be committed.
    in_batch_id = 3 <= at < 11
    assert province.store.count(chain.lock_id) == (1 if in_batch_id else 0)


_held: list[Province] = []


def _shared(factory: pytest.TempPathFactory) -> Province:
    """Return one province for all examples, because a new database for each example would take too long."""
    if not _held:
        _held.append(Province(factory.mktemp("shared"), "127.0.0.1", 1, clock=lambda: NOW))
    return _held[0]


def test_quarantine_is_bounded_however_many_forgeries_come(province: Province, chain: Chain) -> None:
    stranger, _ = crypto.generate("P-256")
    payloads = (chain.payload(entry(), 1, record.GENESIS) for _ in range(QUARANTINE_ROWS + 30))
    forged = [record.sign(crypto, stranger, payload) for payload in payloads]
    batches = [forged[first : first + 50] for first in range(0, len(forged), 50)]
    assert len(codes(province, deliver(province, *batches[0]))) == 50
    for batch in [*batches[1:], *batches]:
        deliver(province, *batch)
    rows = province.store.quarantined()
    assert len(rows) == QUARANTINE_ROWS and all(row[4] == 2 for row in rows)
    assert [r.through for r in receipts(province, deliver(province, *chain.records))] == [5]


def test_no_log_line_names_a_guest(province: Province, chain: Chain, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    deliver(province, *chain.records, Chain(province.keys.sealing_public).append(check_in()))
    deliver(province, *(chain.sign(chain.payload(check_in(), 1, record.GENESIS)) for _ in range(20)))
    province.registry.handle(EDGE, cbor.encode([1, bytes(8), [RESIDENT]]))
    assert len(caplog.records) == 3
    for text in RESIDENT.values():
        assert text not in caplog.text or text in ("male", "resident-id")
    assert json.dumps(RESIDENT["name"])[1:-1] not in caplog.text
