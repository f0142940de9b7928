"""The lock's radio as scanner, central and GATT client: the other half of `lock_radio`."""

import asyncio
import struct
from collections.abc import Callable, Coroutine
from typing import Any

from bumble import att
from bumble.core import UUID, BaseBumbleError
from bumble.device import Advertisement, Connection, Device
from bumble.gatt_client import ServiceProxy
from bumble.hci import Address, AddressType, HCI_LE_Create_Connection_Cancel_Command

_SCAN_RESULT, _SCAN_DONE, _DISCONNECTED = 5, 6, 8
_SERVICE, _CHARACTERISTIC, _DESCRIPTOR = 9, 11, 13
_READ_RESULT, _READ_DONE, _WRITE_DONE, _NOTIFIED, _SENT = 15, 16, 17, 18, 101
_SCAN, _CONNECT, _DISCOVER, _READ, _WRITE, _COMMAND, _EXCHANGE_MTU = range(10, 17)
_OF_SERVICES, _OF_CHARACTERISTICS, _OF_DESCRIPTORS = range(3)
_NO_HANDLE = 0xFFFF
_FAILED = b"\x01"

Send = Callable[..., None]


class ClientRole:
    """Executes the frames `_SCAN` to `_EXCHANGE_MTU`. `send(event, a, b, payload)` reports to the lock."""

    def __init__(self, device: Device, send: Send) -> None:
        self._device = device
        self._send = send
        self._work: set[asyncio.Task[None]] = set()
        self._scan_end: asyncio.TimerHandle | None = None
        device.on(Device.EVENT_ADVERTISEMENT, self._on_advertisement)

    def close(self) -> None:
        """Stop all work, because the lock has lost its power."""
        for task in self._work:
            task.cancel()
        if self._scan_end is not None:
            self._scan_end.cancel()

    def listen(self, connection: Connection) -> None:
        """Report notifications on a connection that the lock made."""

        def on_notification(notification: att.ATT_Handle_Value_Notification) -> None:
            handle, value = notification.attribute_handle, bytes(notification.attribute_value)
            self._send(_NOTIFIED, connection.handle, handle, value)

        # bumble passes on a notification only if the client has subscribed to it. The chip's stack passes on every
        # notification.
        connection.gatt_client.on_att_handle_value_notification = on_notification  # type: ignore[method-assign]

    async def handle(self, kind: int, a: int, b: int, payload: bytes) -> None:
        """Execute one frame from the lock. Long procedures continue in the background."""
        if kind == _SCAN:
            await self._scan(int.from_bytes(payload, "big") if a else None)
        elif kind == _CONNECT:
            if a:
                self.start(self._connect(payload))
            elif self._device.is_le_connecting:
                await self._device.send_sync_command(HCI_LE_Create_Connection_Cancel_Command())
        elif (connection := self._device.lookup_connection(a)) is not None:
            self.start(self._procedure(connection, kind, b, payload))

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` in the background, as long as the lock has power."""
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    # --- scanning and connecting -------------------------------------------------------------------------------------

    async def _scan(self, duration_ms: int | None) -> None:
        if self._scan_end is not None:
            self._scan_end.cancel()
            self._scan_end = None
        if duration_ms is None:
            if self._device.scanning:
                await self._device.stop_scanning()
            self._send(_SCAN_DONE, 0, 0)
            return
        await self._device.start_scanning(active=False, filter_duplicates=False)
        if duration_ms:
            loop = asyncio.get_running_loop()
            self._scan_end = loop.call_later(duration_ms / 1000, lambda: self.start(self._scan(None)))

    def _on_advertisement(self, advertisement: Advertisement) -> None:
        address = advertisement.address
        said = bytes((address.address_type,)) + bytes(address)[::-1] + b"\0" + advertisement.data_bytes
        self._send(_SCAN_RESULT, 0, advertisement.rssi & 255, said)

    async def _connect(self, payload: bytes) -> None:
        (duration_ms, kind), raw = struct.unpack(">IB", payload[:5]), payload[5:]
        try:
            await self._device.connect_le(Address(raw[::-1], AddressType(kind)), timeout=duration_ms / 1000)
        except (BaseBumbleError, TimeoutError):
            self._send(_DISCONNECTED, _NO_HANDLE, 0, b"\xff" + bytes(6))

    # --- GATT --------------------------------------------------------------------------------------------------------

    async def _procedure(self, connection: Connection, kind: int, b: int, payload: bytes) -> None:
        """Run one procedure of the client, and report its result.

        If the connection ends first, only the disconnection is reported.
        """
        handle, client = connection.handle, connection.gatt_client
        status = b"\0"
        try:
            if kind == _EXCHANGE_MTU:
                await client.request_mtu(b)  # the connection itself reports the new MTU
            elif kind == _DISCOVER:
                await self._discover(connection, b, payload)
            elif kind == _READ:
                self._send(_READ_RESULT, handle, b, await client.read_value(b))
            else:
                await client.write_value(b, payload, with_response=kind == _WRITE)
                await connection.drain()
        except (BaseBumbleError, TimeoutError):
            status = _FAILED
        if kind == _COMMAND:
            self._send(_SENT, handle, 0)
        elif kind == _DISCOVER:
            self._send((_SERVICE, _CHARACTERISTIC, _DESCRIPTOR)[b] + 1, handle, status[0])
        elif kind in (_READ, _WRITE):
            self._send(_READ_DONE if kind == _READ else _WRITE_DONE, handle, b, status)

    async def _discover(self, connection: Connection, kind: int, payload: bytes) -> None:
        handle, client = connection.handle, connection.gatt_client
        start, end = struct.unpack(">HH", payload[:4])
        uuid = UUID.from_bytes(payload[4:]) if len(payload) > 4 else None
        if kind == _OF_SERVICES:
            for service in await (client.discover_services() if uuid is None else client.discover_service(uuid)):
                span = struct.pack(">HH", service.handle, service.end_group_handle)
                self._send(_SERVICE, handle, 0, span + service.uuid.to_bytes())
        elif kind == _OF_CHARACTERISTICS:
            whole = ServiceProxy(client, start, end, UUID.from_16_bits(0))  # type: ignore[no-untyped-call]  # bumble's
            for found in await client.discover_characteristics([uuid] if uuid else [], whole):
                # As in the chip's stack, a characteristic ends with the handle before the next declaration.
                head = struct.pack(">HHB", found.end_group_handle, found.handle, int(found.properties))
                self._send(_CHARACTERISTIC, handle, 0, head + found.uuid.to_bytes())
        else:
            for descriptor in await client.discover_descriptors(start_handle=start, end_handle=end):
                self._send(_DESCRIPTOR, handle, descriptor.handle, descriptor.type.to_bytes())
