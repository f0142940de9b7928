"""SHA-512 and SHA-384 (FIPS 180-4, sections 5.3, 6.4 and 6.5), which MicroPython's `hashlib` lacks.

These functions hash only public data (certificates), so the computing time may depend on the data.
"""

_MASK = (1 << 64) - 1
_TWICE = 1 << 64 | 1
"""A word times this number is the word written twice in a row. A rotation of the word is then one shift."""


def _root_fraction(number: int, degree: int) -> int:
    """Return the first 64 bits of the fractional part of the `degree`-th root of `number`, by Newton's method. `number`
    must be below 512."""
    target = number << 64 * degree
    root = 1 << 69
    while True:
        better = ((degree - 1) * root + target // root ** (degree - 1)) // degree
        if better >= root:
            return root & _MASK
        root = better


def _primes(count: int) -> "list[int]":
    primes: "list[int]" = []
    number = 2
    while len(primes) < count:
        if all(number % prime for prime in primes):
            primes.append(number)
        number += 1
    return primes


def _root_fractions(primes: "list[int]", degree: int) -> bytes:
    return b"".join([_root_fraction(prime, degree).to_bytes(8, "big") for prime in primes])


_ROUNDS = _root_fractions(_primes(80), 3)
"""The round constants, from the cube roots of the first eighty primes (section 4.2.3), stored as bytes to save heap."""
_INITIAL_512 = _root_fractions(_primes(8), 2)
_INITIAL_384 = _root_fractions(_primes(16)[8:], 2)


def sha512(data: bytes) -> bytes:
    """Return the SHA-512 of `data`, 64 bytes."""
    return _hash(_INITIAL_512, data)


def sha384(data: bytes) -> bytes:
    """Return the SHA-384 of `data`, 48 bytes."""
    return _hash(_INITIAL_384, data)[:48]


def _words(data: bytes) -> "list[int]":
    return [int.from_bytes(data[place : place + 8], "big") for place in range(0, len(data), 8)]


def _hash(initial: bytes, data: bytes) -> bytes:
    state = _words(initial)
    whole = len(data) & ~127
    for place in range(0, whole, 128):
        _absorb(state, data[place : place + 128])
    tail = data[whole:] + b"\x80"
    tail += bytes(-(len(tail) + 16) % 128) + (8 * len(data)).to_bytes(16, "big")
    for place in range(0, len(tail), 128):
        _absorb(state, tail[place : place + 128])
    return b"".join([word.to_bytes(8, "big") for word in state])


def _absorb(state: "list[int]", block: bytes) -> None:
    """Update `state` with one block of 128 bytes (section 6.4.2)."""
    mask, twice, rounds = _MASK, _TWICE, _ROUNDS
    schedule = _words(block)
    a, b, c, d, e, f, g, h = state
    for place in range(80):
        word = schedule[place & 15]
        if place >= 16:
            early, late = schedule[place + 1 & 15], schedule[place + 14 & 15]
            early_twice, late_twice = early * twice, late * twice
            word += (early_twice >> 1 ^ early_twice >> 8 ^ early >> 7) & mask
            word += (late_twice >> 19 ^ late_twice >> 61 ^ late >> 6) & mask
            word = word + schedule[place + 9 & 15] & mask
            schedule[place & 15] = word
        e_twice, a_twice = e * twice, a * twice
        word += h + ((e_twice >> 14 ^ e_twice >> 18 ^ e_twice >> 41) & mask) + (g ^ e & (f ^ g))
        word += int.from_bytes(rounds[8 * place : 8 * place + 8], "big")
        h, g, f = g, f, e
        e = d + word & mask
        word += ((a_twice >> 28 ^ a_twice >> 34 ^ a_twice >> 39) & mask) + (a & b | c & (a | b))
        d, c, b = c, b, a
        a = word & mask
    for place, word in enumerate((a, b, c, d, e, f, g, h)):
        state[place] = state[place] + word & mask
