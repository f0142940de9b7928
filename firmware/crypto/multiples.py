"""Computes u1 * G + u2 * Q for public u1, u2 and Q. Whoever verifies a signature needs this sum. The computing time
depends on these values, so they must not be secret. `secret_multiples` has the functions for secrets.

The field machine does the arithmetic (docs/field-machine.md). `formulas` says what the numbers of slots and steps mean.
"""

import sys

from firmware.crypto.modular import inverses
from protocol import const

# The name of the build says whether the assembler can run. This module must not try to run it: a build without
# assembler would run the machine code as bytecode. Only our own image has the name below (MICROPY_BOARD_BUILD_NAME).
if getattr(sys.implementation, "_build", "") != "MOORING_C6":
    from firmware.crypto.field import Field
    from firmware.crypto.modular import inverse as inverse
else:
    from firmware.crypto.field_image import Field  # type: ignore[assignment]
    from firmware.crypto.field_image import inverse as inverse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.crypto.curve import Affine, Curve

    Jacobian = tuple[int, int, int]
    """(X, Y, Z) stands for the point (X / Z^2, Y / Z^3), and Z = 0 for infinity."""

# These are the widths of the windows. The table of a point has 2^(width - 2) entries. The table of the base point has
# 16 entries, and is computed only once. The table of the other point has 8 entries, and is computed in each call. If
# this second table had 16 entries, computing it would take as much extra time as the larger table saves.
_BASE_WIDTH = const(6)
_WIDTH = const(5)

_fields: "dict[Curve, Field]" = {}
"""Maps each curve that was used to its field. The field has the table of the base point: 1, 3, 5, ... times this point.
"""


def prepare(curve: "Curve") -> "Field":
    """Return the field of `curve`, with the table of the base point."""
    if curve not in _fields:
        field = Field(curve.p, curve.size)
        put_multiples(curve, field, curve.base, 72, 1 << _BASE_WIDTH - 2)
        field.wipe()
        _fields[curve] = field
    return _fields[curve]


def keep_points(field: "Field", table: int, index: int, points: "list[Affine]") -> None:
    """Store `points` as entries of a table. The first point gets the index `index`."""
    for x, y in points:
        field.put(1, x)
        field.put(2, y)
        field.keep(table, index, 2)
        index += 1


def accumulator(field: "Field") -> "Jacobian":
    """Return the accumulator of `field`."""
    return field.get(24), field.get(25), field.get(26)


def affine(curve: "Curve", points: "list[Jacobian]") -> "list[Affine]":
    """Return `points` in coordinates with Z = 1. One inversion is enough for all points. No point may be infinity."""
    p = curve.p
    result = []
    for place, inverse in enumerate(inverses([point[2] for point in points], p)):
        x, y, _ = points[place]
        square = inverse * inverse % p
        result.append((x * square % p, y * square % p * inverse % p))
    return result


def put_multiples(
    curve: "Curve", field: "Field", point: "Affine", table: int = 27, count: int = 1 << _WIDTH - 2
) -> None:
    """Fill a table with `count` multiples of `point`: 1, 3, 5, ... times the point."""
    x, y = point
    for slot, number in ((1, x), (2, y), (24, x), (25, y), (26, 1)):
        field.put(slot, number)
    jacobian = field.JACOBIAN and table == 27
    points = []
    field.run(b"\x00\x20", 2)
    for index in range(count):
        if index:
            field.run(b"\x40", 2)
        if jacobian:
            field.run(b"\x60", 2)
            field.keep(27, index, 5)
        elif index:
            points.append(accumulator(field))
    if not jacobian:
        keep_points(field, table, 0, [point] + affine(curve, points))


def _write_windows(script: bytearray, scalar: int, width: int, step: int, place: int) -> None:
    """Write the non-adjacent form of `scalar` for windows of `width` bits (Guide, Algorithm 3.35) into `script`.

    The steps in `script` add. Of `width` digits in a row, at most one is not 0. This digit is odd, and its magnitude is
    below 2^(width - 1). The step for the digit of 2^0 is at index `place`. Each higher digit has its step three places
    before.
    """
    size = len(script) // 24
    bits = scalar.to_bytes(size + 3, "little")  # Shifting a big integer would make a new integer for each digit.
    mask = (1 << width) - 1
    carry = 0
    bit = 0
    while bit <= 8 * size:
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


def combine(curve: "Curve", u1: int, u2: int, point: "Affine") -> "Jacobian":
    """Return `u1` * base point + `u2` * `point`, for scalars in [0, n - 1] (interleaving, Guide, Algorithm 3.51)."""
    field = prepare(curve)
    put_multiples(curve, field, point)
    # Each bit has three steps: a doubling, and one step for each scalar. The most significant bit comes first. The step
    # 255 does nothing.
    script = bytearray(b"\x00\xff\xff" * (8 * curve.size + 1))
    _write_windows(script, u1, _BASE_WIDTH, 0x20, len(script) - 2)
    _write_windows(script, u2, _WIDTH, 0x40, len(script) - 1)
    start = 0
    while start < len(script) and script[start] in b"\x00\xff":
        start += 1
    if start == len(script):
        return 1, 1, 0
    # The accumulator starts with the first entry. The first digit is positive, so its step has no sign bit.
    script[start] += 0x40
    right = field.run(memoryview(script)[start:])
    result = accumulator(field)
    if not right:
        from firmware.crypto.complete import combine_completely

        result = combine_completely(curve, field, u1, curve.base, u2, point)
    field.wipe()
    return result
