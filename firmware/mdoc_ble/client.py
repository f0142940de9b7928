"""mdoc peripheral server mode (ISO/IEC 18013-5 clause 8.3.3.1.1.4): the phone is the GATT server."""

import bluetooth

from firmware.hardware import ticks
from firmware.hardware.console import log
from firmware.hardware.gatt_sending import lost
from firmware.hardware.radio import MTU_EXCHANGED, PERIPHERAL_CONNECT, PERIPHERAL_DISCONNECT, RESTARTED, SCAN_RESULT
from firmware.mdoc_ble import session
from firmware.mdoc_ble.session import Session
from protocol import const
from protocol.errors import TransportError
from protocol.mdoc import ble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from firmware.hardware.radio import Radio
    from protocol.parts import Room

_SERVICE_RESULT = const(9)
_SERVICE_DONE = const(10)
_CHARACTERISTIC_RESULT = const(11)
_CHARACTERISTIC_DONE = const(12)
_DESCRIPTOR_RESULT = const(13)
_DESCRIPTOR_DONE = const(14)
_WRITE_DONE = const(17)
_NOTIFY = const(18)
_DONE = MTU_EXCHANGED, _SERVICE_DONE, _CHARACTERISTIC_DONE, _DESCRIPTOR_DONE, _WRITE_DONE

SCAN_US, WINDOW_US = 60000, 30000
"""Scan interval and scan window. The radio scans half of the time; the other half is for the edge link's connection."""
INTERVAL_US = 15000, 30000
"""Shortest and longest connection interval that the lock requests. Some phones do not accept an interval below 15 ms.
"""
ATTEMPTS = 3
"""`ready` gives up after this many failed connections to a phone."""

_SUBSCRIBE = const(b"\x01\x00")
_WITH_RESPONSE = const(1)
# These UUIDs are created once, because a handler must allocate as little as possible.
_CONFIGURATION = bluetooth.UUID(0x2902)  # Client Characteristic Configuration descriptor.
_VALUES = tuple(bluetooth.UUID(name) for name in (ble.MDOC_STATE, ble.MDOC_CLIENT2SERVER, ble.MDOC_SERVER2CLIENT))


