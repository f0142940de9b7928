"""GHASH (SP 800-38D, section 6.4). This module handles 4 bits of input at a time, with a table of 16 multiples of the
hash key.

The method is Shoup's, as McGrew and Viega describe it in "The Galois/Counter Mode of operation". The positions at which
the table is read depend on secrets. If the heap lies in memory without a cache, such as the internal memory of an
ESP32-C6, a read takes the same time at every position. The time of arithmetic on Python integers depends a little on
the number of leading zeros. This dependence matters only on chips that cannot run `ghash_viper`.
"""

# The polynomial is x^128 = x^7 + x^2 + x + 1. The bits of this number are in reversed order: E1, followed by zeros.
_POLYNOMIAL = 0xE1 << 120


def _table_of_multiples(hash_key: "bytes | bytearray") -> "list[int]":
    """Return the products of the hash key and all 16 polynomials of degree below 4. The index is the polynomial; the
    most significant bit of the index is x^0."""
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


def _table_of_reductions() -> "list[int]":
    """For each value of the four bits that a shift by x^4 drops, return the remainder modulo the field polynomial."""
    table = []
    for value in range(16):
        for _ in range(4):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


def ghash(hash_key: "bytes | bytearray", *pieces: "bytes | memoryview") -> bytearray:
    """Return the GHASH (16 bytes) of `pieces` under `hash_key` (16 bytes). Each piece is padded with zeros to whole
    blocks."""
    multiples, reductions = _table_of_multiples(hash_key), _table_of_reductions()
    state = 0
    for piece in pieces:
        for start in range(0, len(piece), 16):
            block = piece[start : start + 16]
            rest = state ^ int.from_bytes(block, "big") << 8 * (16 - len(block))
            state = 0
            for _ in range(32):
                state = state >> 4 ^ reductions[state & 15] ^ multiples[rest & 15]
                rest >>= 4
    return bytearray(state.to_bytes(16, "big"))


def mix(data: "memoryview | bytearray", stream: "bytes | bytearray", length: int) -> None:
    """XOR the first `length` bytes of `stream` into `data`, in place."""
    mixed = int.from_bytes(data[:length], "big") ^ int.from_bytes(stream[:length], "big")
    data[:length] = mixed.to_bytes(length, "big")


def pad(key: bytes, length: int, inner: bytearray, outer: bytearray) -> None:
    """Write the two padded keys of HMAC (RFC 2104) into `inner` and `outer`, which have 64 bytes. The key is the first
    `length` bytes of `key`, at most 64."""
    for block, byte in ((inner, 0x36), (outer, 0x5C)):
        block[:] = bytes([each ^ byte for each in key[:length]]) + bytes((byte,)) * (64 - length)
