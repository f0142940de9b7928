"""SHA-512 and SHA-384 (FIPS 180-4, sections 5.3, 6.4 and 6.5), which MicroPython's `hashlib` lacks.

These functions hash only public data (certificates), so the computing time may depend on the data. State and constants
are buffers of 32-bit words. Each word begins with its least significant byte. A word of 64 bits is two of these words,
and the upper word comes first.
"""

import sys
from struct import unpack_from

from firmware.crypto.padding import absorb_padded
from protocol import const

_MICROPYTHON = sys.implementation.name == "micropython"

_MASK = (1 << 64) - 1
_TWICE = 1 << 64 | 1
"""A word times this number is the word written twice in a row. A rotation of the word is then one shift."""
_BLOCK = const(128)


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
    return b"".join([_halves(_root_fraction(prime, degree)) for prime in primes])


def _halves(word: int) -> bytes:
    return (word >> 32).to_bytes(4, "little") + (word & 0xFFFFFFFF).to_bytes(4, "little")


_ROUNDS = _root_fractions(_primes(80), 3)
"""The round constants. They come from the cube roots of the first eighty primes (section 4.2.3)."""
_INITIAL_512 = _root_fractions(_primes(8), 2)
_INITIAL_384 = _root_fractions(_primes(16)[8:], 2)


def sha512(*data: bytes) -> bytes:
    """Return the SHA-512 of `data`, which may be in several pieces. The hash has 64 bytes."""
    return _hash(_INITIAL_512, data)


def sha384(*data: bytes) -> bytes:
    """Return the SHA-384 of `data`, which may be in several pieces. The hash has 48 bytes."""
    return _hash(_INITIAL_384, data)[:48]


def _hash(initial: bytes, pieces: "tuple[bytes, ...]") -> bytes:
    state, schedule = bytearray(initial), bytearray(_BLOCK)

    def take(data: "bytearray | memoryview", blocks: int) -> None:
        absorb(state, schedule, _ROUNDS, data, blocks, 0xFFFFFFFF)

    absorb_padded(take, pieces, _BLOCK, 16)
    # Integers of these words would be on the heap.
    digest = bytearray(64)
    for at in range(64):
        digest[at] = state[at ^ 3]
    return bytes(digest)


def absorb_portably(
    state: bytearray,
    _schedule: bytearray,
    rounds: bytes,
    data: "bytearray | memoryview",
    blocks: int,
    _mask: int,
) -> None:
    """Update `state` with the first `blocks` blocks of `data` (section 6.4.2). Only the viper code needs `_schedule`,
    which has room for one block, and `_mask`, which is 2^32 - 1."""
    for at in range(0, blocks * _BLOCK, _BLOCK):
        _absorb(state, rounds, unpack_from(">16Q", data, at))


def _words(data: "bytearray | bytes", count: int) -> "list[int]":
    halves = unpack_from("<%dI" % (2 * count), data)
    return [halves[at] << 32 | halves[at + 1] for at in range(0, 2 * count, 2)]


def _absorb(state: bytearray, rounds: bytes, block: "tuple[int, ...]") -> None:
    mask, twice, constants = _MASK, _TWICE, _words(rounds, 80)
    schedule = list(block)
    before = _words(state, 8)
    a, b, c, d, e, f, g, h = before
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
        word += constants[place]
        h, g, f = g, f, e
        e = d + word & mask
        word += ((a_twice >> 28 ^ a_twice >> 34 ^ a_twice >> 39) & mask) + (a & b | c & (a | b))
        d, c, b = c, b, a
        a = word & mask
    for place, word in enumerate((a, b, c, d, e, f, g, h)):
        state[8 * place : 8 * place + 8] = _halves(before[place] + word & mask)


absorb = absorb_portably
if _MICROPYTHON:
    try:
        from firmware.crypto.sha512_viper import absorb  # type: ignore[assignment]  # viper has its own types
    except SyntaxError:  # this MicroPython cannot compile native code for its chip
        pass
