"""Arithmetic modulo an odd prime: inversion, and numbers nobody can guess.

MicroPython's `pow` takes no negative exponent (`pow(3, -1, 7)` answers 0 there), so inversion is our own.
"""

from firmware.crypto.generator import random


def inverse(number: int, modulus: int) -> int:
    """`number`^-1 modulo the prime `modulus`, by the extended Euclidean algorithm; 0 has no inverse and gives 0.

    Guide to Elliptic Curve Cryptography, Algorithm 2.20. Its time depends on `number`: multiply a secret by a random
    number first, and undo that afterwards. (About four times as fast on MicroPython as Fermat's `pow(a, p - 2, p)`.)
    """
    low, high = number % modulus, modulus
    factor, other = 1, 0
    while low > 1:
        quotient = high // low
        high, low = low, high - quotient * low
        other, factor = factor, other - quotient * factor
    return factor % modulus if low else 0


def inverses(numbers: "list[int]", modulus: int) -> "list[int]":
    """Inverses of all `numbers`, none of them 0, at the price of one (Montgomery's trick, Guide, Algorithm 2.26)."""
    products = [1]
    for number in numbers:
        products.append(products[-1] * number % modulus)
    running = inverse(products.pop(), modulus)
    for place in range(len(numbers) - 1, -1, -1):
        products[place] = products[place] * running % modulus
        running = running * numbers[place] % modulus
    return products


def random_below(limit: int, size: int) -> int:
    """A uniform number in [1, limit - 1], where `limit` nearly fills `size` bytes (FIPS 186-5, appendix A.2.2)."""
    while True:
        number = int.from_bytes(random(size), "big")
        if 0 < number < limit:
            return number
