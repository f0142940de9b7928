"""The whole agent with a real broker and a real disk. Only the radio link is not real: it works without Bluetooth."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from edge_agent import announcements
from protocol import cbor, record, uplink
from protocol import crypto_cpython as crypto
from protocol.errors import StorageError
from sim.broker import Broker
from tests.support.building import Building, eventually, passes
from tests.support.counting_province import CountingProvince
from tests.support.signing_lock import SigningLock, grant


def _run(story: Callable[[], Awaitable[None]]) -> None:
    async def told() -> None:
        await story()

    asyncio.run(told())


def test_records_go_up_and_their_receipt_comes_back_to_the_lock(broker: Broker, tmp_path: Path) -> None:
    async def story() -> None:
        lock = SigningLock()
        lock.journal(5)
        building = Building(tmp_path, broker.port, lock)
        with CountingProvince(broker.port, lock) as province:
            async with building.open() as link:
                await link.until(lambda: lock.receipted_through == 5)
            assert [counter for _, counter in sorted(province.committed)] == [1, 2, 3, 4, 5]
            assert {kind for kind, _ in link.delivered} == {"receipt"}
        found = building.counts()
        assert (found.records, found.statements, found.quarantined) == (0, 0, 0)

    _run(story)


def test_records_taken_during_an_outage_survive_a_restart_of_the_agent(tmp_path: Path) -> None:
    async def story() -> None:
        lock = SigningLock()
        lock.journal(4)
        with Broker() as broker:
            await asyncio.to_thread(broker.stop)
            building = Building(tmp_path, broker.port, lock)
            async with building.open() as link:
                await eventually(lambda: building.counts().records == 4)
            await asyncio.to_thread(broker.start)
            with CountingProvince(broker.port, lock) as province:
                async with building.open() as link:
                    await link.until(lambda: lock.receipted_through == 4)
                    assert link.pulled[0] == 5, "the lock was not asked again for what is on disk"
                assert len(province.committed) == 4

    _run(story)


def test_a_receipt_waits_for_a_lock_that_is_away(tmp_path: Path) -> None:
    async def story() -> None:
        lock = SigningLock()
        lock.journal(2)
        with Broker() as broker, CountingProvince(broker.port, lock, mute=True) as province:
            building = Building(tmp_path, broker.port, lock)
            async with building.open() as link:
                await asyncio.to_thread(province.wait, lambda: len(province.committed) == 2)
                link.lose()
                province.send("edge", uplink.RECEIPT, uplink.Receipts([lock.receipt(2)]).encode())
                await eventually(lambda: building.counts().records == 0)
                assert building.counts().statements == 1
                link.reachable.set()
                await link.until(lambda: lock.receipted_through == 2)

    _run(story)


def test_a_forged_receipt_deletes_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        lock = SigningLock()
        lock.journal(2)
        forger, _ = crypto.generate("P-256")
        with Broker() as broker, CountingProvince(broker.port, lock, mute=True) as province:
            building = Building(tmp_path, broker.port, lock)
            async with building.open() as link:
                await asyncio.to_thread(province.wait, lambda: len(province.committed) == 2)
                forged = uplink.Receipts([lock.receipt(2, private=forger)]).encode()
                province.send("edge", uplink.RECEIPT, forged)
                # After the receipt, send a command on the same connection. The answer shows that the receipt was
                # handled.
                lock.nonce = b"n" * 16
                link.news.set()
                await asyncio.to_thread(
                    province.wait, lambda: any(isinstance(said, uplink.TimeRequest) for said in province.heard)
                )
                province.send("edge", uplink.CMD, uplink.Command(lock.lock_id, [lock.time_answer(lock.nonce)]).encode())
                await link.until(lambda: link.delivered)
                assert building.counts().records == 2
                assert [kind for kind, _ in link.delivered] == ["time"]

    _run(story)


def test_whatever_a_stranger_at_the_broker_says_the_records_stay_and_arrive(tmp_path: Path) -> None:
    async def story() -> None:
        lock, stranger = SigningLock(), crypto.generate("P-256")[0]
        refused = [[lock.lock_id, item.counter, item.payload_hash, "cose.signature"] for item in lock.journal(3)]
        with Broker() as broker, CountingProvince(broker.port, lock, mute=True) as province:
            building = Building(tmp_path, broker.port, lock)
            async with building.open() as link:
                await asyncio.to_thread(province.wait, lambda: len(province.committed) == 3)
                lies = [
                    (uplink.RECEIPT, cbor.encode([1, [], refused])),
                    (uplink.RECEIPT, cbor.encode([1, [cbor.encode(each) for each in refused]])),
                    (uplink.RECEIPT, uplink.Receipts([lock.receipt(3, private=stranger)]).encode()),
                    (uplink.CMD, uplink.Command(lock.lock_id, [lock.receipt(3)]).encode()),
                    (uplink.CMD, uplink.Command(lock.lock_id, [lock.placement(9, private=stranger)]).encode()),
                    (uplink.PASS, passes(building.agent._credentials.public, 2**53 - 2, private=stranger)),
                ]
                for code in ("cose.signature", "record.equivocation"):
                    forged = lock.refusal(code, *lock.records, private=stranger)
                    lies += [(leaf, uplink.Receipts([forged]).encode()) for leaf in (uplink.RECEIPT, uplink.CMD)]
                for leaf, lie in lies:
                    province.send("edge", leaf, lie)
                # Send one more message on the same connection. The effect of this message shows that all earlier
                # messages were handled.
                province.send("edge", uplink.CMD, uplink.Command(lock.lock_id, [lock.placement(1)]).encode())
                await link.until(lambda: link.delivered)
                found = building.counts()
                assert (found.records, found.quarantined, found.disputed, found.statements) == (3, 0, 0, 0)
                assert link.delivered == [("placement", link.delivered[0][1])]
                assert building.agent._credentials.issued_at == 50 and building.agent.uplink.online
                province.mute = False
                await link.until(lambda: lock.receipted_through == 3)

    _run(story)


def test_a_time_answer_reaches_the_lock_only_while_its_nonce_is_outstanding(tmp_path: Path) -> None:
    async def story() -> None:
        lock = SigningLock()
        lock.nonce = b"1" * 16
        with Broker() as broker, CountingProvince(broker.port, lock) as province:
            building = Building(tmp_path, broker.port, lock)
            async with building.open() as link:
                await asyncio.to_thread(
                    province.wait, lambda: any(isinstance(said, uplink.TimeRequest) for said in province.heard)
                )
                stale, good = lock.time_answer(b"0" * 16), lock.time_answer(b"1" * 16)
                province.send("edge", uplink.CMD, uplink.Command(lock.lock_id, [stale, good]).encode())
                await link.until(lambda: link.delivered)
                assert link.delivered == [("time", good)]

    _run(story)


def test_statements_are_held_until_the_lock_gives_its_result(tmp_path: Path) -> None:
    async def story() -> None:
        lock = SigningLock()
        grants = [grant(number) for number in range(3)]
        with Broker() as broker, CountingProvince(broker.port, lock) as province:
            building = Building(tmp_path, broker.port, lock)
            async with building.open() as link:
                await asyncio.to_thread(
                    province.wait, lambda: any(isinstance(said, uplink.LockSeen) for said in province.heard)
                )
                link.lose()
                link.answers["grant"] = "grant.stale"
                statements = [lock.placement(), *grants]
                unknown = uplink.Command(bytes(16), statements).encode()
                for command in (unknown, uplink.Command(lock.lock_id, statements).encode()):
                    province.send("edge", uplink.CMD, command)
                await eventually(lambda: building.counts().statements == 4)
                link.reachable.set()
                await link.until(lambda: len(link.delivered) == 4)
                assert [signed for _, signed in link.delivered] == statements
        assert building.counts().statements == 0, "a statement that the lock refused is finished too"

    _run(story)


def test_a_refusal_moves_the_record_and_is_handed_to_no_lock(tmp_path: Path) -> None:
    async def story() -> None:
        lock = SigningLock()
        lock.journal(3)
        with Broker() as broker, CountingProvince(broker.port, lock) as province:
            province.refuse[(lock.lock_id, 2)] = "record.equivocation"
            building = Building(tmp_path, broker.port, lock)
            async with building.open() as link:
                await link.until(lambda: lock.receipted_through == 3)
                signed = lock.refusal("record.equivocation", *lock.records)
                for leaf, message in (
                    (uplink.CMD, uplink.Command(lock.lock_id, [signed]).encode()),
                    (uplink.RECEIPT, uplink.Receipts([signed]).encode()),
                ):
                    province.send("edge", leaf, message)
                # Send one more message on the same connection. The effect of this message shows that all earlier
                # messages were handled.
                province.send("edge", uplink.CMD, uplink.Command(lock.lock_id, [lock.placement()]).encode())
                await link.until(lambda: "placement" in {kind for kind, _ in link.delivered})
            found = building.counts()
            assert (found.records, found.quarantined, found.statements) == (0, 1, 0)
            assert {kind for kind, _ in link.delivered} == {"receipt", "placement"}

    _run(story)


def test_a_lock_is_announced_without_its_placement_until_the_agent_knows_it_too(tmp_path: Path) -> None:
    """Otherwise a new agent would never learn which key must sign the lock's grants."""

    async def story() -> None:
        lock = SigningLock()
        lock.held = {"placement": 3, "profile": 1}
        with Broker() as broker, CountingProvince(broker.port, lock) as province:

            def told() -> list[dict[str, int]]:
                return [said.held for said in province.heard if isinstance(said, uplink.LockSeen)]

            building = Building(tmp_path, broker.port, lock)
            async with building.open() as link:
                await asyncio.to_thread(province.wait, told)
                assert told() == [{"profile": 1}]
                province.send("edge", uplink.CMD, uplink.Command(lock.lock_id, [lock.placement(3)]).encode())
                # Send one more message on the same connection. The effect of this message shows that the previous
                # message was handled.
                province.send("edge", uplink.CMD, uplink.Command(lock.lock_id, [lock.placement(4)]).encode())
                await link.until(lambda: link.delivered)
                assert len(link.delivered) == 1, "the lock already holds the other one"
                lock.held = {"placement": 3, "profile": 2}
                link.news.set()
                await asyncio.to_thread(province.wait, lambda: len(told()) > 1)
                assert told()[1] == {"placement": 3, "profile": 2}

    _run(story)


