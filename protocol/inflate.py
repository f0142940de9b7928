"""Inflates a zlib stream and keeps only the bytes that are not zero. A lock reads status lists with this module.

A status list (RFC 1950 and RFC 1951) inflates to about a hundred kilobytes, and almost all bytes are zero. An ordinary
inflater keeps the last 32 KB. This inflater keeps only the bytes that are not zero, and refuses a list with too many of
them. To copy a run of zeros, this inflater needs only a look-up. The result is exactly the content of the stream, and
the Adler-32 is checked.
"""

from protocol import const
from protocol.errors import FormatError

RECORD = 4
"""Bytes of a record: offset (3), value (1)."""

PAGE = 128
"""Number of records in a page. Pages are small because a heap that has long been in use has few large free blocks."""

_MODULUS = const(65521)
_CODE_LENGTHS = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)


class Sparse:
    """The bytes of the inflated `data` that are not zero, as sorted records in `pages` of PAGE records each. `size` is
    the number of all inflated bytes. `count` is the number of records."""

    def __init__(self, data: bytes, longest: int, most: int) -> None:
        """Raises FormatError `status-list.zlib` unless `data` is one whole zlib stream, `status-list.too_long` for more
        than `longest` bytes, `status-list.too_dense` for more than `most` bytes that are not zero."""
        self.pages: "list[bytearray]" = []
        self.size = self.count = 0
        self._data = data
        self._at = 2
        self._bits = self._held = 0
        self._longest = longest
        self._most = most
        self._low, self._high = 1, 0
        if len(data) < 2 or data[0] & 15 != 8 or data[0] >> 4 > 7 or data[1] & 32 or (data[0] << 8 | data[1]) % 31:
            raise _broken()
        final = 0
        while not final:
            final = self._take(1)
            kind = self._take(2)
            if kind == 0:
                self._stored()
            elif kind == 1:
                lengths = b"\x08" * 144 + b"\x09" * 112 + b"\x07" * 24 + b"\x08" * 8
                self._compressed(_Code(lengths), _Code(b"\x05" * 32))
            elif kind == 2:
                self._dynamic()
            else:
                raise _broken()
        if self._data[self._at :] != (self._high << 16 | self._low).to_bytes(4, "big"):
            raise _broken()

    # --- bits in -----------------------------------------------------------------------------------------------------

    def _take(self, count: int) -> int:
        while self._held < count:
            if self._at >= len(self._data):
                raise _broken()
            self._bits |= self._data[self._at] << self._held
            self._at += 1
            self._held += 8
        value = self._bits & (1 << count) - 1
        self._bits >>= count
        self._held -= count
        return value

    def _symbol(self, code: "_Code") -> int:
        # A canonical code (section 3.2.2): the codes of one length are consecutive numbers.
        number = first = index = 0
        for count in code.counts:
            number |= self._take(1)
            if number - count < first:
                return code.symbols[index + number - first]
            index += count
            first = first + count << 1
            number <<= 1
        raise _broken()

    # --- blocks ------------------------------------------------------------------------------------------------------

    def _stored(self) -> None:
        self._bits = self._held = 0  # fewer than eight bits were left over
        length = self._take(16)
        if length ^ self._take(16) != 0xFFFF or self._at + length > len(self._data):
            raise _broken()
        for byte in self._data[self._at : self._at + length]:
            self._put(byte)
        self._at += length

    def _dynamic(self) -> None:
        literals, distances, count = self._take(5) + 257, self._take(5) + 1, self._take(4) + 4
        if literals > 286 or distances > 30:
            raise _broken()
        lengths = bytearray(19)
        for place in range(count):
            lengths[_CODE_LENGTHS[place]] = self._take(3)
        code = _Code(lengths)
        if not code.complete:
            raise _broken()
        lengths = bytearray()
        while len(lengths) < literals + distances:
            symbol = self._symbol(code)
            if symbol < 16:
                lengths.append(symbol)
            elif symbol == 16:
                if not lengths:
                    raise _broken()
                lengths += bytes(lengths[-1:]) * (3 + self._take(2))
            else:
                lengths += bytes(3 + self._take(3) if symbol == 17 else 11 + self._take(7))
        if len(lengths) > literals + distances or not lengths[256]:
            raise _broken()
        self._compressed(_Code(lengths[:literals]), _Code(lengths[literals:]))

    def _compressed(self, literals: "_Code", distances: "_Code") -> None:
        while True:
            symbol = self._symbol(literals)
            if symbol < 256:
                self._put(symbol)
            elif symbol == 256:
                return
            else:
                length = self._extended(symbol - 257, 4, 28, 258, 3)
                symbol = self._symbol(distances)
                if symbol > 29:
                    raise _broken()
                self._copy(length, self._extended(symbol, 2, 30, 0, 1))

    def _extended(self, symbol: int, step: int, last: int, longest: int, base: int) -> int:
        """Return a length or a distance (section 3.2.5). After every `step` symbols, the number of extra bits grows by
        one.
        """
        if symbol == last:
            return longest
        if symbol > last:
            raise _broken()
        if symbol < 2 * step:
            return base + symbol
        extra = symbol // step - 1
        return base + (step + symbol % step << extra) + self._take(extra)

    # --- bytes out ---------------------------------------------------------------------------------------------------

    def _put(self, byte: int) -> None:
        if byte:
            if self.size > 0xFFFFFF or self.count >= self._most:
                raise FormatError("status-list.too_dense", "more entries that are not zero than a lock can keep")
            if self.count % PAGE == 0:
                self.pages.append(bytearray())
            self.pages[-1].extend((self.size << 8 | byte).to_bytes(RECORD, "big"))
            self.count += 1
        self._low = (self._low + byte) % _MODULUS
        self._skip(1)

    def _skip(self, zeros: int) -> None:
        """Advance the checksum and the size over `zeros` zero bytes."""
        self._high = (self._high + self._low * zeros) % _MODULUS
        self.size += zeros
        if self.size > self._longest:
            raise FormatError("status-list.too_long", "inflates to more than we read")

    def _copy(self, length: int, distance: int) -> None:
        if distance > self.size:
            raise _broken()
        end = self.size + length
        place = self._find(self.size - distance)
        while place < self.count:
            # `place` is the position of the next byte that is not zero. The current copy may itself have written this
            # byte.
            record = self._record(place)
            target = (record >> 8) + distance
            if target >= end:
                break
            self._skip(target - self.size)
            self._put(record & 255)
            place += 1
        self._skip(end - self.size)

    def _record(self, place: int) -> int:
        at = place % PAGE * RECORD
        return int.from_bytes(self.pages[place // PAGE][at : at + RECORD], "big")

    def _find(self, offset: int) -> int:
        """Return the index of the first record at or after `offset`, or the number of records if all records are before
        `offset`."""
        low, high = 0, self.count
        while low < high:
            middle = low + high >> 1
            if self._record(middle) >> 8 < offset:
                low = middle + 1
            else:
                high = middle
        return low


class _Code:
    """A Huffman code from the code lengths of its symbols; length 0 means that a symbol has no code."""

    def __init__(self, lengths: "bytes | bytearray") -> None:
        self.counts = [0] * 15
        for length in lengths:
            if length:
                self.counts[length - 1] += 1
        left = 1
        for count in self.counts:
            left = (left << 1) - count
            if left < 0:
                raise _broken()
        # Only a code with no symbol, or with one symbol of one bit, may be incomplete (section 3.2.7).
        self.complete = not left
        if left and sum(self.counts) > min(self.counts[0], 1):
            raise _broken()
        by_length = [(length, symbol) for symbol, length in enumerate(lengths) if length]
        by_length.sort()
        self.symbols = [symbol for _, symbol in by_length]


def _broken() -> FormatError:
    return FormatError("status-list.zlib", "not one whole zlib stream")
