"""The lock's own cryptography: the interface of `protocol.crypto`, function for function, in portable MicroPython.

Pass this package as `crypto`. What lives here: curves and big numbers, ECDSA, SM2, ECDH, HMAC and HKDF, SHA-384,
SHA-512 and SM3, AES-GCM. What may not: any byte format of the protocol, and any state except what follows from public
keys and what `generator` draws under. Wherever a secret is involved, the module's docstring says what time tells and
what blinds it. Between MicroPython and CPython only the block cipher (`block`) and the compiled form of GHASH
(`ghash_viper`) differ.
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
    # The other hashes take heap only where an issuer uses them.
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
    """ECDSA (FIPS 186-5, section 6.4.2), or SM2 on that curve: is `signature`, `r || s`, good for `message`?

    False for anything malformed, a key that is no point of the curve included, and for SM2 with any hash but SM3.
    """
    if curve == "SM2" or hash_name == "SM3":
        from firmware.crypto import sm2

        return curve == "SM2" and hash_name == "SM3" and sm2.verify(public, message, signature)
    return ecdsa.verify(curve, public, digest(hash_name, message), signature)


def prepare(curve: str) -> None:
    """Load and compute what the first verification on `curve` would: better while nobody waits for it, and before the
    short-lived numbers of a tap lie between what stays."""
    gc.collect()
    if curve == "SM2":
        from firmware.crypto import sm2  # noqa: F401  # loading it is what is wanted
    multiples.prepare(CURVES[curve])
    gc.collect()


def sign(private: bytes, message: bytes) -> bytes:
    """ES256, `r || s`, with a nonce made from key, message and fresh random bytes (`ecdsa.sign` says why).

    Raises VerificationError `crypto.key` for a private key out of range.
    """
    return ecdsa.sign(private, message, random(32))
