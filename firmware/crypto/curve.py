"""Parameters and points of short Weierstrass curves y^2 = x^3 - 3x + b, of prime order over a prime field.

`Curve` has all values that are specific to one curve; all arithmetic takes the curve as an argument. P-521 and SM2 are
used only to verify signatures of issuers and devices. The lock has no keys on these two curves.
"""

from protocol.errors import VerificationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    Affine = tuple[int, int]
    """A point other than infinity, as (x, y) with x and y in [0, p - 1]."""


class Curve:
    """Domain parameters (SEC 1, section 3.1.1) with cofactor 1."""

    def __init__(self, size: int, p: int, n: int, b: int, base: "Affine") -> None:
        self.size = size
        """Length of a coordinate and of a scalar, in bytes."""
        self.p = p
        self.n = n
        self.b = b
        self.base = base


_others: "dict[str, Curve]" = {}
"""The curves other than P-256 that were used, by their names."""

# SP 800-186, section 3.2.1.3
P256 = Curve(
    32,
    0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF,
    0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    (
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    ),
)


def find_curve(name: str) -> Curve:
    """Return the curve `name`. Most locks meet only P-256, so the parameters of the other curves are loaded when they
    are first used."""
    if name == "P-256":
        return P256
    if name not in _others:
        from firmware.crypto.other_curves import PARAMETERS

        _others[name] = Curve(*PARAMETERS[name])
    return _others[name]


def decode_point(curve: Curve, data: bytes) -> "Affine":
    """Decode the point `data`, `04 || X || Y`, and validate it (SP 800-56A revision 3, section 5.6.2.3.3).

    The cofactor is 1, so every point on the curve except infinity has order n. This form cannot encode infinity.
    Raises VerificationError `crypto.key` if `data` has another form or length, if a coordinate is >= p, or if the point
    is not on the curve.
    """
    size, p = curve.size, curve.p
    if len(data) != 1 + 2 * size or data[0] != 4:
        raise VerificationError("crypto.key", "not an uncompressed point")
    x = int.from_bytes(data[1 : 1 + size], "big")
    y = int.from_bytes(data[1 + size :], "big")
    if x >= p or y >= p or (y * y - (x * x - 3) * x - curve.b) % p:
        raise VerificationError("crypto.key", "the point is not on the curve")
    return x, y


def encode_point(curve: Curve, point: "Affine") -> bytes:
    """Encode `point` as `04 || X || Y` (SEC 1, section 2.3.3)."""
    return b"\x04" + point[0].to_bytes(curve.size, "big") + point[1].to_bytes(curve.size, "big")
