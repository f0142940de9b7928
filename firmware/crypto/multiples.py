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
    from firmware.crypto.field import Field, write_windows
    from firmware.crypto.field import write_digits as write_digits
    from firmware.crypto.modular import inverse as inverse
else:
    from firmware.crypto.field_image import Field, write_windows  # type: ignore[assignment]
    from firmware.crypto.field_image import inverse as inverse
    from firmware.crypto.field_image import write_digits as write_digits

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
        if not field.tabled:
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
    if field.JACOBIAN and table == 27:
        field.fill(x, y)  # type: ignore[attr-defined]  # only the field of our own image
        return
    for slot, number in ((1, x), (2, y), (24, x), (25, y), (26, 1)):
        field.put(slot, number)
    points = []
    field.run(b"\x00\x20", 2)
    for _ in range(1, count):
        field.run(b"\x40", 2)
        points.append(field.result())
    keep_points(field, table, 0, [point] + affine(curve, points))


def _write_windows(script: bytearray, size: int, scalar: int, width: int, step: int, place: int) -> None:
    bits = scalar.to_bytes(size + 2, "little")
    write_windows(script, bits, 8 * size, bytes((width, step, place & 255, place >> 8)))


def combine(curve: "Curve", u1: int, u2: int, point: "Affine") -> "Jacobian":
    """Return `u1` * base point + `u2` * `point`, for scalars in [0, n - 1] (interleaving, Guide, Algorithm 3.51)."""
    field = prepare(curve)
    put_multiples(curve, field, point)
    # Each bit has three steps: a doubling, and one step for each scalar. The most significant bit comes first. The step
    # 255 does nothing.
    script = bytearray(b"\x00\xff\xff" * (8 * curve.size + 1))
    _write_windows(script, curve.size, u1, _BASE_WIDTH, 0x20, len(script) - 2)
    _write_windows(script, curve.size, u2, _WIDTH, 0x40, len(script) - 1)
    start = 0
    while start < len(script) and script[start] in b"\x00\xff":
        start += 1
    if start == len(script):
        return 1, 1, 0
    # The accumulator starts with the first entry. The first digit is positive, so its step has no sign bit.
    script[start] += 0x40
    right = field.run(memoryview(script)[start:])
    result = field.result()
    if not right:
        from firmware.crypto.complete import combine_completely

        result = combine_completely(curve, field, u1, curve.base, u2, point)
    field.wipe()
    return result
