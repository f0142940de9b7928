"""mdoc central client mode (ISO/IEC 18013-5 clause 8.3.3.1.1.3): the phone connects; the lock is the GATT server."""

import bluetooth

from firmware.hardware import ticks
from firmware.hardware.console import log
from firmware.hardware.radio import CENTRAL_CONNECT, CENTRAL_DISCONNECT, GATTS_WRITE, RESTARTED
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

_DESCRIPTOR_READ = const(1)  # NimBLE's ATT flag; descriptors have other flags than characteristics


def service() -> "tuple[Any, ...]":
    """Return the service to register for phones. One descriptor in this service declares the service that a phone looks
    for (see `firmware.hardware.radio`). The result takes about a kilobyte of heap, so it is created only when
    needed."""
    return (
        bluetooth.UUID(ble.ANCHOR),
        (
            (bluetooth.UUID(ble.ANCHOR), bluetooth.FLAG_READ, ((bluetooth.UUID(0x2800), _DESCRIPTOR_READ),)),
            (bluetooth.UUID(ble.READER_STATE), bluetooth.FLAG_NOTIFY | bluetooth.FLAG_WRITE_NO_RESPONSE),
            (bluetooth.UUID(ble.READER_CLIENT2SERVER), bluetooth.FLAG_WRITE_NO_RESPONSE),
            (bluetooth.UUID(ble.READER_SERVER2CLIENT), bluetooth.FLAG_NOTIFY),
            (bluetooth.UUID(ble.READER_IDENT), bluetooth.FLAG_READ),
        ),
    )


ADVERTISE_US = 30000
"""Advertising interval while a phone is expected. The interval is short because a guest waits. This interval is used
for a few seconds only.
"""
_LOOK_AGAIN_MS = const(200)
_TURNS = const(5)
"""The link advertises in every fifth period of `_LOOK_AGAIN_MS`, so that an edge can find the lock meanwhile."""


class ServerSession(Session):
    """mdoc central client mode: the phone connects to the service `service`, which this lock advertises."""

    mode = "server"

    def __init__(self, radio: "Radio", service: bytes, longest: int, room: "Room", ident: bytes) -> None:
        Session.__init__(self, radio, service, longest, room)
        self._own_ident = ident
        self._state = self._inbox = self._outbox = 0
        self._strangers: list[int] = []
        self._advertise_due = False

    async def begin(self) -> None:
        """Give the service the UUID of this transaction, and advertise the service."""
        self._state, self._inbox, self._outbox = self._radio.begin(self._service, self._own_ident)
        self._advertise_due = True
        self._tend()

    async def ready(self) -> None:
        """Wait for the phone's State = 01."""
        since, aside = ticks.now(), False
        while not self.started:
            self._check()
            elapsed = ticks.since(ticks.now(), since)
            left = session.CONNECT_MS - elapsed
            turn = elapsed // _LOOK_AGAIN_MS % _TURNS == _TURNS - 1
            if turn != aside:
                aside = turn
                if turn:
                    self._radio.let_link_advertise()
                else:
                    self._advertise_due = True
                    self._tend()
            if left <= 0:
                raise TransportError("ble.no_phone", "the phone did not come")
            await self._wake(min(left, _LOOK_AGAIN_MS))
        self._advertise_due = False
        self._radio.let_link_advertise()

    def _irq(self, event: int, data: "Any") -> None:
        if event == GATTS_WRITE:
            # Read the value now, because the next write may overwrite it before a task runs.
            self._take_write(data[0], data[1], self._ble.gatts_read(data[1]))
        elif event == CENTRAL_CONNECT:
            self._advertise_due = not self.started  # the stack stops advertising when a peer connects
        elif event == CENTRAL_DISCONNECT:
            self._advertise_due = not self.started
            if data[0] == self._connection:
                self._lose()
        elif event == RESTARTED:
            self._lose()
        self._flag.set()

    def _take_write(self, connection: int, handle: int, value: bytes) -> None:
        if self._connection is None and not self.started and handle == self._state and value == ble.START:
            self._connection = connection
            self.started = True
        elif connection != self._connection:
            if connection not in self._strangers:
                self._strangers.append(connection)
        elif handle == self._inbox:
            self._take(value)
        elif handle == self._state and value == ble.END:
            self._end()

    def _tend(self) -> None:
        while self._strangers:
            log("ble.stranger")
            try:
                self._ble.gap_disconnect(self._strangers.pop())
            except OSError:
                pass  # already gone
        if self._advertise_due and not self.started and not self._finished:
            self._advertise_due = False  # clear this first: a peer that connects at once sets it again
            try:
                self._radio.advertise(ADVERTISE_US, ble.advertisement(self._service))
            except OSError:
                self._advertise_due = True  # try again later: all connections are in use, or one is just ending

    def _stop(self) -> None:
        self._advertise_due = False

    def _write(self, connection: int, part: bytes) -> None:
        self._ble.gatts_notify(connection, self._outbox, part)

    def _say(self, connection: int, state: bytes) -> None:
        self._ble.gatts_notify(connection, self._state, state)
