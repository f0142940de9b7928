"""Turns values into bytes, and bytes into values, for messages of `guest/hosted.py`. This module runs on the host."""

from typing import Any


class Uuid(bytes):
    """A Bluetooth UUID. Its bytes are in the order in which they are sent."""


def encode(value: Any) -> bytes:
    """Return `value` as bytes. Raises TypeError for a type that the messages do not have."""
    match value:
        case None:
            return b"N"
        case bool():
            return b"T" if value else b"F"
        case int():
            return b"i" + value.to_bytes(4, "little", signed=value < 0)
        case str():
            return b"s" + _sized(value.encode())
        case Uuid():
            return b"U" + _sized(value)
        case bytes() | bytearray() | memoryview():
            return b"b" + _sized(bytes(value))
        case tuple() | list():
            return b"t" + len(value).to_bytes(2, "little") + b"".join(encode(each) for each in value)
    raise TypeError(f"no value of type {type(value).__name__} can be sent")


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(3, "little") + data


def decode(data: bytes) -> Any:
    """Return the one value in `data`. Raises ValueError if `data` is anything else."""
    try:
        end, value = _decode(data, 0)
    except (IndexError, UnicodeDecodeError, RecursionError):
        raise ValueError("the message is cut off or no message") from None
    if end != len(data):
        raise ValueError("something follows the message")
    return value


def _decode(data: bytes, at: int) -> tuple[int, Any]:
    letter, at = chr(data[at]), at + 1
    if letter in "NTF":
        return at, {"N": None, "T": True, "F": False}[letter]
    if letter == "i":
        _take(data, at, 4)
        return at + 4, int.from_bytes(data[at : at + 4], "little", signed=True)
    if letter in "td":
        values, count = [], int.from_bytes(_take(data, at, 2), "little")
        at += 2
        for _ in range(count):
            at, value = _decode(data, at)
            values.append(value)
        return at, tuple(values) if letter == "t" else dict(zip(values[::2], values[1::2], strict=True))
    size = int.from_bytes(_take(data, at, 3), "little")
    content = _take(data, at + 3, size)
    if letter not in "sbU":
        raise ValueError(f"there is no value with the letter {letter!r}")
    return at + 3 + size, content.decode() if letter == "s" else Uuid(content) if letter == "U" else content


def _take(data: bytes, at: int, size: int) -> bytes:
    taken = data[at : at + size]
    if len(taken) < size:
        raise ValueError("the message is cut off")
    return taken
