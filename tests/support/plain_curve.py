"""Computes multiples of a point in affine coordinates, as the definition says. Tests compare the lock's arithmetic with
these multiples."""

from firmware.crypto.curve import Curve, find_curve

Point = tuple[int, int] | None
"""None stands for infinity."""

CURVES = {name: find_curve(name) for name in ("P-256", "P-384", "P-521", "SM2")}


def add(curve: Curve, one: Point, other: Point) -> Point:
    """Return the sum of two points (SEC 1, section 2.2.1)."""
    if one is None or other is None:
        return one or other
    p = curve.p
    if one[0] == other[0]:
        if (one[1] + other[1]) % p == 0:
            return None
        slope = (3 * one[0] * one[0] - 3) * pow(2 * one[1], -1, p)
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, p)
    x = (slope * slope - one[0] - other[0]) % p
    return x, (slope * (one[0] - x) - one[1]) % p


def multiple(curve: Curve, scalar: int, point: Point) -> Point:
    """Return `scalar` * `point`. The scalar must be at least 0."""
    result: Point = None
    for bit in bin(scalar)[2:]:
        result = add(curve, result, result)
        if bit == "1":
            result = add(curve, result, point)
    return result