def test_a_record_the_lock_did_not_sign_is_kept_aside_and_does_not_take_a_place(tmp_path: Path) -> None:
    async def story() -> None:
        lock, forger = SigningLock(), SigningLock()
        lock.journal(2)
        genuine = lock.records[1]
        lock.records[1] = record.parse(record.sign(crypto, forger.private, genuine.payload))
        with Broker() as broker, CountingProvince(broker.port, lock, mute=True) as province:
            building = Building(tmp_path, broker.port, lock)
            async with building.open() as link:
                await eventually(lambda: building.counts().quarantined == 1)
                lock.records[1] = genuine
                link.reconnect()
                await asyncio.to_thread(province.wait, lambda: len(province.committed) == 2)
            assert province.committed[(lock.lock_id, 2)] == genuine.raw

    _run(story)


def test_a_lock_that_shows_another_locks_id_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        lock = SigningLock()
        lock.lock_id = SigningLock().lock_id
        with Broker() as broker:
            building = Building(tmp_path, broker.port, lock)
            async with building.open() as link:
                await link.until(lambda: link.errors)
                assert link.errors[0].code == "lock.identity"

    _run(story)


def test_a_lock_whose_journal_went_back_is_pulled_from_its_receipt_and_conflicts_are_kept(tmp_path: Path) -> None:
    async def story() -> None:
        lock = SigningLock()
        lock.journal(3)
        with Broker() as broker, CountingProvince(broker.port, lock, mute=True):
            building = Building(tmp_path, broker.port, lock)
            async with building.open() as link:
                await eventually(lambda: building.counts().records == 3)
                lock.records.clear()
                lock.journal(1)
                link.reconnect()
                await eventually(lambda: building.counts().quarantined == 1)
            assert building.counts().records == 3

    _run(story)


