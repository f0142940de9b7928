"""CBOR (RFC 8949), the strict subset that Mooring reads and writes, on both runtimes.

Reading refuses what a parser on a lock should not have to survive: indefinite lengths, duplicate map keys, nesting
beyond `MAX_DEPTH`, lengths beyond the buffer, invalid UTF-8, reserved simple values, trailing bytes. Lengths that are
not the shortest are accepted by `decode`, since real wallets write them (cbor-x does); `decode_deterministic` refuses
them and is what Mooring's own formats use. Writing is always deterministic (RFC 8949 section 4.2.1).

Tag 24 items keep their exact bytes (`Encoded.raw`): digests and signatures cover them as they came.
"""

import struct

MAX_DEPTH = 16
"""Deepest nesting accepted. The deepest known mdoc element needs 9."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

from protocol.errors import FormatError


class Raw:
    """An item that is already encoded; `encode` copies `raw` as it stands."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Raw) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)


class Encoded(Raw):
    """A tag 24 item: `raw` is the whole tagged item as it came, `content` the CBOR bytes inside its byte string."""

    def __init__(self, raw: bytes, content: bytes) -> None:
        super().__init__(raw)
        self.content = content

    def decode(self) -> "Any":
        """The item inside. Raises FormatError."""
        return decode(self.content)


class Tag:
    """Any other tagged item."""

    def __init__(self, number: int, value: "Any") -> None:
        self.number = number
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tag) and self.number == other.number and bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash(self.number)


def wrap(content: bytes) -> Encoded:
    """`content` (one encoded item) as a tag 24 item, `#6.24(bstr .cbor content)`."""
    return Encoded(b"\xd8\x18" + _head(2, len(content)) + content, content)


# --- writing ---------------------------------------------------------------------------------------------------------


def _head(major: int, value: int) -> bytes:
    if value < 24:
        return bytes((major << 5 | value,))
    if value < 0x100:
        return bytes((major << 5 | 24, value))
    if value < 0x10000:
        return struct.pack(">BH", major << 5 | 25, value)
    if value < 0x100000000:
        return struct.pack(">BI", major << 5 | 26, value)
    if value < 0x10000000000000000:
        return struct.pack(">BQ", major << 5 | 27, value)
    raise FormatError("cbor.range", "integer beyond 64 bits")


def _write(item: "Any", out: bytearray) -> None:
    if item is None:
        out.append(0xF6)
    elif item is True:
        out.append(0xF5)
    elif item is False:
        out.append(0xF4)
    elif isinstance(item, int):
        out.extend(_head(0, item) if item >= 0 else _head(1, -1 - item))
    elif isinstance(item, (bytes, bytearray, memoryview)):
        out.extend(_head(2, len(item)))
        out.extend(item)
    elif isinstance(item, str):
        text = item.encode()
        out.extend(_head(3, len(text)))
        out.extend(text)
    elif isinstance(item, (list, tuple)):
        out.extend(_head(4, len(item)))
        for element in item:
            _write(element, out)
    elif isinstance(item, dict):
        out.extend(_head(5, len(item)))
        for key, value in sorted((encode(key), value) for key, value in _pairs(item)):
            out.extend(key)
            out.extend(value)
    elif isinstance(item, Raw):
        out.extend(item.raw)
    elif isinstance(item, Tag):
        out.extend(_head(6, item.number))
        _write(item.value, out)
    else:
        raise FormatError("cbor.type", "cannot encode this type")


def _pairs(item: "dict[Any, Any]") -> "list[tuple[Any, bytes]]":
    return [(key, encode(value)) for key, value in item.items()]


def encode(item: "Any") -> bytes:
    """`item` in deterministic CBOR. Takes None, bool, int, bytes, str, list, tuple, dict, Raw and Tag."""
    out = bytearray()
    _write(item, out)
    return bytes(out)


# --- reading ---------------------------------------------------------------------------------------------------------


def _truncated() -> FormatError:
    return FormatError("cbor.truncated", "the item ends before its length says")


def _argument(data: bytes, at: int) -> "tuple[int, int, int]":
    """Head at `at`: (major type, argument, offset after the head)."""
    if at >= len(data):
        raise _truncated()
    initial = data[at]
    major = initial >> 5
    info = initial & 31
    at += 1
    if info < 24:
        return major, info, at
    if info > 27:
        raise FormatError("cbor.indefinite" if info == 31 else "cbor.reserved", "indefinite or reserved length")
    end = at + (1 << (info - 24))
    if end > len(data):
        raise _truncated()
    return major, int.from_bytes(data[at:end], "big"), end


