"""The lock's own cryptography: the interface of `protocol.crypto`, function for function, in portable MicroPython.

Pass this package as `crypto`. What lives here: curves and big numbers, ECDSA, SM2, ECDH, HMAC and HKDF, SHA-384,
SHA-512 and SM3, AES-GCM. What may not live here: byte formats of the protocol, and any state except the secret of
`generator` and what is computed from public keys. Where a secret is involved, the module's docstring says what the time
reveals and what blinds it. MicroPython and CPython differ only in the block cipher (`block`) and in the compiled form
of GHASH (`ghash_viper`).
"""

import gc
from hashlib import sha256

from firmware.crypto import ecdsa, gcm, generator, keys, multiples
from firmware.crypto.curve import CURVES
from firmware.crypto.hkdf import hkdf_expand, hkdf_extract, hmac_sha256

__all__ = [
    "digest",
    "ecdh",
    "generate",
    "hkdf_expand",
    "hkdf_extract",
    "hmac_sha256",
    "open_gcm",
    "prepare",
    "public",
    "random",
    "seal_gcm",
    "sign",
    "verify",
]

ecdh = keys.ecdh
generate = keys.generate
open_gcm = gcm.open_sealed
public = keys.public
random = generator.random
seal_gcm = gcm.seal


def digest(name: str, data: bytes) -> bytes:
    """Hash of `data`; `name` is "SHA-256", "SHA-384", "SHA-512" or "SM3". Raises ValueError for any other."""
    if name == "SHA-256":
        return bytes(sha256(data).digest())
    # Load the other hashes only if an issuer uses them, to save heap.
    if name == "SM3":
        from firmware.crypto.sm3 import sm3

        return sm3(data)
    from firmware.crypto import sha512

    if name == "SHA-384":
        return sha512.sha384(data)
    if name == "SHA-512":
        return sha512.sha512(data)
    raise ValueError("no such hash: " + name)


def verify(curve: str, public: bytes, hash_name: str, message: bytes, signature: bytes) -> bool:
    """Is `signature`, `r || s`, valid for `message`? SM2 on that curve, otherwise ECDSA (FIPS 186-5, section 6.4.2).

    False for malformed input, also for a key that is not on the curve, and for SM2 with any hash but SM3.
    """
    if curve == "SM2" or hash_name == "SM3":
        from firmware.crypto import sm2

        return curve == "SM2" and hash_name == "SM3" and sm2.verify(public, message, signature)
    return ecdsa.verify(curve, public, digest(hash_name, message), signature)


def prepare(curve: str) -> None:
    """Load the code and compute the tables for `curve` now. The first verification would do so otherwise, while a guest
    waits, and the long-lived tables would fragment the heap."""
    gc.collect()
    if curve == "SM2":
        from firmware.crypto import sm2  # noqa: F401  # only to load it
    multiples.prepare(CURVES[curve])
    gc.collect()


def sign(private: bytes, message: bytes) -> bytes:
    """ES256, `r || s`, with a nonce made from key, message and fresh random bytes (`ecdsa.sign` says why).

    Raises VerificationError `crypto.key` for a private key out of range.
    """
    return ecdsa.sign(private, message, random(32))