def test_two_agents_do_not_share_a_state_directory(tmp_path: Path) -> None:
    async def story() -> None:
        with Broker() as broker:
            building = Building(tmp_path, broker.port, SigningLock())
            async with building.open():
                second = Building(tmp_path, broker.port, SigningLock())
                with pytest.raises(StorageError) as refusal:
                    async with second.running():
                        pass
                assert refusal.value.code == "outbox.busy"

    _run(story)


def test_an_agent_asks_for_a_pass_takes_it_and_asks_again_when_a_lock_refuses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcements, "ASK_PASS_SECONDS", 0.1)

    async def story() -> None:
        lock = SigningLock()
        with Broker() as broker, CountingProvince(broker.port, lock) as province:
            building = Building(tmp_path, broker.port, lock, listed=False)
            async with building.running():
                asked = _asked(province)
                await asyncio.to_thread(province.wait, asked)
                known = building.agent._credentials
                assert not building.links, "without a pass the agent talks to no lock"
                request = asked()[-1]
                assert (request.edge_public, request.issued_at) == (known.public, 0)
                province.send("edge", uplink.PASS, passes(known.public, 100, crypto.generate("P-256")[0]))
                province.send("edge", uplink.PASS, passes(known.public, 100, locks=[lock.lock_id]))
                await eventually(lambda: "L0" in building.links)
                assert known.issued_at == 100
                settled = len(asked())
                known.note_refusal()
                await asyncio.to_thread(province.wait, lambda: len(asked()) > settled)
                assert asked()[-1].issued_at == 100
                province.send("edge", uplink.PASS, passes(known.public, 101))
                await eventually(lambda: known.issued_at == 101)
                await eventually(lambda: not building.agent.locks)  # the lock is not ours any more

    _run(story)


def _asked(province: CountingProvince) -> Callable[[], list[uplink.PassRequest]]:
    return lambda: [said for said in province.heard if isinstance(said, uplink.PassRequest)]
