"""The `protocol.crypto` interface over the `cryptography` package (CPython only)."""

import functools
import hashlib
import hmac
import os
from typing import Final

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol import sm2_cpython
from protocol.crypto import COORDINATE_BYTES
from protocol.errors import VerificationError

_CURVES: Final[dict[str, ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}
_DIGESTS: Final = {"SHA-256": hashlib.sha256, "SHA-384": hashlib.sha384, "SHA-512": hashlib.sha512}
_ECDSA: Final[dict[str, ec.ECDSA]] = {
    "SHA-256": ec.ECDSA(hashes.SHA256()),
    "SHA-384": ec.ECDSA(hashes.SHA384()),
    "SHA-512": ec.ECDSA(hashes.SHA512()),
}


def random(length: int) -> bytes:
    """Return `length` bytes from the operating system."""
    return os.urandom(length)


def digest(name: str, data: bytes) -> bytes:
    """Return the hash of `data`; `name` is "SHA-256", "SHA-384", "SHA-512" or "SM3"."""
    if name == "SM3":
        return sm2_cpython.sm3(data)
    return _DIGESTS[name](data).digest()


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA-256 (RFC 2104)."""
    return hmac.digest(key, data, "sha256")


def hkdf_extract(salt: bytes, secret: bytes) -> bytes:
    """Return the 32 bytes of HKDF-Extract with SHA-256 (RFC 5869 section 2.2). An empty salt means 32 zero bytes."""
    return hmac.digest(salt or bytes(32), secret, "sha256")


def hkdf_expand(pseudorandom_key: bytes, info: bytes, length: int) -> bytes:
    """Return `length` bytes of HKDF-Expand with SHA-256 (RFC 5869 section 2.3)."""
    return HKDFExpand(algorithm=hashes.SHA256(), length=length, info=info).derive(pseudorandom_key)


# Most signatures are by keys that have signed before: of issuers, of locks, of the province.
@functools.lru_cache(maxsize=256)
def load_public(curve: str, public_key: bytes) -> ec.EllipticCurvePublicKey:
    """Return a public key as the package takes it. Raises VerificationError `crypto.key`."""
    if len(public_key) != 1 + 2 * COORDINATE_BYTES[curve] or public_key[0] != 4:
        raise VerificationError("crypto.key", "not an uncompressed point")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[curve], public_key)
    except ValueError:
        raise VerificationError("crypto.key", "the point is not on the curve") from None


class LoadedKey(bytes):
    """A private key for the functions here, which is loaded only once. The key stays in memory as long as this object,
    so it is meant for keys that serve for years, and not for those of a session.

    `curve` is the key's curve, and `public` its public key.
    """

    curve: str
    public: bytes
    loaded: ec.EllipticCurvePrivateKey

    def __new__(cls, curve: str, private: bytes) -> "LoadedKey":
        """Raises VerificationError `crypto.key` for a scalar out of range."""
        key = super().__new__(cls, private)
        key.curve, key.loaded = curve, _private(curve, private)
        key.public = _encoded(key.loaded)
        return key


def _private(curve: str, private: bytes) -> ec.EllipticCurvePrivateKey:
    if isinstance(private, LoadedKey) and private.curve == curve:
        return private.loaded
    try:
        return ec.derive_private_key(int.from_bytes(private, "big"), _CURVES[curve])
    except ValueError:
        raise VerificationError("crypto.key", "the scalar is out of range") from None


def verify(curve: str, public: bytes, hash_name: str, message: bytes | tuple[bytes, ...], signature: bytes) -> bool:
    """Verify an ECDSA or SM2 signature. Return False also for anything malformed."""
    if isinstance(message, tuple):
        message = b"".join(message)
    if curve == "SM2" or hash_name == "SM3":
        return curve == "SM2" and hash_name == "SM3" and sm2_cpython.verify(public, message, signature)
    size = COORDINATE_BYTES[curve]
    if len(signature) != 2 * size:
        return False
    encoded = encode_dss_signature(int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big"))
    try:
        load_public(curve, public).verify(encoded, message, _ECDSA[hash_name])
    except (InvalidSignature, VerificationError):
        return False
    return True


def prepare(curve: str) -> None:
    """Do nothing, because this module has nothing to prepare."""
    del curve


def sign(private: bytes, message: bytes) -> bytes:
    """ES256."""
    r, s = decode_dss_signature(_private("P-256", private).sign(message, _ECDSA["SHA-256"]))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _encoded(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def generate(curve: str) -> tuple[bytes, bytes]:
    """Return a fresh key pair, (private, public)."""
    key = ec.generate_private_key(_CURVES[curve])
    return key.private_numbers().private_value.to_bytes(COORDINATE_BYTES[curve], "big"), _encoded(key)


def public(curve: str, private: bytes) -> bytes:
    """Return the public key of `private`."""
    if isinstance(private, LoadedKey) and private.curve == curve:
        return private.public
    return _encoded(_private(curve, private))


def ecdh(curve: str, private: bytes, public: bytes) -> bytes:
    """Return the x coordinate of the shared point."""
    return _private(curve, private).exchange(ec.ECDH(), load_public(curve, public))


def seal_gcm(key: bytes, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """Encrypt with AES-GCM. Return the ciphertext, followed by the 16-byte tag."""
    return AESGCM(key).encrypt(nonce, plaintext, aad)


def seal_gcm_in_place(key: bytes, nonce: bytes, room: memoryview, aad: bytes) -> None:
    """Encrypt the bytes of `room` in place, except the last 16 bytes. These become the tag."""
    room[:] = seal_gcm(key, nonce, bytes(room[:-16]), aad)


def open_gcm(key: bytes, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
    """Plaintext of `sealed`. Raises VerificationError `crypto.tag` if `sealed` is not authentic."""
    try:
        return AESGCM(key).decrypt(nonce, sealed, aad)
    except (InvalidTag, ValueError):
        raise VerificationError("crypto.tag", "the sealed bytes are not authentic") from None


def open_gcm_in_place(key: bytes, nonce: bytes, sealed: memoryview, aad: bytes) -> memoryview:
    """Decrypt `sealed` in place. Raises VerificationError `crypto.tag` if `sealed` is not authentic."""
    plaintext = open_gcm(key, nonce, bytes(sealed), aad)
    sealed[: len(plaintext)] = plaintext
    return sealed[: len(plaintext)]
