"""The phone's Bluetooth: BLE retrieval in both modes over a bumble host. `BleLine` is its interface."""

import asyncio
import uuid as uuid_module
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from bumble import gatt
from bumble.att import Attribute
from bumble.core import UUID, BaseBumbleError
from bumble.device import Advertisement, Connection, Device
from bumble.hci import Address
from bumble.host import Host
from bumble.transport.common import TransportSink, TransportSource
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sim.phone.engagement import Mode

START, END = b"\x01", b"\x02"
FIND_SECONDS = 10.0
ATTEMPTS = 3
"""Number of connections that the phone may lose before State = 01. Then it gives up."""


@dataclass(frozen=True)
class BleJob:
    """A session that is to begin: the phone's role, the service's UUID, and EDeviceKeyBytes, from which Ident is
    computed.
    """

    mode: Mode
    uuid: uuid_module.UUID
    e_device_key_bytes: bytes

    def ident(self) -> bytes:
        """Return the value that the reader's Ident must have."""
        return HKDF(hashes.SHA256(), 16, None, b"BLEIdent").derive(self.e_device_key_bytes)


@dataclass(frozen=True)
class BleHabits:
    """How this phone behaves on BLE.

    `mtu` is the phone's value in the MTU exchange. If `vanish` is "before-start" or "after-start", the phone
    disconnects `vanishings` times, before the session begins or as soon as it has begun. With `check_ident`, the phone
    disconnects from a reader with a wrong Ident. With `end_first`, the phone ends each session with State = 02 and
    takes no message.
    """

    mtu: int = 517
    vanish: str = ""
    vanishings: int = 1
    check_ident: bool = True
    end_first: bool = False


class BleLine(Protocol):
    """The phone's Bluetooth, for one session at a time.

    `moved` is (bytes received, bytes sent) in all parts of messages.
    """

    moved: tuple[int, int]

    async def open(self, job: BleJob) -> None:
        """Connect to the reader, or wait until the reader connects.

        Raises TimeoutError if a step takes too long, and ConnectionError (with the reason in one word) if a step fails.
        """

    async def receive(self) -> bytes | None:
        """Return the reader's next message, or None when the session is over."""

    async def send(self, message: bytes) -> None:
        """Send a message. Raises ConnectionError if the connection is lost."""

    async def close(self) -> None:
        """End the session and the connection."""


def _named(number: int) -> UUID:
    return UUID(f"0000000{number}-A123-48CE-896B-4C76973373E6")


