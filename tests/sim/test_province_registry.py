"""The province handles records correctly in any order, and also records that come twice."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import crypto_cpython as crypto
from protocol import record
from sim.platform import Platform
from sim.province import Province
from tests.support.chain import NOW, RESIDENT, Chain, check_in, entry
from tests.support.edge_side import codes, deliver, place, receipts, refusals


def test_a_batch_is_committed_opened_and_receipted_through_its_last_record(province: Province, chain: Chain) -> None:
    [receipt] = receipts(province, deliver(province, *chain.records))
    assert (receipt.lock_id, receipt.through, receipt.time) == (chain.lock_id, 5, NOW + 5)
    assert receipt.head == record.parse(chain.records[4]).payload_hash
    first = province.registrations(record.CHECK_IN)[0]
    assert (first.fields, first.verdict, first.listing) == (RESIDENT, "ok", "HZ-0001")
    assert province.store.record_bytes(chain.lock_id, 1) == chain.records[0]


def test_a_gap_holds_the_receipt_back_until_it_is_filled(province: Province, chain: Chain) -> None:
    assert [r.through for r in receipts(province, deliver(province, chain.records[0], chain.records[2]))] == [1]
    assert [r.through for r in receipts(province, deliver(province, chain.records[4]))] == [1]
    assert [r.through for r in receipts(province, deliver(province, chain.records[3]))] == [1]
    assert [r.through for r in receipts(province, deliver(province, chain.records[1]))] == [5]


def test_no_receipt_before_the_first_record(province: Province, chain: Chain) -> None:
    assert deliver(province, *chain.records[1:]) == []
    assert province.store.count() == 4


def test_ten_deliveries_of_one_batch_are_one_and_every_one_is_answered(province: Province, chain: Chain) -> None:
    answers = [deliver(province, *chain.records) for _ in range(10)]
    assert province.store.count() == 5
    assert [[r.through for r in receipts(province, answer)] for answer in answers] == [[5]] * 10
    assert province.store.tally()["records delivered again"] == 45


def test_ten_thousand_copies_of_one_record_are_one_record(province: Province, chain: Chain) -> None:
    for _ in range(10_000 // 200):
        assert codes(province, deliver(province, *[chain.records[0]] * 200)) == []
    assert province.store.count() == 1
    assert province.store.tally() == {"records committed": 1, "records delivered again": 9_999}


@settings(max_examples=20)
@given(st.data())
def test_any_order_and_any_repetition_ends_in_the_same_receipt(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    province = Province(tmp_path_factory.mktemp("province"), "127.0.0.1", 1, clock=lambda: NOW)
    chain = Chain(province.keys.sealing_public)
    place(province, chain, Platform())
    for _ in range(5):
        chain.append(entry())
    order = data.draw(st.permutations(chain.records + data.draw(st.lists(st.sampled_from(chain.records), max_size=5))))
    through = 0
    held: set[bytes] = set()
    for each in order:
        answered = receipts(province, deliver(province, each))
        held.add(each)
        unbroken = next(n for n in range(6) if n == 5 or chain.records[n] not in held)
        assert [receipt.through for receipt in answered] == ([unbroken] if unbroken else [])
        assert unbroken >= through
        through = unbroken
    assert through == 5 and province.store.count() == 5
    province.stop()


def test_two_records_of_one_number_are_an_equivocation_kept_apart(province: Province, chain: Chain) -> None:
    deliver(province, *chain.records)
    second = record.parse(chain.records[1])
    other = chain.sign(chain.payload(entry(), 2, second.previous))
    answer = deliver(province, other)
    assert codes(province, answer) == [(2, "record.equivocation")]
    [refusal] = refusals(province, answer)
    assert (refusal.lock_id, refusal.records[0][1]) == (chain.lock_id, record.parse(other).payload_hash)
    assert province.store.record_bytes(chain.lock_id, 2) == chain.records[1]
    assert [(row[1], row[3]) for row in province.store.quarantined()] == [(2, "record.equivocation")]
    assert [r.through for r in receipts(province, deliver(province, chain.records[1]))] == [5]


def test_a_forged_signature_is_refused_and_never_called_an_equivocation(province: Province, chain: Chain) -> None:
    deliver(province, chain.records[0])
    stranger, _ = crypto.generate("P-256")
    forged = [
        record.sign(crypto, stranger, chain.payload(check_in(name="鬼"), counter, previous))
        for counter, previous in ((1, record.GENESIS), (2, record.parse(chain.records[0]).payload_hash))
    ]
    assert codes(province, deliver(province, *forged)) == [(1, "cose.signature"), (2, "cose.signature")]
    assert province.store.count() == 1


def test_one_bad_record_does_not_keep_the_rest_of_its_batch_from_being_committed(
    province: Province, chain: Chain
) -> None:
    stranger, _ = crypto.generate("P-256")
    bad = record.sign(crypto, stranger, chain.payload(check_in(), 1, record.GENESIS))
    answer = deliver(province, bad, chain.records[0], b"\xff\x00", chain.records[1])
    assert codes(province, answer) == [(1, "cose.signature")]
    assert [r.through for r in receipts(province, answer)] == [2]
    assert province.store.tally()["records unreadable"] == 1


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        (check_in(ethnicity=""), "profile.missing"),
        (check_in(sex="M"), "profile.value"),
        ({**check_in(), 7: "ES"}, "profile.id"),
        (check_in(id_number="330106199003070015"), "resident-id.check-digit"),
        ({**check_in(), 4: "HZ-0002"}, "registration.listing"),
    ],
)
def test_a_record_that_breaks_the_profile_is_committed_with_its_verdict(
    province: Province, platform: Platform, body: dict[Any, Any], verdict: str
) -> None:
    chain = Chain(province.keys.sealing_public)
    place(province, chain, platform)
    answer = deliver(province, chain.append(body))
    assert codes(province, answer) == [] and len(answer) == 1
    assert [item.verdict for item in province.store.records()] == [verdict]
    assert province.registrations() == [], "it is no good registration"


def test_records_of_several_locks_in_one_batch_get_a_receipt_each(
    province: Province, chain: Chain, platform: Platform
) -> None:
    other = Chain(province.keys.sealing_public)
    place(province, other, platform, "HZ-0002")
    other.append({**entry(), 4: "HZ-0002"})
    answer = deliver(province, chain.records[0], other.records[0], chain.records[1])
    assert {(r.lock_id, r.through) for r in receipts(province, answer)} == {(chain.lock_id, 2), (other.lock_id, 1)}


def test_what_is_committed_survives_a_restart(province: Province, chain: Chain, tmp_path: Path) -> None:
    deliver(province, *chain.records[:3])
    again = Province(tmp_path, "127.0.0.1", 1, clock=lambda: NOW + 60)
    assert again.public == province.public
    assert [r.through for r in receipts(again, deliver(again, *chain.records[2:]))] == [5]
    assert again.store.count() == 5
    again.stop()


def test_two_consumers_over_one_store_commit_each_record_once(province: Province, chain: Chain, tmp_path: Path) -> None:
    other = Province(tmp_path, "127.0.0.1", 1, clock=lambda: NOW)
    for each in chain.records:
        deliver(province, each)
        deliver(other, each)
    assert province.store.count() == other.store.count() == 5
    assert other.store.tally()["records delivered again"] == 5
    other.stop()
