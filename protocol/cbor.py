"""CBOR (RFC 8949): the strict subset that Mooring reads and writes, on both runtimes.

The reader refuses input that could harm a parser on a lock: indefinite lengths, duplicate map keys, nesting beyond
`MAX_DEPTH`, more than `MAX_ITEMS` items, lengths beyond the buffer, invalid UTF-8, reserved simple values, trailing
bytes. ISO/IEC 18013-5 clause 8.1 forbids indefinite lengths in an mdoc. The clause also forbids lengths that take more
bytes than needed. Real wallets write such lengths (cbor-x does), so `decode` accepts them. Mooring's own formats use
`decode_deterministic`, which refuses such lengths and numbers beyond `LARGEST`. Writing is always deterministic (RFC
8949 section 4.2.1).

Tag 24 items keep their exact bytes (`Encoded.raw`), because digests and signatures cover those bytes.
A memoryview is read in place: tag 24 items and byte strings of more than 255 bytes are then views of it. Such an item
must be copied if it is kept longer than the memory that it views. From other buffers, all byte strings are bytes
objects.
"""

import struct

from protocol import const
from protocol.errors import FormatError

MAX_DEPTH = 16
"""Maximum depth of nesting that is accepted. The deepest known mdoc element has depth 9."""

MAX_ITEMS = 2048
"""Maximum number of items that one `decode` builds. Keys count too. One byte of input (an empty map) can cost a hundred
bytes of heap, so a limit on bytes does not bound memory. The largest part of a driving licence, the MSO, has about 200
items."""

LARGEST = const(9007199254740991)
"""2^53 - 1: the largest absolute value of a number in Mooring's own formats. JSON, SQLite and every clock can hold this
number, with room for a little arithmetic."""

_ANY = const(18446744073709551616)
_SHORT = const(255)
"""Maximum number of bytes in a byte string that is always copied."""
_LONG = const(200)
"""From this number of bytes on, a part is not copied before `_Pieces.joined`."""
_KEYS = (int, str, bytes)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Buffer = bytes | bytearray | memoryview

BYTES: "Any" = bytes, memoryview
"""Types of a decoded byte string."""


