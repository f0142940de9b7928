"""A bleak backend over bumble, so that unmodified bleak code uses an adapter on the simulated air.

`install` replaces the two functions by which bleak chooses its platform backend, because bleak offers no way to add a
backend. This backend behaves like BlueZ where it matters. A device must have been seen before it can be connected.
Connections are made one after another. The adapter negotiates the MTU.
"""

import asyncio
import uuid as uuid_module
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar, cast
from unittest.mock import patch

import bleak
from bleak.args import SizedBuffer
from bleak.assigned_numbers import CharacteristicPropertyName
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError
from bumble.att import ATT_Error
from bumble.core import UUID, AdvertisingData, BaseBumbleError
from bumble.device import Advertisement, Connection, Device
from bumble.gatt_client import CharacteristicProxy
from bumble.hci import Address
from bumble.host import Host
from bumble.transport.common import TransportSink, TransportSource
from bumble.transport.tcp_client import open_tcp_client_transport

_T = TypeVar("_T")

MTU = 517
"""The MTU that BlueZ asks for. The peer may have a lower limit."""
CONNECT_SECONDS = 5.0

_PROPERTIES: dict[int, CharacteristicPropertyName] = {
    0x01: "broadcast",
    0x02: "read",
    0x04: "write-without-response",
    0x08: "write",
    0x10: "notify",
    0x20: "indicate",
    0x40: "authenticated-signed-writes",
}


class Adapter:
    """One BLE adapter of this process: a bumble host device that all scanners and clients share."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.mtu = MTU
        self.connecting = asyncio.Lock()
        self._listeners: set[Callable[[Advertisement], None]] = set()
        self._switching = asyncio.Lock()
        device.on(Device.EVENT_ADVERTISEMENT, self._on_advertisement)

    @classmethod
    async def attach(cls, source: TransportSource, sink: TransportSink, address: str) -> "Adapter":
        """Return an adapter over an HCI transport, for instance a controller of the air in this process."""
        device = Device("adapter", Address(address), host=Host(source, sink))
        await device.power_on()
        return cls(device)

    @classmethod
    async def over_tcp(cls, endpoint: str) -> "Adapter":
        """Return an adapter of the air that serves HCI at `endpoint`. Raises OSError if nobody serves there."""
        transport = await open_tcp_client_transport(endpoint)
        port = transport.sink.transport.get_extra_info("sockname")[1]  # type: ignore[attr-defined]  # StreamPacketSink
        return await cls.attach(transport.source, transport.sink, f"E0:00:00:00:{port >> 8:02X}:{port & 255:02X}")

    async def listen(self, listener: Callable[[Advertisement], None]) -> None:
        """Call `listener` for each advertisement, until `unlisten`."""
        async with self._switching:
            self._listeners.add(listener)
            if len(self._listeners) == 1:
                await self.device.start_scanning(filter_duplicates=False)

    async def unlisten(self, listener: Callable[[Advertisement], None]) -> None:
        """Undo `listen`."""
        async with self._switching:
            self._listeners.discard(listener)
            if not self._listeners and self.device.scanning:
                await self.device.stop_scanning()

    def _on_advertisement(self, advertisement: Advertisement) -> None:
        for listener in list(self._listeners):
            listener(advertisement)


class _Installed:
    """Holds the argument of `install` first, and the attached adapter later."""

    def __init__(self, adapter: Adapter | str) -> None:
        self._given = adapter
        self._attaching = asyncio.Lock()

    async def adapter(self) -> Adapter:
        # An edge agent makes its event loop after `install`, so the adapter is attached at its first use.
        async with self._attaching:
            if isinstance(self._given, str):
                try:
                    self._given = await Adapter.over_tcp(self._given)
                except OSError as error:
                    raise BleakError(f"no adapter: {error}") from error
            return self._given


_installed: _Installed | None = None


async def _current() -> Adapter:
    if _installed is None:
        raise BleakError("no adapter installed")
    return await _installed.adapter()


@contextmanager
def install(adapter: Adapter | str) -> Iterator[None]:
    """Let bleak use `adapter` until the block ends. `adapter` is an Adapter, or the "host:port" at which an air serves
    HCI.
    """
    global _installed
    before, _installed = _installed, _Installed(adapter)
    with (
        patch.object(bleak, "get_platform_scanner_backend_type", lambda: (AirScanner, "mooring-air")),
        patch.object(bleak, "get_platform_client_backend_type", lambda: (AirClient, "mooring-air")),
    ):
        try:
            yield
        finally:
            _installed = before


class AirScanner(BaseBleakScanner):
    """bleak's scanner on the installed adapter."""

    def __init__(self, detection_callback: Any, service_uuids: list[str] | None, *_: Any, **__: Any) -> None:
        super().__init__(detection_callback, service_uuids)
        self._adapter: Adapter | None = None

    async def start(self) -> None:
        """Begin to listen."""
        self.seen_devices = {}
        self._adapter = await _current()
        await self._adapter.listen(self._on_advertisement)

    async def stop(self) -> None:
        """End listening."""
        if self._adapter is not None:
            await self._adapter.unlisten(self._on_advertisement)

    def _on_advertisement(self, advertisement: Advertisement) -> None:
        address = advertisement.address.to_string(False)
        data = _advertisement_data(advertisement)
        device = self.create_or_update_device(address, address, data.local_name, advertisement.address, data)
        if self.is_allowed_uuid(data.service_uuids):
            self.call_detection_callbacks(device, data)
        else:
            self.seen_devices.pop(address, None)