class ClientSession(Session):
    """The lock scans for the phone that advertises `service`, and connects to it.

    `ready` then takes these steps. Each step waits for one event of the stack (`_step`). If a step fails, the attempt
    ends, and the lock scans again.

        connect ─▶ exchange the MTU ─▶ find the service ─▶ find its characteristics
        ─▶ for State and Server2Client: find the descriptor 0x2902, subscribe ─▶ write State = 01

    This mode needs no registered service, so it does not disturb the edge link.
    """

    mode = "client"

    def __init__(self, radio: "Radio", service: bytes, longest: int, room: "Room") -> None:
        Session.__init__(self, radio, service, longest, room)
        self._scanning = False
        self._forget()

    def _forget(self) -> None:
        """Forget everything about the phone."""
        self._found: tuple[int, bytes] | None = None
        self._awaited = 0
        self._status: int | None = None
        self._range: tuple[int, int] | None = None
        self._handles = [0, 0, 0]  # Handles of the values in `_VALUES`.
        self._ends = [0, 0, 0]  # For each of these values, the last handle of its characteristic.
        self._configuration = 0  # Handle of descriptor 0x2902 in the characteristic that is being searched.
        self._outbox = self._inbox = self._state = 0
        self._gone = False

    async def begin(self) -> None:
        """Start to scan for the phone."""
        self._scan()

    async def ready(self) -> None:
        """Find the phone, connect, subscribe and write State = 01. If this fails, try again; give up after ATTEMPTS."""
        since = ticks.now()
        trouble = TransportError("ble.no_phone", "the phone was not found")
        for _ in range(ATTEMPTS):
            while self._found is None:
                self._check()
                left = session.CONNECT_MS - ticks.since(ticks.now(), since)
                if left <= 0:
                    raise trouble
                await self._wake(left)
            try:
                await self._connect(self._found)
                return
            except TransportError as error:
                trouble = error
                log("ble.retry", code=error.code)
            await self._hang_up()
            self._forget()
            self._scan()
        raise trouble

    async def _connect(self, phone: "tuple[int, bytes]") -> None:
        radio = self._ble
        self._stop_scan()
        await self._step(PERIPHERAL_CONNECT, radio.gap_connect, phone[0], phone[1], session.STEP_MS, *INTERVAL_US)
        connection = self._peer()
        try:
            await self._step(MTU_EXCHANGED, radio.gattc_exchange_mtu, connection)
        except TransportError as error:
            if error.code != "ble.stack":
                raise
            # The lock's stack refuses this request if the phone has already exchanged the MTU. This is no error.
        uuid = bluetooth.UUID(ble.uuid_text(self._service))
        await self._step(_SERVICE_DONE, radio.gattc_discover_services, connection, uuid)
        found = self._range
        if found is None:
            raise TransportError("ble.service", "the phone does not have the service that it announced")
        start, end = found
        await self._step(_CHARACTERISTIC_DONE, radio.gattc_discover_characteristics, connection, start, end)
        self._state, self._outbox, self._inbox = self._handles
        if 0 in self._handles:
            raise TransportError("ble.service", "the phone's service lacks a characteristic")
        for at in (0, 2):  # State and Server2Client.
            # Search only from the characteristic's value to the next declaration. A response can hold only UUIDs of the
            # same length (Core, Vol 3, Part F, 3.4.3.2), so a wider search needs a request for each change of length.
            self._configuration, first, last = 0, self._handles[at], self._ends[at]
            if last > first:
                await self._step(_DESCRIPTOR_DONE, radio.gattc_discover_descriptors, connection, first, last)
            handle = self._configuration
            if not handle:
                raise TransportError("ble.service", "the phone's service cannot notify")
            await self._step(_WRITE_DONE, radio.gattc_write, connection, handle, _SUBSCRIBE, _WITH_RESPONSE)
        self._check_there()
        try:
            self._say(connection, ble.START)
        except OSError:
            raise lost()
        self.started = True

    async def _step(self, event: int, call: "Any", *arguments: "Any") -> None:
        """Call the stack and wait for `event`. Raises TransportError if the call or the step fails."""
        self._check_there()
        self._expect(event)
        try:
            call(*arguments)
        except OSError:
            raise TransportError("ble.stack", "the radio refuses a command")
        since = ticks.now()
        while self._status is None:
            left = session.STEP_MS + session.STEP_MS // 2 - ticks.since(ticks.now(), since)
            if left <= 0:
                raise TransportError("ble.silent", "the phone has stopped answering")
            self._check_there()
            await self._wake(left)
        if self._status:
            raise TransportError("ble.refused", "the phone refused a step of the connection")

    def _expect(self, event: int) -> None:
        self._awaited, self._status = event, None

    def _check_there(self) -> None:
        if self._gone:
            raise lost()

    async def _hang_up(self) -> None:
        """Disconnect if the phone is still connected, so that a new connection is possible."""
        connection = self._connection
        if connection is not None:
            try:
                await self._step(PERIPHERAL_DISCONNECT, self._ble.gap_disconnect, connection)
            except TransportError as error:
                log("ble.hanging", code=error.code)
            self._connection = None

    def _irq(self, event: int, data: "Any") -> None:
        if event == SCAN_RESULT:
            if self._found is None and ble.advertises(data[4], self._service):
                self._found = (data[0], bytes(data[1]))
                self._flag.set()
            return
        if event == PERIPHERAL_CONNECT:
            if self._awaited != event or self._connection is not None:
                raise TransportError("ble.late", "the session no longer waits for this phone")
            self._connection = data[0]
            self._status = 0
        elif event == PERIPHERAL_DISCONNECT:
            self._on_disconnect(data[0])
        elif event == RESTARTED:
            self._gone = True
            self._lose()
        elif self._connection is None or data[0] != self._connection:
            return
        elif event == _NOTIFY:
            if data[1] == self._inbox:
                self._take(data[2])
            elif data[1] == self._state and data[2] == ble.END:
                self._end()
        else:
            self._on_answer(event, data)
        self._flag.set()

    def _on_disconnect(self, connection: int) -> None:
        if self._awaited == PERIPHERAL_CONNECT and self._status is None:
            self._status = 1  # the attempt failed
        elif connection == self._connection:
            if self._awaited == PERIPHERAL_DISCONNECT:
                self._status = 0
            if self.started:
                self._lose()
            self._connection = None
            self._gone = True

    def _on_answer(self, event: int, data: "Any") -> None:
        # Compare UUIDs here, because the UUIDs passed to a handler are invalid after the handler returns. Keep only
        # matching results, because a phone may have thousands of other services and characteristics.
        if event == _SERVICE_RESULT:
            self._range = (data[1], data[2])
        elif event == _CHARACTERISTIC_RESULT:
            for at in range(3):
                if data[4] == _VALUES[at]:
                    self._ends[at], self._handles[at] = data[1], data[2]
        elif event == _DESCRIPTOR_RESULT:
            if data[2] == _CONFIGURATION:
                self._configuration = data[1]
        elif event in _DONE and event == self._awaited:
            self._status = 0 if event == MTU_EXCHANGED else data[-1]

    def _scan(self) -> None:
        self._scanning = True
        try:
            self._ble.gap_scan(0, SCAN_US, WINDOW_US)
        except OSError:
            raise TransportError("ble.stack", "the radio does not start to scan")

    def _stop_scan(self) -> None:
        if self._scanning:
            self._scanning = False
            try:
                self._ble.gap_scan(None)
            except OSError:
                pass  # already ended

    def _stop(self) -> None:
        self._stop_scan()
        if self._awaited == PERIPHERAL_CONNECT and self._status is None:
            try:
                self._ble.gap_connect(None)
            except OSError:
                pass  # the attempt has just ended

    def _write(self, connection: int, part: bytes) -> None:
        self._ble.gattc_write(connection, self._outbox, part, 0)

    def _say(self, connection: int, state: bytes) -> None:
        self._ble.gattc_write(connection, self._state, state, 0)