class Raw:
    """An item that is already encoded. `encode` copies `raw` unchanged."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Raw) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)


class Encoded(Raw):
    """A tag 24 item. `raw` is the whole tagged item as received. `content` is the CBOR inside its byte string."""

    def __init__(self, raw: "Any", at: int) -> None:
        """The content is the tail of `raw` from offset `at` on. A lock has no room for a second copy of a portrait."""
        self.raw = raw
        self._at = at

    @property
    def content(self) -> bytes:
        """The CBOR bytes inside, copied."""
        return bytes(self.raw[self._at :])

    def decode(self) -> "Any":
        """Return the item inside. Raises FormatError."""
        return _whole(self.raw, self._at)


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
    """Return `content` (one encoded item) as a tag 24 item, `#6.24(bstr .cbor content)`."""
    head = b"\xd8\x18" + _head(2, len(content))
    return Encoded(head + content, len(head))


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


def byte_string_head(content: "Buffer") -> bytes:
    """Return the head of a byte string with this content."""
    return _head(2, len(content))


def array_head(count: int) -> bytes:
    """Return the head of an array with `count` items. The encoded items follow."""
    return _head(4, count)


def _write(item: "Any", out: "_Pieces | _Place") -> None:
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
        text = _utf8(item)
        out.extend(_head(3, len(text)))
        out.extend(text)
    elif isinstance(item, (list, tuple)):
        out.extend(_head(4, len(item)))
        for element in item:
            _write(element, out)
    elif isinstance(item, dict):
        out.extend(_head(5, len(item)))
        # The members are sorted by the encoded keys, which all differ. Values may be long and are encoded only once.
        for encoded, key in sorted([(encode(key), key) for key in item]):
            out.extend(encoded)
            _write(item[key], out)
    elif isinstance(item, Raw):
        out.extend(item.raw)
    elif isinstance(item, Tag):
        out.extend(_head(6, item.number))
        _write(item.value, out)
    else:
        raise FormatError("cbor.type", "cannot encode this type")


def _utf8(text: str) -> bytes:
    try:
        encoded = text.encode()
    except UnicodeError:
        raise _surrogate()
    if len(encoded) != len(text):
        for character in text:
            # MicroPython writes ill-formed bytes instead of raising an error.
            if 0xD800 <= ord(character) <= 0xDFFF:
                raise _surrogate()
    return encoded


def _surrogate() -> FormatError:
    return FormatError("cbor.utf8", "text holds a surrogate")


class _Pieces:
    """An output for `_write`. Long parts are copied only once, by `joined`."""

    def __init__(self) -> None:
        self._pieces: list[Buffer] = []
        self._last = bytearray()

    def append(self, byte: int) -> None:
        self._last.append(byte)

    def extend(self, part: "Buffer") -> None:
        if len(part) < _LONG:
            self._last.extend(part)
        else:
            self._pieces += [self._last, part]
            self._last = bytearray()

    def joined(self) -> bytes:
        return b"".join(self._pieces + [self._last])


class _Place:
    """An output for `_write`: the bytes of `room`, beginning at offset `at`."""

    def __init__(self, room: memoryview, at: int) -> None:
        self._room = room
        self.at = at

    def append(self, byte: int) -> None:
        self.extend(bytes((byte,)))

    def extend(self, part: "Buffer") -> None:
        end = self.at + len(part)
        if end > len(self._room):
            raise FormatError("cbor.memory", "the encoded item is longer than the memory for it")
        self._room[self.at : end] = part
        self.at = end


def encode_into(item: "Any", room: memoryview, at: int) -> int:
    """Write `item` into `room` from offset `at` on, as `encode` writes it, but without a copy of long parts. Return the
    offset of the end. Raises FormatError `cbor.memory` if the item is longer than the rest of `room`."""
    out = _Place(room, at)
    _write(item, out)
    return out.at


def encode(item: "Any") -> bytes:
    """`item` in deterministic CBOR. Takes None, bool, int, bytes, str, list, tuple, dict, Raw and Tag."""
    out = _Pieces()
    _write(item, out)
    return out.joined()


# --- reading ---------------------------------------------------------------------------------------------------------


def _truncated() -> FormatError:
    return FormatError("cbor.truncated", "the item is shorter than its length says")


def _not_deterministic() -> FormatError:
    return FormatError("cbor.deterministic", "not in deterministic encoding")


def _simple(info: int, argument: int) -> "Any":
    if info == 20 or info == 21:
        return info == 21
    if info == 22 or info == 23:
        return None
    if info == 25:
        return _half(argument)
    if info == 26:
        return struct.unpack(">f", argument.to_bytes(4, "big"))[0]
    if info == 27:
        return struct.unpack(">d", argument.to_bytes(8, "big"))[0]
    raise FormatError("cbor.simple", "a simple value that is not used here")


def _half(bits: int) -> float:
    """Return the number whose IEEE 754 half precision form is `bits` (RFC 8949 appendix D)."""
    exponent = bits >> 10 & 31
    mantissa = bits & 1023
    if exponent == 0:
        value = mantissa / 16777216
    elif exponent == 31:
        value = float("nan") if mantissa else float("inf")
    else:
        value = (mantissa + 1024) * 2.0 ** (exponent - 25)
    return -value if bits & 0x8000 else value


def _text(raw: "Buffer") -> str:
    try:
        text = str(raw, "utf-8")
    except UnicodeError:
        raise FormatError("cbor.utf8", "text is not UTF-8")
    if len(text) == len(raw):
        return text
    # MicroPython accepts overlong forms, surrogates and numbers past U+10FFFF. The shortest form of a character is
    # shorter than its overlong form, so the sum of the lengths reveals overlong forms.
    shortest = 0
    for character in text:
        number = ord(character)
        shortest += 1 if number < 0x80 else 2 if number < 0x800 else 3 if number < 0x10000 else 4
        if 0xD800 <= number <= 0xDFFF or number > 0x10FFFF:
            raise FormatError("cbor.utf8", "text is not UTF-8")
    if shortest != len(raw):
        raise FormatError("cbor.utf8", "text is not UTF-8")
    return text


class _Reader:
    """Reads items from `data`. `at` is the reader's position. `left` is the number of items that the reader may still
    build. If `strict` is true, the reader refuses everything except the deterministic encoding, and `most` limits
    numbers.

    Most items are short strings and small numbers. `item` reads them without a further call, because calls take most of
    the time.
    """

    def __init__(self, data: "Buffer", at: int, strict: bool) -> None:
        self.data = data
        self.at = at
        self.end = len(data)
        self.left = MAX_ITEMS - 1
        self.strict = strict
        self.most = LARGEST if strict else _ANY

    def item(self, depth: int) -> "Any":
        """Return the next item. `depth` is the number of items that contain this item."""
        at = self.at
        if at >= self.end:
            raise _truncated()
        data = self.data
        initial = data[at]
        argument = initial & 31
        self.at = start = at + 1
        if argument > 23:
            argument = self._argument(argument, start)
            start = self.at
        if initial >= 0x80:
            return self._structure(initial, argument, at, depth)
        if initial >= 0x40:
            self.at = end = start + argument
            if end > self.end:
                raise _truncated()
            part = data[start:end]
            if initial >= 0x60:
                return _text(part)
            # `bytes(part)` would copy a bytes object once more.
            if type(part) is bytes or (argument > _SHORT and isinstance(part, memoryview)):
                return part
            return bytes(part)
        if argument > self.most - (initial >> 5):
            raise FormatError("cbor.range", "the number is too large for this format")
        return argument if initial < 0x20 else -1 - argument

    def _argument(self, info: int, start: int) -> int:
        """Return the argument of a head that is longer than one byte, and move past this head. `info` is the low five
        bits of the head's first byte. The argument itself begins at offset `start`.
        """
        if info > 27:
            raise FormatError("cbor.indefinite" if info == 31 else "cbor.reserved", "indefinite or reserved length")
        self.at = end = start + (1 << (info - 24))
        if end > self.end:
            raise _truncated()
        argument = self.data[start] if info == 24 else int.from_bytes(self.data[start:end], "big")
        # An argument below these limits also fits into a shorter head.
        if self.strict and argument < (24 if info == 24 else 1 << (4 << (info - 24))):
            raise _not_deterministic()
        return argument

    def _structure(self, initial: int, argument: int, start: int, depth: int) -> "Any":
        """Return an array, a map, a tagged item or a simple value. The head of this item is at offset `start`, and its
        first byte is `initial`.
        """
        major = initial >> 5
        if major == 4:
            self._inside(argument, depth)
            items = []
            for _ in range(argument):
                items.append(self.item(depth + 1))
            return items
        if major == 5:
            self._inside(argument * 2, depth)
            return self._map(argument, depth + 1)
        if major == 7:
            if self.strict and not 0xF4 <= initial <= 0xF6:
                raise _not_deterministic()  # `encode` writes no floats, and only one null
            return _simple(initial & 31, argument)
        if argument == 24:
            return self._encoded(start)
        self._inside(1, depth)
        return Tag(argument, self.item(depth + 1))

    def _inside(self, items: int, depth: int) -> None:
        """Check that the limits allow `items` more items inside an item at depth `depth`."""
        if items > self.end - self.at:
            raise _truncated()
        if items and depth == MAX_DEPTH:
            raise FormatError("cbor.depth", "nested too deeply")
        self.left -= items
        if self.left < 0:
            raise FormatError("cbor.items", "too many items")

    def _map(self, pairs: int, depth: int) -> "dict[Any, Any]":
        result: dict[Any, Any] = {}
        before = b""
        for _ in range(pairs):
            start = self.at
            key = self.item(depth)
            if type(key) not in _KEYS:
                if not isinstance(key, memoryview):
                    raise FormatError("cbor.key", "a map key must be an integer, text or bytes")
                key = bytes(key)
            if key in result:
                raise FormatError("cbor.duplicate", "a map key appears twice")
            if self.strict:
                encoded = bytes(self.data[start : self.at])
                if encoded < before:
                    raise _not_deterministic()
                before = encoded
            result[key] = self.item(depth)
        return result

    def _encoded(self, start: int) -> Encoded:
        if self.at >= self.end:
            raise _truncated()
        initial = self.data[self.at]
        if initial >> 5 != 2:
            raise FormatError("cbor.tag24", "tag 24 must hold a byte string")
        length = initial & 31
        if length < 24:
            self.at += 1
        else:
            length = self._argument(length, self.at + 1)
        inside = self.at - start
        self.at += length
        if self.at > self.end:
            raise _truncated()
        raw = self.data[start : self.at]
        return Encoded(bytes(raw) if isinstance(raw, bytearray) else raw, inside)


def _whole(data: "Buffer", at: int, strict: bool = False) -> "Any":
    reader = _Reader(data, at, strict)
    item = reader.item(0)
    if reader.at != len(data):
        raise FormatError("cbor.trailing", "bytes after the item")
    return item


def decode(data: "Buffer") -> "Any":
    """Return the one item that `data` holds. Raises FormatError, also for trailing bytes."""
    return _whole(data, 0)


def decode_deterministic(data: "Buffer") -> "Any":
    """Decode as `decode` does, but refuse every encoding except the deterministic encoding, which `encode` writes. So
    each value has exactly one form. Numbers beyond `LARGEST` are refused too (`cbor.range`)."""
    return _whole(data, 0, True)
