"""The province's MQTT side: paho, MQTT 5, a shared subscription. Messages are acknowledged only after the commit.

The order for every message is: commit, acknowledge, answer. A crash between two steps only causes a repetition: the
broker or the edge agent sends again, and the store recognises the record by its key.
"""

import logging
import socket
import sqlite3
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from protocol import uplink
from protocol.errors import FormatError
from sim.province.registry import Message, Registry

_RECEIVE_MAXIMUM = 20
"""Maximum number of unacknowledged messages that the broker may send. A message can be 128 KB long."""

_log = logging.getLogger("mooring.province")


class Consumer:
    """One consumer of the shared subscription. Several consumers may run at once.

    `after_commit` runs between commit and acknowledgement, so that a test can crash there.
    """

    def __init__(
        self, registry: Registry, host: str, port: int, after_commit: Callable[[], None] | None = None
    ) -> None:
        self._registry = registry
        self._after_commit = after_commit
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5, manual_ack=True)
        self._client.reconnect_delay_set(min_delay=1, max_delay=5)
        self._client.on_socket_open = _send_at_once
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._properties = Properties(PacketTypes.CONNECT)
        self._properties.ReceiveMaximum = _RECEIVE_MAXIMUM
        self._host = host
        self._port = port
        self.subscribed = False

    def start(self) -> None:
        """Connect in the background and keep connecting until `stop`."""
        self._client.connect_async(self._host, self._port, keepalive=20, clean_start=True, properties=self._properties)
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnect and end the thread. A stopped consumer cannot be started again."""
        self._client.disconnect()
        self._client.loop_stop()
        self.subscribed = False

    def publish(self, messages: list[Message]) -> None:
        """Send at QoS 1. Without a connection, paho keeps the messages and sends them later."""
        for edge, leaf, payload in messages:
            self._client.publish(uplink.topic(edge, leaf), payload, qos=1)

    def _on_connect(self, client: mqtt.Client, _: Any, flags: Any, reason: ReasonCode, __: Any) -> None:
        if reason.is_failure:
            _log.error("the broker refused the connection: %s", reason)
            return
        client.subscribe(uplink.PROVINCE_FILTER, qos=1)

    def _on_subscribe(self, client: mqtt.Client, _: Any, mid: int, reasons: list[ReasonCode], __: Any) -> None:
        self.subscribed = not any(reason.is_failure for reason in reasons)
        if not self.subscribed:
            _log.error("the broker refused the shared subscription: %s", reasons)
        with self._registry.changed:
            self._registry.changed.notify_all()

    def _on_disconnect(self, *_: Any) -> None:
        self.subscribed = False

    def _on_message(self, client: mqtt.Client, _: Any, message: mqtt.MQTTMessage) -> None:
        answers: list[Message] = []
        try:
            edge, _leaf = uplink.edge_of(message.topic)
            answers = self._registry.handle(edge, bytes(message.payload))
        except FormatError as error:
            _log.warning("a message on an unknown topic: %s", error.code)
        except sqlite3.Error as error:
            # The message is not committed, so it is not acknowledged. The edge agent sends its records again.
            _log.error("the store failed: %s", type(error).__name__)
            return
        except Exception as error:  # noqa: BLE001 -- otherwise it would end paho's thread, and with it the province
            # The message is skipped. Records without a receipt are sent again.
            _log.error("an unexpected error at a message: %s", type(error).__name__)
        if self._after_commit is not None:
            self._after_commit()
        client.ack(message.mid, message.qos)
        self.publish(answers)


def _send_at_once(_client: mqtt.Client, _data: object, channel: Any) -> None:
    # Without this option, a receipt after a PUBACK waits for the broker's delayed ACK. This adds 40 ms to a check-in.
    channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
