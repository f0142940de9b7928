"""The numbers of a running agent are those of its locks, its queue and its broker, and count nothing by lock."""

import asyncio
import contextlib
import time
from dataclasses import replace
from pathlib import Path

from sim.broker import Broker
from sim.ports import ReservedPort
from tests.support.building import Building
from tests.support.counting_province import CountingProvince
from tests.support.signing_lock import SigningLock


def test_a_working_agent_is_ready_and_its_last_receipt_is_known(tmp_path: Path) -> None:
    async def story() -> None:
        lock = SigningLock()
        lock.journal(3)
        with Broker() as broker, CountingProvince(broker.port, lock):
            building = Building(tmp_path, broker.port, lock)
            async with building.open() as link:
                await link.until(lambda: lock.receipted_through == 3)
                vitals = building.agent.vitals
                numbers, text = await vitals.numbers(), await vitals.text()
                assert (vitals.unhealthy(), vitals.unready()) == ([], [])
        assert numbers.broker and not numbers.intake_refused
        assert (numbers.own, numbers.silent) == (1, 0)
        assert numbers.last_receipt is not None and abs(numbers.last_receipt - time.time()) < 3600
        assert numbers.contents is not None and numbers.contents.records == 0
        # A label says no more than the lock's advertisement, which has four bytes of its id.
        lines = [line for line in text.splitlines() if lock.lock_id.hex()[:8] in line]
        assert {line.partition("{")[0] for line in lines} <= {"mooring_edge_lock_info", "mooring_edge_lock_signal_dbm"}
        assert lines and lock.lock_id.hex()[:10] not in text
        assert numbers.disk_written is None or numbers.disk_written >= 0

    asyncio.run(asyncio.wait_for(story(), 60))


def test_an_agent_without_a_broker_and_with_a_full_disk_says_why_it_is_not_ready(tmp_path: Path) -> None:
    async def story() -> None:
        lock, away = SigningLock(), SigningLock()
        with contextlib.closing(ReservedPort()) as nobody:
            building = Building(tmp_path, nobody.port, lock, away)
            building.settings = replace(
                building.settings, outbox=replace(building.settings.outbox, disk_reserve_mb=2**40)
            )
            async with building.running():
                vitals = building.agent.vitals
                numbers = await vitals.numbers()
                broker, disk = vitals.unready()
        assert broker.startswith("the broker is not connected") and disk.startswith("no record is accepted")
        assert numbers.intake_refused and not numbers.broker and numbers.last_receipt is None
        assert numbers.silent == 2, "nobody was heard yet"

    asyncio.run(asyncio.wait_for(story(), 60))
