"""The province at a real broker: commit, acknowledgement, receipt, with outages and crashes in between."""

import os
import queue
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from protocol import crypto_cpython as crypto
from protocol import record, statement, uplink
from protocol.errors import ConfigError
from protocol.receipt import Receipt
from protocol.trust import Issuer
from sim import broker as brokers
from sim.board.interpreter import ROOT
from sim.hang import HANG_SECONDS
from sim.platform import Guest, Platform
from sim.ports import ReservedPort
from sim.province import Province
from tests.support.chain import NOW, Chain, check_in, entry

EDGE = "edge-1"


class Courier:
    """The MQTT side of an edge. The edge sends the messages of the test, and queues the province's answers."""

    def __init__(self, broker: brokers.Broker, edge: str = EDGE) -> None:
        self.edge = edge
        self.answers: queue.Queue[tuple[str, bytes]] = queue.Queue()
        ready: queue.Queue[bool] = queue.Queue()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe(
            [(uplink.topic(edge, leaf), SubscribeOptions(qos=1)) for leaf in (uplink.RECEIPT, uplink.CMD)]
        )
        self._client.on_subscribe = lambda *_: ready.put(True)
        self._client.on_message = self._on_message
        self._client.connect(broker.host, broker.port)
        self._client.loop_start()
        ready.get()

    def _on_message(self, _: Any, __: Any, message: mqtt.MQTTMessage) -> None:
        self.answers.put((uplink.edge_of(message.topic)[1], bytes(message.payload)))

    def send(self, payload: bytes) -> None:
        """Publish on `up` and return when the broker has acknowledged."""
        self._client.publish(uplink.topic(self.edge, uplink.UP), payload, qos=1).wait_for_publish(10)

    def batch(self, *records: bytes) -> None:
        self.send(uplink.Batch(os.urandom(8), list(records)).encode())

    def answer(self, leaf: str) -> bytes:
        """Wait for the next answer, and return it. It must be on `leaf`."""
        got, payload = self.answers.get()
        assert got == leaf
        return payload

    def through(self, province_public: bytes) -> list[int]:
        """Wait for the next answer, and return the counter `through` of each receipt in it."""
        return [
            Receipt.parse(statement.open(crypto, data, "receipt", province_public)).through
            for data in uplink.parse_receipts(self.answer(uplink.RECEIPT)).statements
        ]

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture(scope="module", params=brokers.available())
def broker(request: pytest.FixtureRequest) -> Iterator[brokers.Broker]:
    with brokers.Broker(request.param) as running:
        yield running


@pytest.fixture
def province(tmp_path: Path, broker: brokers.Broker) -> Iterator[Province]:
    province = Province(tmp_path, broker.host, broker.port, clock=lambda: NOW + 5)
    province.start()
    yield province
    province.stop()


@pytest.fixture
def courier(broker: brokers.Broker) -> Iterator[Courier]:
    courier = Courier(broker)
    yield courier
    courier.stop()


PLATFORM = Platform()


def placed(province: Province) -> Chain:
    """A registered lock with four records."""
    chain = Chain(province.keys.sealing_public)
    province.register_lock(
        chain.public, listing="HZ-0001", room="1201", platform_key=PLATFORM.public, reader_chain=[b"\x30\x00"]
    )
    for body in (check_in(), entry(), entry(), entry()):
        chain.append(body)
    return chain


def forged(chain: Chain) -> bytes:
    """Return a different first record of the same lock. The lock did not sign this record."""
    stranger, _ = crypto.generate("P-256")
    return record.sign(crypto, stranger, chain.payload(check_in(), 1, record.GENESIS))


def test_a_batch_comes_back_as_a_receipt(province: Province, courier: Courier) -> None:
    chain = placed(province)
    courier.batch(*chain.records)
    assert courier.through(province.public) == [4]
    assert [item.counter for item in province.registrations()] == [1, 2, 3, 4]


def test_ten_deliveries_come_back_as_ten_receipts_of_one_commit(province: Province, courier: Courier) -> None:
    chain = placed(province)
    for _ in range(10):
        courier.batch(*chain.records)
    assert [courier.through(province.public) for _ in range(10)] == [[4]] * 10
    assert province.store.count() == 4


def test_what_was_sent_during_an_outage_of_the_province_is_taken_when_sent_again(
    province: Province, courier: Courier
) -> None:
    chain = placed(province)
    courier.batch(chain.records[0])
    assert courier.through(province.public) == [1]
    province.pause()
    courier.batch(*chain.records[1:])
    province.resume()
    assert courier.through(province.public) == [
        1
    ]  # The latest receipt is sent again after a reconnection, because it may have been lost.
    # No receipt came, so the edge sends the records again. The broker may also have kept the first copy.
    courier.batch(*chain.records[1:])
    assert province.wait_for(lambda store: store.count() == 4)
    assert courier.through(province.public) == [4]
    assert province.store.count() == 4


