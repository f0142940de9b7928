"""Stand-in for MicroPython's `bluetooth`: both roles of `BLE`, over a radio in a host process.

This module holds the values and buffers that NimBLE holds on the chip. All that goes on the air is first sent to
`sim.radio.lock_radio` (MOORING_RADIO=host:port) in small binary frames, without waiting for answers. Events come back
on the same socket. An asyncio task passes events to the irq handler, so a running event loop is needed. As on the chip:
- A value is cut to the size of its buffer, which is 20 bytes by default. A subscription is not reported.
- A new connection gets the handle of an ended connection. But the host never uses its own handles twice, so late events
  of the ended connection do not reach the new one.
- Notifications and writes without response fail with ENOMEM while the stack has no free buffer.
- Registering services fails with EBUSY during any connection, advertising, scan or connection attempt.
- A non-int handle raises TypeError. Event data is valid only inside the irq handler. A handler that raises is removed.
"""

import asyncio
import json
import os
import struct
import sys

from sim.board.line import connect, const, send

_MICROPYTHON = sys.implementation.name == "micropython"

FLAG_BROADCAST, FLAG_READ, FLAG_WRITE_NO_RESPONSE, FLAG_WRITE = 0x0001, 0x0002, 0x0004, 0x0008
FLAG_NOTIFY, FLAG_INDICATE, FLAG_AUTHENTICATED_SIGNED_WRITE, FLAG_AUX_WRITE = 0x0010, 0x0020, 0x0040, 0x0100
FLAG_READ_ENCRYPTED, FLAG_READ_AUTHENTICATED, FLAG_READ_AUTHORIZED = 0x0200, 0x0400, 0x0800
FLAG_WRITE_ENCRYPTED, FLAG_WRITE_AUTHENTICATED, FLAG_WRITE_AUTHORIZED = 0x1000, 0x2000, 0x4000

_IRQ_CENTRAL_CONNECT = const(1)
_IRQ_CENTRAL_DISCONNECT = const(2)
_IRQ_GATTS_WRITE = const(3)
_IRQ_SCAN_RESULT = const(5)
_IRQ_SCAN_DONE = const(6)
_IRQ_PERIPHERAL_CONNECT = const(7)
_IRQ_PERIPHERAL_DISCONNECT = const(8)
_IRQ_GATTC_SERVICE_RESULT = const(9)
_IRQ_GATTC_CHARACTERISTIC_RESULT = const(11)
_IRQ_GATTC_DESCRIPTOR_RESULT = const(13)
_IRQ_GATTC_READ_RESULT = const(15)
_IRQ_GATTC_NOTIFY = const(18)
_IRQ_GATTC_INDICATE = const(19)
_IRQ_GATTS_INDICATE_DONE = const(20)
_IRQ_MTU_EXCHANGED = const(21)

# A frame: the payload's length, a type, two numbers and the payload. An event's type is an irq number or _EVENT_SENT.
_HEADER = ">HBHH"
_HEADER_BYTES = const(7)
_EVENT_SENT = const(101)
_ADVERTISE = const(1)
_STOP_ADVERTISING = const(2)
_SERVICES = const(3)
_VALUE = const(4)
_NOTIFY = const(5)
_INDICATE = const(6)
_UPDATE = const(7)
_DISCONNECT = const(8)
_CONFIG = const(9)
_SCAN = const(10)
_CONNECT = const(11)
_DISCOVER = const(12)
_READ = const(13)
_WRITE = const(14)
_COMMAND = const(15)
_EXCHANGE_MTU = const(16)
_OF_SERVICES = const(0)
_OF_CHARACTERISTICS = const(1)
_OF_DESCRIPTORS = const(2)
_NO_HANDLE = const(0xFFFF)

