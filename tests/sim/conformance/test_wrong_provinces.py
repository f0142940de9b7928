"""For each clause, a province that breaks it and nothing else that it can help. The judge names that clause."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest

from protocol import cbor, cose, edge_pass, record, statement, uplink
from protocol import crypto_cpython as crypto
from protocol.receipt import Receipt
from protocol.signed_time import SignedTime
from sim.conformance.clauses import PROVINCE
from sim.conformance.courier import Arrival, Courier
from sim.conformance.province import ProvinceJudge
from sim.conformance.verdict import Verdict, exit_code
from tests.support.registry_wire import Answers, Registered, RegistryWire

Twist = Callable[[RegistryWire, bytes], Answers]

NOBODY = crypto.generate("P-256")[0]


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registered]:
    with contextlib.closing(Registered(tmp_path_factory.mktemp("province"))) as made:
        yield made


def judged(registered: Registered, twist: Twist | None, wanted: Collection[str], deadline: float) -> list[Verdict]:
    async def story() -> list[Verdict]:
        province, kit = registered.fresh()
        wire = RegistryWire(province, kit, twist)
        courier = Courier(wire, province.public, kit.platform_public, deadline)
        judge = ProvinceJudge(courier, kit, wire.restart, records=20, settle=0.0)
        return [verdict async for verdict in judge.judge(wanted, lambda _clause: None)]

    return asyncio.run(story())


def up(payload: bytes) -> Any:
    """Return a message on `up`, or None if it cannot be read."""
    try:
        return uplink.parse_up(payload)
    except Exception:  # noqa: BLE001
        return None


def without(kind: str) -> Twist:
    """Return a province that leaves out all statements of a kind."""
    return changed(lambda wire, of, data: None if of == kind else data)


def changed(change: Callable[[RegistryWire, str, bytes], bytes | None]) -> Twist:
    """Return a province that changes each statement: `change(wire, kind, statement)`."""

    def twist(wire: RegistryWire, payload: bytes) -> Answers:
        return [
            (leaf, packed) for leaf, said in wire.honest(payload) if (packed := _repacked(wire, leaf, said, change))
        ]

    return twist


def _repacked(
    wire: RegistryWire, leaf: str, said: bytes, change: Callable[[RegistryWire, str, bytes], bytes | None]
) -> bytes:
    message: Any = {
        uplink.CMD: uplink.parse_command,
        uplink.RECEIPT: uplink.parse_receipts,
        uplink.PASS: uplink.parse_passes,
    }[leaf](said)
    new = [change(wire, statement.parse(data).kind, data) for data in message.statements]
    kept = [data for data in new if data is not None]
    if not kept:
        return b""
    # Not `encode`, because a wrong province sends what the form forbids.
    return cbor.encode([1, message.lock_id, kept] if leaf == uplink.CMD else [1, kept])


def receipts_of(reach: Callable[[RegistryWire, Receipt], Receipt]) -> Twist:
    """Return a province that signs another receipt in place of each."""

    def change(wire: RegistryWire, kind: str, data: bytes) -> bytes | None:
        if kind != "receipt":
            return data
        good = Receipt.parse(statement.parse(data).read("receipt"))
        return wire.province.keys.sign("receipt", reach(wire, good).body())

    return changed(change)


def only(kind: type, instead: Twist) -> Twist:
    """Return a province that is wrong at one kind of message, and honest at all others."""
    return lambda wire, payload: (instead if isinstance(up(payload), kind) else RegistryWire.honest_of)(wire, payload)


def resigned(kind: str, private: bytes) -> Twist:
    def change(_wire: RegistryWire, of: str, data: bytes) -> bytes:
        return statement.sign(crypto, private, of, statement.parse(data).read(of)) if of == kind else data

    return changed(change)


# --- what the wrong provinces do -------------------------------------------------------------------------------------


def unsigned(_wire: RegistryWire, kind: str, data: bytes) -> bytes:
    item: Any = cbor.decode(data)
    return cbor.encode([*item[:3], bytes(64)]) if kind == "time" else data


def keys_in_the_wrong_order(wire: RegistryWire, kind: str, data: bytes) -> bytes:
    body = statement.parse(data).read(kind)
    pairs = [cbor.encode(key) + cbor.encode(body[key]) for key in sorted(body, reverse=True)]
    payload = bytes((0xA0 + len(pairs),)) + b"".join(pairs)
    return cbor.encode(cose.sign1(crypto, wire.province.keys.signing_private, payload, {cose.TYP: f"mooring/{kind}"}))


def another_nonce(wire: RegistryWire, kind: str, data: bytes) -> bytes:
    if kind != "time":
        return data
    told = SignedTime.parse(statement.parse(data).read("time"))
    return wire.province.keys.sign("time", SignedTime(bytes(16), told.time, told.lock_id).body())


def stands_still(wire: RegistryWire, kind: str, data: bytes) -> bytes:
    if kind != "time":
        return data
    told = SignedTime.parse(statement.parse(data).read("time"))
    return wire.province.keys.sign("time", SignedTime(told.nonce, 1_000_000_000, told.lock_id).body())


def any_time(wire: RegistryWire, payload: bytes) -> Answers:
    asked = up(payload)
    signed = wire.province.keys.sign("time", SignedTime(asked.nonce, 2_000_000_000, asked.lock_id).body())
    return wire.honest(payload) or [(uplink.CMD, uplink.Command(asked.lock_id, [signed]).encode())]


def any_time_late(wire: RegistryWire, payload: bytes) -> Answers:
    """Answer for an unknown lock only after the next messages."""
    asked = up(payload)
    if isinstance(asked, uplink.TimeRequest) and not wire.honest(payload):
        wire.put_off += any_time(wire, payload)
        return []
    late, wire.put_off = (wire.put_off, []) if isinstance(asked, uplink.LockSeen) else ([], wire.put_off)
    return wire.honest(payload) + late


def always_passes(wire: RegistryWire, payload: bytes) -> Answers:
    asked = up(payload)
    return wire.honest(uplink.PassRequest(asked.edge_public, 0).encode())


def first_come_passes(wire: RegistryWire, payload: bytes) -> Answers:
    """Give passes to every key that asks."""
    asked = up(payload)
    locks = [lock.lock_id for lock in wire.kit.locks.values()]
    form = edge_pass.EdgePass(2_000_000_000, "conformance", asked.edge_public, 2_100_000_000, locks)
    if asked.issued_at:
        return []
    return [(uplink.PASS, uplink.Passes([wire.province.keys.sign(edge_pass.KIND, form.body())]).encode())]


def one_lock_less(wire: RegistryWire, kind: str, data: bytes) -> bytes:
    if kind != edge_pass.KIND:
        return data
    body = statement.parse(data).read(kind)
    return wire.province.keys.sign(kind, {**body, 6: body[6][1:]})


def papers_again(wire: RegistryWire, payload: bytes) -> Answers:
    seen = up(payload)
    return wire.honest(uplink.LockSeen(seen.lock_id, seen.identity_public, {}).encode())


def papers_for_anybody(wire: RegistryWire, payload: bytes) -> Answers:
    seen = up(payload)
    lock = next(lock for lock in wire.kit.locks.values() if lock.lock_id == seen.lock_id)
    return wire.honest(uplink.LockSeen(seen.lock_id, lock.public, seen.held).encode())


def another_listing(wire: RegistryWire, kind: str, data: bytes) -> bytes:
    if kind != "placement":
        return data
    return wire.province.keys.sign(kind, {**statement.parse(data).read(kind), 4: "ELSEWHERE"})


def foreign_grants(wire: RegistryWire, payload: bytes) -> Answers:
    seen = up(payload)
    return [*wire.honest(payload), (uplink.CMD, uplink.Command(seen.lock_id, wire.kit.foreign).encode())]


def rewritten_grants(wire: RegistryWire, kind: str, data: bytes) -> bytes:
    if kind != "grant":
        return data
    return statement.sign(crypto, wire.kit.platform, kind, statement.parse(data).read(kind))


def from_memory(wire: RegistryWire, payload: bytes) -> Answers:
    """Sign receipts for what is only in memory. The registry never sees a record."""
    answers: list[bytes] = []
    for data in up(payload).records:
        try:
            item = record.parse(data)
        except Exception:  # noqa: BLE001
            continue
        wire.memory.setdefault(item.lock_id, {})[item.counter] = item.payload_hash
        through = 0
        while through + 1 in wire.memory[item.lock_id]:
            through += 1
        if through:
            form = Receipt(item.lock_id, through, wire.memory[item.lock_id][through], 1)
            answers = [wire.province.keys.sign("receipt", form.body())]
    return [(uplink.RECEIPT, uplink.Receipts(answers).encode())] if answers else []


def counted_by_delivery(wire: RegistryWire, good: Receipt) -> Receipt:
    """Count deliveries in place of records."""
    return Receipt(good.lock_id, wire.deliveries[good.lock_id], good.head, good.time)


def over_gaps(wire: RegistryWire, payload: bytes) -> Answers:
    highest = max((record.parse(data) for data in up(payload).records if len(data) > 100), key=lambda one: one.counter)
    wire.honest(payload)
    form = Receipt(highest.lock_id, highest.counter, highest.payload_hash, 1)
    return [(uplink.RECEIPT, uplink.Receipts([wire.province.keys.sign("receipt", form.body())]).encode())]


def parts_of(keep: Callable[[RegistryWire, list[bytes]], list[bytes]]) -> Twist:
    """Return a province that commits only some records of each batch."""

    def twist(wire: RegistryWire, payload: bytes) -> Answers:
        kept = keep(wire, up(payload).records)
        return wire.honest(uplink.Batch(bytes(8), kept).encode()) if kept else []

    return twist


def in_order(_wire: RegistryWire, records: list[bytes]) -> list[bytes]:
    counters = [record.parse(data).counter for data in records if len(data) > 100]
    return records if counters == sorted(counters) else records[:1]


def all_good(_wire: RegistryWire, records: list[bytes]) -> list[bytes]:
    return records if all(len(data) > 100 for data in records) else []


def can_be_opened(wire: RegistryWire, records: list[bytes]) -> list[bytes]:
    return [data for data in records if record.parse(data).lock_id != wire.kit.locks["sealed"].lock_id]


def few(_wire: RegistryWire, records: list[bytes]) -> list[bytes]:
    return records[:10]


def last_receipt_only(wire: RegistryWire, payload: bytes) -> Answers:
    answers = wire.honest(payload)
    return [(leaf, uplink.Receipts(uplink.parse_receipts(said).statements[-1:]).encode()) for leaf, said in answers]


def once(wire: RegistryWire, payload: bytes) -> Answers:
    """Say nothing about a batch that came before."""
    records = tuple(up(payload).records)
    new, wire.batches = records not in wire.batches, wire.batches | {records}
    return wire.honest(payload) if new else []


def believes_forgers(wire: RegistryWire, payload: bytes) -> Answers:
    forged = [record.parse(data) for data in up(payload).records if len(data) > 100]
    answers = wire.honest(payload)
    for item in forged:
        if item.lock_id == wire.kit.locks["forged"].lock_id and not any(
            leaf == uplink.RECEIPT for leaf, _ in answers[1:]
        ):
            form = Receipt(item.lock_id, item.counter, item.payload_hash, 1)
            answers = [(uplink.RECEIPT, uplink.Receipts([wire.province.keys.sign("receipt", form.body())]).encode())]
    return answers


def refuses_strangers(wire: RegistryWire, payload: bytes) -> Answers:
    known = {lock.lock_id for lock in wire.kit.locks.values()}
    unknown = [item for item in map(record.parse, up(payload).records) if item.lock_id not in known]
    entries = [[item.counter, item.payload_hash, "lock.unknown"] for item in unknown]
    if not entries:
        return wire.honest(payload)
    body = {1: 1, 2: unknown[0].lock_id, 3: 1, 4: entries}
    return [(uplink.RECEIPT, uplink.Receipts([wire.province.keys.sign("refusal", body)]).encode())]


def dies_of_junk(wire: RegistryWire, payload: bytes) -> Answers:
    wire.dead = wire.dead or up(payload) is None
    return [] if wire.dead else wire.honest(payload)


def refusals_last(wire: RegistryWire, payload: bytes) -> Answers:
    answers = wire.honest(payload)
    return [
        (leaf, uplink.Receipts(list(reversed(uplink.parse_receipts(said).statements))).encode())
        for leaf, said in answers
    ]


def on_another_leaf(wire: RegistryWire, payload: bytes) -> Answers:
    answers = wire.honest(payload)
    lock = wire.kit.locks["receipts"].lock_id
    return [(uplink.CMD, uplink.Command(lock, uplink.parse_receipts(said).statements).encode()) for _, said in answers]


def no_receipt_when_seen(wire: RegistryWire, payload: bytes) -> Answers:
    return [(leaf, said) for leaf, said in wire.honest(payload) if leaf != uplink.RECEIPT]


def silent(_wire: RegistryWire, _payload: bytes) -> Answers:
    return []


B, T, S, R = uplink.Batch, uplink.TimeRequest, uplink.LockSeen, uplink.PassRequest

WRONG: dict[str, tuple[Twist, str, str]] = {
    "passes lack a lock": (only(R, changed(one_lock_less)), "P1", "P1"),
    "passes always come again": (only(R, always_passes), "P2", "P2"),
    "passes for every key that asks": (only(R, first_come_passes), "P2", "P2"),
    "no profile": (without("profile"), "P3", "P3"),
    "a placement for another listing": (changed(another_listing), "P3", "P3"),
    "papers come again and again": (only(S, papers_again), "P4", "P4"),
    "papers for whoever names a lock": (only(S, papers_for_anybody), "P5", "P5"),
    "unsigned time": (changed(unsigned), "P6 P25", "P6 P25"),
    "time with another nonce": (changed(another_nonce), "P6", "P6"),
    "a clock that is years behind": (changed(stands_still), "P6", "P6"),
    "time for any lock": (only(T, any_time), "P7", "P7"),
    "time for any lock, late": (any_time_late, "P7 P8", "P7"),
    "no receipts": (without("receipt"), "P8", "P8"),
    "receipts with another head": (
        receipts_of(lambda _, good: Receipt(good.lock_id, good.through, bytes(32), good.time)),
        "P8 P27",
        "P8 P27",
    ),
    "a receipt for a record that was never sent": (
        receipts_of(lambda _, good: Receipt(good.lock_id, good.through + 1, good.head, good.time)),
        "P8 P27",
        "P8 P27",
    ),
    "nothing for a batch that came before": (only(B, once), "P9", "P9"),
    "duplicates are counted twice": (receipts_of(counted_by_delivery), "P10 P27", "P10 P27"),
    "receipts over gaps": (only(B, over_gaps), "P11 P27", "P11 P27"),
    "only records in order": (only(B, parts_of(in_order)), "P12", "P12"),
    "only records that can be opened": (only(B, parts_of(can_be_opened)), "P13", "P13"),
    "one receipt after a break of the chain": (only(B, last_receipt_only), "P14", "P14"),
    "no refusals": (without("refusal"), "P15", "P15"),
    "forged records are believed": (only(B, believes_forgers), "P16 P27", "P16 P27"),
    "records of unknown locks are refused": (only(B, refuses_strangers), "P17", "P17"),
    "a message that cannot be read ends it": (dies_of_junk, "P18", "P18"),
    "a batch with junk is dropped": (only(B, parts_of(all_good)), "P19", "P19"),
    "no receipt for a lock that is seen": (only(S, no_receipt_when_seen), "P20", "P20"),
    "grants outside the placement": (only(S, foreign_grants), "P21", "P21"),
    "grants are signed once more": (changed(rewritten_grants), "P21", "P21"),
    "only the first records of a batch": (only(B, parts_of(few)), "P22", "P22"),
    "receipts before the commit": (only(B, from_memory), "P8 P23", "P23"),
    "keys in the wrong order": (changed(keys_in_the_wrong_order), "P3 P24", "P3 P24"),
    "receipts on another topic": (only(B, on_another_leaf), "P8 P24", "P8 P24"),
    "statements of another key": (resigned("placement", NOBODY), "P3 P25", "P3 P25"),
    "refusals after receipts": (only(B, refusals_last), "P15 P28", "P28"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_province_that_breaks_a_clause_is_caught_at_that_clause(wrong: str, registered: Registered) -> None:
    twist, wanted, broken = WRONG[wrong]
    # A deadline that nobody can keep makes the answer that never comes cheap. All others come at once.
    verdicts = judged(registered, twist, wanted.split(), deadline=0.02)
    assert {each.clause for each in verdicts if each.outcome == "fail"} == set(broken.split()), [*map(str, verdicts)]
    assert exit_code(verdicts) == 1
    assert all(
        each.expected and each.came and each.clause in each.line() for each in verdicts if each.outcome == "fail"
    )


def test_messages_at_qos_0_or_retained_are_caught() -> None:
    for arrival in (Arrival("cmd", b"", qos=0), Arrival("cmd", b"", retained=True)):
        courier = Courier(RegistryWire.__new__(RegistryWire), b"", b"", 1.0)
        courier.take(arrival)
        assert "P26" in courier.flaws


def test_there_is_a_wrong_province_for_each_clause() -> None:
    assert {clause for _, _, broken in WRONG.values() for clause in broken.split()} | {"P26"} == set(PROVINCE)
