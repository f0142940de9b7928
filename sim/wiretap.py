"""A listener at the broker. The listener keeps all messages that a curious network operator could see."""

import threading
import time
from dataclasses import dataclass

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from protocol.errors import TransportError
from sim.bell import Bell


@dataclass(frozen=True)
class Overheard:
    """One MQTT message: the monotonic time in seconds when it passed, its topic and its payload."""

    at: float
    topic: str
    payload: bytes


class Wiretap:
    """Listens to everything under `mooring/1` from `start` to `stop`. After an outage, the wiretap reconnects by
    itself.

    The `bell` is rung at each message, in the thread of the MQTT client.
    """

    def __init__(self, host: str, port: int, bell: Bell | None = None) -> None:
        self.heard: list[Overheard] = []
        self._bell = bell or Bell()
        self._address = (host, port)
        self._subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, "wiretap", protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe("mooring/1/#", qos=0) and None
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._hear
        self._client.reconnect_delay_set(1, 2)

    def start(self, timeout: float = 10) -> None:
        """Connect, and return once the listener is subscribed. Raises TransportError `wiretap.deaf` if that fails."""
        self._client.connect(*self._address)
        self._client.loop_start()
        if not self._subscribed.wait(timeout):
            raise TransportError("wiretap.deaf", "the broker did not confirm the subscription")

    def stop(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def replay(self, message: Overheard) -> None:
        """Publish a message again. Any client of the broker can repeat a message, because messages name no sender."""
        self._client.publish(message.topic, message.payload, qos=1)

    def _hear(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        self.heard.append(Overheard(time.monotonic(), message.topic, bytes(message.payload)))
        self._bell.ring()
