"""Computes u1 * G + u2 * Q for public u1, u2 and Q, as needed to verify ECDSA signatures. The computing time depends on
these values, so they must not be secret.
"""

from firmware.crypto.points import add, compact, double, odd_multiples
from protocol import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.crypto.curve import Affine, Curve
    from firmware.crypto.points import Jacobian

# Widths of the windows. A point's table has 2^(width - 2) entries. The table of the base point has 16 entries. This
# table is computed once and kept (below 3 KB of heap). The table of the other point has 8 entries. This table is
# computed in each call. With a width of one bit more, computing this table would take as much extra time as the larger
# table saves.
_BASE_WIDTH = const(6)
_WIDTH = const(5)

_base_tables: "dict[Curve, list[Affine]]" = {}
"""The multiples 1, 3, 5, ... of the base point, for each curve that was used."""


def _windows(scalar: int, width: int, length: int) -> bytearray:
    """Return the width-`width` non-adjacent form of `scalar` (Guide, Algorithm 3.35). At index i, the result has the
    digit of 2^i, as a number modulo 2^`width`.

    A digit is 0 or an odd number. An odd digit is below 2^(width - 1) in magnitude, and at least width - 1 zeros follow
    it.
    """
    digits = bytearray(length)
    mask = (1 << width) - 1
    half = 1 << width - 1
    place = 0
    while scalar:
        low = scalar & 0xFFFF
        if not low:
            scalar >>= 16
            place += 16
            continue
        zeros = 0
        while not low & 1:
            low >>= 1
            zeros += 1
        scalar >>= zeros
        place += zeros
        digit = scalar & mask
        digits[place] = digit
        scalar >>= width
        if digit & half:
            scalar += 1
        place += width
    return digits


def prepare(curve: "Curve") -> None:
    """Compute the table of the base point, unless it exists already."""
    if curve not in _base_tables:
        _base_tables[curve] = compact(curve, odd_multiples(curve, curve.base, 1 << _BASE_WIDTH - 2))


def combine(curve: "Curve", u1: int, u2: int, point: "Affine") -> "Jacobian":
    """Return `u1` * base point + `u2` * `point`, for scalars in [0, n - 1] (interleaving, Guide, Algorithm 3.51)."""
    prepare(curve)
    base_table = _base_tables[curve]
    table = odd_multiples(curve, point, 1 << _WIDTH - 2)
    length = 8 * curve.size + 1
    base_digits = _windows(u1, _BASE_WIDTH, length)
    digits = _windows(u2, _WIDTH, length)
    result = (1, 1, 0)
    doublings = 0
    for place in range(length - 1, -1, -1):
        doublings += 1
        digit = digits[place]
        base_digit = base_digits[place]
        if digit or base_digit:
            if result[2]:
                result = double(curve, result, doublings)
            doublings = 0
            if digit:
                negative = digit >= 1 << _WIDTH - 1
                result = add(curve, result, table[((1 << _WIDTH) - digit if negative else digit) >> 1], negative)
            if base_digit:
                negative = base_digit >= 1 << _BASE_WIDTH - 1
                magnitude = (1 << _BASE_WIDTH) - base_digit if negative else base_digit
                result = add(curve, result, base_table[magnitude >> 1], negative)
    return double(curve, result, doublings)
