"""The field machine of our own image. It has the methods of `field.Field`. It keeps its numbers in one block of memory,
and it computes in assembler.

Numbers are in Montgomery form: in place of x, the block has x * R modulo the prime. R is 2^(32 n) for numbers of n
words. The computing time depends on the prime, on the program and on the script, and not on the numbers.
"""

from firmware.crypto.field_rv32 import run
from firmware.crypto.field_rv32 import write_digits as write_digits
from firmware.crypto.field_rv32 import write_windows as write_windows
from firmware.crypto.formulas import COMPLETE, FAST, TABLE
from protocol import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    Routine = tuple[str, bytes, int, int]

_SLOTS_AT = const(256)
_SCRATCH_AT = const(112)
_ALL_SLOTS = const(136)
_OPERATIONS = b"\0*+-?!="
_SAME = {46: 1, 37: 3}  # Only for Python integers do `.` and `%` differ from `*` and `-`.

_SPECIAL = (
    (1 << 256) - (1 << 224) + (1 << 192) + (1 << 96) - 1,
    (1 << 256) - (1 << 224) - (1 << 96) + (1 << 64) - 1,
    (1 << 384) - (1 << 128) - (1 << 96) + (1 << 32) - 1,
    (1 << 521) - 1,
)
"""The assembler has a faster reduction for each of these primes. They belong to P-256, SM2, P-384 and P-521."""


