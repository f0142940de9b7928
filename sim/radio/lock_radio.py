"""The radio chip of one lock. The chip serves the stand-in `bluetooth` module and has a bumble device on the air.

The frames are defined in `sim/board/modules/bluetooth.py`. The device exists as long as the lock's connection. So a
lock that loses its power leaves the air, and its peers see a supervision timeout.
"""

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from bumble import gatt, gatt_server
from bumble.att import Attribute
from bumble.core import UUID, BaseBumbleError
from bumble.device import AdvertisingType, Connection, Device
from bumble.hci import Address, Role
from bumble.host import Host

from sim.loopback import Serving, serving
from sim.radio.air import Air
from sim.radio.lock_radio_client import ClientRole

_HEADER = struct.Struct(">HBHH")
_CONNECT, _DISCONNECT_EVENT, _WRITE, _INDICATED, _MTU, _ADDRESS, _SENT = 1, 2, 3, 20, 21, 100, 101
_CONNECT_AS_CENTRAL, _DISCONNECT_AS_CENTRAL = 7, 8
_ADVERTISE, _STOP_ADVERTISING, _SERVICES, _VALUE, _NOTIFY, _INDICATE, _UPDATE, _DISCONNECT, _CONFIG = range(1, 10)

# bluetooth.FLAG_* and the ATT properties have the same low byte (Core, Vol 3, Part G, 3.3.1.1).
_PROPERTIES = 0x3E
_DECLARATIONS = gatt.GATT_PRIMARY_SERVICE_ATTRIBUTE_TYPE, gatt.GATT_SECONDARY_SERVICE_ATTRIBUTE_TYPE
_READ, _ANY_WRITE = 0x02, 0x0C
_DRAIN_SECONDS = 2.0


class LockRadio:
    """The radio at `address`, for one lock at a time.

    The address is random and static, so its two top bits are set, as in "F0:…".
    """

    def __init__(self, air: Air, address: str) -> None:
        self.address = address
        self.endpoint = ""
        """The value for MOORING_RADIO. The value is known only inside `listening`."""
        self.on_air = asyncio.Event()
        """Set while the lock advertises."""
        self._air = air

    @asynccontextmanager
    async def listening(self, serve: Serving = serving) -> AsyncIterator["LockRadio"]:
        """Serve the lock by `serve`. The radio first tells its address."""
        address = bytes(Address(self.address))[::-1]
        async with serve(self._serve, _HEADER.pack(len(address), _ADDRESS, 0, 0) + address) as self.endpoint:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        controller = self._air.controller(f"lock-{self.address}", self.address)
        device = Device(self.address, Address(self.address), host=Host(controller, controller))
        chip = _Chip(device, writer, self.on_air, self._air.advertising_scale)
        try:
            await chip.device.power_on()
            while True:
                length, kind, a, b = _HEADER.unpack(await reader.readexactly(_HEADER.size))
                await chip.handle(kind, a, b, await reader.readexactly(length) if length else b"")
        finally:
            self.on_air.clear()
            chip.closed = True
            chip.client.close()
            self._air.power_off(controller)


