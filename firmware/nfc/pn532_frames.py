"""Frames between a host and the PN532 (user manual UM0701-02, clause 6.2.1), found in a stream of bytes.

A frame is `00 00 FF`, a length, its complement, the content, a checksum, `00`. In an extended frame, `FF FF`, a length
of two bytes and a checksum take the place of the length and its complement. The content begins with a frame identifier
(TFI). This module does no input or output, so the same code serves HSU, SPI and I2C.

| after `00 FF` | kind |
| --- | --- |
| `00 FF` | ACK |
| `FF 00` | NACK |
| `FF FF`, two bytes of length, their checksum | CONTENT, extended |
| a length and its complement | CONTENT; ERROR if the content is `7F` |
| anything else, or a checksum that does not fit | BROKEN |
"""

from protocol import const
from protocol.errors import FormatError

TO_CHIP = 0xD4
FROM_CHIP = 0xD5
_ERROR = const(b"\x7f")

ACK_BYTES = b"\x00\x00\xff\x00\xff\x00"
"""From the chip, an ACK means that the command was understood. To the chip, an ACK means: stop the current command."""
NACK_BYTES = b"\x00\x00\xff\xff\x00\x00"
"""To the chip, a NACK means: repeat your last frame."""

MAX_CONTENT = 265
"""Maximum number of bytes of content that the chip takes or sends, including TFI and command code."""

ACK = 1
NACK = 2
CONTENT = 3
ERROR = 4
"""Kind of the frame by which the chip reports that it did not understand a command. The content of this frame is only
one byte."""
BROKEN = 5
"""Stands for a damaged frame: its length or its checksum is wrong."""

_START = const(b"\x00\xff")


def encode(content: bytes) -> bytes:
    """Return the frame around `content`, which is extended only if necessary.

    Raises FormatError `pn532.too_long` if `content` does not have 1 to MAX_CONTENT bytes.
    """
    size = len(content)
    if not 1 <= size <= MAX_CONTENT:
        raise FormatError("pn532.too_long", "a frame holds 1 to 265 bytes")
    if size < 256:
        head = bytes((0, 0, 0xFF, size, -size & 0xFF))
    else:
        head = bytes((0, 0, 0xFF, 0xFF, 0xFF, size >> 8, size & 0xFF, -((size >> 8) + size) & 0xFF))
    return head + content + bytes((-sum(content) & 0xFF, 0))


class Frames:
    """Splits a stream of bytes into frames, and skips all other bytes.

    No input makes it fail. This splitter holds at most one incomplete frame and the bytes of the latest `push`.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def push(self, data: bytes) -> None:
        """Add received bytes."""
        self._buffer.extend(data)

    def clear(self) -> None:
        """Discard all bytes received so far."""
        self._buffer = bytearray()

    def take(self) -> "tuple[int, bytes] | None":
        """Return the next frame as (kind, content), or None if no frame is complete. Only CONTENT has content.

        If a frame has lost bytes, it seems to contain the beginning of the next frame. So after BROKEN, only the start
        code is skipped, and the remaining bytes are searched again. One damaged frame may be reported several times.
        """
        buffer = self._buffer
        start = buffer.find(_START)
        if start < 0:
            # No frame starts here, but the last byte may be the first half of a start code.
            self._drop(len(buffer) - (1 if buffer[-1:] == b"\x00" else 0))
            return None
        if start:
            self._drop(start)
            buffer = self._buffer
        if len(buffer) < 4:
            return None
        length, check, head = buffer[2], buffer[3], 4
        if length == 0 and check == 0xFF:
            self._drop(4)
            return ACK, b""
        if length == 0xFF and check == 0:
            self._drop(4)
            return NACK, b""
        if length == 0xFF and check == 0xFF:
            if len(buffer) < 7:
                return None
            length, check, head = buffer[4] << 8 | buffer[5], buffer[4] + buffer[5] + buffer[6], 7
        else:
            check += length
        if check & 0xFF or not 1 <= length <= MAX_CONTENT:
            self._drop(2)
            return BROKEN, b""
        if len(buffer) < head + length + 1:
            return None
        content = bytes(buffer[head : head + length])
        if (sum(content) + buffer[head + length]) & 0xFF:
            self._drop(2)
            return BROKEN, b""
        self._drop(head + length + 1)
        return (ERROR, b"") if content == _ERROR else (CONTENT, content)

    def _drop(self, count: int) -> None:
        # MicroPython's bytearray cannot delete slices.
        self._buffer = self._buffer[count:]
