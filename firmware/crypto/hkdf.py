"""HMAC (RFC 2104, FIPS 198-1) and HKDF (RFC 5869), both with SHA-256.

The code does not branch on the data, so its time depends only on lengths.
"""

from hashlib import sha256

from protocol import const

_BLOCK = const(64)
_HASH = const(32)


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """Return the HMAC-SHA-256 of `data`. The result has 32 bytes."""
    if len(key) > _BLOCK:
        key = sha256(key).digest()
    # One XOR of two long integers is ten times as fast as a loop over bytes.
    padded = int.from_bytes(key + bytes(_BLOCK - len(key)), "big")
    inner = sha256((padded ^ int.from_bytes(b"\x36" * _BLOCK, "big")).to_bytes(_BLOCK, "big"))
    inner.update(data)
    outer = sha256((padded ^ int.from_bytes(b"\x5c" * _BLOCK, "big")).to_bytes(_BLOCK, "big"))
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
