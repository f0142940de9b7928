"""Everything that a registered lock signed is committed as evidence, and never delays receipts of later records."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge_agent.outbox import Outbox
from edge_agent.refusals import obey
from protocol import cbor, cose, hpke, record
from protocol import crypto_cpython as crypto
from protocol.errors import VerificationError
from sim.platform import Platform
from sim.province import Keys, Province
from sim.province.store import UNOPENED
from tests.support.chain import RESIDENT, Chain, check_in, entry
from tests.support.edge_side import codes, deliver, place, receipts, refusals
from tests.support.signing_lock import applied


@pytest.fixture
def chain(province: Province, platform: Platform) -> Chain:
    """A registered lock with two good records."""
    chain = Chain(province.keys.sealing_public)
    place(province, chain, platform)
    chain.append(check_in())
    chain.append(entry())
    return chain


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with closing(Outbox(tmp_path / "edge" / "outbox.sqlite3")) as outbox:
        yield outbox


def after(chain: Chain, last: bytes, body: dict[Any, Any]) -> bytes:
    """Return a record that follows the record `last`."""
    item = record.parse(last)
    return chain.sign(chain.payload(body, item.counter + 1, item.payload_hash))


def stray(chain: Chain, counter: int, body: dict[Any, Any] | None = None) -> bytes:
    """Return a record whose `previous` is not the hash of any record."""
    return chain.sign(chain.payload(body or entry(), counter, b"\x05" * 32))


def with_sealed(chain: Chain, sealed: bytes) -> bytes:
    """Return the third record, with `sealed` in place of its sealed body."""
    previous = record.parse(chain.records[1]).payload_hash
    return chain.sign(cbor.encode([1, chain.lock_id, 3, previous, sealed]))


def with_plaintext(chain: Chain, plaintext: bytes) -> bytes:
    """Return the third record, with `plaintext` correctly sealed to the province."""
    protected = cbor.encode({1: 35})
    previous = record.parse(chain.records[1]).payload_hash
    aad = cose.enc_structure(protected, cbor.encode([1, chain.lock_id, 3, previous]))
    enc, ciphertext = hpke.seal(crypto, chain.sealing_public, b"mooring/record", aad, plaintext)
    return with_sealed(chain, cbor.encode([protected, {-4: enc}, ciphertext]))


def padded(body: Any) -> bytes:
    bare = cbor.encode(body) + b"\x80"
    return bare + bytes(record.BLOCK - len(bare))


def sealed_to_another(chain: Chain) -> bytes:
    other = record.seal(crypto, Keys.generate().sealing_public, chain.lock_id, 3, b"\x05" * 32, entry())
    return with_sealed(chain, record.parse(chain.sign(other)).sealed)


UNOPENABLE = {
    "sealed to another key": (sealed_to_another, "crypto.tag"),
    "no ciphertext": (lambda chain: with_sealed(chain, b""), None),
    "garbage": (lambda chain: with_sealed(chain, b"\xff" * 300), None),
    "a number": (lambda chain: with_sealed(chain, b"\x01"), None),
    "no point": (
        lambda chain: with_sealed(chain, cbor.encode([cbor.encode({1: 35}), {-4: bytes(65)}, b"x" * 80])),
        None,
    ),
    "an empty plaintext": (lambda chain: with_plaintext(chain, b""), None),
    "a body without padding": (lambda chain: with_plaintext(chain, cbor.encode(entry())), "record.form"),
    "a body of no kind": (lambda chain: with_plaintext(chain, padded({2: 1})), "record.form"),
    "a body of a kind to come": (lambda chain: with_plaintext(chain, padded({**entry(), 1: 99})), "record.form"),
    "a body that is no map": (lambda chain: with_plaintext(chain, padded(7)), "record.form"),
}


@pytest.mark.parametrize("how", UNOPENABLE)
def test_one_unopenable_record_does_not_hold_back_the_receipts_of_the_next(
    province: Province, chain: Chain, how: str
) -> None:
    make, code = UNOPENABLE[how]
    bad = make(chain)
    good = after(chain, bad, check_in())
    answer = deliver(province, *chain.records, bad, good)
    assert codes(province, answer) == []
    assert [(r.through, r.head) for r in receipts(province, answer)] == [(4, record.parse(good).payload_hash)]
    assert province.store.record_bytes(chain.lock_id, 3) == bad, "kept as the lock signed it"
    evidence = province.store.records()[2]
    assert (evidence.kind, evidence.fields, evidence.listing, evidence.grant_id) == (UNOPENED, {}, "", None)
    assert (evidence.earliest, evidence.latest, evidence.guest, evidence.method) == (None, None, None, "")
    assert evidence.verdict != "ok" and evidence.verdict == (code or evidence.verdict)
    assert [item.counter for item in province.registrations()] == [1, 2, 4], "and is no registration"
    assert province.store.tally() == {"records committed": 4, "records unusable": 1}
    assert province.store.quarantined() == []


def test_an_unopenable_record_delivered_again_is_still_one(province: Province, chain: Chain) -> None:
    bad = sealed_to_another(chain)
    for _ in range(3):
        assert [r.through for r in receipts(province, deliver(province, *chain.records, bad))] == [3]
    assert province.store.count() == 3 and province.store.tally()["records unusable"] == 1


def test_an_unopenable_record_takes_its_counter_and_a_second_one_is_an_equivocation(
    province: Province, chain: Chain
) -> None:
    bad = sealed_to_another(chain)
    deliver(province, *chain.records, bad)
    assert codes(province, deliver(province, after(chain, chain.records[1], entry()))) == [(3, "record.equivocation")]
    assert province.store.record_bytes(chain.lock_id, 3) == bad


def test_an_unopenable_record_that_the_lock_did_not_sign_is_refused_and_takes_no_counter(
    province: Province, chain: Chain
) -> None:
    stranger, _ = crypto.generate("P-256")
    forged = record.sign(crypto, stranger, record.parse(sealed_to_another(chain)).payload)
    assert codes(province, deliver(province, *chain.records, forged)) == [(3, "cose.signature")]
    assert [r.through for r in receipts(province, deliver(province, after(chain, chain.records[1], entry())))] == [3]


def test_a_record_that_does_not_follow_the_one_before_is_committed_with_that_verdict(
    province: Province, chain: Chain
) -> None:
    bad = stray(chain, 3, check_in())
    good = after(chain, bad, entry())
    assert codes(province, deliver(province, *chain.records, bad, good)) == []
    assert [item.verdict for item in province.store.records()] == ["ok", "ok", "record.chain", "ok"]
    assert province.store.records()[2].fields == RESIDENT, "an officer can read it all the same"
    assert [item.counter for item in province.registrations()] == [1, 2, 4]
    assert province.store.tally() == {"records committed": 4, "records unusable": 1}


def test_a_record_that_the_one_after_does_not_name_is_committed_with_that_verdict(
    province: Province, chain: Chain
) -> None:
    other = after(chain, chain.records[1], entry())
    deliver(province, *chain.records, after(chain, other, entry()))
    late = after(chain, chain.records[1], entry())
    assert codes(province, deliver(province, late)) == []
    assert [item.verdict for item in province.store.records()] == ["ok", "ok", "record.chain", "ok"]


def test_a_record_can_be_both_unopenable_and_astray(province: Province, chain: Chain) -> None:
    payload = record.seal(crypto, Keys.generate().sealing_public, chain.lock_id, 3, b"\x05" * 32, entry())
    answer = deliver(province, *chain.records, chain.sign(payload))
    assert [r.through for r in receipts(province, answer)] == [2, 3]
    last = province.store.records()[2]
    assert (last.kind, last.verdict) == (UNOPENED, "record.chain")


def test_each_side_of_a_break_in_the_chain_gets_a_receipt_of_its_own(province: Province, chain: Chain) -> None:
    bad = stray(chain, 3)
    good = after(chain, bad, entry())
    given = receipts(province, deliver(province, *chain.records, bad, good))
    heads = [record.parse(each).payload_hash for each in (chain.records[1], bad, good)]
    assert [(r.through, r.head) for r in given] == list(zip((2, 3, 4), heads, strict=True))
    assert [r.through for r in receipts(province, deliver(province, chain.records[0]))] == [2, 4]
    assert [r.through for r in receipts(province, deliver(province, good))] == [4]


def hold(outbox: Outbox, *records: bytes) -> None:
    for data in records:
        assert outbox.put(record.parse(data)) == "stored"


def apply(outbox: Outbox, province: Province, *records: bytes) -> list[str]:
    """Deliver records for an edge. Returns an error code for each receipt that the edge does not believe."""
    answer = deliver(province, *records)
    given = refusals(province, answer)
    for refusal in given:
        list(obey(outbox, refusal))  # takes effect record by record
    refused = []
    for signed, receipt in zip(answer[len(given) :], receipts(province, answer), strict=True):
        try:
            applied(outbox, receipt, signed)
        except VerificationError as error:
            refused.append(error.code)
    return refused


def held(outbox: Outbox) -> list[int]:
    return [row.counter for row in outbox.batch(0, 10**6, 1000)]


def test_an_edge_that_holds_both_sides_of_a_break_lets_go_of_both(
    province: Province, chain: Chain, outbox: Outbox
) -> None:
    bad = stray(chain, 3)
    records = [*chain.records, bad, after(chain, bad, entry())]
    hold(outbox, *records)
    assert apply(outbox, province, *records) == []
    assert held(outbox) == []


def test_an_edge_that_lost_the_answer_lets_go_when_it_sends_again_in_any_parts(
    province: Province, chain: Chain, outbox: Outbox
) -> None:
    bad = stray(chain, 3)
    records = [*chain.records, bad, after(chain, bad, entry())]
    hold(outbox, *records)
    deliver(province, *records)
    assert apply(outbox, province, records[3]) == ["receipt.chain"], "the later head says nothing of the first two"
    assert held(outbox) == [1, 2, 3, 4]
    for each in records:
        apply(outbox, province, each)
    assert held(outbox) == []


def test_a_lock_whose_flash_was_turned_back_goes_on_being_receipted(
    province: Province, chain: Chain, outbox: Outbox
) -> None:
    """Another edge delivered a record 3 that the lock then lost. The lock's later records follow its new record 3."""
    elsewhere = after(chain, chain.records[1], entry())
    deliver(province, *chain.records, elsewhere)
    again = after(chain, chain.records[1], check_in())
    records = [*chain.records, again, after(chain, again, entry())]
    hold(outbox, *records)
    apply(outbox, province, *records)
    assert held(outbox) == []
    assert [row[3] for row in province.store.quarantined()] == ["record.equivocation"]
    assert [item.verdict for item in province.store.records()] == ["ok", "ok", "ok", "record.chain"]


