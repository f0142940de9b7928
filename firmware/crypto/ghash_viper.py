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

from protocol import const

_REDUCTIONS = const(
    b"\x00\x00\x20\x1c\x40\x38\x60\x24\x80\x70\xa0\x6c\xc0\x48\xe0\x54"
    b"\x00\xe1\x20\xfd\x40\xd9\x60\xc5\x80\x91\xa0\x8d\xc0\xa9\xe0\xb5"
)
"""The top 16 bits of each remainder in `ghash._table_of_reductions`. The other bits are 0."""


@micropython.viper
def _tabulate(key: ptr8, table: ptr32):
    # Fill `table` with the products of `key` and all 16 polynomials of degree below 4 (`ghash._table_of_multiples`).
    for word in range(4):
        at = 12 - (word << 2)
        table[32 + word] = int(key[at]) << 24 | int(key[at + 1]) << 16 | int(key[at + 2]) << 8 | int(key[at + 3])
    place = 8
    while place > 1:
        a = uint(table[place << 2])
        b = uint(table[(place << 2) + 1])
        c = uint(table[(place << 2) + 2])
        d = uint(table[(place << 2) + 3])
        place >>= 1
        table[place << 2] = int((a >> uint(1)) | ((b & uint(1)) << uint(31)))
        table[(place << 2) + 1] = int((b >> uint(1)) | ((c & uint(1)) << uint(31)))
        table[(place << 2) + 2] = int((c >> uint(1)) | ((d & uint(1)) << uint(31)))
        table[(place << 2) + 3] = int((d >> uint(1)) ^ ((a & uint(1)) * (uint(0xE1) << uint(24))))
    place = 2
    while place < 16:
        for low in range(4, place << 2):
            table[(place << 2) + low] = table[(place << 2) + (low & 3)] ^ table[low]
        place <<= 1


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


@micropython.viper
def _mix(data: ptr8, stream: ptr8, length: int):
    for at in range(length):
        data[at] ^= stream[at]


def mix(data: "memoryview | bytearray", stream: "bytes | bytearray", length: int) -> None:
    """XOR the first `length` bytes of `stream` into `data`, in place."""
    _mix(data, stream, length)


@micropython.viper
def pad(key: object, length: int, inner: object, outer: object):
    """See `firmware.crypto.ghash.pad`."""
    source = ptr8(key)
    one = ptr8(inner)
    other = ptr8(outer)
    for at in range(64):
        byte = 0
        if at < length:
            byte = int(source[at])
        one[at] = byte ^ 0x36
        other[at] = byte ^ 0x5C


def ghash(hash_key: "bytes | bytearray", *pieces: "bytes | memoryview") -> bytearray:
    """Return the GHASH (16 bytes) of `pieces` under `hash_key` (16 bytes). Each piece is padded with zeros to whole
    blocks."""
    table = bytearray(256)
    _tabulate(hash_key, table)
    state = bytearray(16)
    for piece in pieces:
        _absorb(state, table, _REDUCTIONS, piece, len(piece))
    return bytearray(reversed(state))
