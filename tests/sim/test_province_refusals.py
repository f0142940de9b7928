"""Signed refusals of the province. Each refusal is signed only once, even if it is sent again. Junk cannot cause many
signatures."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from protocol import cbor, record
from protocol.refusal import EQUIVOCATION, MAX_ENTRIES, SIGNATURE
from sim.platform import Platform
from sim.province import Province
from sim.province.keys import Keys
from sim.province.refusals import ANSWERED, EVERY_SECONDS, KEPT_OF_ONE, KEPT_OF_STRANGERS, OF_STRANGERS
from sim.province.store import QUARANTINE_ROWS
from tests.support.chain import NOW, Chain
from tests.support.edge_side import codes, deliver, place, receipts, refusals


@dataclass(frozen=True)
class NotingKeys(Keys):
    """Keys of a province. `signed` has the kind of each statement that the keys sign."""

    signed: list[str] = field(default_factory=list)

    def sign(self, kind: str, body: dict[Any, Any]) -> bytes:
        self.signed.append(kind)
        return super().sign(kind, body)


class World:
    """A province with a clock that the test sets, and a registered lock."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        folder.mkdir(exist_ok=True)
        self.keys = NotingKeys(**vars(Keys.load_or_generate(folder)))
        self.province = Province(folder, "127.0.0.1", 1, clock=lambda: self.now, keys=self.keys)
        self.platform = Platform()
        self.lock = self.another_lock()

    def another_lock(self) -> Chain:
        chain = Chain(self.province.keys.sealing_public)
        place(self.province, chain, self.platform, f"HZ-{chain.lock_id.hex()}")
        return chain

    def deliver(self, *records: bytes) -> list[tuple[int, str]]:
        return codes(self.province, deliver(self.province, *records))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.province.stop()


@pytest.fixture
def signatures(world: World) -> list[str]:
    """Return a list that gets one item for each statement that the province signs from now on."""
    world.keys.signed.clear()
    return world.keys.signed


def signed_by_lock(chain: Chain, counter: int) -> bytes:
    """Return a record of a lock with a random body, different from all other records."""
    previous = record.GENESIS if counter == 1 else os.urandom(32)
    return chain.sign(cbor.encode([1, chain.lock_id, counter, previous, os.urandom(8)]))


def forged(chain: Chain, number: int) -> list[bytes]:
    """Return `number` different records in the lock's name. The lock did not sign these records."""
    protected, unprotected, _, _ = cbor.decode(signed_by_lock(chain, 2))
    payloads = (cbor.encode([1, chain.lock_id, counter, b"p" * 32, os.urandom(8)]) for counter in range(2, number + 2))
    return [cbor.encode([protected, unprotected, each, os.urandom(64)]) for each in payloads]


def test_a_record_refused_once_is_refused_again_in_the_same_words_without_a_signature(
    world: World, signatures: list[str]
) -> None:
    [bad] = forged(world.lock, 1)
    first = deliver(world.province, bad)
    assert [entry[1] for entry in refusals(world.province, first)[0].records] == [record.parse(bad).payload_hash]
    assert len(signatures) == 1
    world.now += 10 * EVERY_SECONDS
    assert [deliver(world.province, bad, bad) for _ in range(5)] == [first] * 5
    assert len(signatures) == 1


def test_a_batch_of_refused_records_costs_one_signature_for_as_many_as_a_statement_holds(
    world: World, signatures: list[str]
) -> None:
    flood = forged(world.lock, MAX_ENTRIES + 1)
    assert world.deliver(*flood) == [(counter, SIGNATURE) for counter in range(2, MAX_ENTRIES + 2)]
    assert len(signatures) == 1
    assert world.deliver(flood[-1]) == [], "silence, so that it is sent again"
    assert world.province.store.tally()["refusals put off"] == 2
    world.now += EVERY_SECONDS
    assert world.deliver(flood[-1]) == [(MAX_ENTRIES + 2, SIGNATURE)]
    assert len(signatures) == 2


