"""The PN532's high speed UART (HSU), which carries frames to and from the chip.

A line over SPI or I2C would have the same methods (`Line` in `pn532_chip`).
"""

import asyncio

from protocol.errors import TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

POWER_UP_BAUDRATE = 115200

_WAKE = b"\x55\x55" + bytes(14)
"""Bytes that wake the chip by the edges of their signal, followed by padding. The chip loses bytes that arrive while it
wakes (UM0701-02, 6.3.2.3).
"""


def _arrived(_uart: "Any") -> None:
    """Do nothing. The interrupt itself wakes the event loop. The loop then reads the bytes."""


class Hsu:
    """The line on `uart`, a `machine.UART` at 115200 baud with an `rxbuf` of 600 bytes or more.

    On the ESP32, a waiting event loop polls its UARTs only once per FreeRTOS tick of 10 ms. Each exchange with the chip
    has two such waits. An interrupt wakes the loop at once, even if its handler does nothing
    (ports/esp32/machine_uart.c). So this class sets the interrupt for an idle line, which comes 0.5 to 1 ms after each
    frame. The port can queue at most eight calls of handlers. The interrupt for an idle line needs only one place in
    this queue; an interrupt for each byte would need all eight.
    """

    fixed = False
    """The value is False, because the driver may set the speed of this line."""

    def __init__(self, uart: "Any") -> None:
        self._uart = uart
        stream: Any = asyncio.StreamReader  # MicroPython's StreamReader takes a device and can also write
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
        """Wait for bytes, and return those that have arrived. Return no bytes after `timeout_ms`.

        Cancelling loses no bytes. Raises TransportError `nfc.reader` when the line is closed.
        """
        try:
            await asyncio.wait_for(self._fill(), timeout_ms / 1000)
        except asyncio.TimeoutError:
            # If other tasks have kept the event loop busy, the time may be over although bytes have arrived.
            self._keep(self._uart.read(512))
        except OSError:
            self._closed = True
        data, self._held = self._held, b""
        if not data and self._closed:
            raise TransportError("nfc.reader", "the line to the reader chip is closed")
        return data

    async def _fill(self) -> None:
        # Store the bytes instead of returning them, because a timeout at this moment would discard a returned value.
        data = await self._stream.read(512)
        self._closed = data == b""
        self._keep(data)

    def _keep(self, data: "bytes | None") -> None:
        if data:  # a UART may report that it has bytes, and then return none
            self._held += data

    async def wake(self) -> None:
        """Wake the chip from power-down, so that it understands the next frame."""
        await self.write(_WAKE)

    async def set_baudrate(self, baudrate: int) -> None:
        """Change to `baudrate`, after all bytes written so far were sent at the old rate."""
        self._uart.flush()
        await asyncio.sleep(0.002)
        self._uart.init(baudrate=baudrate)
