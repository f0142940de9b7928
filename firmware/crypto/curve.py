"""Parameters and points of short Weierstrass curves y^2 = x^3 - 3x + b, of prime order over a prime field.

`CURVES` has all values that are specific to one curve; all arithmetic takes the curve as an argument. P-521 and SM2 are
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


CURVES = {
    # SP 800-186, section 3.2.1.3
    "P-256": Curve(
        32,
        0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF,
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
        0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
        (
            0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
            0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
        ),
    ),
    # SP 800-186, section 3.2.1.4
    "P-384": Curve(
        48,
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFFFF0000000000000000FFFFFFFF,
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
        0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
        (
            0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
            0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F,
        ),
    ),
    # SP 800-186, section 3.2.1.5
    "P-521": Curve(
        66,
        (1 << 521) - 1,
        (1 << 521) - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7,
        int(
            "51953EB9618E1C9A1F929A21A0B68540EEA2DA725B99B315F3B8B489918EF109E156193951EC7E937B1652C0BD3BB1BF07"
            "3573DF883D2C34F1EF451FD46B503F00",
            16,
        ),
        (
            int(
                "C6858E06B70404E9CD9E3ECB662395B4429C648139053FB521F828AF606B4D3DBAA14B5E77EFE75928FE1DC127A2FFA8DE"
                "3348B3C1856A429BF97E7E31C2E5BD66",
                16,
            ),
            int(
                "11839296A789A3BC0045C8A5FB42C7D1BD998F54449579B446817AFBD17273E662C97EE72995EF42640C550B9013FAD0761"
                "353C7086A272C24088BE94769FD16650",
                16,
            ),
        ),
    ),
    # GB/T 32918.5-2017
    "SM2": Curve(
        32,
        0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF,
        0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123,
        0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93,
        (
            0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
            0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
        ),
    ),
}


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