_BUFFERS = const(8)
"""Maximum number of notifications and writes without response that the stack can hold. NimBLE buffers about as many."""
_ENOMEM = const(12)
_EBUSY = const(16)
_ENODEV = const(19)
_EINVAL = const(22)
_EOPNOTSUPP = const(95)
_ENOTCONN = const(107)
_EALREADY = const(114)
_DEFAULT_BUFFER = const(20)
_CONNECTIONS = const(4)
"""Maximum number of connections: CONFIG_BT_NIMBLE_MAX_CONNECTIONS of MicroPython's boards."""


class UUID:
    """As `bluetooth.UUID`. A UUID is made from an int (16 bits), a string, or 2, 4 or 16 little-endian bytes."""

    def __init__(self, value):
        if isinstance(value, int):
            raw = value.to_bytes(2, "little")
        elif isinstance(value, str):
            raw = bytes.fromhex(value.replace("-", ""))
            raw = bytes(raw[15 - i] for i in range(16))
        else:
            raw = bytes(value)
        if len(raw) not in (2, 4, 16):
            raise ValueError("a UUID has 2, 4 or 16 bytes")
        self._raw = raw

    def __iter__(self):
        return iter(self._raw)

    def __eq__(self, other):
        return isinstance(other, UUID) and self._raw == other._raw


def _handle(value):
    """Return `value` if it is an int, else raise TypeError, as mp_obj_get_int does."""
    if not isinstance(value, int):
        raise TypeError("can't convert %s to int" % type(value).__name__)
    return value


