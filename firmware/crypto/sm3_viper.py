"""Computes the blocks of SM3 in viper code for MicroPython. Unlike the Python code in `sm3`, it leaves no garbage.

`mask` is 2^32 - 1. On 64-bit machines, the mask cuts sums and shifts to 32 bits, so the code is correct on these
machines too. Only a MicroPython with a native emitter can compile this module.
"""
# Viper's types (ptr8, uint, ...) are not Python names, so neither mypy nor ruff knows them.
# mypy: ignore-errors
# ruff: noqa: F821

import micropython


@micropython.viper
def absorb(state: ptr32, words: ptr32, constants: ptr32, data: ptr8, blocks: int, mask: uint):
    """See `sm3.absorb`."""
    start = 0
    while blocks:
        for i in range(16):
            at = start + (i << 2)
            words[i] = int(data[at]) << 24 | int(data[at + 1]) << 16 | int(data[at + 2]) << 8 | int(data[at + 3])
        for i in range(16, 68):
            x = uint(words[i - 3])
            x = (uint(words[i - 16]) ^ uint(words[i - 9]) ^ (x << uint(15) | x >> uint(17))) & mask
            x = x ^ (x << uint(15) | x >> uint(17)) ^ (x << uint(23) | x >> uint(9))
            y = uint(words[i - 13])
            words[i] = int((x ^ (y << uint(7) | y >> uint(25)) ^ uint(words[i - 6])) & mask)
        a = uint(state[0])
        b = uint(state[1])
        c = uint(state[2])
        d = uint(state[3])
        e = uint(state[4])
        f = uint(state[5])
        g = uint(state[6])
        h = uint(state[7])
        constant = uint(constants[0])
        for i in range(64):
            if i == 16:
                constant = uint(constants[1])
            turned = (a << uint(12) | a >> uint(20)) & mask
            first = (turned + e + constant) & mask
            first = (first << uint(7) | first >> uint(25)) & mask
            if i < 16:
                left = a ^ b ^ c
                right = e ^ f ^ g
            else:
                left = (a & b) | (c & (a | b))
                right = g ^ (e & (f ^ g))
            x = uint(words[i])
            left = (left + d + (first ^ turned) + (x ^ uint(words[i + 4]))) & mask
            right = (right + h + first + x) & mask
            d = c
            c = (b << uint(9) | b >> uint(23)) & mask
            b = a
            a = left
            h = g
            g = (f << uint(19) | f >> uint(13)) & mask
            f = e
            e = (right ^ (right << uint(9) | right >> uint(23)) ^ (right << uint(17) | right >> uint(15))) & mask
            constant = (constant << uint(1) | constant >> uint(31)) & mask
        state[0] = int(uint(state[0]) ^ a)
        state[1] = int(uint(state[1]) ^ b)
        state[2] = int(uint(state[2]) ^ c)
        state[3] = int(uint(state[3]) ^ d)
        state[4] = int(uint(state[4]) ^ e)
        state[5] = int(uint(state[5]) ^ f)
        state[6] = int(uint(state[6]) ^ g)
        state[7] = int(uint(state[7]) ^ h)
        start += 64
        blocks -= 1