def test_a_kill_between_commit_and_acknowledgement_loses_nothing_and_doubles_nothing(
    tmp_path: Path, broker: brokers.Broker, courier: Courier
) -> None:
    province = Province(tmp_path, broker.host, broker.port, clock=lambda: NOW + 5)
    chain = placed(province)
    script = (
        "import os, signal, sys, threading\n"
        "from pathlib import Path\n"
        "from sim.province import Province\n"
        "die = lambda: os.kill(os.getpid(), signal.SIGKILL)\n"
        "Province(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), after_commit=die).start()\n"
        "print('ready', flush=True)\n"
        "threading.Event().wait()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), broker.host, str(broker.port)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    courier.batch(*chain.records[:3])
    assert process.wait(HANG_SECONDS) == -signal.SIGKILL
    process.stdout.close()
    assert province.store.count() == 3, "what the dead one committed is there"
    assert courier.answers.empty(), "nobody was told, so nobody forgot anything"

    province.start()
    courier.batch(*chain.records)
    assert province.wait_for(lambda store: store.count() == 4)
    reached: list[int] = []
    while not reached or reached[-1] < 4:
        reached += courier.through(province.public)
    assert reached[-1] == 4
    assert province.store.count() == 4
    assert province.store.tally()["records delivered again"] >= 3
    province.stop()


def test_two_consumers_share_the_work_and_commit_each_record_once(
    province: Province, tmp_path: Path, broker: brokers.Broker, courier: Courier
) -> None:
    chain = placed(province)
    for _ in range(36):
        chain.append(entry())
    other = Province(tmp_path, broker.host, broker.port, clock=lambda: NOW + 5)
    other.start()
    try:
        for each in chain.records:
            courier.batch(each)
        assert province.wait_for(lambda store: store.count() == 40)
        reached = [0]
        while max(reached) < 40:  # a consumer that commits a record after a gap has no receipt to send
            reached += courier.through(province.public)
        assert max(reached) == 40
    finally:
        other.stop()
    assert province.store.tally() == {"records committed": 40}


def test_time_papers_and_grants_reach_the_edge_of_the_lock_and_no_other(
    province: Province, broker: brokers.Broker, courier: Courier
) -> None:
    chain = placed(province)
    other = Courier(broker, "edge-2")
    courier.send(uplink.LockSeen(chain.lock_id, chain.public, {}).encode())
    papers = uplink.parse_command(courier.answer(uplink.CMD))
    assert [statement.parse(data).kind for data in papers.statements] == ["placement", "profile"]
    courier.send(uplink.TimeRequest(chain.lock_id, bytes(16)).encode())
    [told] = uplink.parse_command(courier.answer(uplink.CMD)).statements
    assert statement.open(crypto, told, "time", province.public)[3] == NOW + 5
    booking = PLATFORM.book(chain.public, "HZ-0001", NOW, NOW + 3600, [Guest("E1", "1990-03-07")])
    province.queue_grant(chain.lock_id, PLATFORM.grant(booking))
    assert uplink.parse_command(courier.answer(uplink.CMD)).lock_id == chain.lock_id
    province.trust([Issuer(b"\x30\x01", ["org.iso.18013.5.1.mDL"])])
    [trust] = uplink.parse_command(courier.answer(uplink.CMD)).statements
    assert statement.parse(trust).kind == "trust-list"
    assert other.answers.empty()
    other.stop()


def test_hostile_messages_are_acknowledged_counted_and_passed_over(province: Province, courier: Courier) -> None:
    chain = placed(province)
    stranger = Chain(province.keys.sealing_public)
    for garbage in (b"", b"\xff" * 100, b"\x9f" * 50, b"\x81" * 5000, b"\x5b" + b"\xff" * 8, os.urandom(2000)):
        courier.send(garbage)
    courier.batch(stranger.append(check_in()), b"\x00", chain.records[0][:-1])
    courier.batch(Chain(province.keys.sealing_public).append(check_in()), forged(chain))
    courier.batch(*chain.records)
    [refused] = uplink.parse_receipts(courier.answer(uplink.RECEIPT)).statements
    assert [entry[2] for entry in statement.open(crypto, refused, "refusal", province.public)[4]] == ["cose.signature"]
    assert courier.through(province.public) == [4]
    tally = province.store.tally()
    assert (tally["messages unreadable"], tally["records of unknown locks"], tally["records unreadable"]) == (6, 2, 2)


def test_a_province_without_a_broker_says_so(tmp_path: Path) -> None:
    nobody = ReservedPort()
    province = Province(tmp_path, "127.0.0.1", nobody.port)
    with pytest.raises(ConfigError) as caught:
        province.start(timeout=0.3)
    assert caught.value.code == "province.broker"
    province.stop()
    nobody.close()


def test_a_broker_that_restarts_finds_the_province_again(tmp_path: Path) -> None:
    with brokers.Broker() as own:
        province = Province(tmp_path, own.host, own.port, clock=lambda: NOW + 5)
        province.start()
        chain = placed(province)
        own.kill()
        assert province.wait_for(lambda _: not province.connected)
        own.start()
        assert province.wait_for(lambda _: province.connected)
        courier = Courier(own)
        courier.batch(*chain.records)
        assert courier.through(province.public) == [4]
        courier.stop()
        province.stop()
