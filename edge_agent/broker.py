"""One MQTT 5 connection to the broker. The connection runs on paho's network thread, from its CONNECT until it ends.

A connection is used once. When the connection ends, messages in paho's memory are dropped, because the outbox knows
what must be sent again. The MQTT session ends with the connection too (clean start, no expiry). So nothing depends on
the memory of the broker, which may lose messages. For example, rumqttd does not give unacknowledged messages to a
returning session. If the agent sends a record again, the province sends the receipt again. The province answers LOCK
SEEN with the statements that the lock lacks.

A broker may be dishonest, so `edge_agent.packets` limits what it may send. An exception in paho or in this module ends
the connection with a log line. Such an exception never ends the thread or the agent silently.
"""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent import broker_trouble, tls
from edge_agent.broker_address import Address
from edge_agent.config import Mqtt
from edge_agent.faults import FaultError
from edge_agent.packets import MAX_PACKET, PACKET_OVERHEAD, PacketSocket
from protocol import uplink
from protocol.errors import FormatError, TransportError

CONNECT_SECONDS: Final = 5.0
"""Time limit for TCP and TLS, which take two seconds on a mobile uplink.

If somebody stops the agent, the stop may take this long.
"""
ANSWER_SECONDS: Final = 10.0
"""Time limit for CONNACK and SUBACK. A broker may need seconds when many clients reconnect after its restart."""
GOODBYE_SECONDS: Final = 2.0
"""At a clean stop, the broker has this long to take our `offline` message. After that time, the broker publishes the
MQTT will of our connection, which says the same.
"""
IN_FLIGHT: Final = 20
"""Maximum number of QoS 1 messages that are under way in each direction. Mosquitto allows 20. A larger number makes
paho slower.
"""


_OF_SIZE: Final = (0x80, 0x83, 0x95, 0x97)
"""Reason codes of a PUBACK that a broker uses for a message over its limit: unspecified error, implementation specific
error, packet too large, quota exceeded (MQTT 5 section 3.4.2.1)."""
TOPICS: Final = (uplink.RECEIPT, uplink.CMD, uplink.PASS)
"""The topics of this edge that the agent subscribes to."""


@dataclass(frozen=True)
class Message:
    """A message from the province. `leaf` is `receipt`, `cmd` or `pass`. Acknowledge the message after storing its
    content. `mid` is 0 at QoS 0."""

    leaf: str
    payload: bytes
    mid: int
    retained: bool


@dataclass(frozen=True)
class Refusal:
    """The broker's reason in a PUBACK. If `of_size`, a shorter message may pass."""

    reason: str
    of_size: bool


