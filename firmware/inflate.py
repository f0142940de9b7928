"""Single bytes out of a long zlib stream (RFC 1950), without ever holding what it inflates to."""

import sys

from protocol.errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 512
_MICROPYTHON = sys.implementation.name == "micropython"

if _MICROPYTHON:
    from io import BytesIO

    from deflate import ZLIB, DeflateIO

    def _chunks(data: bytes) -> "Iterator[bytes | memoryview]":
        source = BytesIO(data)
        stream = DeflateIO(source, ZLIB)
        buffer = bytearray(_CHUNK)
        view = memoryview(buffer)
        try:
            while True:
                count = stream.readinto(buffer)
                if not count:
                    break
                yield view[:count]
        except (OSError, EOFError):
            raise _broken()
        if source.tell() != len(data):
            raise _broken()

else:
    import zlib

    def _chunks(data: bytes) -> "Iterator[bytes | memoryview]":
        stream = zlib.decompressobj()
        try:
            while not stream.eof:
                chunk = stream.decompress(data, _CHUNK)
                data = stream.unconsumed_tail
                if not chunk and not stream.eof:
                    raise _broken()
                yield chunk
        except zlib.error:
            raise _broken() from None
        if stream.unused_data:
            raise _broken()


def _broken() -> FormatError:
    return FormatError("status-list.zlib", "not one whole zlib stream")


def measure(data: bytes, most: int) -> int:
    """How many bytes `data` inflates to. Raises FormatError `status-list.zlib`, `status-list.too_long` above `most`."""
    size = 0
    for chunk in _chunks(data):
        size += len(chunk)
        if size > most:
            raise FormatError("status-list.too_long", "inflates to more than we read")
    return size


def byte_at(data: bytes, offset: int) -> "int | None":
    """Byte `offset` of what `data` inflates to, None if that is shorter. Raises FormatError `status-list.zlib`."""
    start = 0
    for chunk in _chunks(data):
        if offset < start + len(chunk):
            return chunk[offset - start]
        start += len(chunk)
    return None
