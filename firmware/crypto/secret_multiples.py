"""Computes k * G and k * Q for a secret k.

The computing time does not reveal k. Every call takes the same steps in the same order. The scalar is rewritten with
digits that are never 0, so no step is skipped. The assembler of our own image chooses signs and table entries without a
branch (docs/field-machine.md). On other images the time of an operation on Python integers depends on their values.
Therefore k is blinded: two random numbers make these values different in each call.

- The first point gets a random Z. As a result, all coordinates of all later points are random.
- The scalar is replaced by k + r * n with a random 32-bit r. As a result, its digits are random. The signs of the
  digits decide between additions and subtractions. The number of digits is always the same, so the time does not
  reveal the length of k.

So the time varies with fresh random numbers, and not with k. There is one exception: if k or n - k is small, for
example 33, two points may collide. Then everything is computed again with a complete addition, and this takes longer.
The larger k is, the rarer are such collisions. Random keys and nonces are practically never so small.

The blinding does not protect against an observer of the chip's power consumption or radiation.

The script has the digits of the scalar, and is wiped after it has run. The scalar, the blinded scalar and its bytes
cannot be wiped. They stay on the heap until the memory is used again. No digit becomes an integer on the heap.
"""

from firmware.crypto.generator import random
from firmware.crypto.modular import random_below
from firmware.crypto.multiples import affine, inverse, keep_points, prepare, put_multiples, write_digits
from protocol import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.crypto.curve import Affine, Curve

_BLINDING_BITS = const(32)
_WINDOW = const(4)
_TEETH = const(5)  # The comb has 16 entries and takes less than 3 KB of heap.

_combs: "set[Curve]" = set()
"""The curves for which the comb of the base point was already computed."""


def _signed_bits(curve: "Curve", scalar: int, length: int) -> bytes:
    """Return a number whose `length` bits represent `scalar` modulo n, in little-endian bytes. A bit 1 stands for +1,
    and a bit 0 for -1.

    Only odd numbers have such a representation. n is odd, so adding n makes an even number odd.
    """
    blinded = scalar + (int.from_bytes(random(_BLINDING_BITS >> 3), "big") + 1) * curve.n
    blinded += (1 - (blinded & 1)) * curve.n
    return (blinded + (1 << length) - 1 >> 1).to_bytes(length + 7 >> 3, "little")


def _walk(curve: "Curve", script: bytearray, start: int, scalar: int, point: "Affine") -> "Affine":
    """Compute `scalar` * `point` with the steps of `script` from `start` on, and return the result. The first point
    gets a random Z. Then the script is wiped."""
    field = prepare(curve)
    field.put(18, random_below(curve.p, curve.size))
    right = field.run(memoryview(script)[start:])
    script[:] = bytes(len(script))
    result = field.result()
    if not right:
        from firmware.crypto.complete import combine_completely

        result = combine_completely(curve, field, scalar, point, 0, point)
    field.wipe()
    factor = inverse(result[2], curve.p)
    square = factor * factor % curve.p
    return result[0] * square % curve.p, result[1] * square % curve.p * factor % curve.p


def multiply(curve: "Curve", scalar: int, point: "Affine") -> "Affine":
    """Return `scalar` * `point`, for a scalar in [1, n - 1].

    The method is a fixed window of odd digits (Joye and Tunstall, "Exponent recoding and regular exponentiation
    algorithms", 2009).
    """
    length = (8 * curve.size + _BLINDING_BITS + 1) // _WINDOW + 1
    bits = _signed_bits(curve, scalar, length * _WINDOW)
    put_multiples(curve, prepare(curve), point)
    # Each digit has four doublings and an addition. The most significant digit comes first.
    # The table has entries for the upper half of all digits. Each digit of the lower half is the opposite of such an
    # entry.
    script = bytearray(5 * length)
    write_digits(script, bits, len(script) - 1, bytes((_WINDOW, _WINDOW, 1, 5, 0x40, length, 7, 1)))
    # The number is positive, so its first sign is +. The accumulator starts with the first entry.
    script[4] += 0x40
    return _walk(curve, script, 4, scalar, point)


def multiply_base(curve: "Curve", scalar: int) -> "Affine":
    """Return `scalar` * base point, for a scalar in [1, n - 1].

    The method is a comb of signed teeth (Hamburg, "Fast and compact elliptic-curve cryptography", 2012). The first call
    on a curve takes longer, because it computes the comb.
    """
    spacing = (8 * curve.size + _BLINDING_BITS + 1) // _TEETH + 1
    if curve not in _combs and not prepare(curve).tabled:
        _make_comb(curve, spacing)
    bits = _signed_bits(curve, scalar, spacing * _TEETH)
    script = bytearray(2 * spacing)
    write_digits(script, bits, len(script) - 1, bytes((_TEETH, 1, spacing, 2, 0xA0, spacing, 15, 1)))
    script[1] += 0x20
    return _walk(curve, script, 1, scalar, curve.base)


def _make_comb(curve: "Curve", spacing: int) -> None:
    """Compute the comb. Each entry is the top tooth, plus or minus each other tooth. The bits of the entry's index say
    which teeth are added. Tooth j is 2^(spacing * j) * G."""
    field = prepare(curve)
    field.put(18, 1)
    teeth = []
    for tooth in range(_TEETH):
        field.run(b"\x60" + bytes(tooth * spacing))
        teeth.append(field.result())
    keep_points(field, 104, 0, affine(curve, teeth))
    sums = []
    for index in range(1 << _TEETH - 1):
        signs = [0xA0 | tooth | (index >> tooth & 1 ^ 1) << 4 for tooth in range(_TEETH - 1)]
        field.run(bytes([0xC0 + _TEETH - 1] + signs))
        sums.append(field.result())
    keep_points(field, 104, 0, affine(curve, sums))
    _combs.add(curve)
