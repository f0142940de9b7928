"""Frames of the PN532's host line, from the chip's side (user manual UM0701-02, 6.2.1)."""

from dataclasses import dataclass

ACK = bytes.fromhex("0000ff00ff00")
NACK = bytes.fromhex("0000ffff0000")
SYNTAX_ERROR = bytes.fromhex("0000ff01ff7f8100")


@dataclass(frozen=True)
class Command:
    """A command from the host."""

    code: int
    data: bytes


@dataclass(frozen=True)
class Abort:
    """The host's ACK."""


@dataclass(frozen=True)
class Repeat:
    """The host's NACK."""


Item = Command | Abort | Repeat


def response(code: int, data: bytes) -> bytes:
    """Return the frame that answers the command `code`."""
    content = bytes((0xD5, code + 1)) + data
    size = len(content)
    if size <= 255:
        header = bytes((size, (256 - size) % 256))
    else:
        header = b"\xff\xff" + size.to_bytes(2, "big")
        header += bytes(((256 - sum(header[2:])) % 256,))
    return b"\x00\x00\xff" + header + content + bytes(((256 - sum(content)) % 256, 0))


def parse(buffer: bytearray) -> list[Item]:
    """Take all complete frames from the front of `buffer`. Damaged frames and other bytes are skipped."""
    items: list[Item] = []
    while (start := buffer.find(b"\x00\xff")) >= 0:
        frame = bytes(buffer[start : start + 2 + 3 + 2 + 265 + 1])
        item, size = _parse_one(frame)
        if size == 0:
            break
        del buffer[: start + size]
        if item is not None:
            items.append(item)
    return items


def _parse_one(frame: bytes) -> tuple[Item | None, int]:
    """Return the item at the start of `frame`, and its size.

    If no good item starts there, return None and the number of bytes to skip. While more bytes are needed, return None
    and 0.
    """
    if len(frame) < 4:
        return None, 0
    if frame[2:4] == b"\x00\xff":
        return Abort(), 4
    if frame[2:4] == b"\xff\x00":
        return Repeat(), 4
    if frame[2:4] == b"\xff\xff":
        if len(frame) < 7:
            return None, 0
        size, at, sound = int.from_bytes(frame[4:6], "big"), 7, sum(frame[4:7]) % 256 == 0
    else:
        size, at, sound = frame[2], 4, sum(frame[2:4]) % 256 == 0
    if not sound or not 2 <= size <= 265:
        return None, 2
    content = frame[at : at + size + 1]
    if len(content) < size + 1:
        return None, 0
    if sum(content) % 256 or content[0] != 0xD4:
        return None, 2
    return Command(content[1], content[2:-1]), at + size + 1
