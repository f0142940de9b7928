"""The one place where random numbers are drawn, from the chip's generator together with a secret of this device.

The chip's generator is a true one only while its radio or another source of noise runs (ESP-IDF, Random Number
Generation), and it does not report when it is not. So its output G is never used directly, but as in RFC 8937, section
3: `G'(n) = Expand(Extract(secret, G(32)), tag2, n)`, with HKDF (RFC 5869). RFC 8937 derives its secret from a
signature; here it is a secret that nobody knows. `tag2` is the number of the draw, which is never used twice under one
secret.

An attacker who can predict the generator but does not know the secret learns nothing about the numbers drawn. The same
holds for one who knows the secret but cannot predict the generator. If the generator repeats its output, the numbers
drawn still differ.
"""

from os import urandom

from firmware.crypto.hkdf import hkdf_expand, hkdf_extract
from protocol import const

_DRAWN_BYTES = const(32)
"""Bytes drawn from the chip for each number: the length of one Extract's output, as RFC 8937 requires."""

_key = b""
_count = 0


def begin(secret: bytes) -> None:
    """Draw under `secret` from now on: 32 bytes that were never used before (firmware/memory/identity.py).

    Before this call only the chip's generator counts. That suffices for values that are not keys.
    """
    global _key, _count
    _key, _count = secret, 0


def random(length: int) -> bytes:
    """`length` unpredictable bytes."""
    global _count
    drawn = b""
    while len(drawn) < length:
        _count += 1
        key = hkdf_extract(_key, urandom(_DRAWN_BYTES))
        drawn += hkdf_expand(key, _count.to_bytes(8, "big"), _DRAWN_BYTES)
    return drawn[:length]
