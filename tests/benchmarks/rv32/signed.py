"""Signatures for the measurements, made by the libraries of the host."""

from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sim import sm2

MESSAGE = bytes(range(256)) * 2


@cache
def signed(name: str) -> tuple[bytes, bytes, bytes]:
    """Return a public key, a message and a signature. `name` is "p256", "p384", "p521" or "sm2"."""
    if name == "sm2":
        national = sm2.PrivateKey.generate()
        return national.public, MESSAGE, national.sign(MESSAGE)
    curve, algorithm = {
        "p256": (ec.SECP256R1(), hashes.SHA256()),
        "p384": (ec.SECP384R1(), hashes.SHA384()),
        "p521": (ec.SECP521R1(), hashes.SHA512()),
    }[name]
    key = ec.generate_private_key(curve)
    size = (curve.key_size + 7) // 8
    r, s = decode_dss_signature(key.sign(MESSAGE, ec.ECDSA(algorithm)))
    public = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return public, MESSAGE, r.to_bytes(size, "big") + s.to_bytes(size, "big")
