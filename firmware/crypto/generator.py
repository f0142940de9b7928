"""The one place where random numbers are drawn: from the chip's generator and, always with it, a secret of this device.

The chip's generator is a true one only while its radio or another source of noise runs (ESP-IDF, Random Number
Generation), and says nothing when it is not. So nothing is used as it comes out of it, but as RFC 8937 (section 3) has
it: `G'(n) = Expand(Extract(secret, G(32)), tag2, n)`, with HKDF (RFC 5869), and a secret that is known to nobody where
that document takes the hash of a signature. `tag2` is the number of the draw, which no other has under the same secret.
Who foresees the generator and does not know the secret learns nothing of what is drawn, nor who knows the secret and
does not foresee the generator; and a generator that repeats repeats nothing.
"""

from os import urandom

from firmware.crypto.hkdf import hkdf_expand, hkdf_extract
from protocol import const

_DRAWN_BYTES = const(32)
"""At once: the output of one Extract, as that section asks."""

_key = b""
_count = 0


def begin(secret: bytes) -> None:
    """Draw under `secret` from now on: 32 bytes that were never given before (firmware/memory/identity.py).

    Before that only the chip's generator counts, which is enough for what has no key.
    """
    global _key, _count
    _key, _count = secret, 0


def random(length: int) -> bytes:
    """`length` bytes that nobody can guess."""
    global _count
    drawn = b""
    while len(drawn) < length:
        _count += 1
        key = hkdf_extract(_key, urandom(_DRAWN_BYTES))
        drawn += hkdf_expand(key, _count.to_bytes(8, "big"), _DRAWN_BYTES)
    return drawn[:length]
