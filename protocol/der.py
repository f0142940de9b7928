"""Reading DER (ITU-T X.690) as far as certificates need it: only low tag numbers, and only definite lengths in their
shortest form.

Nothing here recurses, so nesting costs no stack. A reader never leaves the bounds of the element that it was opened on.
"""

from protocol.errors import FormatError

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30
SET = 0x31


class Reader:
    """Reads the elements in `data[at:end]`, one after the other."""

    def __init__(self, data: bytes, at: int = 0, end: "int | None" = None) -> None:
        self.data = data
        self.at = at
        self.end = len(data) if end is None else end

    def __bool__(self) -> bool:
        return self.at < self.end

    def peek(self) -> int:
        """Return the tag of the next element, or -1 at the end."""
        return self.data[self.at] if self.at < self.end else -1

    def _step(self, tag: int) -> int:
        """Move past the next element, which must have `tag`. Return the start of the element's content."""
        at = self.at
        data = self.data
        if at >= self.end or data[at] != tag:
            raise FormatError("der.unexpected", "this element has a different tag")
        if at + 2 > self.end:
            raise FormatError("der.truncated", "the element is shorter than its length says")
        if tag & 31 == 31:
            raise FormatError("der.tag", "tag numbers from 31 on are not used here")
        length = data[at + 1]
        at += 2
        if length >= 0x80:
            size = length & 0x7F
            # Certificates stay below 64 KB.
            if size == 0 or size > 2:
                raise FormatError("der.length", "indefinite or overly long length")
            if at + size > self.end:
                raise FormatError("der.truncated", "the element is shorter than its length says")
            length = int.from_bytes(data[at : at + size], "big")
            if length < (0x80 if size == 1 else 0x100):
                raise FormatError("der.length", "length not in its shortest form")
            at += size
        if at + length > self.end:
            raise FormatError("der.truncated", "the element is shorter than its length says")
        self.at = at + length
        return at

    def enter(self, tag: int) -> "Reader":
        """Return a reader of the content of the next element, which must have `tag`. Raises FormatError."""
        start = self._step(tag)
        return Reader(self.data, start, self.at)

    def content(self, tag: int) -> bytes:
        """Return the content of the next element, which must have `tag`. Raises FormatError."""
        start = self._step(tag)
        return self.data[start : self.at]

    def element(self, tag: int) -> bytes:
        """Return the whole next element, with its head. Raises FormatError."""
        start = self.at
        self._step(tag)
        return self.data[start : self.at]

    def skip(self) -> None:
        """Skip the next element, whatever it is. Raises FormatError."""
        self._step(self.peek())

    def finish(self) -> None:
        """Raises FormatError `der.trailing` unless everything has been read."""
        if self.at != self.end:
            raise FormatError("der.trailing", "bytes after the element")

    def boolean(self) -> bool:
        """Return a BOOLEAN. Raises FormatError."""
        content = self.content(BOOLEAN)
        if content != b"\x00" and content != b"\xff":
            raise FormatError("der.boolean", "not a boolean")
        return content == b"\xff"

    def unsigned(self) -> int:
        """Return an INTEGER that is not negative. Raises FormatError."""
        content = self.content(INTEGER)
        if not content or content[0] & 0x80 or (len(content) > 1 and content[0] == 0 and content[1] < 0x80):
            raise FormatError("der.integer", "negative, empty or not in its shortest form")
        return int.from_bytes(content, "big")

    def serial(self) -> bytes:
        """Return a serial number: the content of an INTEGER without leading zeros, so that equal numbers are equal
        bytes.

        Some issuers write more leading bytes than DER allows, or leave out the zero byte that keeps a number positive.
        RFC 5280 section 4.1.2.2 asks readers to accept this. The result for a negative number is the same as for the
        positive number with the same bytes. No issuer uses both numbers. Raises FormatError.
        """
        content = self.content(INTEGER)
        if not content:
            raise FormatError("der.integer", "negative, empty or not in its shortest form")
        while len(content) > 1 and content[0] == (0xFF if content[1] & 0x80 else 0):
            content = content[1:]
        return b"\x00" + content if content[0] & 0x80 else content

    def bits(self) -> "tuple[bytes, int]":
        """Return a BIT STRING: its bytes, and the number of unused bits in its last byte. Raises FormatError."""
        content = self.content(BIT_STRING)
        unused = content[0] if content else 8
        if unused > 7 or (unused and len(content) == 1) or (unused and content[-1] & ((1 << unused) - 1)):
            raise FormatError("der.bits", "not a bit string")
        return content[1:], unused