def test_junk_in_a_locks_name_buys_one_signature_a_minute_however_much_comes(
    world: World, signatures: list[str]
) -> None:
    minutes = KEPT_OF_ONE + 2
    for _ in range(minutes):
        for _ in range(3):
            world.deliver(*forged(world.lock, 20))
        world.now += EVERY_SECONDS
    assert len(signatures) == minutes
    kept = world.province.store._rows("SELECT (SELECT count(*) FROM refusals), (SELECT count(*) FROM refused)")
    assert kept == [(KEPT_OF_ONE, KEPT_OF_ONE * 20)], "nor does it fill the disk"


def test_junk_in_many_locks_names_buys_no_more_than_ten_signatures_a_minute_and_bounded_room(
    world: World, signatures: list[str]
) -> None:
    locks = [world.lock, *(world.another_lock() for _ in range(2 * OF_STRANGERS - 1))]
    signatures.clear()
    minutes = 2 * KEPT_OF_ONE
    for minute in range(1, minutes + 1):
        for chain in locks:
            world.deliver(*forged(chain, 2))
        assert len(signatures) == minute * OF_STRANGERS
        world.now += EVERY_SECONDS
        locks = locks[OF_STRANGERS:] + locks[:OF_STRANGERS]
    assert len(signatures) == len(locks) * KEPT_OF_ONE > KEPT_OF_STRANGERS
    assert world.province.store._rows("SELECT count(*) FROM refusals") == [(KEPT_OF_STRANGERS,)]


def test_what_a_lock_signed_twice_is_refused_in_the_midst_of_a_flood_of_junk(world: World) -> None:
    others = [world.another_lock() for _ in range(OF_STRANGERS)]
    for chain in [*others, world.lock]:
        world.deliver(*forged(chain, MAX_ENTRIES + 5))
    world.deliver(signed_by_lock(world.lock, 1))
    second = signed_by_lock(world.lock, 1)
    assert world.deliver(*forged(world.lock, 100), second) == [(1, EQUIVOCATION)]


def test_a_refusal_of_a_forgery_neither_refuses_nor_holds_up_the_record_that_the_lock_did_sign(world: World) -> None:
    """An attacker who sees a record in transit can send the record's payload first, with a different signature."""
    genuine = signed_by_lock(world.lock, 1)
    protected, unprotected, payload, _ = cbor.decode(genuine)
    borrowed = cbor.encode([protected, unprotected, payload, os.urandom(64)])
    assert world.deliver(borrowed) == [(1, SIGNATURE)]
    answer = deliver(world.province, genuine)
    assert refusals(world.province, answer) == []
    assert [receipt.through for receipt in receipts(world.province, answer)] == [1]


def test_an_answer_to_refused_records_is_not_far_larger_than_what_asked_for_it(world: World) -> None:
    one_of_each = []
    for _ in range(ANSWERED + 3):
        flood = forged(world.another_lock(), 30)
        world.deliver(*flood)
        one_of_each.append(flood[0])
        world.now += EVERY_SECONDS
    assert len(deliver(world.province, *one_of_each)) == ANSWERED


def test_a_clock_that_was_set_back_does_not_silence_the_province(world: World) -> None:
    world.deliver(*forged(world.lock, 1))
    world.now -= 30 * 86400
    assert world.deliver(*forged(world.lock, 1)) == [(2, SIGNATURE)]


def test_refusals_survive_a_restart_of_the_province(world: World, tmp_path: Path) -> None:
    [bad] = forged(world.lock, 1)
    first = deliver(world.province, bad)
    again = Province(tmp_path, "127.0.0.1", 1, clock=lambda: NOW + 5)
    assert deliver(again, bad) == first
    assert deliver(again, *forged(world.lock, 1)) == [], "nor does a restart buy a signature"
    again.stop()


def test_junk_does_not_take_the_place_of_an_equivocation_in_quarantine(world: World) -> None:
    for _ in range(QUARANTINE_ROWS // 250 + 1):
        world.deliver(*forged(world.lock, 250))
    world.deliver(signed_by_lock(world.lock, 1))
    second = signed_by_lock(world.lock, 1)
    world.deliver(second)
    rows = world.province.store.quarantined()
    assert [row[3] for row in rows].count(SIGNATURE) == QUARANTINE_ROWS
    assert [row[2] for row in rows if row[3] == EQUIVOCATION] == [record.parse(second).payload_hash]
