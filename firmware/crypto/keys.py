"""Key pairs, and key agreement by ECDH (SEC 1, section 3.3.1; SP 800-56A revision 3, section 5.7.1.2).

All multiplications by a private key use `secret_multiples`. The docstring of `secret_multiples` says what the computing
time reveals, and how the key is blinded.
"""

from firmware.crypto.curve import decode_point, encode_point, find_curve
from firmware.crypto.modular import random_below
from firmware.crypto.secret_multiples import multiply, multiply_base
from protocol.errors import VerificationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.crypto.curve import Curve


def decode_scalar(curve: "Curve", private: bytes) -> int:
    """Decode `private`, a big-endian scalar in [1, n - 1], which must have exactly as many bytes as a coordinate.

    Raises VerificationError `crypto.key` for a scalar out of range or a wrong length.
    """
    scalar = int.from_bytes(private, "big")
    if len(private) != curve.size or not 0 < scalar < curve.n:
        raise VerificationError("crypto.key", "the scalar is out of range")
    return scalar


def generate(curve_name: str) -> "tuple[bytes, bytes]":
    """Generate a new key pair, (private, public)."""
    curve = find_curve(curve_name)
    scalar = random_below(curve.n, curve.size)
    return scalar.to_bytes(curve.size, "big"), encode_point(curve, multiply_base(curve, scalar))


def public(curve_name: str, private: bytes) -> bytes:
    """Return the public key of `private`. Raises VerificationError `crypto.key` for a scalar out of range."""
    curve = find_curve(curve_name)
    return encode_point(curve, multiply_base(curve, decode_scalar(curve, private)))


def ecdh(curve_name: str, private: bytes, public: bytes) -> bytes:
    """Return the x coordinate of the shared point. Raises VerificationError `crypto.key` for a bad scalar or bad point.

    A validated point has prime order n, so the shared point is never infinity.
    """
    curve = find_curve(curve_name)
    point = decode_point(curve, public)
    return multiply(curve, decode_scalar(curve, private), point)[0].to_bytes(curve.size, "big")
