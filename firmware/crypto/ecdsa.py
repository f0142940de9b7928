"""ECDSA (FIPS 186-5, section 6), with signatures `r || s` (RFC 9053, section 2.1).

A signature needs a nonce k, the point k * G and an inverse. They do not depend on the message, so the lock computes
them while the door is idle (`prepare`). Each ready nonce is in one slot of `_ready`:

    state    event                                        next state
    empty    `prepare`                                    full
    full     `sign_with_ready` takes it                   empty, and wiped before the signature is computed
    any      the power is cut: the slots are only in RAM  empty
"""

from hashlib import sha256

from firmware.crypto.curve import P256, decode_point, find_curve
from firmware.crypto.hkdf import hmac_sha256
from firmware.crypto.keys import decode_scalar
from firmware.crypto.modular import random_below
from firmware.crypto.multiples import combine, inverse
from firmware.crypto.secret_multiples import multiply_base
from protocol import const
from protocol.errors import VerificationError

READY = const(2)
"""Number of nonces that can be ready. A check-in takes two: for the request and for the record."""
_NUMBER = const(32)
_SLOT = const(96)

_ready = bytearray(READY * _SLOT)
"""Each slot has the three numbers of `_multiple`."""
_count = 0
"""Number of full slots. They are the first slots."""


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
    secret, e = _operands(private, message)
    nonces = _Nonces(private + (e % P256.n).to_bytes(32, "big") + extra)
    while True:
        k = nonces.next()
        if 0 < k < P256.n:
            signature = _sign(secret, e, *_multiple(k))
            if signature is not None:
                return signature


def prepare() -> bool:
    """Make a nonce ahead, unless READY nonces are ready. Return whether one was made.

    The nonce comes from `generator`, and not from key and message. The generator mixes in a secret of this device, and
    each boot has another secret. So nobody can predict the nonce and no nonce comes twice, even if the chip's
    generator is weak.
    """
    global _count
    if _count == READY:
        return False
    at = _SLOT * _count
    for number in _multiple(random_below(P256.n, P256.size)):
        _ready[at : at + _NUMBER] = number.to_bytes(_NUMBER, "big")
        at += _NUMBER
    _count += 1
    return True


def sign_with_ready(private: bytes, message: bytes) -> "bytes | None":
    """Do the same as `sign`, but with a ready nonce. Return None if no nonce is ready. Raises VerificationError
    `crypto.key` for a private key out of range."""
    global _count
    secret, e = _operands(private, message)
    if not _count:
        return None
    _count -= 1
    start = _SLOT * _count
    numbers = [int.from_bytes(_ready[at : at + _NUMBER], "big") for at in range(start, start + _SLOT, _NUMBER)]
    _ready[start : start + _SLOT] = bytes(_SLOT)
    return _sign(secret, e, *numbers)


def _operands(private: bytes, message: bytes) -> "tuple[int, int]":
    return decode_scalar(P256, private), int.from_bytes(sha256(message).digest(), "big")


def _multiple(k: int) -> "tuple[int, int, int]":
    """Return r, a random number b, and 1 / (b k) modulo n."""
    r = multiply_base(P256, k)[0] % P256.n
    blind = random_below(P256.n, P256.size)
    return r, blind, inverse(blind * k, P256.n)


def _sign(secret: int, e: int, r: int, blind: int, inverted: int) -> "bytes | None":
    """Return the signature, or None if r or s is 0."""
    n = P256.n
    s = (blind * secret % n * r + blind * e) % n * inverted % n
    return r.to_bytes(32, "big") + s.to_bytes(32, "big") if r and s else None


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
