"""Point arithmetic in Jacobian coordinates. (X, Y, Z) stands for the point (X / Z^2, Y / Z^3), and Z = 0 for infinity.

The formulas for co-Z addition are from Meloni, "New point addition formulae for ECC applications" (2007). All other
formulas are from Guide to Elliptic Curve Cryptography, section 3.2.2. Only products are reduced, not sums. The
reduction is MicroPython's own `%`, which takes about as long as two multiplications. Because the primes have a special
form, shifts and sums could replace `%`. But each shift or sum creates an integer on the heap, so this would take
longer.
"""

from firmware.crypto.modular import inverses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.crypto.curve import Affine, Curve

    Jacobian = tuple[int, int, int]


def double(curve: "Curve", point: "Jacobian", times: int = 1) -> "Jacobian":
    """Return 2^`times` * `point`, for curves with a = -3 (Guide, Algorithm 3.21). Each doubling takes eight
    multiplications."""
    p = curve.p
    x, y, z = point
    for _ in range(times):
        square = z * z % p
        slope = (x - square) * (x + square) * 3 % p
        twice = y + y
        half = twice * y % p  # 2 y^2
        double_half = half + half
        middle = x * double_half % p  # 4 x y^2
        z = twice * z % p
        x = (slope * slope - middle - middle) % p
        y = (slope * (middle - x) - half * double_half) % p
    return x, y, z


def add(curve: "Curve", point: "Jacobian", other: "Affine", negative: bool = False) -> "Jacobian":
    """Return `point` + `other` for any two points, or `point` - `other` if `negative` is True. The sum takes eleven
    multiplications (Guide, Algorithm 3.22).
    """
    p = curve.p
    x, y, z = point
    if not z:
        return other[0], p - other[1] if negative else other[1], 1
    square = z * z % p
    rise = other[1] * z % p * square % p
    rise = -rise - y if negative else rise - y
    run = other[0] * square % p - x
    if not run:
        # The two points have the same x, so they are equal or opposite.
        return (1, 1, 0) if rise % p else double(curve, point)
    run_square = run * run % p
    run_cube = run_square * run % p
    middle = x * run_square % p
    x = (rise * rise - run_cube - middle - middle) % p
    return x, (rise * (middle - x) - y * run_cube) % p, z * run % p


def affine(curve: "Curve", points: "list[Jacobian]") -> "list[Affine]":
    """Return `points` in coordinates with Z = 1. One inversion is enough for all points. No point may be infinity."""
    p = curve.p
    result = []
    for place, inverse in enumerate(inverses([point[2] for point in points], p)):
        x, y, _ = points[place]
        square = inverse * inverse % p
        result.append((x * square % p, y * square % p * inverse % p))
    return result


def odd_multiples(curve: "Curve", point: "Affine", count: int) -> "list[Affine]":
    """Return `count` multiples of `point`: 1, 3, 5, ... times the point. `count` is at most 2^8.

    Twice the point always has the same Z as the latest multiple, so each addition takes only seven multiplications. The
    order is a prime far above 2^9, so equal or opposite points are never added here.
    """
    p = curve.p
    x, y = point
    step_x, step_y, z = double(curve, (x, y, 1))
    square = z * z % p
    x, y = x * square % p, y * square % p * z % p
    points = []
    for _ in range(count - 1):
        run, rise = step_x - x, step_y - y
        square = run * run % p
        middle = step_x * square % p
        other = x * square % p
        step_y = step_y * (middle - other) % p
        x = (rise * rise - middle - other) % p
        y = (rise * (middle - x) - step_y) % p
        step_x, z = middle, z * run % p
        points.append((x, y, z))
    return [point] + affine(curve, points)


def compact(curve: "Curve", points: "list[Affine]") -> "list[Affine]":
    """Return copies of `points` that take two thirds of the memory. Long-lived tables hold such copies. In MicroPython,
    the result of `%` occupies as much memory as its dividend, so new integers are created from the bytes."""
    size = curve.size
    return [
        (int.from_bytes(x.to_bytes(size, "big"), "big"), int.from_bytes(y.to_bytes(size, "big"), "big"))
        for x, y in points
    ]
