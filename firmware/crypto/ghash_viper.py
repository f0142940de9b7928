"""GHASH as in `ghash`, in viper code for MicroPython. The viper code is about sixteen times as fast and leaves no
garbage.

All words are unsigned and have 32 bits, so the code is correct on 32-bit and 64-bit machines. Only a MicroPython with a
native emitter can compile this module; otherwise `gcm` uses `ghash`. Numbers are stored with the least significant byte
first.
"""
# Viper's types (ptr8, uint, ...) are not Python names, so neither mypy nor ruff knows them.
# mypy: ignore-errors
# ruff: noqa: F821

import micropython

from firmware.crypto.ghash import table_of_multiples, table_of_reductions


@micropython.viper
def _absorb(state: ptr8, table: ptr32, reductions: ptr16, data: ptr8, length: int):
    # a, b, c, d are the words of the product so far, from the least significant word to the most significant.
    start = 0
    while start < length:
        for i in range(16):
            if start + i < length:
                state[15 - i] ^= data[start + i]
        a = uint(0)
        b = uint(0)
        c = uint(0)
        d = uint(0)
        for i in range(32):
            nibble = int(state[i >> 1])
            if i & 1:
                nibble >>= 4
            entry = (nibble & 15) << 2
            dropped = reductions[int(a) & 15]
            a = (a >> uint(4)) ^ ((b & uint(15)) << uint(28)) ^ uint(table[entry])
            b = (b >> uint(4)) ^ ((c & uint(15)) << uint(28)) ^ uint(table[entry + 1])
            c = (c >> uint(4)) ^ ((d & uint(15)) << uint(28)) ^ uint(table[entry + 2])
            d = (d >> uint(4)) ^ (uint(dropped) << uint(16)) ^ uint(table[entry + 3])
        words = ptr32(state)
        words[0] = int(a)
        words[1] = int(b)
        words[2] = int(c)
        words[3] = int(d)
        start += 16


def ghash(hash_key: bytes, *pieces: "bytes | memoryview") -> bytes:
    """Return the GHASH (16 bytes) of `pieces` under `hash_key` (16 bytes). Each piece is padded with zeros to whole
    blocks."""
    table = b"".join([value.to_bytes(16, "little") for value in table_of_multiples(hash_key)])
    # In a remainder, only the top 16 bits can be 1.
    reductions = b"".join([(value >> 112).to_bytes(2, "little") for value in table_of_reductions()])
    state = bytearray(16)
    for piece in pieces:
        _absorb(state, table, reductions, piece, len(piece))
    return bytes(reversed(state))
