"""Computes k * G and k * Q for a secret k.

The computing time does not reveal k. Every call does the same point operations in the same order. The scalar is
rewritten with digits that are never 0, so no operation is skipped. But the time of an operation on Python integers
depends on their values. Therefore k is blinded: two random numbers make these values different in each call.

- The first point gets a random Z. As a result, all coordinates of all later points are random.
- The scalar is replaced by k + r * n with a random 32-bit r. As a result, its digits are random. The signs of the
  digits decide between additions and subtractions. The number of digits is always the same, so the time does not
  reveal the length of k.

So the time varies with fresh random numbers, and not with k. There is one exception: if k is twice its last digit, the
last addition is a doubling. Such a k is an even number up to 30. Random keys and nonces are practically never so small.

The blinding does not protect against an observer of the chip's power consumption or radiation.
"""

from firmware.crypto.generator import random
from firmware.crypto.modular import random_below
from firmware.crypto.points import add, affine, compact, double, odd_multiples
from protocol import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.crypto.curve import Affine, Curve
    from firmware.crypto.points import Jacobian

_BLINDING_BITS = const(32)
_WINDOW = const(4)
_TEETH = const(5)  # A comb of 16 entries, below 3 KB of heap.

_combs: "dict[Curve, list[Affine]]" = {}
"""For each curve that was used: the comb of its base point."""


def _signed_bits(curve: "Curve", scalar: int, length: int) -> int:
    """Return a number whose `length` bits represent `scalar` modulo n. A bit 1 stands for +1, and a bit 0 for -1.

    Only odd numbers have such a representation. n is odd, so adding n makes an even number odd.
    """
    blinded = scalar + (int.from_bytes(random(_BLINDING_BITS >> 3), "big") + 1) * curve.n
    blinded += (1 - (blinded & 1)) * curve.n
    return blinded + (1 << length) - 1 >> 1


def _walk(curve: "Curve", table: "list[Affine]", digits: "list[int]", doublings: int) -> "Affine":
    """Add the table entries that `digits` select, beginning with the most significant digit. Between two entries,
    double the sum `doublings` times.

    The table has entries only for the upper half of all digits. The entries for the lower half are their opposites.
    """
    p = curve.p
    half = len(table)
    z = random_below(p, curve.size)
    square = z * z % p
    # The number is positive, so its first sign is +, and the first entry is used without a change of sign.
    x, y = table[digits[0] - half]
    result: "Jacobian" = (x * square % p, y * square % p * z % p, z)
    for digit in digits[1:]:
        negative = digit < half
        entry = table[half - 1 - digit if negative else digit - half]
        result = add(curve, double(curve, result, doublings), entry, negative)
    return affine(curve, [result])[0]


def multiply(curve: "Curve", scalar: int, point: "Affine") -> "Affine":
    """Return `scalar` * `point`, for a scalar in [1, n - 1].

    The method is a fixed window of odd digits (Joye and Tunstall, "Exponent recoding and regular exponentiation
    algorithms", 2009).
    """
    length = (8 * curve.size + _BLINDING_BITS + 1) // _WINDOW + 1
    bits = _signed_bits(curve, scalar, length * _WINDOW)
    mask = (1 << _WINDOW) - 1
    digits = [bits >> _WINDOW * place & mask for place in range(length - 1, -1, -1)]
    return _walk(curve, odd_multiples(curve, point, 1 << _WINDOW - 1), digits, _WINDOW)


def multiply_base(curve: "Curve", scalar: int) -> "Affine":
    """Return `scalar` * base point, for a scalar in [1, n - 1].

    The method is a comb of signed teeth (Hamburg, "Fast and compact elliptic-curve cryptography", 2012). The first call
    on a curve takes longer, because it computes the comb.
    """
    spacing = (8 * curve.size + _BLINDING_BITS + 1) // _TEETH + 1
    if curve not in _combs:
        _combs[curve] = compact(curve, _comb(curve, spacing))
    bits = _signed_bits(curve, scalar, spacing * _TEETH)
    digits = []
    for place in range(spacing - 1, -1, -1):
        digit = 0
        for tooth in range(_TEETH - 1, -1, -1):
            digit = digit << 1 | (bits >> tooth * spacing + place & 1)
        digits.append(digit)
    return _walk(curve, _combs[curve], digits, 1)


def _comb(curve: "Curve", spacing: int) -> "list[Affine]":
    """Return the comb. The comb's entry at index i is the top tooth, plus or minus each other tooth according to the
    bits of i. Tooth j is 2^(spacing * j) * G."""
    teeth: "list[Jacobian]" = [(curve.base[0], curve.base[1], 1)]
    for _ in range(_TEETH - 1):
        teeth.append(double(curve, teeth[-1], spacing))
    points = affine(curve, teeth)
    steps = affine(curve, [double(curve, tooth) for tooth in teeth])
    lowest = teeth[-1]
    for point in points[:-1]:
        lowest = add(curve, lowest, point, True)
    sums = [lowest]
    for step in steps[:-1]:
        sums += [add(curve, total, step) for total in sums]
    return affine(curve, sums)
