"""APDUs (ISO/IEC 7816-4) as far as an mdoc reader needs them: commands, chaining, response collection, DO 53.

This module does no input and output. Everything takes and gives bytes, and a long response goes into a buffer of the
caller. A status word other than success raises TransportError `apdu.status`.
"""

from protocol import const
from protocol.errors import FormatError, TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sized

OK = 0x9000
SHORT_DATA = 255
"""Maximum number of data bytes in a short command. A short response can hold one more byte than a short command."""
EXTENDED_DATA = 65535

SELECT = 0xA4
READ_BINARY = 0xB0
UPDATE_BINARY = 0xD6
ENVELOPE = 0xC3
GET_RESPONSE = 0xC0
_CHAINING = const(0x10)


class Response:
    """A response APDU. `status` holds the two status bytes as one number."""

    def __init__(self, data: bytes, status: int) -> None:
        self.data = data
        self.status = status


def command(cla: int, ins: int, p1: int, p2: int, data: bytes = b"", le: int = 0, extended: bool = False) -> bytes:
    """Return a command APDU of any of the four cases (clause 5.2).

    `le` is the maximum number of response bytes wanted. If `le` is 0, Le is left out. The value 256 (65536 in the
    extended form) is written as zeros. Raises FormatError `apdu.range` for more data or a larger Le than the form can
    hold.
    """
    limit = EXTENDED_DATA if extended else SHORT_DATA
    if len(data) > limit or le < 0 or le > limit + 1:
        raise FormatError("apdu.range", "more data or Le than this form of APDU can hold")
    head = bytearray((cla, ins, p1, p2))
    if extended and (data or le):
        head.append(0)  # this zero byte announces the extended form, before Lc or Le
    width = 2 if extended else 1
    if data:
        head.extend(len(data).to_bytes(width, "big"))
    # The parts are joined only once per command, because the data may be long and the lock's heap is small.
    return b"".join((head, data, (le & (0xFFFF if extended else 0xFF)).to_bytes(width, "big") if le else b""))


def parse_response(raw: bytes) -> Response:
    """`raw` as a Response. Raises FormatError `apdu.response` if the response has no status word or more than 65536
    data bytes."""
    if not 2 <= len(raw) <= EXTENDED_DATA + 3:
        raise FormatError("apdu.response", "a response APDU has a status word and at most 65536 data bytes")
    return Response(raw[:-2], raw[-2] << 8 | raw[-1])


def expect_ok(raw: bytes) -> bytes:
    """Return the data of a response. Raises FormatError for a malformed response. Raises TransportError `apdu.status`
    for any status but 9000."""
    response = parse_response(raw)
    if response.status != OK:
        raise refused(response.status)
    return response.data


def refused(status: int) -> TransportError:
    """Return the error for a status word that does not mean success."""
    return TransportError("apdu.status", f"status word {status:04X}")


HEADS = 7
"""Number of bytes before the data that `chain` overwrites."""


def chain(
    ins: int, p1: int, p2: int, room: memoryview, start: int, end: int, le: int, size: int, extended: bool = False
) -> "Iterator[memoryview]":
    """Yield the bytes of `room` from `start` to `end` as chained commands of at most `size` data bytes each (clause
    5.3.3).

    A command is a view of `room`, because a lock has no memory for copies. Its head is written before its data, over
    bytes that were sent already. So take the next command only when the previous command was sent. At least HEADS bytes
    before `start`, and two bytes after `end`, are overwritten.

    CLA is 10 (hexadecimal) in every command but the last. Only the last command carries Le, because the response to
    each earlier command is a bare status word. Raises FormatError `apdu.range` as `command` does.
    """
    limit = EXTENDED_DATA if extended else SHORT_DATA
    if not 0 < size <= limit or not 0 < le <= limit + 1:
        raise FormatError("apdu.range", "more data or Le than this form of APDU can hold")
    width = 2 if extended else 1
    while True:
        stop = min(end, start + size)
        last = stop == end
        head = bytes((0 if last else _CHAINING, ins, p1, p2)) + (b"\x00" if extended else b"")
        if start < stop:
            head += (stop - start).to_bytes(width, "big")
        first = start - len(head)
        room[first:start] = head
        if last:
            room[stop : stop + width] = (le & (0xFFFF if extended else 0xFF)).to_bytes(width, "big")
            yield room[first : stop + width]
            return
        yield room[first:stop]
        start = stop


