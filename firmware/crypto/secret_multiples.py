"""k * G and k * Q for a secret k.

What an observer of time sees, and what blinds it. Every call makes the same point operations in the same order: the
scalar is rewritten in digits none of which is 0, so no operation is ever left out. Python's integers do take longer
for some values than for others, but none of the values repeats: the walk starts on a Z drawn at random, which makes
every coordinate of every later point random, and it follows k + r * n for a random 32-bit r, which renews the digits
(their signs choose between an addition and a subtraction). So the time varies from call to call with fresh random
numbers, and not with k. The length of k does not show either, because k + r * n always fills the same digits. One
operation differs, a last addition that is a doubling, if k is 2 times its last digit: an even number up to 30, which
no key or nonce drawn at random ever is.
An observer of power or radiation on the chip is not kept out by this, and nothing here claims to.
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


def _signed_bits(curve: "Curve", scalar: int, length: int) -> int:
    """A number whose `length` bits, read as +1 for 1 and -1 for 0, spell `scalar` modulo n.

    Only odd numbers can be spelt so; n is odd, so one more n makes `scalar` odd.
    """
    blinded = scalar + (int.from_bytes(random(_BLINDING_BITS >> 3), "big") + 1) * curve.n
    blinded += (1 - (blinded & 1)) * curve.n
    return blinded + (1 << length) - 1 >> 1


def _walk(curve: "Curve", table: "list[Affine]", digits: "list[int]", doublings: int) -> "Affine":
    """Add the entries that `digits` choose, most significant first, with `doublings` between one and the next.

    The table holds the entries of the upper half of all digits; those of the lower half are their opposites.
    """
    p = curve.p
    half = len(table)
    z = random_below(p, curve.size)
    square = z * z % p
    # The number spelt is positive, so its first sign is +, and the first entry is taken as it is.
    x, y = table[digits[0] - half]
    result: "Jacobian" = (x * square % p, y * square % p * z % p, z)
    for digit in digits[1:]:
        negative = digit < half
        entry = table[half - 1 - digit if negative else digit - half]
        result = add(curve, double(curve, result, doublings), entry, negative)
    return affine(curve, [result])[0]


def multiply(curve: "Curve", scalar: int, point: "Affine") -> "Affine":
    """`scalar` * `point`, for a scalar in [1, n - 1].

    Fixed window of odd digits: Joye and Tunstall, "Exponent recoding and regular exponentiation algorithms" (2009).
    """
    length = (8 * curve.size + _BLINDING_BITS + 1) // _WINDOW + 1
    bits = _signed_bits(curve, scalar, length * _WINDOW)
    mask = (1 << _WINDOW) - 1
    digits = [bits >> _WINDOW * place & mask for place in range(length - 1, -1, -1)]
    return _walk(curve, odd_multiples(curve, point, 1 << _WINDOW - 1), digits, _WINDOW)


def multiply_base(curve: "Curve", scalar: int) -> "Affine":
    """`scalar` * base point, for a scalar in [1, n - 1]; the first call on a curve takes longer, to make its comb.

    Comb of signed teeth: Hamburg, "Fast and compact elliptic-curve cryptography" (2012).
    """
    spacing = (8 * curve.size + _BLINDING_BITS + 1) // _TEETH + 1
    if not curve.comb:
        curve.comb = compact(curve, _comb(curve, spacing))
    bits = _signed_bits(curve, scalar, spacing * _TEETH)
    digits = []
    for place in range(spacing - 1, -1, -1):
        digit = 0
        for tooth in range(_TEETH - 1, -1, -1):
            digit = digit << 1 | (bits >> tooth * spacing + place & 1)
        digits.append(digit)
    return _walk(curve, curve.comb, digits, 1)


def _comb(curve: "Curve", spacing: int) -> "list[Affine]":
    """At place i: the top tooth, plus or minus each other as the bits of i say. Tooth j is 2^(spacing * j) * G."""
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