def assembled(routines: "Sequence[Routine]") -> bytes:
    """Return `routines` in the form that the assembler takes. This form begins with four bytes for each routine. The
    first byte says where the instructions of the routine start, in units of four bytes. The second byte is the first
    slot of its table, the third is the number of slots of an entry, and the fourth is 0. Here the slots are counted
    from 0, so A is slot 0."""
    head = bytearray()
    body = bytearray()
    for _, text, table, count in routines:
        head += bytes((len(routines) + len(body) // 4, table - 1 if count else 0, count, 0))
        for place in range(0, len(text), 4):
            target, first, _, second = [(letter & 31) - 1 for letter in text[place : place + 4]]
            code = text[place + 2]
            if code == 51:  # `3` becomes two sums. The second operand is the slot for the first sum.
                body += bytes((8, second, first, first))
                code = 43
            body += bytes((4 * (_SAME.get(code) or _OPERATIONS.index(bytes((code,)))), target, first, second))
        body += bytes(4)
    return bytes(head + body)


_PROGRAMS = assembled(FAST), assembled(COMPLETE), assembled(TABLE)
_CONVERT = assembled((("in", b"WW*S", 0, 0), ("out", b"WW*K", 0, 0), ("result", b"TX*KUY*KVZ*K", 0, 0)))
_POWER = assembled(
    (("square", b"XX*X", 0, 0), ("multiply", b"XX*A", 27, 1), ("start", b"XA?A", 27, 1), ("end", b"WX*K", 0, 0))
)
_POWERS = (
    b"\x01\0\0\0\x10\x1a\x08\x08\x04\x1b\x1b\x12"
    + b"".join([bytes((4, place, place - 1, 27)) for place in range(28, 42)])
    + bytes(4)
)
"""This program fills the table of a point with powers. Each power takes one slot. Entry 0 becomes 1. Entry 1 is the
number, and gets the Montgomery form. Then follow its powers with the exponents 2 to 15."""
_WIPE = (
    b"\x02\0\0\0\x07\0\0\0"
    b"\x1c\x00\x08\0\x1c\x0b\x12\0\x1c\x13\x47\0\x10\x11\x08\x08\0\0\0\0"
    b"\x1c\x00\x08\0\x1c\x0b\x12\0\x1c\x13\x2a\0\x10\x11\x08\x08\0\0\0\0"
)
"""Both routines set slots 1 to 8 and 12 to 18 to 0. The first also clears slots 20 to 71, and the second slots 20 to
42. Then R becomes 1."""
_MULTIPLES = b"\x80\x00\x20\x60\x40\x61\x40\x62\x40\x63\x40\x64\x40\x65\x40\x66\x40\x67"
"""This script fills the table of a point with the odd multiples of the point, with routines of `formulas.TABLE`."""


class Field:
    """Holds the block for one prime. The block has a header, the prime, scratch memory, and the slots."""

    JACOBIAN = True
    """Tells whether the table of a point has entries in Jacobian coordinates. `tabled` tells whether the tables of the
    base point are there from the start."""

    def __init__(self, prime: int, size: int, slots: int = _ALL_SLOTS) -> None:
        self.prime = prime
        self._wiping = b"\x00" if slots == _ALL_SLOTS else b"\x20"
        self._width = width = size + 3 & ~3
        self._block = bytearray(_SLOTS_AT + slots * width)
        kind = _SPECIAL.index(prime) + 1 if prime in _SPECIAL else 0
        # Newton's iteration computes -1 / prime modulo 2^32. Each round doubles the number of correct bits.
        inverse = 1
        for _ in range(5):
            inverse = inverse * (2 + inverse * prime) & 0xFFFFFFFF
        for place, number in ((0, width), (4, kind), (8, inverse)):
            self._block[place : place + 4] = number.to_bytes(4, "little")
        self._view = memoryview(self._block)
        self._block[32 : 32 + width] = prime.to_bytes(width, "little")
        radix = 1 << 8 * width
        for slot, number in ((9, radix % prime), (18, radix % prime), (19, radix * radix % prime), (11, 1)):
            self._write(slot, number)
        self.tabled = False
        if slots == _ALL_SLOTS:
            _made[prime] = self
            if prime == _SPECIAL[0]:
                from firmware.crypto.p256_tables import TABLES

                self._slots(72, 64)[:] = TABLES
                self.tabled = True

    def _place(self, slot: int) -> int:
        return _SLOTS_AT + (slot - 1) * self._width

    def _slots(self, slot: int, count: int) -> memoryview:
        """Return a view of `count` slots. After storing a slice, MicroPython moves all bytes behind it. So callers
        store into such a view, which ends with the slots."""
        start = self._place(slot)
        return self._view[start : start + count * self._width]

    def _write(self, slot: int, number: int) -> None:
        self._slots(slot, 1)[:] = number.to_bytes(self._width, "little")

    def _copy(self, slot: int, start: int, count: int) -> None:
        self._slots(slot, count)[:] = self._slots(start, count)

    def put(self, slot: int, number: int) -> None:
        """Store `number` in `slot`. The number must be in [0, prime - 1]."""
        self._write(23, number)
        run(self._block, _CONVERT, b"\x00", 1)
        self._copy(slot, 23, 1)

    def get(self, slot: int) -> int:
        """Return the number in `slot`. The result is in [0, prime - 1]."""
        self._copy(23, slot, 1)
        run(self._block, _CONVERT, b"\x20", 1)
        return int.from_bytes(self._slots(23, 1), "little")

    def result(self) -> "tuple[int, int, int]":
        """Return the numbers in X, Y and Z. This changes T, U and V."""
        run(self._block, _CONVERT, b"\x40", 1)
        view, width = self._slots(20, 3), self._width
        x, y, z = [int.from_bytes(view[start : start + width], "little") for start in range(0, 3 * width, width)]
        return x, y, z

    def fill(self, x: int, y: int) -> None:
        """Fill the table of a point with the odd multiples of (x, y): 1, 3, ..., 15 times the point."""
        self._write(1, x)
        self._write(2, y)
        self.run(_MULTIPLES, 2)

    def keep(self, table: int, index: int, count: int) -> None:
        """Store an entry at `index` of a table. The entry is in `count` slots, beginning with slot A."""
        self._copy(table + index * count, 1, count)

    def run(self, script: "bytes | bytearray | memoryview", program: int = 0) -> bool:
        """Take all steps of `script`. The routines come from `formulas`: from FAST if `program` is 0, from COMPLETE if
        `program` is 1, and from TABLE if `program` is 2. Return whether every addition was right."""
        self._block[12] = 0
        run(self._block, _PROGRAMS[program], script, len(script))
        return not self._block[12]

    def invert(self, number: int) -> int:
        """Return `number`^-1 modulo the prime. Return 0 for 0. The result is `number`^(prime - 2) (Fermat's little
        theorem). The exponent is read in windows of 4 bits. The call overwrites the table of a point."""
        self._write(28, number)
        run(self._block, _POWERS, b"\x00", 1)
        digits = 2 * self._width
        # Each digit of the exponent takes four squarings and a product. The first digit only takes its power.
        script = bytearray(5 * digits + 1)
        exponent = (self.prime - 2).to_bytes(self._width, "little")
        write_digits(script, exponent, len(script) - 2, bytes((4, 4, 1, 5, 0x20, digits, 15, 0)))
        script[4] += 0x20
        script[-1] = 0x60
        run(self._block, _POWER, memoryview(script)[4:], len(script) - 4)
        result = int.from_bytes(self._slots(23, 1), "little")
        self.wipe()
        return result

    def wipe(self) -> None:
        """Overwrite everything that the latest operation left: the scratch memory, the table of a point, and all
        letters that are not constants."""
        if self._width > 48:  # the operations on shorter numbers do not use the scratch memory
            self._view[_SCRATCH_AT:_SLOTS_AT][:] = bytes(_SLOTS_AT - _SCRATCH_AT)
        run(self._block, _WIPE, self._wiping, 1)


_made: "dict[int, Field]" = {}
"""Maps a prime to the field that inverts modulo this prime. The prime belongs to a curve, or is the order of a curve.
"""


def inverse(number: int, modulus: int) -> int:
    """Return `number`^-1 modulo `modulus`. The modulus must be the prime of a curve, or the order of a curve."""
    if modulus not in _made:
        size = 32 if modulus < 1 << 256 else 48 if modulus < 1 << 384 else 66
        _made[modulus] = Field(modulus, size, 42)
    return _made[modulus].invert(number % modulus)