def test_a_lock_that_breaks_its_chain_at_every_record_gets_an_answer_for_all_of_a_batch(
    province: Province, chain: Chain, outbox: Outbox
) -> None:
    # The bodies are empty, because so many records of full length would not fit into one batch.
    empty = (chain.sign(cbor.encode([1, chain.lock_id, counter, b"\x05" * 32, b""])) for counter in range(2, 259))
    records = [chain.records[0], *empty]
    hold(outbox, *records)
    assert apply(outbox, province, records[0], records[257]) == []
    assert apply(outbox, province, *records[1:257]) == [], "more receipts than one message holds"
    assert held(outbox) == []


def test_the_province_is_silent_on_a_lock_that_nobody_registered_and_takes_its_records_when_it_is(
    province: Province, platform: Platform, chain: Chain
) -> None:
    stranger = Chain(province.keys.sealing_public)
    for _ in range(2):
        stranger.append({**entry(), 4: "HZ-0002"})
    answer = deliver(province, *stranger.records)
    assert answer == []
    mixed = deliver(province, stranger.records[0], chain.records[0])
    assert {r.lock_id for r in receipts(province, mixed)} == {chain.lock_id} and not refusals(province, mixed)
    assert province.store.count(stranger.lock_id) == 0 and province.store.quarantined() == []
    assert province.store.tally() == {"records committed": 1, "records of unknown locks": 3}
    place(province, stranger, platform, "HZ-0002")
    assert [r.through for r in receipts(province, deliver(province, *stranger.records))] == [2]
