"""The PN532's high speed UART: how its frames get there and back. An SPI or I2C line has the same five methods."""

import asyncio
import sys

from protocol.errors import TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

POWER_UP_BAUDRATE = 115200

_WAKE = b"\x55\x55" + bytes(14)
"""Edges that wake the chip, and the time it takes to (user manual, 7.2.11): what comes during it is lost."""


def _arrived(_uart: "Any") -> None:
    """Nothing: that it was called has woken the loop, which finds the bytes for itself."""


class _Polled:
    """A UART as an asyncio stream where asyncio cannot wait for one itself: on CPython, under the board stand-in."""

    def __init__(self, uart: "Any") -> None:
        self._uart = uart

    async def read(self, size: int) -> bytes:
        while True:
            data = self._uart.read(size)
            if data is not None:
                return bytes(data)
            await asyncio.sleep(0.001)

    def write(self, data: bytes) -> None:
        self._uart.write(data)

    async def drain(self) -> None:
        self._uart.flush()


class Hsu:
    """The line on `uart`, a `machine.UART` at 115200 baud with an `rxbuf` of 600 bytes or more.

    With `writer`, `uart` is the reading half of a pair of asyncio streams, whose speed cannot be changed.

    A loop on the ESP32 that waits for a UART looks at it once in a FreeRTOS tick of 10 ms, and there are two waits in
    each exchange with the chip. An interrupt wakes it sooner, whatever its handler does (ports/esp32/machine_uart.c).
    So there is one for a line that has gone idle, half a millisecond or a whole one after each frame. It takes one of
    the eight places that the port has for handlers not called yet; one for each byte would take them all.
    """

    def __init__(self, uart: "Any", writer: "Any" = None) -> None:
        self._uart: Any = uart if writer is None else None
        self._reader: Any = uart
        self._writer: Any = writer
        self._held = b""
        self._closed = False
        if writer is None:
            stream: Any = asyncio.StreamReader if sys.implementation.name == "micropython" else _Polled
            self._reader = self._writer = stream(uart)
            idle = getattr(uart, "IRQ_RXIDLE", 0)
            if idle:
                uart.irq(_arrived, idle)

    async def write(self, data: bytes) -> None:
        """Send `data`, a whole frame. Raises TransportError `nfc.reader` when the line is closed."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError:
            raise TransportError("nfc.reader", "the line to the reader chip is closed")

    async def read(self, timeout_ms: int) -> bytes:
        """What has come, as soon as anything has; empty after `timeout_ms`. Cancelling loses no bytes.

        Raises TransportError `nfc.reader` when the line is closed.
        """
        try:
            await asyncio.wait_for(self._fill(), timeout_ms / 1000)
        except asyncio.TimeoutError:
            # The loop may have been away for so long that the time was over before it looked.
            if self._uart is not None:
                self._keep(self._uart.read(512))
        except OSError:
            self._closed = True
        data, self._held = self._held, b""
        if not data and self._closed:
            raise TransportError("nfc.reader", "the line to the reader chip is closed")
        return data

    async def _fill(self) -> None:
        # Kept, and not returned: a time that is over a moment later would take a result with it.
        data = await self._reader.read(512)
        self._closed = data == b""
        self._keep(data)

    def _keep(self, data: "bytes | None") -> None:
        if data:  # a UART that was ready may have nothing after all
            self._held += data

    async def wake(self) -> None:
        """Wake the chip from power-down; the frame that follows is the first it understands."""
        await self.write(_WAKE)

    async def set_baudrate(self, baudrate: int) -> None:
        """Go on at `baudrate`, once everything written so far has left at the old one."""
        if self._uart is not None:
            self._uart.flush()
            await asyncio.sleep(0.002)
            self._uart.init(baudrate=baudrate)

    @property
    def fixed(self) -> bool:
        """Is the speed of this line none of ours to set?"""
        return self._uart is None
