"""SM3 (GB/T 32905-2016), which MicroPython's `hashlib` lacks.

This module hashes only public data (certificates, signed documents), so the computing time may depend on the data.
Words have 32 bits. A word times `_TWICE` is the word written twice in a row. A rotation of the word is then one shift.
"""

from protocol import const

_MASK = const(0xFFFFFFFF)
_TWICE = 1 << 32 | 1

_INITIAL = (0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600, 0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E)


def sm3(data: bytes) -> bytes:
    """Return the SM3 of `data`, 32 bytes."""
    state: "tuple[int, ...]" = _INITIAL
    whole = len(data) & ~63
    for place in range(0, whole, 64):
        state = _absorb(state, data[place : place + 64])
    tail = data[whole:] + b"\x80"
    tail += bytes(-(len(tail) + 8) % 64) + (8 * len(data)).to_bytes(8, "big")
    for place in range(0, len(tail), 64):
        state = _absorb(state, tail[place : place + 64])
    return b"".join([word.to_bytes(4, "big") for word in state])


def _absorb(state: "tuple[int, ...]", block: bytes) -> "tuple[int, ...]":
    """Return the state after one block of 64 bytes (section 5.3)."""
    mask, twice = _MASK, _TWICE
    words = [int.from_bytes(block[place : place + 4], "big") for place in range(0, 64, 4)]
    for place in range(16, 68):
        word = words[place - 16] ^ words[place - 9] ^ words[place - 3] * twice >> 17 & mask
        doubled = word * twice
        word ^= (doubled >> 17 ^ doubled >> 9) & mask
        words.append(word ^ words[place - 13] * twice >> 25 & mask ^ words[place - 6])
    a, b, c, d, e, f, g, h = state
    constant = 0x79CC4519
    for place in range(64):
        if place == 16:
            constant = 0x9D8A7A87  # 0x7A879D8A, rotated by 16 here
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
    return tuple([one ^ other for one, other in zip(state, (a, b, c, d, e, f, g, h))])
