"""The one interface to cryptography. Two modules implement this interface, function for function:

- `protocol.crypto_cpython`, over the `cryptography` package (edge agent, simulator, tools);
- `firmware.crypto`, our own, for MicroPython.

Both modules must give the same answers, and tests compare the answers. A public key is an uncompressed point: the byte
04, then X, then Y. A private key is a big-endian scalar of the curve's size. A signature is `r || s` (RFC 9053 section
2.1).
"""

from protocol.errors import VerificationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Crypto(Protocol):
        """The functions of every module that is passed as `crypto`."""

        def random(self, length: int) -> bytes:
            """Return `length` bytes from the system's cryptographic generator."""

        def digest(self, name: str, data: bytes) -> bytes:
            """Return the hash of `data`; `name` is "SHA-256", "SHA-384", "SHA-512" or "SM3"."""

        def hmac_sha256(self, key: bytes, data: bytes) -> bytes:
            """HMAC-SHA-256 (RFC 2104), 32 bytes."""

        def hkdf_extract(self, salt: bytes, secret: bytes) -> bytes:
            """Return the 32 bytes of HKDF-Extract with SHA-256 (RFC 5869 section 2.2)."""

        def hkdf_expand(self, pseudorandom_key: bytes, info: bytes, length: int) -> bytes:
            """Return `length` bytes of HKDF-Expand with SHA-256 (RFC 5869 section 2.3)."""

        def verify(
            self, curve: str, public: bytes, hash_name: str, message: bytes | tuple[bytes, ...], signature: bytes
        ) -> bool:
            """Is `signature` good for `message`? Verify an SM2 signature if `curve` is "SM2", else an ECDSA signature.

            `message` may be given in pieces, so that a long message need not be copied. The result is also False if the
            key is not a point on the curve. It is also False if only one of "SM2" and "SM3" is given."""

        def prepare(self, curve: str) -> None:
            """Prepare for verifications on `curve`. A lock calls this while no guest is waiting."""

        def sign(self, private: bytes, message: bytes) -> bytes:
            """Return an ES256 signature (ECDSA on P-256 with SHA-256)."""

        def generate(self, curve: str) -> tuple[bytes, bytes]:
            """Return a fresh key pair, (private, public)."""

        def public(self, curve: str, private: bytes) -> bytes:
            """Return the public key of `private`. Raises VerificationError `crypto.key` for a scalar out of range."""

        def ecdh(self, curve: str, private: bytes, public: bytes) -> bytes:
            """Return the x coordinate of the shared point. Raises VerificationError `crypto.key` for a point not on the
            curve."""

        def seal_gcm(self, key: bytes, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
            """Encrypt with AES-GCM (128- or 256-bit key, 12-byte nonce). Return the ciphertext, followed by its 16-byte
            tag."""

        def seal_gcm_in_place(self, key: bytes, nonce: bytes, room: memoryview, aad: bytes) -> None:
            """Encrypt the bytes of `room` in place, except the last 16 bytes. These become the tag."""

        def open_gcm(self, key: bytes, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
            """Plaintext of `sealed`. Raises VerificationError `crypto.tag` if `sealed` is not authentic."""

        def open_gcm_in_place(self, key: bytes, nonce: bytes, sealed: memoryview, aad: bytes) -> memoryview:
            """Decrypt `sealed` in place, and return a view of the plaintext.

            Raises VerificationError `crypto.tag` if `sealed` is not authentic. Then nothing was decrypted."""


COORDINATE_BYTES = {"P-256": 32, "P-384": 48, "P-521": 66, "SM2": 32}
"""Curves on which signatures can be verified. The number is the size in bytes of a coordinate, of a scalar, and of half
a signature."""

AGREEMENT_CURVES = ("P-256", "P-384")
"""Curves that `generate`, `public` and `ecdh` know: those of mdoc sessions and of our own keys."""

NIST = "nist"
SM = "sm"
SUITES = (NIST, SM)


def suite(algorithm: str) -> str:
    """Return the suite (NIST or SM) of the curve or hash with this name."""
    return SM if algorithm in ("SM2", "SM3") else NIST


def is_point(crypto: "Crypto", curve: str, public: bytes) -> bool:
    """Is `public` a point on `curve`? `curve` is one of AGREEMENT_CURVES. The test is a key agreement, which accepts
    only points."""
    try:
        crypto.ecdh(curve, (1).to_bytes(COORDINATE_BYTES[curve], "big"), public)
    except VerificationError:
        return False
    return True


def hkdf(crypto: "Crypto", secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """Return `length` bytes of HKDF-SHA-256 (RFC 5869): extract, then expand."""
    return crypto.hkdf_expand(crypto.hkdf_extract(salt, secret), info, length)
