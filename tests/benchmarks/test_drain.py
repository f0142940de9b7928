"""How fast an agent drains a backlog through a real broker to the province, which commits in another process.

Each time stands beside the least that the same batches take: paho alone publishes them at QoS 1, and nobody answers but
the broker. How long the province takes to commit is printed too, because a drain cannot be faster.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.backoff import Backoff
from edge_agent.downlink import Downlink
from edge_agent.faults import Faults
from edge_agent.outbox import Key
from edge_agent.uplink import Uplink
from protocol import VERSION, uplink
from protocol.record import Record
from sim.broker import Broker
from sim.province.province import Province
from tests.support.signing_lock import PROVINCE_PRIVATE, PROVINCE_PUBLIC, SEALING_PRIVATE, SigningLock
from tests.support.uplink_edge import UplinkEdge

LOCKS, OF_EACH = 8, 800


class DrainingEdge(UplinkEdge):
    """An outbox, its uplink, and the agent's own handling of receipts. `batches` are the messages of `Batch`."""

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(folder, port)
        self.outbox._db.execute("PRAGMA synchronous = OFF")
        self.downlink = Downlink(self.outbox, {}, PROVINCE_PUBLIC, Faults())
        self.left, self.empty = 0, asyncio.Event()
        self.settled: dict[Key, asyncio.Event] = {}
        """Records that somebody waits for."""
        self.uplink = Uplink(
            *(self.settings, self.outbox, VERSION),
            on_receipts=self._take,
            on_command=lambda _: None,
            on_pass=lambda _: None,
            on_online=self.online.set,
            on_offline=self.online.clear,
            faults=Faults(),
            reconnect=Backoff(first=0.2, limit=1.0),
        )

    def _take(self, message: uplink.Receipts) -> list[Key]:
        gone = self.downlink.on_receipts(message)
        for key in gone:
            if key in self.settled:
                self.settled[key].set()
        self.left -= len(gone)
        if not self.left:
            self.empty.set()
        return gone

    def put(self, records: Sequence[Record]) -> None:
        for item in records:
            self.outbox.put(item)
        self.left += len(records)

    async def report(self, lock: SigningLock) -> list[float]:
        """Store one fresh record after the other while the backlog drains. Return how long each took to its receipt."""
        took = []
        self.outbox.lock_seen(lock.hello())
        while not self.empty.is_set():
            (item,) = lock.journal()
            self.settled[item.lock_id, item.counter] = settled = asyncio.Event()
            start = time.monotonic()
            self.put([item])
            self.uplink.wake()
            await settled.wait()
            took.append(time.monotonic() - start)
        return took


async def _drain(folder: Path, port: int, locks: list[SigningLock], records: list[Record]) -> tuple[float, float]:
    """Return the seconds for the whole drain, and the processor time of this process. The first lock has no backlog. It
    reports meanwhile, and how long that takes is printed."""
    edge = DrainingEdge(folder, port)
    for lock in locks:
        edge.outbox.lock_seen(lock.hello())
    edge.put(records)
    edge.outbox._db.execute("PRAGMA synchronous = FULL")
    started, cpu = time.monotonic(), time.process_time()
    task = asyncio.ensure_future(edge.uplink.run())
    await edge.online.wait()
    fresh = await edge.report(locks[0])
    seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    edge.outbox.close()
    print(
        f"\n{len(fresh)} fresh records beside a backlog: {median(fresh):.2f} s to the receipt, at most {max(fresh):.2f}"
    )
    return seconds, cpu


def _paho_alone(port: int, batches: list[bytes]) -> tuple[float, float]:
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.max_inflight_messages_set(20)
    client.connect("127.0.0.1", port)
    client.loop_start()
    started, cpu = time.monotonic(), time.process_time()
    waiting = [client.publish("nobody/listens", each, qos=1) for each in batches]
    for each in waiting:
        each.wait_for_publish()
    result = time.monotonic() - started, time.process_time() - cpu
    client.disconnect()
    client.loop_stop()
    return result


def _processor_seconds(pid: int) -> float:
    """Return the processor time that a process has taken so far (proc(5): fields 14 and 15, in ticks)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.bench
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the processor time of another process here")
def test_the_time_to_drain_a_backlog(tmp_path: Path) -> None:
    orders = ("interleaved", "ordered")
    sites = {order: [SigningLock() for _ in range(LOCKS)] for order in orders}
    folder = tmp_path / "province"
    folder.mkdir()
    (folder / "keys.json").write_text(json.dumps({"signing": PROVINCE_PRIVATE.hex(), "sealing": SEALING_PRIVATE.hex()}))
    registered = Province(folder, "127.0.0.1", 1)
    registered.declare_listing("LC-1", doors=LOCKS * len(orders))
    for number, lock in enumerate(lock for locks in sites.values() for lock in locks):
        if number % LOCKS:
            lock.journal(OF_EACH)
        registered.register_lock(
            lock.public, listing="LC-1", room="1", platform_key=lock.public, reader_chain=[b"\x30\x00"]
        )
    registered.store.close()
    times: dict[str, tuple[float, float]] = {}
    with Broker("iotcore") as broker:
        command = [sys.executable, "-m", "sim.province", "run", "--data", str(folder), "--port", str(broker.port)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as province:
            assert province.stdout is not None and province.stdout.readline()  # it says that it is connected
            records: list[Record] = []
            for order, locks in sites.items():
                records = [item for row in zip(*(lock.records for lock in locks[1:]), strict=True) for item in row]
                if order == "ordered":
                    records = [item for lock in locks[1:] for item in lock.records]
                before = _processor_seconds(province.pid)
                times[order] = asyncio.run(_drain(tmp_path / order, broker.port, locks, records))
                busy = _processor_seconds(province.pid) - before
                print(f"{order}: {times[order][0]:.1f} s, of which the province worked {busy:.1f} s")
            province.terminate()
        by_lock = [item.raw for item in records]
        batches = [uplink.Batch(bytes(8), by_lock[at : at + 50]).encode() for at in range(0, len(by_lock), 50)]
        times["paho alone"] = _paho_alone(broker.port, batches)
    print(f"\nto drain {len(records):,} records of {LOCKS - 1} locks; processor time of the agent")
    for name, (seconds, cpu) in times.items():
        each = cpu / len(records)
        ratio = cpu / times["paho alone"][1]
        print(f"  {name:<14}{seconds:>6.2f} s{each * 1e6:>7.0f} us a record{ratio:>7.2f} times paho alone")
