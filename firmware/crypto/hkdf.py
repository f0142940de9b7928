"""HMAC (RFC 2104, FIPS 198-1) and HKDF (RFC 5869), both with SHA-256.

The code does not branch on the data, so its time depends only on lengths.
"""

from hashlib import sha256

from firmware.crypto.gcm import mix
from protocol import const

_BLOCK = const(64)
_HASH = const(32)
_INNER = b"\x36" * 64
_TO_OUTER = b"\x6a" * 64
"""The XOR of the two pads (0x36 and 0x5C)."""

_block = bytearray(_BLOCK)
"""Memory for the padded key. A decision at the door computes more than a hundred HMACs, so each must leave little
garbage. Each call wipes this memory at its end."""


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """Return the HMAC-SHA-256 of `data`. The result has 32 bytes."""
    if len(key) > _BLOCK:
        key = sha256(key).digest()
    mix(_block, _block, _BLOCK)  # zeros, also after a call that ended with MemoryError
    _block[: len(key)] = key
    mix(_block, _INNER, _BLOCK)
    inner = sha256(_block)
    mix(_block, _TO_OUTER, _BLOCK)
    outer = sha256(_block)
    mix(_block, _block, _BLOCK)
    inner.update(data)
    outer.update(inner.digest())
    return bytes(outer.digest())


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
