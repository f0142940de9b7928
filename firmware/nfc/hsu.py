"""The PN532's high speed UART (HSU), which carries frames to and from the chip.

A line over SPI or I2C would have the same methods (`Line` in `pn532_chip`).
"""

import asyncio
import sys

from firmware.hardware import ticks
from protocol.errors import TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MICROPYTHON = sys.implementation.name == "micropython"

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

    MicroPython's `asyncio.wait_for` makes two tasks for each call, and a tap has about a hundred reads. So one task
    (`_alarm`) watches the time of read after read, and ends when it wakes and finds no read.
    """

    fixed = False
    """The value is False, because the driver may set the speed of this line."""

    def __init__(self, uart: "Any") -> None:
        self._uart = uart
        stream: Any = asyncio.StreamReader  # MicroPython's StreamReader takes a device and can also write
        self._stream: Any = stream(uart)
        self._reader: Any = None  # the task that waits for bytes
        self._timer: Any = None  # the task of `_alarm`
        self._since = self._limit = 0  # the read ends `_limit` ms after the tick `_since`
        self._slept = self._sleep = 0  # the timer wakes `_sleep` ms after the tick `_slept`
        idle = getattr(uart, "IRQ_RXIDLE", 0)
        if idle:
            uart.irq(_arrived, idle)

    async def write(self, data: bytes) -> None:
        """Send `data`, a whole frame. Raises TransportError `nfc.reader` when the line is closed."""
        try:
            self._stream.write(data)
            if not _MICROPYTHON or self._stream.out_buf:  # the UART usually takes the whole frame at once
                await self._stream.drain()
        except OSError:
            raise TransportError("nfc.reader", "the line to the reader chip is closed")

    async def read(self, timeout_ms: int) -> bytes:
        """Wait for bytes, and return those that have arrived. Return no bytes after `timeout_ms`.

        Cancelling loses no bytes. Raises TransportError `nfc.reader` when the line is closed.
        """
        try:
            try:
                if _MICROPYTHON:
                    self._watch(timeout_ms)
                    data = await self._stream.read(512)
                else:
                    data = await asyncio.wait_for(self._stream.read(512), timeout_ms / 1000)
            except asyncio.TimeoutError:
                # If other tasks have kept the event loop busy, the time may be over although bytes have arrived.
                data = self._uart.read(512)
            finally:
                self._reader = None
        except OSError:
            data = b""
        if data == b"":
            raise TransportError("nfc.reader", "the line to the reader chip is closed")
        return data or b""

    def _watch(self, timeout_ms: int) -> None:
        """Let `_alarm` end the read that this task begins now."""
        self._since, self._limit = ticks.now(), timeout_ms
        if self._timer is not None and self._sleep - ticks.since(self._since, self._slept) > timeout_ms:
            self._timer.cancel()  # it would wake too late
            self._timer = None
        if self._timer is None:
            self._timer = asyncio.create_task(self._alarm())
        self._reader = asyncio.current_task()

    async def _alarm(self) -> None:
        """End each read whose time is over. This allocates nothing, because a read must end even without memory."""
        while self._reader is not None:
            self._slept = ticks.now()
            self._sleep = left = self._limit - ticks.since(self._slept, self._since)
            if left <= 0 and self._reader.data is not asyncio.CancelledError:
                self._reader.cancel()
                self._reader.data = asyncio.TimeoutError  # a later `cancel` by others replaces this error
            await asyncio.sleep_ms(max(left, 1))  # type: ignore[attr-defined]
        self._timer = None

    async def wake(self) -> None:
        """Wake the chip from power-down, so that it understands the next frame."""
        await self.write(_WAKE)

    async def set_baudrate(self, baudrate: int) -> None:
        """Change to `baudrate`, after all bytes written so far were sent at the old rate."""
        self._uart.flush()
        await asyncio.sleep(0.002)
        self._uart.init(baudrate=baudrate)
