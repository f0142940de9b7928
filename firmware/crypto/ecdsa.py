"""ECDSA (FIPS 186-5, section 6), with signatures `r || s` (RFC 9053, section 2.1)."""

from hashlib import sha256

from firmware.crypto.curve import P256, decode_point, find_curve
from firmware.crypto.hkdf import hmac_sha256
from firmware.crypto.keys import decode_scalar
from firmware.crypto.modular import random_below
from firmware.crypto.multiples import combine, inverse
from firmware.crypto.secret_multiples import multiply_base
from protocol.errors import VerificationError


def verify(curve_name: str, public: bytes, digest: bytes, signature: bytes) -> bool:
    """Return whether `signature` is valid for the message with this `digest` (FIPS 186-5, section 6.4.2).

    Return False for malformed input. All values here are public, so the computing time may depend on them. The point's
    x is X / Z^2. To avoid an inversion, r * Z^2 is compared with X.
    """
    curve = find_curve(curve_name)
    size, p, n = curve.size, curve.p, curve.n
    if len(signature) != 2 * size:
        return False
    r = int.from_bytes(signature[:size], "big")
    s = int.from_bytes(signature[size:], "big")
    if not (0 < r < n and 0 < s < n):
        return False
    try:
        point = decode_point(curve, public)
    except VerificationError:
        return False
    w = inverse(s, n)
    x, _, z = combine(curve, int.from_bytes(digest[:size], "big") * w % n, r * w % n, point)
    if not z:
        return False
    square = z * z % p
    # r is x modulo n, so x may also be r + n if r + n is below p.
    return r * square % p == x or (r + n < p and (r + n) * square % p == x)


def sign(private: bytes, message: bytes, extra: bytes) -> bytes:
    """Return the ES256 signature (P-256 with SHA-256) of `message`. Raises VerificationError `crypto.key` for a private
    key out of range.

    The nonce is derived from key and message (RFC 6979), so a weak generator cannot reveal the key. `extra` is fresh
    random bytes, which are mixed in as in section 3.6 of RFC 6979. These bytes make the nonce of each call different.
    Without these bytes, an attacker who causes a fault in one of two equal calls could learn the key. With an empty
    `extra`, the signature is deterministic.

    The computing time reveals nothing about the key. The multiplication of the point is blinded (`secret_multiples`).
    The time of the other arithmetic, above all of the inversion, depends on its operands. Therefore key and nonce are
    first multiplied by a random number.
    """
    curve = P256
    n = curve.n
    secret = decode_scalar(curve, private)
    e = int.from_bytes(sha256(message).digest(), "big")
    nonces = _Nonces(private + (e % n).to_bytes(32, "big") + extra)
    while True:
        k = nonces.next()
        if not 0 < k < n:
            continue
        r = multiply_base(curve, k)[0] % n
        blind = random_below(n, curve.size)
        s = (blind * secret % n * r + blind * e) % n * inverse(blind * k, n) % n
        if r and s:
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")


class _Nonces:
    """Implements HMAC_DRBG with SHA-256. In RFC 6979, section 3.2, this generator makes nonces for P-256. Each output
    has 32 bytes."""

    def __init__(self, seed: bytes) -> None:
        self._key = bytes(32)
        self._value = b"\x01" * 32
        for separator in (b"\x00", b"\x01"):
            self._update(separator + seed)

    def _update(self, data: bytes) -> None:
        self._key = hmac_sha256(self._key, self._value + data)
        self._value = hmac_sha256(self._key, self._value)

    def next(self) -> int:
        """Return the next candidate for the nonce k, in [0, 2^256 - 1]."""
        self._value = hmac_sha256(self._key, self._value)
        candidate = int.from_bytes(self._value, "big")
        self._update(b"\x00")
        return candidate
