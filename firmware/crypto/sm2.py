"""Verification of SM2 signatures (GB/T 32918.2-2016, section 7), with SM3 and the default user id."""

from firmware.crypto.curve import decode_point, find_curve
from firmware.crypto.multiples import combine
from firmware.crypto.sm3 import sm3
from protocol import const
from protocol.errors import VerificationError

USER_ID = b"1234567812345678"
"""The default user id of GM/T 0009. Certificates use this id. Others use it too, unless they have agreed on another
user id."""

_KEPT = const(8)
_known: "dict[bytes, bytes]" = {}
"""Maps recently used keys to their Z. Z depends only on the key, and many documents are signed with the same keys."""


def identity_digest(public: bytes) -> bytes:
    """Return Z (section 5.5). Z binds each digest to signer, curve and key. `public` must be a point of the curve."""
    digest = _known.get(public)
    if digest is None:
        curve = find_curve("SM2")
        numbers = (curve.p - 3, curve.b, curve.base[0], curve.base[1])
        parameters = b"".join([number.to_bytes(32, "big") for number in numbers])
        digest = sm3((8 * len(USER_ID)).to_bytes(2, "big") + USER_ID + parameters + public[1:])
        if len(_known) >= _KEPT:
            _known.clear()
        _known[public] = digest
    return digest


def verify(public: bytes, message: "tuple[bytes, ...]", signature: bytes) -> bool:
    """Return whether `signature` (`r || s`) is valid for `message`, which is in pieces. Return False for malformed
    input.

    All values here are public. The point's x is X / Z^2. As in `ecdsa`, to avoid an inversion, (r - e) * Z^2 is
    compared with X.
    """
    curve = find_curve("SM2")
    size, p, n = curve.size, curve.p, curve.n
    if len(signature) != 2 * size:
        return False
    r = int.from_bytes(signature[:size], "big")
    s = int.from_bytes(signature[size:], "big")
    t = (r + s) % n
    if not (0 < r < n and 0 < s < n and t):
        return False
    try:
        point = decode_point(curve, public)
    except VerificationError:
        return False
    e = int.from_bytes(sm3(identity_digest(public), *message), "big")
    x, _, z = combine(curve, s, t, point)
    if not z:
        return False
    square = z * z % p
    wanted = (r - e) % n
    # `wanted` is x modulo n, so x may also be `wanted` + n if this sum is below p.
    return wanted * square % p == x or (wanted + n < p and (wanted + n) * square % p == x)