def _advertisement_data(advertisement: Advertisement) -> AdvertisementData:
    uuids: list[str] = []
    manufacturer: dict[int, bytes] = {}
    name: str | None = None
    for kind, value in advertisement.data.ad_structures:
        if kind in (AdvertisingData.Type.COMPLETE_LOCAL_NAME, AdvertisingData.Type.SHORTENED_LOCAL_NAME):
            name = value.decode(errors="replace")
        elif kind in (
            AdvertisingData.Type.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
            AdvertisingData.Type.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
        ):
            uuids += [_uuid_text(UUID.from_bytes(value[i : i + 16])) for i in range(0, len(value) - 15, 16)]
        elif kind == AdvertisingData.Type.MANUFACTURER_SPECIFIC_DATA and len(value) >= 2:
            manufacturer[int.from_bytes(value[:2], "little")] = value[2:]
    return AdvertisementData(name, manufacturer, {}, uuids, None, advertisement.rssi, ())


def _uuid_text(uuid: UUID) -> str:
    return str(uuid_module.UUID(bytes=bytes(uuid.to_bytes(force_128=True))[::-1]))


class AirClient(BaseBleakClient):
    """bleak's client on the installed adapter."""

    def __init__(self, address_or_ble_device: BLEDevice | str, **options: Any) -> None:
        super().__init__(
            address_or_ble_device,
            disconnected_callback=options.get("disconnected_callback"),
            timeout=options.get("timeout", 10.0),
        )
        self._connection: Connection | None = None

    @property
    def name(self) -> str:
        """The name is not read from the device. The device's address takes its place."""
        return self.address

    @property
    def mtu_size(self) -> int:
        """ATT MTU of the connection."""
        return self._connected().att_mtu

    @property
    def is_connected(self) -> bool:
        """Is there a connection?"""
        return self._connection is not None

    def _connected(self) -> Connection:
        if self._connection is None:
            raise BleakError("not connected")
        return self._connection

    async def connect(self, pair: bool = False, **kwargs: Any) -> None:
        """Wait for an advertisement, connect, exchange the MTU, and discover the services."""
        adapter = await _current()
        await self._see(adapter)
        attempt = asyncio.create_task(_attempt(adapter, self.address))
        try:
            connection = await asyncio.shield(attempt)
        except (BaseBumbleError, TimeoutError) as error:
            raise BleakError(f"connection failed: {error}") from error
        except asyncio.CancelledError:
            attempt.add_done_callback(_unwanted)
            raise
        self._connection = connection
        connection.on(Connection.EVENT_DISCONNECTION, self._on_disconnection)
        if adapter.device.lookup_connection(connection.handle) is not connection:
            self._connection = None
            raise BleakError("disconnected")  # the connection ended before we listened for its end
        try:
            await self._guard(connection.gatt_client.request_mtu(adapter.mtu))
            self.services = await self._guard(self._discover(connection))
        except BleakError:
            await self.disconnect()
            raise

    async def _see(self, adapter: Adapter) -> None:
        """Wait for an advertisement. BlueZ, too, connects only to a device that has advertised."""
        seen = asyncio.Event()
        wanted = Address(self.address)

        def listener(advertisement: Advertisement) -> None:
            if advertisement.address == wanted:
                seen.set()

        await adapter.listen(listener)
        try:
            async with asyncio.timeout(self._timeout):
                await seen.wait()
        except TimeoutError as error:
            raise BleakDeviceNotFoundError(self.address, "device was not found") from error
        finally:
            await adapter.unlisten(listener)

    async def _discover(self, connection: Connection) -> BleakGATTServiceCollection:
        collection = BleakGATTServiceCollection()
        client = connection.gatt_client
        for service in await client.discover_services():
            own = BleakGATTService(service, service.handle, _uuid_text(service.uuid))
            collection.add_service(own)
            for characteristic in await client.discover_characteristics([], service):
                names = [name for bit, name in _PROPERTIES.items() if int(characteristic.properties) & bit]
                found = BleakGATTCharacteristic(
                    characteristic,
                    characteristic.handle,
                    _uuid_text(characteristic.uuid),
                    names,
                    lambda: connection.att_mtu - 3,
                    own,
                )
                collection.add_characteristic(found)
                if "notify" in names or "indicate" in names:
                    for descriptor in await client.discover_descriptors(characteristic):
                        uuid = _uuid_text(descriptor.type)
                        collection.add_descriptor(BleakGATTDescriptor(descriptor, descriptor.handle, uuid, found))
        return collection

    async def disconnect(self) -> None:
        """End the connection. Without a connection, do nothing."""
        if (connection := self._connection) is not None:
            await self._guard(connection.disconnect())

    def _on_disconnection(self, _reason: int) -> None:
        self._connection = None
        if self._disconnected_callback is not None:
            self._disconnected_callback()

    async def _guard(self, work: Awaitable[_T]) -> _T:
        """Run a bumble operation. Its errors become bleak's errors."""
        try:
            return await work
        except asyncio.CancelledError:
            # bumble cancels a pending request when the connection ends. A caller's cancellation is passed on.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise BleakError("disconnected") from None
        except ATT_Error as error:
            raise BleakGATTProtocolError(error.error_code) from error
        except (BaseBumbleError, TimeoutError) as error:
            raise BleakError(str(error) or type(error).__name__) from error

    async def pair(self, *args: Any, **kwargs: Any) -> None:
        """Not offered."""
        raise NotImplementedError("the link is secured at the application layer")

    async def unpair(self) -> None:
        """Not offered."""
        raise NotImplementedError("the link is secured at the application layer")

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        """Read a characteristic."""
        return bytearray(await self._guard(self._connected().gatt_client.read_value(characteristic.handle)))

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        """Read a descriptor."""
        return bytearray(await self._guard(self._connected().gatt_client.read_value(descriptor.handle)))

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool) -> None:
        """Write a characteristic."""
        client = self._connected().gatt_client
        await self._guard(client.write_value(characteristic.handle, bytes(data), with_response=response))

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        """Write a descriptor."""
        await self._guard(self._connected().gatt_client.write_value(descriptor.handle, bytes(data), with_response=True))

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **kwargs: Any
    ) -> None:
        """Subscribe `callback`."""
        proxy = cast("CharacteristicProxy[bytes]", characteristic.obj)
        client = self._connected().gatt_client
        await self._guard(client.subscribe(proxy, lambda value: callback(bytearray(value))))

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """End the subscription."""
        proxy = cast("CharacteristicProxy[bytes]", characteristic.obj)
        await self._guard(self._connected().gatt_client.unsubscribe(proxy))


async def _attempt(adapter: Adapter, address: str) -> Connection:
    """Connect to `address`. This attempt is never cancelled. After a cancellation, the adapter would go on connecting,
    and the next attempt would get the connection of this one.
    """
    async with adapter.connecting:
        return await adapter.device.connect_le(Address(address), timeout=CONNECT_SECONDS)


def _unwanted(attempt: "asyncio.Task[Connection]") -> None:
    """End the connection of an attempt that its caller has given up."""
    if not attempt.cancelled() and attempt.exception() is None:
        ending = asyncio.ensure_future(_end(attempt.result()))
        _endings.add(ending)
        ending.add_done_callback(_endings.discard)


_endings: "set[asyncio.Future[None]]" = set()


async def _end(connection: Connection) -> None:
    with suppress(BaseBumbleError):  # the connection may end by itself at the same time
        await connection.disconnect()
