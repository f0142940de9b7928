"""A province that only counts, for tests which check that no record is lost or committed twice.

This province is a real MQTT client on the shared subscription. The province commits records by key and gives receipts.
Unlike `sim.province`, this province opens no records and knows no profiles.
"""

import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from protocol import record, uplink
from sim.hang import HANG_SECONDS
from tests.support.signing_lock import SigningLock


class CountingProvince:
    """The province. `committed` maps (lock id, counter) to the record. `heard` lists all messages.

    While `mute` is set, the province does not answer.
    """

    def __init__(self, port: int, *locks: SigningLock, mute: bool = False) -> None:
        self.committed: dict[tuple[bytes, int], bytes] = {}
        self.heard: list[Any] = []
        self.sizes: list[int] = []
        self.states: list[tuple[bool, bool]] = []
        self.refuse: dict[tuple[bytes, int], str] = {}
        self.mute = mute
        self.lose_batches = 0
        """Number of batches that will be lost, as if the broker crashed after its PUBACK."""
        self._locks = {lock.lock_id: lock for lock in locks}
        self._changed = threading.Condition()
        self._ready = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="counting-province", protocol=paho.MQTTv5, manual_ack=True
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(
            [(uplink.PROVINCE_FILTER, 1), (uplink.ROOT + "+/state", 1)]
        )
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_socket_open = _send_at_once
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port, clean_start=True)
        self._client.loop_start()
        self._ready.wait()

    def _on_message(self, client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        edge, leaf = uplink.edge_of(message.topic)
        with self._changed:
            if leaf == uplink.STATE:
                self.states.append((uplink.parse_state(bytes(message.payload))[0], message.retain))
            else:
                self.sizes.append(len(message.payload))
                self._take(edge, uplink.parse_up(bytes(message.payload)))
            self._changed.notify_all()
        client.ack(message.mid, message.qos)

    def _take(self, edge: str, said: Any) -> None:
        self.heard.append(said)
        if not isinstance(said, uplink.Batch):
            return
        if self.lose_batches:
            self.lose_batches -= 1
            return
        refused = []
        for raw in said.records:
            item = record.parse(raw)
            key = (item.lock_id, item.counter)
            if key in self.refuse:
                refused.append(self._locks[item.lock_id].refusal(self.refuse[key], item))
            else:
                self.committed.setdefault(key, raw)
        if not self.mute:
            answer = refused + self._receipts()
            if answer:
                self.send(edge, uplink.RECEIPT, uplink.Receipts(answer).encode())

    def _receipts(self) -> list[bytes]:
        signed = []
        for lock in self._locks.values():
            through = 0
            while (lock.lock_id, through + 1) in self.committed or (lock.lock_id, through + 1) in self.refuse:
                through += 1
            if through and (lock.lock_id, through) in self.committed:
                signed.append(lock.receipt(through))
        return signed

    def register(self, lock: SigningLock) -> None:
        """From now on, also give receipts to this lock."""
        self._locks[lock.lock_id] = lock

    def send(self, edge: str, leaf: str, payload: bytes) -> None:
        self._client.publish(uplink.topic(edge, leaf), payload, qos=1)

    def batches(self) -> list[list[int]]:
        """Return, for each batch that was received, the counters of its records."""
        return [[record.parse(raw).counter for raw in b.records] for b in self.heard if isinstance(b, uplink.Batch)]

    def wait(self, condition: Callable[[], object]) -> None:
        """Wait until `condition()` holds. The condition is checked after each message."""
        with self._changed:
            came = self._changed.wait_for(condition, HANG_SECONDS)
        assert came, f"the province waits in vain; it has {len(self.committed)} records of {len(self.heard)} messages"

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _send_at_once(_client: paho.Client, _data: object, channel: Any) -> None:
    channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
