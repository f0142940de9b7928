"""HMAC (RFC 2104, FIPS 198-1) and HKDF (RFC 5869), both with SHA-256.

The code does not branch on the data, so its time depends only on lengths.
"""

from hashlib import sha256

from firmware.crypto.gcm import pad
from protocol import const

_BLOCK = const(64)
_HASH = const(32)

_inner, _outer = bytearray(_BLOCK), bytearray(_BLOCK)
"""Memory for the padded key. A decision at the door computes more than a hundred HMACs, so each must leave little
garbage. Each call wipes this memory."""


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """Return the HMAC-SHA-256 of `data`. The result has 32 bytes."""
    if len(key) > _BLOCK:
        key = sha256(key).digest()
    pad(key, len(key), _inner, _outer)
    inner = sha256(_inner)
    outer = sha256(_outer)
    pad(b"", 0, _inner, _outer)
    inner.update(data)
    outer.update(inner.digest())
    tag: bytes = outer.digest()
    return tag


def hkdf_extract(salt: bytes, secret: bytes) -> bytes:
    """Return the 32 bytes of HKDF-Extract (RFC 5869, section 2.2). Because HMAC pads its key, an empty salt acts like a
    salt of 32 zero bytes."""
    return hmac_sha256(salt, secret)


def hkdf_expand(pseudorandom_key: bytes, info: bytes, length: int) -> bytes:
    """Return `length` bytes of HKDF-Expand (RFC 5869, section 2.3). Raises ValueError for more than 255 * 32 bytes."""
    if length > 255 * _HASH:
        raise ValueError("HKDF gives at most 8160 bytes")
    output = block = b""
    counter = 0
    while len(output) < length:
        counter += 1
        block = hmac_sha256(pseudorandom_key, block + info + bytes([counter]))
        output += block
    return output[:length]