class PhoneBluetooth:
    """A `BleLine` in this process. The phone has its own bumble device."""

    def __init__(self, device: Device, habits: BleHabits) -> None:
        self.device = device
        self.habits = habits
        self.moved = (0, 0)
        self.mtu = 23
        self.parts = (0, 0)
        self.connections = 0
        self._vanished = 0
        self._reset()
        device.on(Device.EVENT_CONNECTION, self._on_connection)

    @classmethod
    async def attach(
        cls, source: TransportSource, sink: TransportSink, address: str, habits: BleHabits
    ) -> "PhoneBluetooth":
        """Return a phone's Bluetooth over an HCI transport. `address` is its random address."""
        device = Device("phone", Address(address), host=Host(source, sink))
        await device.power_on()
        return cls(device, habits)

    def _reset(self) -> None:
        self._incoming: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._parts = bytearray()
        self._connection: Connection | None = None
        self._started = asyncio.Event()
        self._lost = asyncio.Event()
        self._outgoing: Any = None
        self._state: Any = None
        self._serving = False

    async def open(self, job: BleJob) -> None:
        """Connect to the reader, or wait until the reader connects."""
        await self._insist(lambda: self._as_central(job) if job.mode == "central" else self._as_peripheral(job))

    async def begin(self, address: Address, job: BleJob) -> None:
        """Connect to the reader at `address` as a central, whatever it advertises. Raises as `open`."""
        await self._insist(lambda: self._begin(address, job))

    async def _insist(self, once: Callable[[], Awaitable[bool]]) -> None:
        self._reset()
        self.moved = self.parts = (0, 0)
        for attempt in range(ATTEMPTS):
            try:
                while not await once():
                    pass
                return
            except (BaseBumbleError, asyncio.CancelledError) as error:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise  # bumble cancels requests when the connection ends, but this cancellation came from a caller
                await self._hang_up()
                self._reset()
                if attempt == ATTEMPTS - 1:
                    raise ConnectionError("lost") from error

    def _leaves(self, when: str) -> bool:
        if self.habits.vanish != when or self._vanished >= self.habits.vanishings:
            return False
        self._vanished += 1
        return True

    async def _hang_up(self) -> None:
        if self._connection is not None:
            with suppress(BaseBumbleError):
                await self._connection.disconnect()

    # --- mdoc central client mode ------------------------------------------------------------------------------------

    async def _as_central(self, job: BleJob) -> bool:
        return await self._begin(await self.find(job.uuid), job)

    async def _begin(self, address: Address, job: BleJob) -> bool:
        """Connect to the reader at `address`, and begin the session with State = 01.

        Returns False if the phone disconnected on purpose and must try again.
        """
        connection = await self.device.connect_le(address, timeout=FIND_SECONDS)
        client = connection.gatt_client
        await client.request_mtu(self.habits.mtu)
        self.mtu = client.mtu
        if self._leaves("before-start"):
            await self._hang_up()
            self._reset()
            return False
        services = await client.discover_service(UUID.from_bytes(job.uuid.bytes[::-1]))
        if not services:
            raise ConnectionError("no-service")
        found = {c.uuid: c for c in await client.discover_characteristics([], services[0])}
        if not {_named(5), _named(6), _named(7), _named(8)} <= found.keys():
            raise ConnectionError("no-service")
        ident = found[_named(8)]
        if self.habits.check_ident and await client.read_value(ident.handle) != job.ident():
            await self._hang_up()
            raise ConnectionError("ident")
        self._state, self._outgoing = found[_named(5)], found[_named(6)]
        await client.subscribe(self._state, self._on_state)
        await client.subscribe(found[_named(7)], self._on_part)
        await client.write_value(self._state.handle, START)
        if self._leaves("after-start"):
            await connection.drain()
            await self._hang_up()
            raise ConnectionError("vanished")
        return True

    async def find(self, uuid: uuid_module.UUID) -> Address:
        """Scan until a device advertises the service. Returns the address of that device."""
        found: asyncio.Future[Address] = asyncio.get_running_loop().create_future()
        wanted = b"\x11\x07" + uuid.bytes[::-1]

        def look(advertisement: Advertisement) -> None:
            if wanted in advertisement.data_bytes and not found.done():
                found.set_result(advertisement.address)

        self.device.on(Device.EVENT_ADVERTISEMENT, look)
        await self.device.start_scanning(active=False, filter_duplicates=False)
        try:
            async with asyncio.timeout(FIND_SECONDS):
                return await found
        except TimeoutError:
            raise ConnectionError("not-found") from None
        finally:
            self.device.remove_listener(Device.EVENT_ADVERTISEMENT, look)
            await self.device.stop_scanning()

    # --- mdoc peripheral server mode ---------------------------------------------------------------------------------

    async def _as_peripheral(self, job: BleJob) -> bool:
        notify = gatt.Characteristic.Properties.NOTIFY | gatt.Characteristic.Properties.WRITE_WITHOUT_RESPONSE
        writable, readable = Attribute.WRITEABLE, Attribute.READABLE
        on_state = gatt.CharacteristicValue(write=lambda _, value: self._on_state(value))
        self._state = gatt.Characteristic(_named(1), notify, readable | writable, on_state)
        incoming: gatt.Characteristic[bytes] = gatt.Characteristic(
            _named(2),
            gatt.Characteristic.Properties.WRITE_WITHOUT_RESPONSE,
            writable,
            gatt.CharacteristicValue(write=lambda _, value: self._on_part(value)),
        )
        self._outgoing = gatt.Characteristic(_named(3), gatt.Characteristic.Properties.NOTIFY, readable, b"")
        service = gatt.Service(UUID.from_bytes(job.uuid.bytes[::-1]), [self._state, incoming, self._outgoing])
        self.device.gatt_server.max_mtu = self.habits.mtu
        self.device.add_service(service)
        self._serving = True
        await self._advertise(job)
        while True:
            started, lost = asyncio.create_task(self._started.wait()), asyncio.create_task(self._lost.wait())
            done, _ = await asyncio.wait({started, lost}, timeout=FIND_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            for task in (started, lost):
                task.cancel()
            if not done:
                await self.device.stop_advertising()
                raise ConnectionError("not-found")
            if self._started.is_set():
                break
            self._lost.clear()
            await self._advertise(job)
        if self._connection is None:
            raise ConnectionError("lost")  # a connection that is lost after State = 01 ends the transaction
        self.mtu = self._connection.att_mtu
        if self._leaves("after-start"):
            await self._hang_up()
            raise ConnectionError("vanished")
        return True

    async def _advertise(self, job: BleJob) -> None:
        await self.device.start_advertising(
            advertising_data=b"\x02\x01\x06\x11\x07" + job.uuid.bytes[::-1],
            scan_response_data=b"",
            advertising_interval_min=20,
            advertising_interval_max=20,
        )

    # --- both --------------------------------------------------------------------------------------------------------

    def _on_connection(self, connection: Connection) -> None:
        self._connection = connection
        self.connections += 1
        connection.on(Connection.EVENT_DISCONNECTION, self._on_disconnection)
        if self._serving and self._leaves("before-start"):
            self._leaving = asyncio.create_task(self._hang_up())

    def _on_disconnection(self, _reason: int) -> None:
        self._connection = None
        self._lost.set()
        self._incoming.put_nowait(None)

    def _on_state(self, value: bytes) -> None:
        if value == START:
            while not self._incoming.empty():
                self._incoming.get_nowait()
            self._started.set()
        elif value == END:
            self._incoming.put_nowait(None)

    def _on_part(self, value: bytes) -> None:
        self.moved = (self.moved[0] + len(value), self.moved[1])
        self.parts = (self.parts[0] + 1, self.parts[1])
        self._parts += value[1:]
        if value[:1] == b"\0":
            self._incoming.put_nowait(bytes(self._parts))
            self._parts = bytearray()

    async def receive(self) -> bytes | None:
        """Return the reader's next message."""
        if self.habits.end_first:
            await self._say(END)
            return None
        return await self._incoming.get()

    async def send(self, message: bytes) -> None:
        """Send a message in parts."""
        step = min(self.mtu - 3, 512) - 1
        for at in range(0, len(message), step):
            more = at + step < len(message)
            await self._put(self._outgoing, bytes((more,)) + message[at : at + step])
            self.moved = (self.moved[0], self.moved[1] + min(step, len(message) - at) + 1)
            self.parts = (self.parts[0], self.parts[1] + 1)

    async def _say(self, state: bytes) -> None:
        await self._put(self._state, state)

    async def _put(self, characteristic: Any, value: bytes) -> None:
        connection = self._connection
        if connection is None:
            raise ConnectionError("lost")
        try:
            if self._serving:
                await self.device.notify_subscriber(connection, characteristic, value)
            else:
                await connection.gatt_client.write_value(characteristic.handle, value)
            await connection.drain()
        except BaseBumbleError as error:
            raise ConnectionError("lost") from error

    async def close(self) -> None:
        """End the session and the connection."""
        if self.device.is_advertising:
            await self.device.stop_advertising()
        if self._connection is not None:
            if self._state is not None:
                with suppress(ConnectionError):
                    await self._say(END)
            await self._hang_up()
