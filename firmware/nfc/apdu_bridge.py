"""Driver of a UART-attached reader that does ISO-DEP itself: whole APDUs in simple frames.

A frame is type (1 byte), length (2 bytes, big-endian) and that many bytes. From the reader: PRESENT (the card's UID),
GONE, RESPONSE (an R-APDU), TROUBLE (text). To the reader: COMMAND (a C-APDU) and RELEASE (field off). The reader
reports a card once, when it comes, and answers each COMMAND with one RESPONSE, GONE or TROUBLE.
"""

import asyncio
import sys

from firmware import ticks
from protocol.errors import TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PRESENT = 1
GONE = 2
COMMAND = 3
RESPONSE = 4
TROUBLE = 5
RELEASE = 6

MAX_COMMAND = 4096
MAX_RESPONSE = 4096
"""Most data bytes in an APDU here. The memory of the lock sets it; longer messages are chained."""

_LIMITS = {PRESENT: 10, GONE: 0, RESPONSE: MAX_RESPONSE + 2, TROUBLE: 64}
_GAP_MS = 300
"""A frame that stops in its middle for this long was garbage, or is lost."""


class Frames:
    """Cuts the byte stream into frames and finds its way back after garbage."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._skip = 0

    @property
    def partial(self) -> bool:
        """Is a frame under way?"""
        return bool(self._buffer) or self._skip > 0

    def push(self, data: bytes) -> None:
        """Take bytes as they come."""
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        self._buffer.extend(data)

    def take(self) -> "tuple[int, bytes] | None":
        """The next frame, (type, content), or None before it is complete.

        A response beyond `MAX_RESPONSE` is passed over and comes out empty, which no response is.
        """
        buffer = self._buffer
        while True:
            while buffer and buffer[0] not in _LIMITS:
                self._drop(1)  # no frame starts here
            if len(buffer) < 3:
                return None
            kind, length = buffer[0], buffer[1] << 8 | buffer[2]
            if length <= _LIMITS[kind]:
                break
            if kind == RESPONSE:
                self._skip = max(0, 3 + length - len(buffer))
                self._drop(3 + length)
                return RESPONSE, b""
            self._drop(1)
        if len(buffer) < 3 + length:
            return None
        content = bytes(buffer[3 : 3 + length])
        self._drop(3 + length)
        return kind, content

    def resync(self) -> None:
        """The frame under way will not end: look for the next one behind its first byte."""
        self._skip = 0
        self._drop(1)

    def _drop(self, count: int) -> None:
        # MicroPython's bytearray has no `del` of slices.
        self._buffer[:] = self._buffer[count:]


class BridgeCard:
    """A `firmware.nfc.Card` behind the bridge."""

    max_command = MAX_COMMAND
    max_response = MAX_RESPONSE

    def __init__(self, bridge: "ApduBridge") -> None:
        self._bridge = bridge
        self._gone = False
        self._released = False

    async def transceive(self, command: bytes, timeout_ms: int = 1000) -> bytes:
        """See `firmware.nfc.Card`."""
        if self._gone or self._released:
            raise TransportError("nfc.gone", "the card is gone")
        self._gone = True  # until an answer says otherwise: a late answer must not be taken for the next one's
        await self._bridge.send(COMMAND, command)
        frame = await self._bridge.receive(timeout_ms)
        if frame is None:
            raise TransportError("nfc.timeout", "the card did not answer in time")
        kind, content = frame
        if kind in (GONE, PRESENT):
            self._bridge.keep(frame)
            raise TransportError("nfc.gone", "the card was taken away")
        if kind == TROUBLE:
            raise TransportError("nfc.reader", "the reader reports a fault")
        if len(content) < 2:
            raise TransportError("nfc.too_long", "a response that is too long, or none at all")
        self._gone = False
        return content

    async def release(self) -> None:
        """See `firmware.nfc.Card`."""
        if not self._released:
            self._released = True
            await self._bridge.send(RELEASE, b"")


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


class ApduBridge:
    """A `firmware.nfc.CardReader` on `uart`, a `machine.UART`; or, with `writer`, on a pair of asyncio streams."""

    def __init__(self, uart: "Any", writer: "Any" = None) -> None:
        self._reader: Any = uart
        self._writer: Any = writer
        if writer is None:
            stream: Any = asyncio.StreamReader if sys.implementation.name == "micropython" else _Polled
            self._reader = self._writer = stream(uart)
        self._frames = Frames()
        self._kept: tuple[int, bytes] | None = None

    async def wait_for_card(self) -> BridgeCard:
        """See `firmware.nfc.CardReader`."""
        while True:
            frame = await self.receive(None)
            if frame is not None and frame[0] == PRESENT:
                return BridgeCard(self)

    async def send(self, kind: int, content: bytes) -> None:
        """Write one frame."""
        self._writer.write(bytes((kind, len(content) >> 8, len(content) & 0xFF)) + content)
        await self._writer.drain()

    def keep(self, frame: "tuple[int, bytes]") -> None:
        """Put a frame back: `receive` returns it next."""
        self._kept = frame

    async def receive(self, timeout_ms: "int | None") -> "tuple[int, bytes] | None":
        """The next frame, or None after `timeout_ms` (None: wait without end). Cancelling loses no bytes."""
        started = ticks.now()
        while True:
            frame, self._kept = self._kept, None
            frame = frame or self._frames.take()
            if frame is not None:
                return frame
            left = None if timeout_ms is None else timeout_ms - ticks.since(ticks.now(), started)
            if left is not None and left <= 0:
                return None
            partial = self._frames.partial
            wait = left
            if partial:
                wait = _GAP_MS if left is None else min(left, _GAP_MS)
            try:
                data = await self._read(wait)
            except asyncio.TimeoutError:
                if partial and wait == _GAP_MS:
                    self._frames.resync()
                continue
            self._frames.push(data)

    async def _read(self, wait_ms: "int | None") -> bytes:
        read = self._reader.read(512)
        data = await (read if wait_ms is None else asyncio.wait_for(read, wait_ms / 1000))
        if data is None:  # a UART that was ready and has nothing after all
            return b""
        if data == b"":
            await asyncio.sleep(1)  # whoever tries again at once would only spin
            raise TransportError("nfc.reader", "the line to the reader is closed")
        return bytes(data)
