"""SM2 signatures and SM3 for CPython. The library `cryptography` has SM3, but not SM2. A lock never loads this module.

This module was written from GB/T 32918, independently of the lock's `firmware.crypto.sm2`, so tests can compare the two
modules. It only verifies signatures. All inputs are public, so this module need not run in constant time.
"""

from typing import Final

from cryptography.hazmat.primitives import hashes

P: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
N: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
A: Final = P - 3
B: Final = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
Point = tuple[int, int]
G: Final[Point] = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
USER_ID: Final = b"1234567812345678"


def sm3(data: bytes) -> bytes:
    """SM3 of `data`, 32 bytes."""
    state = hashes.Hash(hashes.SM3())
    state.update(data)
    return state.finalize()


def add(one: Point | None, other: Point | None) -> Point | None:
    """Return the sum of two points; None is infinity."""
    if one is None or other is None:
        return one or other
    if one[0] == other[0]:
        if (one[1] + other[1]) % P == 0:
            return None
        slope = (3 * one[0] * one[0] + A) * pow(2 * one[1], -1, P) % P
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, P) % P
    x = (slope * slope - one[0] - other[0]) % P
    return x, (slope * (one[0] - x) - one[1]) % P


def multiply(scalar: int, point: Point) -> Point | None:
    """Return `scalar` * `point`; None is infinity."""
    total: Point | None = None
    step: Point | None = point
    while scalar:
        if scalar & 1:
            total = add(total, step)
        step = add(step, step)
        scalar >>= 1
    return total


def digest(public: bytes, message: bytes) -> int:
    """Return E = SM3(Z || message) (section 5.5)."""
    parameters = b"".join(number.to_bytes(32, "big") for number in (A, B, *G))
    z = sm3((8 * len(USER_ID)).to_bytes(2, "big") + USER_ID + parameters + public[1:])
    return int.from_bytes(sm3(z + message), "big")


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Is `signature` (`r || s`) good for `message` (section 7)? False for anything malformed."""
    if len(signature) != 64 or len(public) != 65 or public[0] != 4:
        return False
    point = int.from_bytes(public[1:33], "big"), int.from_bytes(public[33:], "big")
    x, y = point
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if x >= P or y >= P or (y * y - x**3 - A * x - B) % P or not 0 < r < N or not 0 < s < N or (r + s) % N == 0:
        return False
    end = add(multiply(s, G), multiply((r + s) % N, point))
    return end is not None and (digest(public, message) + end[0]) % N == r
