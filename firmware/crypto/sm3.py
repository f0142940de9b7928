"""SM3 (GB/T 32905-2016), which MicroPython's `hashlib` lacks.

This module hashes only public data (certificates, signed documents), so the computing time may depend on the data.
Words have 32 bits. State and constants are buffers of words. Each word begins with its least significant byte.
"""

import sys
from struct import pack, pack_into, unpack_from

from firmware.crypto.padding import absorb_padded
from protocol import const

_MICROPYTHON = sys.implementation.name == "micropython"

_MASK = const(0xFFFFFFFF)
_TWICE = 1 << 32 | 1
"""A word times this number is the word written twice in a row. A rotation of the word is then one shift."""
_BLOCK = const(64)
_SCHEDULE = const(272)  # 68 words

_INITIAL = pack("<8I", 0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600, 0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E)
_CONSTANTS = pack("<2I", 0x79CC4519, 0x9D8A7A87)
"""The first constant is for rounds 0 to 15, and the second for all later rounds. The second constant is 0x7A879D8A, but
here it is already rotated by 16."""


def sm3(*data: bytes) -> bytes:
    """Return the SM3 of `data`, which may be in several pieces. The hash has 32 bytes."""
    state, schedule = bytearray(_INITIAL), bytearray(_SCHEDULE)

    def take(piece: "bytearray | memoryview", blocks: int) -> None:
        absorb(state, schedule, _CONSTANTS, piece, blocks, _MASK)

    absorb_padded(take, data, _BLOCK, 8)
    return pack(">8I", *unpack_from("<8I", state))


def absorb_portably(
    state: bytearray,
    _schedule: bytearray,
    constants: bytes,
    data: "bytearray | memoryview",
    blocks: int,
    _mask: int,
) -> None:
    """Update `state` with the first `blocks` blocks of `data` (section 5.3). Only the viper code needs `_schedule`,
    which has room for 68 words, and `_mask`, which is 2^32 - 1."""
    for at in range(0, blocks * _BLOCK, _BLOCK):
        _absorb(state, constants, list(unpack_from(">16I", data, at)))


def _absorb(state: bytearray, constants: bytes, words: "list[int]") -> None:
    mask, twice = _MASK, _TWICE
    for place in range(16, 68):
        word = words[place - 16] ^ words[place - 9] ^ words[place - 3] * twice >> 17 & mask
        doubled = word * twice
        word ^= (doubled >> 17 ^ doubled >> 9) & mask
        words.append(word ^ words[place - 13] * twice >> 25 & mask ^ words[place - 6])
    before = unpack_from("<8I", state)
    a, b, c, d, e, f, g, h = before
    constant, later = unpack_from("<2I", constants)
    for place in range(64):
        if place == 16:
            constant = later
        turned = a * twice >> 20 & mask
        first = (turned + e + constant & mask) * twice >> 25 & mask
        if place < 16:
            left, right = a ^ b ^ c, e ^ f ^ g
        else:
            left, right = a & b | c & (a | b), g ^ e & (f ^ g)
        word = words[place]
        left = left + d + (first ^ turned) + (word ^ words[place + 4]) & mask
        right = right + h + first + word & mask
        d, c, b, a = c, b * twice >> 23 & mask, a, left
        doubled = right * twice
        h, g, f, e = g, f * twice >> 13 & mask, e, right ^ (doubled >> 23 ^ doubled >> 15) & mask
        constant = constant * twice >> 31 & mask
    pack_into("<8I", state, 0, *[one ^ other for one, other in zip(before, (a, b, c, d, e, f, g, h))])


absorb = absorb_portably
if _MICROPYTHON:
    try:
        from firmware.crypto.sm3_viper import absorb  # type: ignore[assignment]  # viper has its own types
    except SyntaxError:  # this MicroPython cannot compile native code for its chip
        pass