def _simple(data: bytes, at: int) -> "tuple[Any, int]":
    info = data[at] & 31
    if info == 20 or info == 21:
        return info == 21, at + 1
    if info == 22 or info == 23:
        return None, at + 1
    if info in (25, 26, 27):
        end = at + 1 + (1 << (info - 24))
        if end > len(data):
            raise _truncated()
        if info == 25:
            return _half(data[at + 1] << 8 | data[at + 2]), end
        return struct.unpack(">f" if info == 26 else ">d", data[at + 1 : end])[0], end
    raise FormatError("cbor.simple", "a simple value that has no meaning here")


def _half(bits: int) -> float:
    """IEEE 754 half precision, RFC 8949 appendix D."""
    exponent = bits >> 10 & 31
    mantissa = bits & 1023
    if exponent == 0:
        value = mantissa / 16777216
    elif exponent == 31:
        value = float("nan") if mantissa else float("inf")
    else:
        value = (mantissa + 1024) * 2.0 ** (exponent - 25)
    return -value if bits & 0x8000 else value


def _text(raw: bytes) -> str:
    try:
        text = str(raw, "utf-8")
    except UnicodeError:
        raise FormatError("cbor.utf8", "text is not UTF-8")
    # MicroPython's decoder lets some ill-formed sequences through; a clean round trip does not.
    if any(0xD800 <= ord(c) <= 0xDFFF or ord(c) > 0x10FFFF for c in text) or text.encode() != raw:
        raise FormatError("cbor.utf8", "text is not UTF-8")
    return text


def _read(data: bytes, at: int, depth: int) -> "tuple[Any, int]":
    if depth > MAX_DEPTH:
        raise FormatError("cbor.depth", "nested too deeply")
    start = at
    major, argument, at = _argument(data, at)
    if major == 0:
        return argument, at
    if major == 1:
        return -1 - argument, at
    if major == 2 or major == 3:
        end = at + argument
        if end > len(data):
            raise _truncated()
        raw = bytes(data[at:end])
        return (raw if major == 2 else _text(raw)), end
    if major == 4:
        if argument > len(data) - at:
            raise _truncated()
        items = []
        for _ in range(argument):
            item, at = _read(data, at, depth + 1)
            items.append(item)
        return items, at
    if major == 5:
        if argument * 2 > len(data) - at:
            raise _truncated()
        return _read_map(data, at, argument, depth)
    if major == 6:
        if argument == 24:
            inner, length, inside = _argument(data, at)
            end = inside + length
            if inner != 2:
                raise FormatError("cbor.tag24", "tag 24 must hold a byte string")
            if end > len(data):
                raise _truncated()
            return Encoded(bytes(data[start:end]), bytes(data[inside:end])), end
        value, at = _read(data, at, depth + 1)
        return Tag(argument, value), at
    return _simple(data, start)


def _read_map(data: bytes, at: int, pairs: int, depth: int) -> "tuple[dict[Any, Any], int]":
    result: dict[Any, Any] = {}
    for _ in range(pairs):
        key, at = _read(data, at, depth + 1)
        if not isinstance(key, (int, str, bytes)) or isinstance(key, bool):
            raise FormatError("cbor.key", "a map key must be an integer, text or bytes")
        if key in result:
            raise FormatError("cbor.duplicate", "a map key appears twice")
        result[key], at = _read(data, at, depth + 1)
    return result, at


def decode_prefix(data: bytes, at: int = 0) -> "tuple[Any, int]":
    """The item that starts at offset `at`, and the offset after it. Raises FormatError."""
    return _read(data, at, 0)


def decode(data: bytes) -> "Any":
    """The one item that `data` holds. Raises FormatError, also for trailing bytes."""
    item, end = _read(data, 0, 0)
    if end != len(data):
        raise FormatError("cbor.trailing", "bytes after the item")
    return item


def decode_deterministic(data: bytes) -> "Any":
    """As `decode`, and refuses any encoding other than the deterministic one, so that one value has one form."""
    item = decode(data)
    if encode(item) != data:
        raise FormatError("cbor.deterministic", "not in deterministic encoding")
    return item