class Collector:
    """Joins the first answer and the answers to GET RESPONSE into one response (clause 5.3.4).

    The caller puts the data of each answer into `collected`, and passes the rest of the answer to `push`. A phone may
    ignore Le and send a shorter or longer answer than was asked for. Two rules bound the exchange. At most `limit`
    bytes are accepted in total, and every GET RESPONSE must bring at least one byte.
    """

    def __init__(self, collected: "Sized", limit: int, le: int = SHORT_DATA + 1) -> None:
        self._collected = collected
        self._size = len(collected)
        self._limit = limit
        self._le = le
        self._asked = False
        self._corrected = False

    def push(self, raw: bytes) -> "bytes | None":
        """Take a response APDU without its data. Return the GET RESPONSE to send next, or None when the data is
        complete.

        Raises TransportError: `apdu.status` for a status word that is an error, `apdu.stalled` for an answer that adds
        no bytes, `apdu.too_long` for more than `limit` bytes.
        """
        response = parse_response(raw)
        high, low = response.status >> 8, response.status & 0xFF
        size = len(self._collected)
        added, self._size = size - self._size, size
        if high == 0x6C and self._asked and not self._corrected and not added:
            self._corrected = True  # 6CXX means that Le is wrong and XX would be right. A second 6CXX is an error.
            return command(0, GET_RESPONSE, 0, 0, le=low or SHORT_DATA + 1)
        if response.status != OK and high != 0x61:
            raise refused(response.status)
        if size > self._limit:
            raise TransportError("apdu.too_long", "the response is longer than we accept")
        if response.status == OK:
            return None
        if self._asked and not added:
            raise TransportError("apdu.stalled", "more bytes announced, none sent")
        self._asked = True
        self._corrected = False
        return command(0, GET_RESPONSE, 0, 0, le=low or self._le, extended=not low and self._le > SHORT_DATA + 1)


def wrap_do53(room: memoryview, start: int, end: int) -> int:
    """Put the bytes of `room` from `start` to `end` into a discretionary data object, tag 53, with the shortest BER
    length (ISO/IEC 18013-5, 8.3.3.1.2). Return the start of this object, at most four bytes before `start`. Raises
    FormatError `apdu.range`."""
    size = end - start
    if size < 0x80:
        head = bytes((0x53, size))
    elif size < 0x100:
        head = bytes((0x53, 0x81, size))
    elif size < 0x10000:
        head = bytes((0x53, 0x82, size >> 8, size & 0xFF))
    else:
        raise FormatError("apdu.range", "too long for a data object")
    room[start - len(head) : start] = head
    return start - len(head)


def unwrap_do53(raw: memoryview) -> memoryview:
    """Return the content of the data object 53 in `raw`, as a view. Nothing else may be in `raw`.

    BER allows a length to be written in more bytes than it needs, so such lengths are accepted. Indefinite lengths,
    lengths of more than three bytes, missing bytes and trailing bytes are refused. Raises FormatError `apdu.do53`.
    """
    if len(raw) < 2 or raw[0] != 0x53:
        raise FormatError("apdu.do53", "not a data object 53")
    size, at = raw[1], 2
    if size >= 0x80:
        at += size - 0x80
        if not 0x81 <= size <= 0x83 or len(raw) < at:
            raise FormatError("apdu.do53", "length not supported")
        size = int.from_bytes(raw[2:at], "big")
    if len(raw) - at != size:
        raise FormatError("apdu.do53", "the length does not match the bytes")
    return raw[at:]
