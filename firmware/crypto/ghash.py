"""GHASH (SP 800-38D, section 6.4) with a table of 16 multiples of the hash key, 4 bits of the input at a time.

The method is Shoup's (McGrew and Viega, "The Galois/Counter Mode of operation", section 4.1). The places looked up
in the table depend on secrets; the time of a look-up does not, because the heap of an ESP32 lies in internal memory,
which is not cached.
"""

# x^128 = x^7 + x^2 + x + 1; coefficients run from the most significant bit down, so that is E1 followed by zeros.
_POLYNOMIAL = 0xE1 << 120


def _multiples(hash_key: bytes) -> "list[int]":
    """All 16 polynomials of degree below 4, times the hash key; the place's most significant bit is x^0."""
    table = [0] * 16
    value = int.from_bytes(hash_key, "big")
    place = 8
    while place:
        table[place] = value
        value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        place >>= 1
    for place in (2, 4, 8):
        for low in range(1, place):
            table[place + low] = table[place] ^ table[low]
    return table


def _reductions() -> "list[int]":
    """What the four bits that a shift by x^4 drops come back as."""
    table = []
    for value in range(16):
        for _ in range(4):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table