class BrokerConnection:
    """One connection. `open` subscribes to our topics and publishes our retained `online` message.

    Each Message that arrives is put into `messages`. `lost` is set when the connection has ended. For each PUBACK,
    `on_acknowledged(mid, refusal)` is called in the event loop. `refusal` is a Refusal or None.
    """

    def __init__(
        self,
        settings: Mqtt,
        address: Address,
        edge: str,
        version: str,
        on_acknowledged: Callable[[int, Refusal | None], None],
    ) -> None:
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        self.lost = asyncio.Event()
        self.max_payload = uplink.MAX_MESSAGE
        """Length of the longest payload that both the agent and the broker accept."""
        self._reason = TransportError("broker.lost", "the connection ended")
        self._waiting = [threading.Semaphore(IN_FLIGHT), threading.Semaphore(IN_FLIGHT)]
        """How many more messages of QoS 0 and of QoS 1 may wait for us. paho's thread takes from these numbers,
        and the loop gives back."""
        self._settings, self._address, self._edge, self._version = settings, address, edge, version
        self._on_acknowledged = on_acknowledged
        self._in_flight = IN_FLIGHT
        self._unacknowledged: dict[int, float] = {}
        self._loop = asyncio.get_running_loop()
        self._connected: asyncio.Future[tuple[ReasonCode, Properties | None]] = self._loop.create_future()
        self._subscribed: asyncio.Future[list[ReasonCode]] = self._loop.create_future()
        self._client = self._make_client()

    # --- from the event loop -----------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect, subscribe, publish `online`.

        Raises TransportError: `broker.silent` if the broker does not answer in time, else a code of `broker_trouble`.
        """
        properties = Properties(PacketTypes.CONNECT)
        properties.ReceiveMaximum = IN_FLIGHT
        properties.MaximumPacketSize = MAX_PACKET
        try:
            await asyncio.to_thread(
                self._client.connect,
                self._address.host,
                self._address.port,
                self._settings.keepalive_seconds,
                clean_start=True,
                properties=properties,
            )
        except (OSError, ValueError) as error:
            raise broker_trouble.unreachable(error, self._address, bool(self._settings.ca)) from error
        self._client.loop_start()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reason_code, answer = await self._answer()
                if reason_code.is_failure:
                    raise broker_trouble.refused(str(reason_code), self._edge)
                self._respect(answer)
                topics = [(uplink.topic(self._edge, leaf), 1) for leaf in TOPICS]
                self._client.subscribe(topics)
                granted = await self._unless_lost(self._subscribed)
                lacks = broker_trouble.unfit(min(code.value for code in granted), retains=True)
                if lacks is not None:
                    raise lacks
                if any(code.is_failure for code in granted):
                    raise TransportError(
                        "broker.refused", "the broker does not let us read our own topics. Check its access list."
                    )
        except TimeoutError as error:
            raise TransportError(
                "broker.silent",
                f"{self._address} did not answer within {ANSWER_SECONDS:.0f} s. Check that it speaks MQTT 5.",
            ) from error
        self.publish(uplink.STATE, uplink.state(True, self._version), retain=True)

    def publish(self, leaf: str, payload: bytes, retain: bool = False) -> int:
        """Hand a message to the network thread; return its `mid`. Raises TransportError `broker.lost`."""
        if self.lost.is_set():
            raise self._reason
        info = self._client.publish(uplink.topic(self._edge, leaf), payload, qos=1, retain=retain)
        if info.rc not in (paho.MQTT_ERR_SUCCESS, paho.MQTT_ERR_NO_CONN):
            raise TransportError("broker.lost", paho.error_string(info.rc))
        self._unacknowledged[info.mid] = self._loop.time()
        return info.mid

    @property
    def has_room(self) -> bool:
        """Return True if one more message may be published before the next PUBACK comes."""
        return len(self._unacknowledged) < self._in_flight

    @property
    def waiting_since(self) -> float | None:
        """Return the time at which the oldest message without a PUBACK was published.

        Return None if there is no such message.
        """
        return min(self._unacknowledged.values(), default=None)

    def acknowledge(self, message: Message) -> None:
        """Send the PUBACK of a message. Keep the order of arrival: rumqttd drops a client that does not keep this
        order."""
        # Only a message of QoS 0 has no packet identifier (MQTT 5 section 2.2.1).
        self._waiting[bool(message.mid)].release()
        if message.mid:
            self._client.ack(message.mid, 1)

    async def ended(self) -> TransportError:
        """Wait until the connection ends. Return why it ended."""
        await self.lost.wait()
        return self._reason

    async def close(self) -> None:
        """End the connection. If the connection still works, say `offline` first."""
        if not self.lost.is_set() and self._client.is_connected():
            topic = uplink.topic(self._edge, uplink.STATE)
            info = self._client.publish(topic, uplink.state(False, self._version), qos=1, retain=True)
            # If the broker does not answer, the message `online` stays until our MQTT will or our next `online`
            # replaces it.
            with contextlib.suppress(RuntimeError, ValueError):
                await asyncio.to_thread(info.wait_for_publish, GOODBYE_SECONDS)
        try:
            self._client.disconnect()
            await asyncio.to_thread(self._client.loop_stop)
        finally:
            self._client.hang_up()

    async def _answer(self) -> tuple[ReasonCode, Properties | None]:
        """Return the broker's CONNACK. If the connection ends before it, find out why."""
        try:
            answer: tuple[ReasonCode, Properties | None] = await self._unless_lost(self._connected)
        except TransportError as error:
            if error.code != "broker.unreachable":
                raise
            raise await asyncio.to_thread(broker_trouble.before_answer, self._address, self._tls()) from None
        return answer

    async def _unless_lost(self, answer: "asyncio.Future[Any]") -> Any:
        lost = asyncio.ensure_future(self.lost.wait())
        try:
            await asyncio.wait({answer, lost}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            lost.cancel()
        if not answer.done():
            reason = self._reason
            raise TransportError("broker.unreachable", reason.message) if reason.code == "broker.lost" else reason
        return answer.result()

    def _respect(self, answer: Properties | None) -> None:
        """Keep to the broker's limits (MQTT 5 section 3.2.2.3). paho ignores them. Raises TransportError `broker.unfit`
        if the broker lacks something that we need."""
        lacks = broker_trouble.unfit(getattr(answer, "MaximumQoS", 2), bool(getattr(answer, "RetainAvailable", 1)))
        if lacks is not None:
            raise lacks
        self._in_flight = min(IN_FLIGHT, getattr(answer, "ReceiveMaximum", IN_FLIGHT))
        packet = getattr(answer, "MaximumPacketSize", self.max_payload + PACKET_OVERHEAD)
        self.max_payload = min(self.max_payload, packet - PACKET_OVERHEAD)

    def _tls(self) -> ssl.SSLContext | None:
        named = self._settings
        return tls.context(named.ca, named.cert, named.key) if named.ca else None

    # --- paho's thread -----------------------------------------------------------------------------------------------

    def _make_client(self) -> "_Client":
        client = _Client(
            # The broker ends an older connection of the same name, so two agents cannot both be this edge.
            client_id=f"mooring-edge-{self._edge}",
            admit=lambda qos: self._waiting[qos].acquire(blocking=False),
            on_fault=lambda error: self._post(self._end, FaultError(error)),
            websocket_path=self._settings.websocket_path,
        )
        if self._settings.username:
            client.username_pw_set(self._settings.username, self._settings.password or None)
        client.will_set(uplink.topic(self._edge, uplink.STATE), uplink.state(False, self._version), qos=1, retain=True)
        context = self._tls()
        if context is not None:
            client.tls_set_context(context)
        client.on_connect = lambda _c, _u, _f, code, props: self._post(_resolve, self._connected, (code, props))
        client.on_subscribe = lambda _c, _u, _m, codes, _p: self._post(_resolve, self._subscribed, codes)
        client.on_disconnect = lambda _c, _u, _f, code, _p: self._post(self._end, self._why(client, code))
        client.on_publish = lambda _c, _u, mid, code, _p: self._post(
            self._take_puback, mid, Refusal(str(code), code.value in _OF_SIZE) if code.is_failure else None
        )
        client.on_message = lambda _c, _u, message: self._post(self._arrived, message)
        return client

    def _post(self, call: Callable[..., None], *arguments: object) -> None:
        # The loop is closed only while the process ends. Then nobody needs the call.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._contained, call, *arguments)

    def _contained(self, call: Callable[..., None], *arguments: object) -> None:
        try:
            call(*arguments)
        except Exception as error:  # noqa: BLE001 -- contained here, and noted
            self._end(FaultError(error))

    def _why(self, client: "_Client", code: ReasonCode | None) -> TransportError:
        refused = client.refused
        if refused is not None:
            return TransportError("broker.limit", refused)
        return broker_trouble.ended(str(code), self._edge)

    def _end(self, reason: TransportError) -> None:
        if not self.lost.is_set():
            self._reason = reason
            self.lost.set()

    def _take_puback(self, mid: int, refusal: Refusal | None) -> None:
        self._unacknowledged.pop(mid, None)
        self._on_acknowledged(mid, refusal)

    def _arrived(self, message: paho.MQTTMessage) -> None:
        try:
            edge, leaf = uplink.edge_of(message.topic)
        except (FormatError, UnicodeDecodeError):
            edge = leaf = ""
        if edge == self._edge and leaf in TOPICS:
            self.messages.put_nowait(Message(leaf, bytes(message.payload), message.mid, message.retain))
        else:
            self._end(
                TransportError("broker.limit", "the broker sent a message on a topic that we did not subscribe to")
            )


class _Client(paho.Client):
    """A paho client that limits what it reads, and reports an exception that would end its thread.

    `admit(qos)` is called for each PUBLISH. It returns True if one more message of this QoS may wait for us.
    `on_fault(error)` is called in paho's thread. If `websocket_path` is set, MQTT goes over WebSocket.
    """

    def __init__(
        self,
        client_id: str,
        admit: Callable[[int], bool],
        on_fault: Callable[[Exception], None],
        websocket_path: str,
    ) -> None:
        self._admit, self._on_fault = admit, on_fault
        self._packets: PacketSocket | None = None
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=paho.MQTTv5,
            manual_ack=True,
            reconnect_on_failure=False,
            transport="websockets" if websocket_path else "tcp",
        )
        if websocket_path:
            self.ws_set_options(websocket_path)
        self.connect_timeout = CONNECT_SECONDS
        self.max_inflight_messages_set(IN_FLIGHT)

    @property
    def refused(self) -> str | None:
        """Return the limit that the broker has broken, or None if the broker has kept to every limit."""
        channel = self._packets
        return None if channel is None or channel.refused is None else str(channel.refused)

    def _create_socket(self) -> PacketSocket:
        # paho also uses this method to wrap its socket, for example for websockets.
        channel = super()._create_socket()
        if isinstance(channel, socket.socket):
            # Without this option, a PUBLISH that follows a PUBACK waits for the peer's delayed ACK. The wait adds 40 ms
            # to each hop of a check-in.
            channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._packets = PacketSocket(channel, self._admit)
        return self._packets

    def hang_up(self) -> None:
        """Close the socket. After an exception, paho leaves the socket open."""
        if self._packets is not None:
            with contextlib.suppress(OSError):
                self._packets.close()

    def loop_forever(self, timeout: float = 1.0, retry_first_connection: bool = False) -> MQTTErrorCode:
        """Do the same as paho, but report exceptions. In paho, an exception would silently end the thread."""
        try:
            return super().loop_forever(timeout, retry_first_connection)
        except Exception as error:  # noqa: BLE001 -- contained here, and noted
            self._on_fault(error)
            return MQTTErrorCode.MQTT_ERR_UNKNOWN


def _resolve(future: "asyncio.Future[Any]", value: object) -> None:
    if not future.done():
        future.set_result(value)
