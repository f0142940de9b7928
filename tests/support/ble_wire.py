"""One GATT connection without a Bluetooth stack, for tests about time. The connection works on any clock, real or
virtual.

One end replaces the lock's `bluetooth.BLE`. The other end is the `BleLine` of a phone that is the central.
`ble_world.py` has the whole stack.
"""

import asyncio
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from firmware.hardware.radio import Radio
from sim.board.interpreter import STAND_INS
from sim.phone.ble import END, START, BleJob

_CONNECTION = 7
_CONNECTED, _DISCONNECTED, _WRITTEN, _MTU = 1, 2, 3, 21
_PART = 244


_ON_BLUETOOTH = ("bluetooth", "firmware.mdoc_ble.server", "firmware.mdoc_ble.client", "firmware.mdoc_ble")


@contextmanager
def lock_on(wire: "BleWire", monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield the lock's `MdocBle` on `wire`. The lock's modules import a stand-in for the board's `bluetooth`."""
    monkeypatch.syspath_prepend(str(STAND_INS))
    for name in _ON_BLUETOOTH:
        monkeypatch.delitem(sys.modules, name, raising=False)
    mdoc_ble = importlib.import_module("firmware.mdoc_ble")
    radio = Radio(wire, importlib.import_module("firmware.mdoc_ble.server").service)
    radio.active(True)
    yield mdoc_ble.MdocBle(radio)
    for name in _ON_BLUETOOTH:
        sys.modules.pop(name, None)


class BleWire:
    """The connection. If `comes` is false, the Bluetooth of the phone is off."""

    def __init__(self, comes: bool = True) -> None:
        self.moved = (0, 0)
        self._comes = comes
        self._irq: Callable[[int, Any], None] = lambda event, data: None
        self._values: dict[int, bytes] = {}
        self._state = self._inbox = self._outbox = 0
        self._advertises = asyncio.Event()
        self._connected = False
        self._notified: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()

    # --- the lock's end: `bluetooth.BLE` -----------------------------------------------------------------------------

    def active(self, on: bool) -> bool:
        return on

    def irq(self, handler: Callable[[int, Any], None]) -> None:
        self._irq = handler

    def config(self, **settings: Any) -> None:
        pass

    def gatts_register_services(self, services: Any) -> Any:
        assert not self._connected and not self._advertises.is_set(), "EBUSY"
        sizes = [sum(1 + len(each[2] if len(each) > 2 else ()) for each in service[1]) for service in services]
        handles = [tuple(range(16 * at + 1, 16 * at + 1 + size)) for at, size in enumerate(sizes)]
        self._state, self._inbox, self._outbox, _ = handles[-1][-4:]
        return tuple(handles)

    def gatts_set_buffer(self, handle: int, size: int, append: bool = False) -> None:
        pass

    def gatts_write(self, handle: int, value: bytes) -> None:
        self._values[handle] = value

    def gatts_read(self, handle: int) -> bytes:
        return self._values[handle]

    def gatts_notify(self, connection: int, handle: int, data: bytes) -> None:
        if not self._connected or connection != _CONNECTION:
            raise OSError(128)
        self._notified.put_nowait((handle, bytes(data)))

    def gap_advertise(self, interval_us: int | None, data: bytes | None = None) -> None:
        if interval_us is None:
            self._advertises.clear()
        else:
            self._advertises.set()

    def gap_disconnect(self, connection: int) -> bool:
        if not self._connected:
            return False
        self._connected = False
        self._notified.put_nowait((self._state, END))
        asyncio.get_running_loop().call_soon(self._irq, _DISCONNECTED, (connection, 0, b""))
        return True

    # --- the phone's end: `sim.phone.ble.BleLine` --------------------------------------------------------------------

    async def open(self, job: BleJob) -> None:
        if not self._comes:
            raise ConnectionError("lost")
        await self._advertises.wait()
        self._advertises.clear()
        self._notified = asyncio.Queue()
        self._connected = True
        self._irq(_CONNECTED, (_CONNECTION, 0, b"phone!"))
        self._irq(_MTU, (_CONNECTION, _PART + 3))
        self._write(self._state, START)

    def _write(self, handle: int, value: bytes) -> None:
        self._values[handle] = value
        self._irq(_WRITTEN, (_CONNECTION, handle))

    async def receive(self) -> bytes | None:
        message = b""
        while True:
            handle, value = await self._notified.get()
            if handle == self._state and value == END:
                return None
            if handle == self._outbox:
                message += value[1:]
                if value[0] == 0:
                    return message

    async def send(self, message: bytes) -> None:
        step = _PART - 1
        for at in range(0, len(message), step):
            self._write(self._inbox, bytes((at + step < len(message),)) + message[at : at + step])

    async def close(self) -> None:
        if self._connected:
            self._write(self._state, END)
            self.gap_disconnect(_CONNECTION)