class BLE:
    """As `bluetooth.BLE`, a singleton. Pairing raises OSError(EOPNOTSUPP)."""

    _instance = None

    def __new__(cls):
        if cls._instance is None:
            cls._instance = object.__new__(cls)
            cls._instance._reset()
        return cls._instance

    def _reset(self):
        self._socket = None
        self._task = None
        self._handler = None
        self._values = {}
        self._sizes = {}
        self._append = set()
        self._connections = {}
        self._handles = {}  # from the host's handle to the lock's handle, for each connection whose event was handled
        self._server_roles = set()
        self._advertising = self._scanning = self._connecting = False
        self._mtu = 256
        self._name = b"MPY BLE"
        self._advertised = b""
        self._address = bytes(6)

    def active(self, active=None):
        """Switch the radio on or off, if `active` is given. Returns whether the radio is on."""
        if active is None:
            return self._socket is not None
        if active and self._socket is None:
            self._open()
        elif not active and self._socket is not None:
            self._task.cancel()
            self._socket.close()
            handler = self._handler
            self._reset()
            self._handler = handler
        return self._socket is not None

    def _open(self):
        address = os.getenv("MOORING_RADIO")
        if not address:
            raise OSError(_ENODEV)
        connection = connect(address)
        # The radio first sends its address. This is the only message that the lock waits for.
        first = b""
        while len(first) < _HEADER_BYTES + 6:
            data = connection.recv(_HEADER_BYTES + 6 - len(first))
            if not data:
                raise OSError(_ENODEV)
            first += data
        self._address = first[_HEADER_BYTES:]
        self._socket = connection
        self._send(_CONFIG, 0, self._mtu, self._name)
        self._task = asyncio.create_task(self._pump(connection))

    async def _pump(self, connection):
        if _MICROPYTHON:
            reader = asyncio.StreamReader(connection)
        else:
            reader, _ = await asyncio.open_connection(sock=connection.dup())
        try:
            while True:
                length, event, a, b = struct.unpack(_HEADER, await reader.readexactly(_HEADER_BYTES))
                self._event(event, a, b, await reader.readexactly(length) if length else b"")
        except (EOFError, OSError):
            # The host's radio has gone, as if the antenna had come off. Connections end, and no more events arrive.
            for host, handle in list(self._handles.items()):
                as_server = handle in self._server_roles
                self._event(_IRQ_CENTRAL_DISCONNECT if as_server else _IRQ_PERIPHERAL_DISCONNECT, host, 0, bytes(7))

    def _event(self, event, a, b, payload):
        if event in (_IRQ_CENTRAL_CONNECT, _IRQ_PERIPHERAL_CONNECT):
            self._handles[a] = next(
                handle for handle in range(len(self._handles) + 1) if handle not in self._connections
            )
        if event not in (_IRQ_SCAN_RESULT, _IRQ_SCAN_DONE) and a != _NO_HANDLE:
            if a not in self._handles:
                return
            ended = event in (_IRQ_CENTRAL_DISCONNECT, _IRQ_PERIPHERAL_DISCONNECT)
            a = self._handles.pop(a) if ended else self._handles[a]
        if event == _EVENT_SENT:
            self._connections[a] -= 1
            return
        data = (
            self._server_data(event, a, b, payload)
            if event < 5 or event > 19
            else self._client_data(event, a, b, payload)
        )
        if data is not None and self._handler is not None:
            try:
                self._handler(event, data)
            except Exception as error:  # noqa: BLE001  any error of the handler is treated alike
                # Remove a handler that raises, as `invoke_irq_handler_run_protected` in extmod/modbluetooth.c does.
                print("Unhandled exception in IRQ callback handler:", repr(error))
                self._handler = None

    def _server_data(self, event, a, b, payload):
        if event == _IRQ_CENTRAL_CONNECT:
            self._advertising = False
            self._connections[a] = 0
            self._server_roles.add(a)
            return (a, payload[0], memoryview(payload)[1:])
        if event == _IRQ_CENTRAL_DISCONNECT:
            self._server_roles.discard(a)
            self._connections.pop(a, None)
            return (a, payload[0], memoryview(payload)[1:])
        if event == _IRQ_GATTS_WRITE:
            size = self._sizes.get(b, _DEFAULT_BUFFER)
            if b in self._append:
                payload = self._values.get(b, b"") + payload
            self._values[b] = payload[:size]
            return (a, b)
        return (a, b) if event == _IRQ_MTU_EXCHANGED else (a, b, payload[0])

    def _client_data(self, event, a, b, payload):
        view = memoryview(payload)
        if event == _IRQ_SCAN_RESULT:
            return (payload[0], view[1:7], payload[7], b - 256, view[8:]) if self._scanning else None
        if event == _IRQ_SCAN_DONE:
            self._scanning = False
            return ()
        if event == _IRQ_PERIPHERAL_CONNECT:
            self._connecting = False
            self._connections[a] = 0
            return (a, payload[0], view[1:])
        if event == _IRQ_PERIPHERAL_DISCONNECT:
            self._connecting = self._connecting and a != _NO_HANDLE
            self._connections.pop(a, None)
            return (a, payload[0], view[1:])
        if event == _IRQ_GATTC_SERVICE_RESULT:
            start, end = struct.unpack(">HH", payload[:4])
            return (a, start, end, UUID(payload[4:]))
        if event == _IRQ_GATTC_CHARACTERISTIC_RESULT:
            last, value, properties = struct.unpack(">HHB", payload[:5])
            return (a, last, value, properties, UUID(payload[5:]))
        if event == _IRQ_GATTC_DESCRIPTOR_RESULT:
            return (a, b, UUID(payload))
        if event in (_IRQ_GATTC_READ_RESULT, _IRQ_GATTC_NOTIFY, _IRQ_GATTC_INDICATE):
            return (a, b, view)
        # All other events say that a procedure has ended. Some of these events have the handle of a value.
        return (a, b, payload[0]) if payload else (a, b)

    def _send_on(self, kind, conn_handle, b, payload=b""):
        """Send a frame about a connection, with the host's handle of this connection."""
        host = next(host for host, handle in self._handles.items() if handle == conn_handle)
        self._send(kind, host, b, payload)

    def _send(self, kind, a, b, payload=b""):
        if self._socket is None:
            raise OSError(_ENODEV)
        frame = struct.pack(_HEADER, len(payload), kind, a, b) + payload
        try:
            send(self._socket, frame)
        except OSError:
            # As in `_pump`, the host's radio has gone. A dead radio accepts all frames and sends none.
            pass

    def config(self, *names, **settings):
        """Read one of mac, mtu, gap_name, rxbuf and addr_mode, or set some of them by keyword."""
        if names:
            known = {"mac": (1, self._address), "mtu": self._mtu, "gap_name": self._name, "rxbuf": 512, "addr_mode": 1}
            if len(names) != 1 or names[0] not in known:
                raise ValueError("unknown config param")
            return known[names[0]]
        for name, value in settings.items():
            if name == "mtu":
                if not 23 <= value <= 517:
                    raise OSError(_EINVAL)
                self._mtu = value
            elif name == "gap_name":
                self._name = value.encode() if isinstance(value, str) else bytes(value)
            elif name not in ("rxbuf", "addr_mode", "bond", "mitm", "io", "le_secure"):
                raise ValueError("unknown config param")
        if self._socket is not None:
            self._send(_CONFIG, 0, self._mtu, self._name)

    def irq(self, handler):
        """Pass events to `handler(event, data)`. If `handler` is None, pass no more events."""
        self._handler = handler

    def gap_advertise(self, interval_us, adv_data=None, *, resp_data=None, connectable=True):
        """Advertise every `interval_us` microseconds. None stops the advertising. This air has no scan responses."""
        if interval_us is None:
            self._advertising = False
            self._send(_STOP_ADVERTISING, 0, 0)
            return
        if adv_data is not None:
            self._advertised = bytes(adv_data)
        if len(self._advertised) > 31:
            raise OSError(_EINVAL)
        if len(self._connections) >= _CONNECTIONS:
            raise OSError(_ENOMEM)
        self._advertising = True
        self._send(_ADVERTISE, max(20, interval_us // 1000), 1 if connectable else 0, self._advertised)

    def gap_disconnect(self, conn_handle):
        """Close a connection. Returns False if no connection has this handle."""
        if _handle(conn_handle) not in self._connections:
            return False
        self._send_on(_DISCONNECT, conn_handle, 0)
        return True

    def gatts_register_services(self, services_definition):
        """Replace the services. Returns the value handles as a tuple of tuples, in the order of the definition."""
        if self._socket is None:
            raise OSError(_ENODEV)
        if self._connections or self._advertising or self._scanning or self._connecting:
            raise OSError(_EBUSY)
        handle = 0x10
        described, handles = [], []
        for service in services_definition:
            row, own = [], []
            for characteristic in service[1]:
                handle += 2
                own.append(handle)
                descriptors = []
                entry = [bytes(characteristic[0]).hex(), characteristic[1], handle, descriptors]
                for descriptor in characteristic[2] if len(characteristic) > 2 else ():
                    handle += 1
                    own.append(handle)
                    descriptors.append([bytes(descriptor[0]).hex(), descriptor[1], handle])
                row.append(entry)
            described.append([bytes(service[0]).hex(), row])
            handles.append(tuple(own))
        self._values.clear()
        self._sizes.clear()
        self._append.clear()
        self._send(_SERVICES, 0, 0, json.dumps(described).encode())
        return tuple(handles)

    def gatts_read(self, value_handle):
        """Return the local value. In append mode, reading the value also empties it."""
        value = self._values.get(_handle(value_handle), b"")
        if value_handle in self._append:
            self._values[value_handle] = b""
        return value

    def gatts_write(self, value_handle, data, send_update=False):
        """Set the local value. With `send_update`, also send the value to all subscribers."""
        self._values[_handle(value_handle)] = bytes(data)
        self._send(_UPDATE if send_update else _VALUE, 0, value_handle, bytes(data))

    def gatts_set_buffer(self, value_handle, len, append=False):
        """Set the size in bytes of the buffer for peers' writes. With `append`, each write is added until a read."""
        self._sizes[_handle(value_handle)] = len
        if append:
            self._append.add(value_handle)
        else:
            self._append.discard(value_handle)

    def _take_buffer(self, conn_handle):
        waiting = self._connections.get(_handle(conn_handle))
        if waiting is None:
            raise OSError(_ENOTCONN)
        if waiting >= _BUFFERS:
            raise OSError(_ENOMEM)
        self._connections[conn_handle] = waiting + 1

    def gatts_notify(self, conn_handle, value_handle, data=None):
        """Send `data` (None: the local value) as a notification, even if the peer has not subscribed."""
        self._take_buffer(conn_handle)
        self._send_on(_NOTIFY, conn_handle, value_handle, self._values.get(value_handle, b"") if data is None else data)

    def gatts_indicate(self, conn_handle, value_handle, data=None):
        """Do the same as `gatts_notify`, but the peer confirms the value. An event reports the confirmation."""
        self._take_buffer(conn_handle)
        held = self._values.get(value_handle, b"") if data is None else data
        self._send_on(_INDICATE, conn_handle, value_handle, held)

    def gap_scan(self, duration_ms=0, interval_us=1280000, window_us=11250, active=False):
        """Report advertisements for `duration_ms` milliseconds. 0 means for ever. None stops the scan."""
        if duration_ms is None:
            if self._scanning:
                self._send(_SCAN, 0, 0)
            return
        if self._scanning or self._connecting:
            raise OSError(_EALREADY)
        self._scanning = True
        self._send(_SCAN, 1, 0, struct.pack(">I", duration_ms))

    def gap_connect(
        self, addr_type, addr=None, scan_duration_ms=2000, min_conn_interval_us=None, max_conn_interval_us=None
    ):
        """Connect to a peripheral. `gap_connect(None)` cancels the attempt."""
        if addr_type is None:
            if not self._connecting:
                raise OSError(_EALREADY)
            self._send(_CONNECT, 0, 0)
            return
        if len(addr) != 6:
            raise ValueError("invalid addr")
        if self._connecting:
            raise OSError(_EALREADY)
        if len(self._connections) >= _CONNECTIONS:
            raise OSError(_ENOMEM)
        self.gap_scan(None)
        self._connecting = True
        self._send(_CONNECT, 1, 0, struct.pack(">IB", scan_duration_ms, addr_type) + bytes(addr))

    def _as_client(self, kind, conn_handle, b, payload=b""):
        if _handle(conn_handle) not in self._connections:
            raise OSError(_ENOTCONN)
        self._send_on(kind, conn_handle, b, payload)

    def gattc_discover_services(self, conn_handle, uuid=None):
        """Report the peer's services. With `uuid`, report only the services with this UUID."""
        self._as_client(_DISCOVER, conn_handle, _OF_SERVICES, struct.pack(">HH", 1, 0xFFFF) + bytes(uuid or b""))

    def gattc_discover_characteristics(self, conn_handle, start_handle, end_handle, uuid=None):
        """Report the characteristics in a range of handles."""
        span = struct.pack(">HH", start_handle, end_handle)
        self._as_client(_DISCOVER, conn_handle, _OF_CHARACTERISTICS, span + bytes(uuid or b""))

    def gattc_discover_descriptors(self, conn_handle, start_handle, end_handle):
        """Report the attributes after `start_handle`, which NimBLE takes for the handle of a characteristic's value."""
        self._as_client(_DISCOVER, conn_handle, _OF_DESCRIPTORS, struct.pack(">HH", start_handle + 1, end_handle))

    def gattc_read(self, conn_handle, value_handle):
        """Read a value of the peer."""
        self._as_client(_READ, conn_handle, value_handle)

    def gattc_write(self, conn_handle, value_handle, data, mode=0):
        """Write a value of the peer. `mode` is 0 for a write without response and 1 for a write with response."""
        if mode == 0:
            self._take_buffer(conn_handle)
        self._as_client(_WRITE if mode else _COMMAND, conn_handle, value_handle, bytes(data))

    def gattc_exchange_mtu(self, conn_handle):
        """Propose the MTU that `config` has set."""
        self._as_client(_EXCHANGE_MTU, conn_handle, self._mtu)

    def _pairing(self, *_, **__):
        raise OSError(_EOPNOTSUPP)

    gap_pair = gap_passkey = _pairing
