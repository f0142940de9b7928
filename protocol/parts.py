"""A message in parts, as it travels over GATT (ISO/IEC 18013-5 clause 8.3.3.1.1.6). Sans-IO.

Each part is one ATT value: a first byte that says whether more parts follow, then a slice of the message. Both the
phone's session and the link to the edge agent use parts.
"""

from protocol import const
from protocol.errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Room(Protocol):
        """Memory for one message (`firmware.mdoc_reader.response_buffer`)."""

        def __len__(self) -> int:
            """Return the number of bytes so far."""

        def extend(self, piece: memoryview) -> None:
            """Add `piece`."""

        def take(self) -> Any:
            """Return the message, and begin another message."""

        def drop(self) -> None:
            """Forget the bytes so far."""


SMALLEST_MTU = 23
LONGEST_PART = 512
"""Maximum size of an attribute's value, in bytes (Core Specification, Vol 3, Part F, 3.2.9)."""
PREFERRED_MTU = 515
"""The MTU that a lock proposes to phones and edges. This MTU has room for the longest part and three bytes of ATT."""

_PACKET = const(251)
"""Maximum size of a link layer packet after the length extension (Core, Vol 6, Part B, 2.4)."""
_HEADERS = const(7)  # Four bytes of L2CAP and three of ATT.

_MORE = const(1)
_LAST = const(0)


def part_size(mtu: int) -> int:
    """Return the best length of a part, in bytes, for an ATT MTU of `mtu`: the greatest length that fills whole
    packets.

    A part that is a few bytes longer would need one more packet. At MTU 515, each part would take three packets instead
    of two.
    """
    longest = min(max(mtu, SMALLEST_MTU) - 3, LONGEST_PART)
    packets = (longest + _HEADERS) // _PACKET
    return packets * _PACKET - _HEADERS if packets else longest


class Parts:
    """Iterates over the parts of `message` for an ATT MTU of `mtu`. Raises FormatError `parts.empty` for an empty
    message."""

    def __init__(self, message: "bytes | memoryview", mtu: int) -> None:
        if not message:
            raise FormatError("parts.empty", "an empty message has no parts")
        self._message = memoryview(message)
        self._step = part_size(mtu) - 1
        self._at = 0

    def __iter__(self) -> "Parts":
        return self

    def __next__(self) -> bytes:
        at = self._at
        if at >= len(self._message):
            raise StopIteration
        self._at = at + self._step
        more = _MORE if self._at < len(self._message) else _LAST
        return bytes((more,)) + bytes(self._message[at : self._at])


class Assembler:
    """Joins the parts of one direction of one connection.

    If the caller passes `room`, the message is joined there, and `push` returns what `room.take` returns. Otherwise
    the message is joined on the heap. After a FormatError, the assembler is empty and can take the next message.
    """

    def __init__(self, room: "Room | None" = None) -> None:
        self._room = room
        self.reset()

    def push(self, part: "bytes | memoryview", limit: int) -> "bytes | None":
        """Take one part. Return the whole message if this was the last part, otherwise None. After this call, the
        assembler has at most `limit` bytes. The limit may change from part to part.

        Raises FormatError: `parts.form` for an empty part or an unknown first byte, `parts.too_long` for a message of
        more than `limit` bytes.
        """
        # Some wallets send an empty last part, so an empty last part is accepted. A message must not be empty.
        if not part or part[0] > _MORE or (len(part) == 1 and (part[0] == _MORE or not self._parts)):
            self.reset()
            raise FormatError("parts.form", "a part is a first byte of 0 or 1 and some of the message")
        if len(self._parts) + len(part) - 1 > limit:
            self.reset()
            raise FormatError("parts.too_long", "the message exceeds its limit")
        self._parts.extend(memoryview(part)[1:])
        if part[0] == _MORE:
            return None
        message: bytes = bytes(self._heap) if self._room is None else self._room.take()
        self.reset()
        return message

    def reset(self) -> None:
        """Forget a half-received message."""
        self._heap = bytearray()
        if self._room is not None:
            self._room.drop()
        self._parts: Room | bytearray = self._heap if self._room is None else self._room
