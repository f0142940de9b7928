"""Run by either runtime. A phone's connection ends during its tap, once at each possible moment, in one of the modes.

After each such end, the tap must have given the right answer or the error of a lost connection. The link's service must
still be registered, and the next phone must be served. The argument is "server", "client" or "memory". With "memory"
the connection does not end. Instead, the lock runs out of memory when it reads what the phone has written. This is
tried for each write of the phone. Prints the number of moments or writes, and the errors.
"""

import asyncio
import json
import sys

import bluetooth

import firmware.mdoc_ble.session
from firmware.hardware.radio import (
    CENTRAL_CONNECT,
    CENTRAL_DISCONNECT,
    GATTS_WRITE,
    MTU_EXCHANGED,
    PERIPHERAL_CONNECT,
    PERIPHERAL_DISCONNECT,
    RESTARTED,
    SCAN_RESULT,
    Radio,
)
from firmware.mdoc_ble.client import ClientSession
from firmware.mdoc_ble.server import ServerSession, service
from firmware.mdoc_ble.session import Session
from firmware.mdoc_reader.response_buffer import ResponseBuffer
from protocol.errors import TransportError
from protocol.mdoc import ble
from protocol.parts import Assembler, Parts
from tests.on_micropython.moments import MOMENTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SERVICE = bytes(range(16))
REQUEST, RESPONSE, GOODBYE = b"q" * 300, b"a" * 700, b"bye"
MTU = 185
LIMITS = {"CONNECT_MS": 400, "STEP_MS": 300, "LINGER_MS": 60}
LOST = "ble.lost", "ble.no_phone", "ble.silent", "ble.stack", "ble.memory"
PHONE = 1


class Stack:
    """A `bluetooth.BLE` with one phone in range, which connects when it is expected and answers at once."""

    def __init__(self) -> None:
        self.handler: Any = None
        self.there = False
        self.advertising = b""
        self.services = 0
        self.value = b""
        self.ends_with = 0
        self.reads = self.unread = 0
        self.state = self.to_phone = self.from_phone = 0
        self.assembler = Assembler()

    def irq(self, handler: "Any") -> None:
        self.handler = handler

    def active(self, on: bool) -> bool:
        self.services *= on
        self.advertising = self.advertising if on else b""
        return on

    def config(self, **_: "Any") -> None:
        pass

    def gatts_set_buffer(self, *_: "Any") -> None:
        pass

    def gatts_write(self, *_: "Any") -> None:
        pass

    def gatts_register_services(self, services: "Any") -> "Any":
        MOMENTS.pass_one()
        assert not self.there and not self.advertising
        self.services = len(services)
        if self.services == 2:
            self.state, self.from_phone, self.to_phone = 20, 22, 24
        return ((10, 12), (18, 19, 20, 22, 24, 26))[: self.services]

    def gatts_read(self, _: int) -> bytes:
        self.reads += 1
        if self.reads == self.unread:
            raise MemoryError
        return self.value

    # --- the phone as central ----------------------------------------------------------------------------------------

    def gap_advertise(self, interval_us: "int | None", data: "bytes | None" = None) -> None:
        MOMENTS.pass_one()
        self.advertising = b"" if interval_us is None else data or b""
        if ble.advertises(self.advertising, SERVICE) and not self.there:
            self.advertising = b""
            self._arrive(CENTRAL_CONNECT, CENTRAL_DISCONNECT)
            self.tell(MTU_EXCHANGED, (PHONE, MTU))
            self._write(self.state, ble.START)
        MOMENTS.pass_one()

    def gatts_notify(self, connection: int, handle: int, data: bytes) -> None:
        MOMENTS.pass_one()
        self._hear(connection, handle, data)
        MOMENTS.pass_one()

    def _write(self, handle: int, data: bytes) -> None:
        if self.there:
            self.value = data
            self.tell(GATTS_WRITE, (PHONE, handle))

    # --- the phone as peripheral -------------------------------------------------------------------------------------

    def gap_scan(self, duration_ms: "int | None", *_: int) -> None:
        MOMENTS.pass_one()
        if duration_ms is not None:
            advertisement = memoryview(ble.advertisement(SERVICE))
            self.tell(SCAN_RESULT, (1, memoryview(bytes(6)), 0, -60, advertisement))

    def gap_connect(self, kind: "int | None", *_: "Any") -> None:
        MOMENTS.pass_one()
        if kind is not None:
            self.state, self.to_phone, self.from_phone = 30, 32, 34
            self._arrive(PERIPHERAL_CONNECT, PERIPHERAL_DISCONNECT)
        MOMENTS.pass_one()

    def _as_client(self, connection: int, *events: "tuple[int, tuple[Any, ...]]") -> None:
        MOMENTS.pass_one()
        self._check(connection)
        for event, data in events:
            self.tell(event, data)
        MOMENTS.pass_one()

    def gattc_exchange_mtu(self, connection: int) -> None:
        self._as_client(connection, (MTU_EXCHANGED, (PHONE, MTU)))

    def gattc_discover_services(self, connection: int, uuid: "Any") -> None:
        self._as_client(connection, (9, (PHONE, 28, 40, uuid)), (10, (PHONE, 0)))

    def gattc_discover_characteristics(self, connection: int, *_: int) -> None:
        named = ((30, ble.MDOC_STATE), (32, ble.MDOC_CLIENT2SERVER), (34, ble.MDOC_SERVER2CLIENT))
        found = [(11, (PHONE, handle + 1, handle, 0, bluetooth.UUID(name))) for handle, name in named]
        self._as_client(connection, *found, (12, (PHONE, 0)))

    def gattc_discover_descriptors(self, connection: int, *_: int) -> None:
        found = [(13, (PHONE, handle, bluetooth.UUID(0x2902))) for handle in (31, 35)]
        self._as_client(connection, *found, (14, (PHONE, 0)))

    def gattc_write(self, connection: int, handle: int, data: bytes, mode: int) -> None:
        if mode:
            self._as_client(connection, (17, (PHONE, handle, 0)))
        else:
            MOMENTS.pass_one()
            self._hear(connection, handle, data)
            MOMENTS.pass_one()

    # --- either way --------------------------------------------------------------------------------------------------

    def _arrive(self, event: int, end: int) -> None:
        self.there, self.ends_with = True, end
        self.assembler.reset()
        self.tell(event, (PHONE, 1, bytes(6)))

    def _check(self, connection: int) -> None:
        if not isinstance(connection, int):
            raise TypeError
        if not self.there:
            raise OSError(107)

    def _hear(self, connection: int, handle: int, data: bytes) -> None:
        self._check(connection)
        if handle == self.state:
            if data == ble.END:
                self.end()
            return
        if self.assembler.push(data, 1000) == REQUEST:
            for part in Parts(RESPONSE, MTU):
                if self.ends_with == CENTRAL_DISCONNECT:
                    self._write(self.from_phone, part)
                elif self.there:
                    self.tell(18, (PHONE, self.from_phone, memoryview(part)))

    def gap_disconnect(self, connection: int) -> bool:
        MOMENTS.pass_one()
        if not isinstance(connection, int):
            raise TypeError
        return self.end()

    def end(self) -> bool:
        was, self.there = self.there, False
        if was:
            self.tell(self.ends_with, (PHONE, 1, bytes(6)))
        return was

    def tell(self, event: int, data: "Any") -> None:
        was, MOMENTS.within = MOMENTS.within, True
        try:
            if self.handler is not None:
                self.handler(event, data)
        except Exception:  # noqa: BLE001  as the stack does
            self.handler = None
        MOMENTS.within = was


