"""The PN532's high speed UART: how its frames get there and back. An SPI or I2C line has the same five methods."""

import asyncio

from protocol.errors import TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

POWER_UP_BAUDRATE = 115200

_WAKE = b"\x55\x55" + bytes(14)
"""Edges that wake the chip, and the time it takes to (user manual, 7.2.11): what comes during it is lost."""


def _arrived(_uart: "Any") -> None:
    """Nothing: that it was called has woken the loop, which finds the bytes for itself."""


class Hsu:
    """The line on `uart`, a `machine.UART` at 115200 baud with an `rxbuf` of 600 bytes or more.

    A loop on the ESP32 that waits for a UART looks at it once in a FreeRTOS tick of 10 ms, and there are two waits in
    each exchange with the chip. An interrupt wakes it sooner, whatever its handler does (ports/esp32/machine_uart.c).
    So there is one for a line that has gone idle, half a millisecond or a whole one after each frame. It takes one of
    the eight places that the port has for handlers not called yet; one for each byte would take them all.
    """

    fixed = False
    """The driver may set the speed of this line."""

    def __init__(self, uart: "Any") -> None:
        self._uart = uart
        stream: Any = asyncio.StreamReader  # MicroPython's, which takes a device, and writes as well
        self._stream: Any = stream(uart)
        self._held = b""
        self._closed = False
        idle = getattr(uart, "IRQ_RXIDLE", 0)
        if idle:
            uart.irq(_arrived, idle)

    async def write(self, data: bytes) -> None:
        """Send `data`, a whole frame. Raises TransportError `nfc.reader` when the line is closed."""
        try:
            self._stream.write(data)
            await self._stream.drain()
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
            self._keep(self._uart.read(512))
        except OSError:
            self._closed = True
        data, self._held = self._held, b""
        if not data and self._closed:
            raise TransportError("nfc.reader", "the line to the reader chip is closed")
        return data

    async def _fill(self) -> None:
        # Kept, and not returned: a time that is over a moment later would take a result with it.
        data = await self._stream.read(512)
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
        self._uart.flush()
        await asyncio.sleep(0.002)
        self._uart.init(baudrate=baudrate)
