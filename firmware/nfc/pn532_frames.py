"""Frames between a host and the PN532 (its user manual UM0701-02, clause 6.2.1), cut out of a stream of bytes.

A frame is `00 00 FF`, length and its complement, content, checksum, `00`; the extended form carries a two-byte length.
Content is a frame identifier (TFI) and what it says. Sans-IO, the same for HSU, SPI and I2C.
"""

from protocol import const
from protocol.errors import FormatError

TO_CHIP = 0xD4
FROM_CHIP = 0xD5
_ERROR = const(b"\x7f")

ACK_BYTES = b"\x00\x00\xff\x00\xff\x00"
"""To the host: command understood. To the chip: stop what you are doing."""
NACK_BYTES = b"\x00\x00\xff\xff\x00\x00"
"""To the chip: say your last frame again."""

MAX_CONTENT = 265
"""Longest content the chip takes or gives, TFI and command code included."""

ACK = 1
NACK = 2
CONTENT = 3
ERROR = 4
"""The chip did not understand a command: a frame of its own form."""
BROKEN = 5
"""A frame began, and its checksums say that it is not what was sent."""

_START = const(b"\x00\xff")


def encode(content: bytes) -> bytes:
    """The frame around `content`, extended only where it must be. Raises FormatError `pn532.too_long`."""
    size = len(content)
    if not 1 <= size <= MAX_CONTENT:
        raise FormatError("pn532.too_long", "a frame holds 1 to 265 bytes")
    if size < 256:
        head = bytes((0, 0, 0xFF, size, -size & 0xFF))
    else:
        head = bytes((0, 0, 0xFF, 0xFF, 0xFF, size >> 8, size & 0xFF, -((size >> 8) + size) & 0xFF))
    return head + content + bytes((-sum(content) & 0xFF, 0))


class Frames:
    """Cuts bytes into frames, and finds the next one after anything that is none.

    What is not a frame is passed over, so nothing that comes can make it fail or grow: it holds one frame at most,
    and what was pushed last.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def push(self, data: bytes) -> None:
        """Take bytes as they come."""
        self._buffer.extend(data)

    def clear(self) -> None:
        """Forget what has come so far."""
        self._buffer = bytearray()

    def take(self) -> "tuple[int, bytes] | None":
        """The next frame as (kind, content), or None before it is complete. Content is empty but for CONTENT.

        A broken frame is reported once for each place where one seems to start, and what came inside it is looked at
        again: a frame that lost bytes swallows the beginning of the next.
        """
        buffer = self._buffer
        start = buffer.find(_START)
        if start < 0:
            # Nothing begins here, but the last byte may be half of a start code.
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
        # MicroPython's bytearray has no `del` of slices.
        self._buffer = self._buffer[count:]
