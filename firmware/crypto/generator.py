"""The only place where random numbers are drawn. The numbers come from the chip's generator and a secret of this
device.

The chip's generator is truly random only while the radio or another source of noise runs (ESP-IDF, Random Number
Generation). The generator does not report when no such source runs. So the output G of the chip's generator is never
used directly. G is used as in RFC 8937, section 3: `G'(n) = Expand(Extract(secret, G(32)), tag2, n)`, with HKDF (RFC
5869). In RFC 8937, the secret is derived from a signature; here it is random bytes that nobody knows. `tag2` is the
number of the draw. No two draws with the same secret have the same number.

An attacker who can predict the generator, but does not know the secret, learns nothing about the numbers that are drawn
here. An attacker who knows the secret, but cannot predict the generator, learns nothing about these numbers either.
Even if the generator repeats its output, these numbers differ.
"""

from os import urandom

from firmware.crypto.hkdf import hkdf_expand, hkdf_extract
from protocol import const

_DRAWN_BYTES = const(32)
"""Number of bytes that are drawn from the chip for each random number. RFC 8937 requires as many bytes as Extract
returns."""

_key = b""
_count = 0


def begin(secret: bytes) -> None:
    """Use `secret` from now on. The secret must be 32 bytes that were never used before (firmware/memory/identity.py).

    Before this call, random numbers depend only on the chip's generator. Such numbers are good enough for values that
    are not keys.
    """
    global _key, _count
    _key, _count = secret, 0


def random(length: int) -> bytes:
    """Return `length` unpredictable bytes."""
    global _count
    drawn = b""
    while len(drawn) < length:
        _count += 1
        key = hkdf_extract(_key, urandom(_DRAWN_BYTES))
        drawn += hkdf_expand(key, _count.to_bytes(8, "big"), _DRAWN_BYTES)
    return drawn[:length]
