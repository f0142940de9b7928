"""A long zlib stream (RFC 1950) piece by piece, without ever holding all that it inflates to."""

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

    def chunks(data: bytes) -> "Iterator[bytes | memoryview]":
        """What `data` inflates to; each piece is good until the next. Raises FormatError `status-list.zlib`."""
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

    def chunks(data: bytes) -> "Iterator[bytes | memoryview]":
        """What `data` inflates to; each piece is good until the next. Raises FormatError `status-list.zlib`."""
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
