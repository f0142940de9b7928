"""The lock's own cryptography, in portable MicroPython. The package implements all functions of the interface
`protocol.crypto`.

Pass this package as `crypto`. The package contains curves and big numbers, ECDSA, SM2, ECDH, HMAC and HKDF, SHA-384,
SHA-512 and SM3, AES-GCM. The package must not contain byte formats of the protocol. The package's only state is the
secret of `generator`, the nonces that `ecdsa` made ahead, and values computed from public keys. If a module handles a
secret, its docstring says what the computing time reveals, and how the secret is blinded. AES comes from `cryptolib`
on MicroPython and from `cryptography` on CPython (`block`). CPython cannot run the modules in viper code and in
assembler, so it runs other modules in their place.
"""

import gc
from hashlib import sha256

from firmware.crypto import ecdsa, gcm, generator, keys, multiples
from firmware.crypto.curve import find_curve
from firmware.crypto.hkdf import hkdf_expand, hkdf_extract, hmac_sha256

__all__ = [
    "digest",
    "ecdh",
    "generate",
    "hkdf_expand",
    "hkdf_extract",
    "hmac_sha256",
    "open_gcm",
    "open_gcm_in_place",
    "prepare",
    "prepare_signature",
    "public",
    "random",
    "seal_gcm",
    "seal_gcm_in_place",
    "sign",
    "verify",
]

ecdh = keys.ecdh
generate = keys.generate
open_gcm = gcm.open_sealed
open_gcm_in_place = gcm.open_in_place
prepare_signature = ecdsa.prepare
public = keys.public
random = generator.random
seal_gcm = gcm.seal
seal_gcm_in_place = gcm.seal_in_place


def digest(name: str, *data: bytes) -> bytes:
    """Return the hash of `data`, which may be in several pieces. `name` is "SHA-256", "SHA-384", "SHA-512" or "SM3";
    any other name raises ValueError."""
    if name == "SHA-256":
        state = sha256()
        for piece in data:
            state.update(piece)
        return bytes(state.digest())
    # To save heap, load the other hashes only if an issuer uses them.
    if name == "SM3":
        from firmware.crypto.sm3 import sm3

        return sm3(*data)
    from firmware.crypto import sha512

    if name == "SHA-384":
        return sha512.sha384(*data)
    if name == "SHA-512":
        return sha512.sha512(*data)
    raise ValueError("no such hash: " + name)


def verify(curve: str, public: bytes, hash_name: str, message: "bytes | tuple[bytes, ...]", signature: bytes) -> bool:
    """Return whether `signature`, `r || s`, is valid for `message`, which may be in several pieces.

    On the curve SM2, the signature is an SM2 signature, and on other curves it is an ECDSA signature (FIPS 186-5,
    section 6.4.2). Return False for malformed input, for a key that is not on the curve, and for SM2 with a hash other
    than SM3.
    """
    pieces = message if isinstance(message, tuple) else (message,)
    if curve == "SM2" or hash_name == "SM3":
        from firmware.crypto import sm2

        return curve == "SM2" and hash_name == "SM3" and sm2.verify(public, pieces, signature)
    return ecdsa.verify(curve, public, digest(hash_name, *pieces), signature)


def prepare(curve: str) -> None:
    """Load the code and compute the tables for `curve` now. Otherwise the first verification would do this while a
    guest waits, and the long-lived tables would fragment the heap."""
    gc.collect()
    if curve == "SM2":
        from firmware.crypto import sm2  # noqa: F401  # only to load it
    multiples.prepare(find_curve(curve))
    gc.collect()


def sign(private: bytes, message: bytes) -> bytes:
    """Return the ES256 signature `r || s`. The nonce was made ahead (`prepare_signature`). If no such nonce is left, it
    is made from key, message and random bytes (see `ecdsa.sign`).

    Raises VerificationError `crypto.key` for a private key out of range.
    """
    return ecdsa.sign_with_ready(private, message) or ecdsa.sign(private, message, random(32))
