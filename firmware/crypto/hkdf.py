"""HMAC (RFC 2104, FIPS 198-1) and HKDF (RFC 5869), both with SHA-256.

Neither branches on what it hashes; only lengths show in the time they take.
"""

from hashlib import sha256

from protocol import const

_BLOCK = const(64)
_HASH = const(32)


def _padded(key: bytes, pad: int) -> bytes:
    return bytes([byte ^ pad for byte in key])


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA-256 of `data`, 32 bytes."""
    if len(key) > _BLOCK:
        key = sha256(key).digest()
    key = key + bytes(_BLOCK - len(key))
    inner = sha256(_padded(key, 0x36))
    inner.update(data)
    outer = sha256(_padded(key, 0x5C))
    outer.update(inner.digest())
    return bytes(outer.digest())


def hkdf_extract(salt: bytes, secret: bytes) -> bytes:
    """HKDF-Extract (RFC 5869, section 2.2), 32 bytes; HMAC's padding makes an empty salt 32 zero bytes."""
    return hmac_sha256(salt, secret)


def hkdf_expand(pseudorandom_key: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand (RFC 5869, section 2.3): `length` bytes. Raises ValueError above 255 * 32 of them."""
    if length > 255 * _HASH:
        raise ValueError("HKDF gives at most 8160 bytes")
    output = block = b""
    counter = 0
    while len(output) < length:
        counter += 1
        block = hmac_sha256(pseudorandom_key, block + info + bytes([counter]))
        output += block
    return output[:length]
