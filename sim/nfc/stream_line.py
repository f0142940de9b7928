"""A line to a PN532 over an asyncio stream, for a driver that runs in the same process as the virtual chip.

Like `firmware.nfc.hsu.Hsu`, this class is a `Line` as `firmware.nfc.pn532_chip` describes it. The line has no speed to
set.
"""

import asyncio
from collections.abc import Callable

from protocol.errors import TransportError

_WAKE = b"\x55\x55" + bytes(14)
"""The bytes that wake the chip on its UART (user manual UM0701-02, 6.3.2.3)."""


class StreamLine:
    """Bytes from the chip come by `incoming`; bytes to the chip go to `write`."""

    fixed = True

    def __init__(self, incoming: asyncio.StreamReader, write: Callable[[bytes], None]) -> None:
        self._incoming = incoming
        self._write = write

    async def write(self, data: bytes) -> None:
        """Send a whole frame."""
        self._write(bytes(data))
        await asyncio.sleep(0)

    async def read(self, timeout_ms: int) -> bytes:
        """Return the bytes that have come, as soon as there are any. Return no bytes after `timeout_ms`.

        Raises TransportError `nfc.reader` when the line is closed.
        """
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                data = await self._incoming.read(512)
        except TimeoutError:
            return b""
        if not data:
            raise TransportError("nfc.reader", "the line to the reader chip is closed")
        return data

    async def wake(self) -> None:
        """Wake the chip from power-down."""
        await self.write(_WAKE)

    async def set_baudrate(self, baudrate: int) -> None:
        """Do nothing, because this line has no speed."""
