"""Arithmetic modulo an odd prime: inversion, and random numbers.

MicroPython's `pow` does not support negative exponents (`pow(3, -1, 7)` returns 0), so this module implements
inversion.
"""

from firmware.crypto.generator import random


def inverse(number: int, modulus: int) -> int:
    """Return `number`^-1 modulo the prime `modulus`, by the extended Euclidean algorithm. Return 0 for 0.

    See Guide to Elliptic Curve Cryptography, Algorithm 2.20. The computing time depends on `number`. So the caller must
    multiply a secret by a random number first, and undo this multiplication afterwards. This algorithm is about four
    times as fast as Fermat's `pow(a, p - 2, p)`.
    """
    low, high = number % modulus, modulus
    factor, other = 1, 0
    while low > 1:
        quotient = high // low
        high, low = low, high - quotient * low
        other, factor = factor, other - quotient * factor
    return factor % modulus if low else 0


def inverses(numbers: "list[int]", modulus: int) -> "list[int]":
    """Return the inverse of each number in `numbers`. No number may be 0. This function makes only one inversion
    (Montgomery's trick, Guide, Algorithm 2.26)."""
    products = [1]
    for number in numbers:
        products.append(products[-1] * number % modulus)
    running = inverse(products.pop(), modulus)
    for place in range(len(numbers) - 1, -1, -1):
        products[place] = products[place] * running % modulus
        running = running * numbers[place] % modulus
    return products


def random_below(limit: int, size: int) -> int:
    """Return a uniformly distributed number in [1, limit - 1] (FIPS 186-5, appendix A.2.2). `limit` must be just below
    256^`size`."""
    while True:
        number = int.from_bytes(random(size), "big")
        if 0 < number < limit:
            return number
