"""The judge's connection to the broker. It is that of the edge agent, so a hostile broker cannot harm the judge."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from edge_agent.broker import BrokerConnection, Refusal
from edge_agent.config import Mqtt
from protocol import VERSION, uplink
from protocol.errors import TransportError
from sim.conformance.courier import Arrival
from sim.conformance.kit import EDGE
from sim.conformance.verdict import UnjudgedError


class MqttWire:
    """A wire over MQTT 5. `deadline` is how many seconds the broker may take to acknowledge a message."""

    def __init__(self, settings: Mqtt, deadline: float) -> None:
        self.arrived: asyncio.Queue[Arrival] = asyncio.Queue()
        self._deadline = deadline
        self._taken: dict[int, Refusal | None] = {}
        self._news = asyncio.Event()
        self._connection = BrokerConnection(settings, settings.brokers[0], EDGE, VERSION, self._note)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, settings: Mqtt, deadline: float) -> "AsyncIterator[MqttWire]":
        """Connect and subscribe. Raises TransportError and ConfigError with the codes of `edge_agent.broker`."""
        wire = cls(settings, deadline)
        pump: asyncio.Task[None] | None = None
        try:
            await wire._connection.open()
            pump = asyncio.create_task(wire._pump())
            yield wire
        finally:
            if pump is not None:
                pump.cancel()
            await wire._connection.close()

    def _note(self, mid: int, refusal: Refusal | None) -> None:
        self._taken[mid] = refusal
        self._news.set()

    async def _pump(self) -> None:
        while True:
            message = await self._connection.messages.get()
            # A packet identifier comes only with QoS 1 (MQTT 5, section 2.2.1).
            self.arrived.put_nowait(Arrival(message.leaf, message.payload, int(message.mid > 0), message.retained))
            self._connection.acknowledge(message)

    async def send(self, payload: bytes) -> None:
        """Publish a message on `up`. Return when the broker has acknowledged it. Raises UnjudgedError."""
        try:
            mid = self._connection.publish(uplink.UP, payload)
        except TransportError as error:
            raise UnjudgedError(f"the broker is gone: {error}") from None
        lost = asyncio.ensure_future(self._connection.ended())
        try:
            async with asyncio.timeout(self._deadline):
                while mid not in self._taken:
                    if lost.done():
                        raise UnjudgedError(f"the broker is gone: {lost.result()}")
                    self._news.clear()
                    news = asyncio.ensure_future(self._news.wait())
                    await asyncio.wait({news, lost}, return_when=asyncio.FIRST_COMPLETED)
                    news.cancel()
        except TimeoutError:
            raise UnjudgedError(f"the broker acknowledged nothing within {self._deadline:g} s") from None
        finally:
            lost.cancel()
        refusal = self._taken.pop(mid)
        if refusal is not None:
            raise UnjudgedError(f"the broker refused the message: {refusal.reason}")
