"""The field machine, computed with Python integers (docs/field-machine.md).

This module computes the same as the assembler of our own image. Here each routine of `formulas` is a function, because
interpreting the programs would take three times as long. Most products are reduced at once. Sums and most differences
are not reduced. The computing time depends on the operands, so a caller must blind secrets. Python integers cannot be
wiped; `wipe` only forgets them.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Program = tuple[tuple[Callable[[list[int], int, int, int], None], int, int], ...]
    """A program has three values for each routine: its function, the first slot of its table, and the number of slots
    of an entry."""


class Field:
    """Holds the slots and tables for one prime. Slots 1 to 26 are the letters of the alphabet. The number of a table is
    the number of its first slot.

    Here a table is a list of tuples. One long list of numbers would overflow the stack of MicroPython's garbage
    collector, which has room for 64 objects. After such an overflow, the collector has to read the heap several times.
    """

    JACOBIAN = False
    """Tells whether the table of a point has entries in Jacobian coordinates."""
    tabled = False
    """Tells whether the tables of the base point are there from the start."""

    def __init__(self, prime: int, size: int) -> None:
        self.prime = prime
        self._size = size
        self._tables: "dict[int, list[tuple[int, ...]]]" = {}
        self._slots: "list[int]" = []

    def put(self, slot: int, number: int) -> None:
        """Store `number` in `slot`. The number must be in [0, prime - 1]. The first call, and the first call after
        `wipe`, make new slots. In new slots, the random number R is 1."""
        if not self._slots:
            self._slots = [0] * 27
            self._slots[18] = 1
        self._slots[slot] = number

    def get(self, slot: int) -> int:
        """Return the number in `slot`. The result is in [0, prime - 1]."""
        number = self._slots[slot]
        return number if 0 <= number < self.prime else number % self.prime

    def keep(self, table: int, index: int, count: int) -> None:
        """Store an entry at `index` of a table. The entry is in `count` slots, beginning with slot A. Callers store the
        entries in the order of their indices.

        In MicroPython, the result of `%` occupies as much memory as the dividend. So for the tables that are kept, new
        integers are made from bytes.
        """
        numbers = self._slots[1 : 1 + count]
        if table > 27:
            numbers = [int.from_bytes(number.to_bytes(self._size, "big"), "big") for number in numbers]
        if not index:
            self._tables[table] = []
        self._tables[table].append(tuple(numbers))

    def run(self, script: "bytes | bytearray | memoryview", program: int = 0) -> bool:
        """Take all steps of `script`. The routines come from `formulas`: from FAST if `program` is 0, from COMPLETE if
        `program` is 1, and from TABLE if `program` is 2. Return whether every addition was right."""
        slots, prime, tables = self._slots, self.prime, self._tables
        routines = _FAST
        if program == 1:
            from firmware.crypto.field_complete import COMPLETE

            routines = COMPLETE
        elif program:
            routines = _TABLE
        slots[6] = 0
        steps = bytes(script).replace(b"\xff", b"")
        place, end = 0, len(steps)
        while place < end:
            step = steps[place]
            place += 1
            times = 1
            function, start, count = routines[step >> 5]
            if count:
                slots[1 : 1 + count] = tables[start][step & 15]
            else:
                while place < end and steps[place] == step:
                    times += 1
                    place += 1
            function(slots, prime, step & 16, times)
        return not slots[6]

    def result(self) -> "tuple[int, int, int]":
        """Return the numbers in X, Y and Z."""
        return self.get(24), self.get(25), self.get(26)

    def wipe(self) -> None:
        """Forget what the latest operation left: a point, the table of this point, and the random number."""
        self._slots = []
        self._tables.pop(27, None)


def write_windows(script: bytearray, bits: bytes, count: int, shape: bytes) -> None:
    """Write the non-adjacent form of a public scalar for windows of some bits (Guide, Algorithm 3.35) into `script`.

    The steps in `script` add. Of `width` digits in a row, at most one is not 0. This digit is odd, and its magnitude is
    below 2^(width - 1). `bits` is the scalar with `count` bits, in little-endian bytes, and two more bytes. `shape` has
    the width, the step, and the index of the step for the digit of 2^0 in two bytes. Each higher digit has its step
    three places before.
    """
    width, step = shape[0], shape[1]
    place = shape[2] | shape[3] << 8
    mask = (1 << width) - 1
    carry = 0
    bit = 0
    while bit <= count:
        index = bit >> 3
        word = (bits[index] | bits[index + 1] << 8) >> (bit & 7)
        if word & 1 == carry:
            bit += 1
            continue
        digit = (word & mask) + carry
        carry = digit >> width - 1
        if carry:
            digit = (mask + 1 - digit) | 32
        script[place - 3 * bit] = step | digit >> 1
        bit += width


def write_digits(script: bytearray, bits: bytes, place: int, shape: bytes) -> None:
    """Write one step for each digit of a secret number into `script`. The step of the first digit is at index `place`.

    `bits` is the number in little-endian bytes. `shape` has eight numbers: how many bits a digit has, from one digit to
    the next, from one bit of a digit to the next, from one step down to the next in `script`, the step for a digit of
    0, the number of digits, a mask, and 1 if digits are signed. A signed digit is negative if its highest bit is 0.
    Then its sign bit is set in the step, and its other bits are inverted.
    """
    width, apart, between, stride, step, count, mask, signed = shape
    for number in range(count):
        first = number * apart
        digit = 0
        for at in range(first + (width - 1) * between, first - 1, -between):
            digit = digit << 1 | bits[at >> 3] >> (at & 7) & 1
        negative = (digit >> width - 1 ^ 1) & signed
        script[place - stride * number] = step | negative << 4 | (digit ^ -negative) & mask


# The functions below are translations of the programs in `formulas`.


def _double(slots: "list[int]", p: int, minus: int, times: int) -> None:
    z = slots[26]
    x = slots[24]
    y = slots[25]
    for _ in range(times):
        g = z * z % p
        h = x - g
        u = x + g
        h = h * 3
        u = u * h % p
        g = y + y
        z = g * z % p
        h = g * y % p
        g = h + h
        q = x * g % p
        g = g * h
        h = u * u
        t = q + q
        x = (h - t) % p
        q = (q - x) * u
        y = (q - g) % p
    slots[26] = z
    slots[24] = x
    slots[25] = y


def _add_affine(slots: "list[int]", p: int, minus: int, times: int) -> None:
    b = slots[2]
    z = slots[26]
    a = slots[1]
    x = slots[24]
    y = slots[25]
    w = 0 - b if minus else b
    g = z * z % p
    u = a * g % p
    t = w * z % p * g % p
    u = u - x
    t = t - y
    z = z * u % p
    slots[6] |= not u
    g = u * u % p
    h = g * u % p
    q = x * g % p
    g = q + q + h
    x = (t * t - g) % p
    y = y * h
    q = (q - x) * t
    y = (q - y) % p
    slots[26] = z
    slots[24] = x
    slots[25] = y


def _start_affine(slots: "list[int]", p: int, minus: int, times: int) -> None:
    r = slots[18]
    a = slots[1]
    b = slots[2]
    g = r * r % p
    x = a * g % p
    g = g * r % p
    y = b * g % p
    z = r
    slots[24] = x
    slots[25] = y
    slots[26] = z


def _pair(slots: "list[int]", p: int, minus: int, times: int) -> None:
    x = slots[24]
    y = slots[25]
    z = slots[26]
    a = slots[1]
    b = slots[2]
    m = x
    n = y
    g = z * z % p
    x = a * g % p
    g = g * z % p
    y = b * g % p
    slots[13] = m
    slots[14] = n
    slots[24] = x
    slots[25] = y


def _next(slots: "list[int]", p: int, minus: int, times: int) -> None:
    m = slots[13]
    x = slots[24]
    n = slots[14]
    y = slots[25]
    z = slots[26]
    u = m - x
    t = n - y
    g = u * u % p
    h = m * g % p
    q = x * g % p
    g = h - q
    n = n * g % p
    g = h + q
    x = (t * t - g) % p
    g = (h - x) * t
    y = (g - n) % p
    m = h
    z = z * u % p
    slots[14] = n
    slots[24] = x
    slots[25] = y
    slots[13] = m
    slots[26] = z


_FAST: "Program" = (
    (_double, 0, 0),
    (_add_affine, 72, 2),
    (_add_affine, 27, 2),
    (_start_affine, 72, 2),
    (_start_affine, 27, 2),
    (_add_affine, 104, 2),
    (_start_affine, 104, 2),
)
_TABLE: "Program" = ((_double, 0, 0), (_pair, 0, 0), (_next, 0, 0))