async def tap(radio: Radio, mode: str) -> "str | None":
    """Do one tap. Return None if the answer was right, otherwise the error code."""
    own: Session
    room = ResponseBuffer()
    if mode == "server":
        own = ServerSession(radio, SERVICE, 1000, room, bytes(16))
    else:
        own = ClientSession(radio, SERVICE, 1000, room)
    try:
        await own.begin()
        await own.ready()
        answer = await own.exchange(REQUEST, 300, lambda *_, **__: None)
        try:
            await own.farewell(GOODBYE)
        except (TransportError, OSError) as error:
            assert answer == RESPONSE, error  # after its answer, the phone may be gone
    except TransportError as error:
        return error.code
    finally:
        own.close()
        while not own._finished:  # noqa: ASYNC110  it has no event for that
            await asyncio.sleep(0.005)
    assert answer == RESPONSE
    return None


async def one(mode: str, when: int) -> int:
    """Run the story, and end the connection at moment `when`, or never if `when` is 0. Return the number of moments."""
    stack = Stack()
    radio = Radio(stack, service)
    told: list[int] = []
    radio.irq(lambda event, data: told.append(event))
    radio.active(True)
    radio.gatts_register_services(("link",))
    radio.gap_advertise(200000, b"link")
    mending = asyncio.create_task(radio.mend())
    if mode == "memory":
        stack.unread = when
        code, count = await tap(radio, "server"), stack.reads
        # The first write is State = 01. If the lock cannot read this write, the lock disconnects the phone, and the
        # phone connects again.
        assert code == ("ble.memory" if when > 1 else None), code
    else:
        MOMENTS.begin(when, stack.end)
        MOMENTS.within = False
        code, count = await tap(radio, mode), MOMENTS.count
        MOMENTS.within = True
    assert code is None or (when and code in LOST), code
    assert stack.services and not stack.there and stack.advertising == b"link"
    assert await tap(radio, "client" if mode == "client" else "server") is None, "the next phone is served"
    assert RESTARTED not in told, "the link is not disturbed"
    mending.cancel()
    return count


async def main(mode: str) -> None:
    for name, value in LIMITS.items():
        setattr(firmware.mdoc_ble.session, name, value)
    MOMENTS.find()
    count = await one(mode, 0)
    wrong = []
    for when in range(1, count + 1):
        try:
            await one(mode, when)
        except (AssertionError, TypeError, OSError) as error:
            wrong.append([when, repr(error)])
    print("\x02" + json.dumps({"moments": count, "wrong": wrong}))


asyncio.run(main(sys.argv[1]))
