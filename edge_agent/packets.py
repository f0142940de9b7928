"""Limits on what a broker may send. The head of each packet is checked before memory is used for the packet.

paho reads a packet of any length, up to 256 MB, into memory. paho keeps messages of QoS 2, and makes objects of 2 KB
from single bytes of a SUBACK. CONNECT announces limits (Maximum Packet Size, Receive Maximum: MQTT 5 sections
3.1.2.11.3 and 3.1.2.11.4), but a dishonest broker ignores them. So this module stands between the socket and paho, and
enforces the limits. A packet that breaks a limit ends the connection, as the standard says. On the next connection, the
agent sends again every record that has no receipt.
"""

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from protocol import uplink

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike

PACKET_OVERHEAD: Final = 512
"""Generous limit for the bytes of a PUBLISH before its payload: header, topic, packet identifier, properties."""
MAX_PACKET: Final = uplink.MAX_MESSAGE + PACKET_OVERHEAD
"""The Maximum Packet Size that CONNECT announces."""

_CONNACK, _PUBLISH, _PUBACK, _SUBACK, _UNSUBACK, _PINGRESP, _DISCONNECT = 2, 3, 4, 9, 11, 13, 14
_MOST: Final = {
    _CONNACK: 4096,  # This packet may contain a client id and other texts.
    _PUBLISH: MAX_PACKET - 5,  # MAX_PACKET includes the fixed header of 5 bytes.
    _PUBACK: 1024,  # This packet may contain a reason in words, like a DISCONNECT.
    _SUBACK: 256,  # For each byte, paho makes an object of 2 KB.
    _UNSUBACK: 256,
    _PINGRESP: 0,
    _DISCONNECT: 1024,
}
"""Maximum number of bytes after the fixed header, by packet type. Other types of packets are refused."""

_LARGE, _MANY, _WRONG = 0x95, 0x93, 0x82
"""Reason codes of DISCONNECT: Packet too large, Receive Maximum exceeded, Protocol Error."""
_CHUNK: Final = 65536


class PacketError(ConnectionError):
    """The broker broke a limit. This error is an OSError, because paho expects an OSError from a socket."""

    def __init__(self, reason: int, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def check_head(first: int, remaining: int) -> None:
    """Check the first byte and the Remaining Length of a packet. Raises PacketError."""
    kind = first >> 4
    if kind not in _MOST or (kind == _PUBLISH and first >> 1 & 3 > 1):
        raise PacketError(_WRONG, f"the broker sent a packet of type {kind}, which we did not ask for")
    if remaining > _MOST[kind]:
        raise PacketError(_LARGE, f"the broker sent a packet of type {kind} with {remaining} bytes, over the limit")


def check_publish(first: int, body: bytes | bytearray) -> None:
    """Check the topic and properties of a PUBLISH before paho makes objects from them. Raises PacketError."""
    at = 2 + int.from_bytes(body[:2], "big") + (2 if first >> 1 & 3 else 0)
    size = shift = 0
    for byte in body[at : at + 4]:
        at += 1
        size |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    if at + size > min(len(body), PACKET_OVERHEAD):
        raise PacketError(_WRONG, "the broker sent a PUBLISH with too long a topic or properties")


class PacketSocket:
    """A socket for paho on top of `channel`. This socket reads one packet at a time and returns only packets within the
    limits.

    `admit(qos)` is called for each PUBLISH. It returns True if one more message of this QoS may wait for the agent. A
    message of QoS 0 that may not wait is dropped: no limit holds for how many of them a broker sends (MQTT 5 section
    3.3.4). After a PacketError, `refused` holds the error, and nothing more is read.
    """

    def __init__(self, channel: "SocketLike", admit: Callable[[int], bool]) -> None:
        self.refused: PacketError | None = None
        self._channel, self._admit = channel, admit
        self._head = bytearray()
        self._body = bytearray()
        self._left: int | None = None
        """Number of bytes of the body that are still missing; None while the head is incomplete."""
        self._whole = b""
        self._given = 0

    def recv(self, size: int) -> bytes:
        """Return up to `size` bytes of the packet; empty at the end of the stream. Raises BlockingIOError, OSError."""
        if self._given == len(self._whole) and not self._next():
            return b""
        part = self._whole[self._given : self._given + size]
        self._given += len(part)
        if self._given == len(self._whole):
            self._whole, self._given = b"", 0
        return part

    def _next(self) -> bool:
        """Read until a packet is complete. Return False at the end of the stream."""
        if self.refused is not None:
            raise self.refused
        try:
            while self._read_one():
                whole = bytes(self._head + self._body)
                wanted = self._head[0] >> 4 != _PUBLISH or self._check(self._head[0])
                self._head, self._body, self._left = bytearray(), bytearray(), None
                if wanted:
                    self._whole = whole
                    return True
        except PacketError as error:
            self._refuse(error)
            raise
        return False

    def _read_one(self) -> bool:
        """Read until head and body are complete. Return False at the end of the stream."""
        while self._left is None:
            byte = self._read(1)
            if not byte:
                return False
            self._head += byte
            self._measure()
        while self._left:
            data = self._read(min(self._left, _CHUNK))
            if not data:
                return False
            self._body += data
            self._left -= len(data)
        return True

    def _read(self, size: int) -> bytes:
        data = self._channel.recv(size)
        # paho keeps the whole WebSocket frame in memory until its end, and a frame may be of any length.
        if len(getattr(self._channel, "_readbuffer", b"")) > MAX_PACKET + PACKET_OVERHEAD:
            raise PacketError(_LARGE, "the broker sent a WebSocket frame that is longer than any packet")
        return data

    def _check(self, first: int) -> bool:
        """Check the PUBLISH in the body. Return False if it is dropped."""
        check_publish(first, self._body)
        qos = first >> 1 & 3
        if self._admit(qos):
            return True
        if qos:
            raise PacketError(_MANY, "the broker sent more messages than may wait for our PUBACK")
        return False

    def _measure(self) -> None:
        """Check the head, if it is complete. The length in the head is an integer of 1 to 4 bytes (section 1.5.5)."""
        if len(self._head) < 2:
            return
        if self._head[-1] < 128:
            remaining = sum((byte & 127) << 7 * at for at, byte in enumerate(self._head[1:]))
            check_head(self._head[0], remaining)
            self._left = remaining
        elif len(self._head) == 5:
            raise PacketError(_WRONG, "the broker sent a packet with a length of more than four bytes")

    def _refuse(self, error: PacketError) -> None:
        self.refused = error
        self._body = bytearray()
        with contextlib.suppress(OSError):
            # Send a DISCONNECT for the broker's log. The connection is closed even if the DISCONNECT does not arrive.
            self._channel.send(bytes((_DISCONNECT << 4, 1, error.reason)))

    def pending(self) -> int:
        """Return the number of bytes that were already read. select() cannot see these bytes."""
        below = getattr(self._channel, "pending", None)
        return len(self._whole) - self._given + (0 if below is None else int(below()))

    def send(self, data: bytes | bytearray) -> int:
        """As for a socket."""
        return self._channel.send(data)

    def close(self) -> None:
        """As for a socket."""
        self._channel.close()

    def fileno(self) -> int:
        """As for a socket."""
        return self._channel.fileno()

    def setblocking(self, flag: bool) -> None:
        """As for a socket."""
        self._channel.setblocking(flag)