class _Chip:
    """The radio from one power-on to the next power-off."""

    def __init__(
        self, device: Device, writer: asyncio.StreamWriter, on_air: asyncio.Event, advertising_scale: float
    ) -> None:
        self.device = device
        self.writer = writer
        self.closed = False
        self.on_air = on_air
        self._advertising_scale = advertising_scale
        self._values: dict[int, bytes] = {}
        self._characteristics: dict[int, gatt.Characteristic[bytes]] = {}
        self.client = ClientRole(device, self.send)
        device.on(Device.EVENT_CONNECTION, self._on_connection)

    def send(self, event: int, a: int, b: int, payload: bytes = b"") -> None:
        if not self.closed and not self.writer.is_closing():
            self.writer.write(_HEADER.pack(len(payload), event, a, b) + payload)

    async def handle(self, kind: int, a: int, b: int, payload: bytes) -> None:
        """Execute one frame from the lock."""
        if kind in (_NOTIFY, _INDICATE):
            await self._push(kind, a, b, payload)
        elif kind == _VALUE:
            self._values[b] = payload
        elif kind == _UPDATE:
            self._values[b] = payload
            await self.device.notify_subscribers(self._characteristics[b], payload)
        elif kind == _ADVERTISE:
            interval = max(20.0, a * self._advertising_scale)
            await self.device.start_advertising(
                advertising_type=AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE,
                advertising_data=payload,
                scan_response_data=b"",
                advertising_interval_min=interval,
                advertising_interval_max=interval,
            )
            self.on_air.set()
        elif kind == _STOP_ADVERTISING:
            await self.device.stop_advertising()
            self.on_air.clear()
        elif kind == _SERVICES:
            await self._replace_services(json.loads(payload))
        elif kind == _DISCONNECT:
            if (connection := self.device.lookup_connection(a)) is not None:
                self.client.start(_end(connection))  # the peer has to answer, and nothing else waits for that answer
        elif kind == _CONFIG:
            # The ATT server answers an MTU exchange with this value (Core, Vol 3, Part F, 3.4.2.2).
            self.device.gatt_server.max_mtu = b
        else:
            await self.client.handle(kind, a, b, payload)

    async def _push(self, kind: int, handle: int, value_handle: int, payload: bytes) -> None:
        connection = self.device.lookup_connection(handle)
        characteristic = self._characteristics.get(value_handle)
        if connection is None or characteristic is None:
            return
        if kind == _NOTIFY:
            await self.device.notify_subscriber(connection, characteristic, payload, force=True)
            await _drained(connection)
        else:
            await self.device.indicate_subscriber(connection, characteristic, payload, force=True)
            self.send(_INDICATED, handle, value_handle, b"\0")
        self.send(_SENT, handle, 0)

    async def _replace_services(self, services: list[Any]) -> None:
        # The lock's stack refuses new services while it knows of a connected peer. So the lock does not know of the
        # peers here yet. They are disconnected.
        for connection in list(self.device.connections.values()):
            await _end(connection)
        mtu = self.device.gatt_server.max_mtu
        self.device.gatt_server = gatt_server.Server(self.device)
        self.device.gatt_server.max_mtu = mtu
        self.device.add_default_services()
        self._characteristics.clear()
        self._values.clear()
        for service_uuid, rows in services:
            characteristics = []
            for uuid, flags, handle, descriptors in rows:
                characteristic = self._characteristic(uuid, flags, handle, descriptors)
                self._characteristics[handle] = characteristic
                characteristics.append(characteristic)
            self.device.add_service(gatt.Service(_uuid(service_uuid), characteristics))
        # As in NimBLE, a service begins with the attribute that declares it, and ends before the next declaration.
        attributes = self.device.gatt_server.attributes
        declared = [at for at, attribute in enumerate(attributes) if attribute.type in _DECLARATIONS]
        for at, following in zip(declared, [*declared[1:], len(attributes)], strict=True):
            attributes[at].end_group_handle = attributes[following - 1].handle

    def _characteristic(
        self, uuid: str, flags: int, handle: int, descriptors: list[Any]
    ) -> "gatt.Characteristic[bytes]":
        return gatt.Characteristic(
            _uuid(uuid),
            gatt.Characteristic.Properties(flags & _PROPERTIES),
            _permissions(flags),
            gatt.CharacteristicValue(
                read=lambda _connection: self._values.get(handle, b""),
                write=lambda connection, value: self._on_write(connection, handle, value),
            ),
            [
                gatt.Descriptor(_uuid(d_uuid), Attribute.Permissions(d_flags & 3), self._descriptor(d_handle))
                for d_uuid, d_flags, d_handle in descriptors
            ],
        )

    def _descriptor(self, handle: int) -> "gatt.CharacteristicValue[bytes]":
        return gatt.CharacteristicValue(read=lambda _connection: self._values.get(handle, b""))

    def _on_write(self, connection: Connection, handle: int, value: bytes) -> None:
        self.send(_WRITE, connection.handle, handle, value)

    def _on_connection(self, connection: Connection) -> None:
        if connection.role != Role.CENTRAL:
            self.on_air.clear()
        peer = bytes((connection.peer_address.address_type,)) + bytes(connection.peer_address)[::-1]

        central = connection.role == Role.CENTRAL

        def on_disconnection(_reason: int) -> None:
            self.send(_DISCONNECT_AS_CENTRAL if central else _DISCONNECT_EVENT, connection.handle, 0, peer)

        def on_mtu() -> None:
            self.send(_MTU, connection.handle, connection.att_mtu)

        connection.on(Connection.EVENT_DISCONNECTION, on_disconnection)
        connection.on(Connection.EVENT_CONNECTION_ATT_MTU_UPDATE, on_mtu)
        if central:
            self.client.listen(connection)
        self.send(_CONNECT_AS_CENTRAL if central else _CONNECT, connection.handle, 0, peer)


async def _drained(connection: Connection) -> None:
    # Data that is queued when the connection ends is never reported as sent. The lock soon learns of the disconnection.
    with suppress(TimeoutError, ValueError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            await connection.drain()


async def _end(connection: Connection) -> None:
    with suppress(BaseBumbleError):  # the connection may end by itself at the same time
        await connection.disconnect()


def _uuid(little_endian_hex: str) -> UUID:
    return UUID.from_bytes(bytes.fromhex(little_endian_hex))


def _permissions(flags: int) -> Attribute.Permissions:
    permissions = Attribute.Permissions(0)
    if flags & _READ:
        permissions |= Attribute.Permissions.READABLE
    if flags & _ANY_WRITE:
        permissions |= Attribute.Permissions.WRITEABLE
    return permissions
