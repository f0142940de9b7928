"""COSE (RFC 9052) as far as Mooring needs it: Sign1, Mac0 and Encrypt0 structures, and EC2 keys.

Headers, structures and the bytes to be authenticated are here. The algorithms themselves are behind `crypto`.
"""

from protocol import cbor
from protocol.crypto import COORDINATE_BYTES
from protocol.errors import FormatError, VerificationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from protocol.crypto import Crypto

# Header parameters (IANA COSE registry).
ALG = 1
CRIT = 2
TYP = 16
X5CHAIN = 33
EK = -4  # encapsulated key, draft-ietf-cose-hpke

# CBOR tags of the structures (RFC 9052 table 1); ISO/IEC 18013-5 uses the untagged forms.
ENCRYPT0_TAG = 16
MAC0_TAG = 17
SIGN1_TAG = 18

# Algorithms.
ES256 = -7
ES384 = -35
ES512 = -36
HMAC_256 = 5
HPKE_P256_AES128 = 35  # HPKE-0 in draft-ietf-cose-hpke: DHKEM(P-256), HKDF-SHA256, AES-128-GCM

# Nobody has registered the SM suite, so these numbers are for private use (below -65536 in both registries).
# docs/formats.md lists them too.
SM2_SM3 = -65537
"""Algorithm: SM2 signature (GB/T 32918.2) over SM3 (GB/T 32905), user id 1234567812345678, `r || s`."""
SM2_CURVE = -65537
"""Curve of an EC2 key: the curve that GB/T 32918.5 recommends."""

SIGNATURE_ALGORITHMS = {
    ES256: ("P-256", "SHA-256"),
    ES384: ("P-384", "SHA-384"),
    ES512: ("P-521", "SHA-512"),
    SM2_SM3: ("SM2", "SM3"),
}
"""Maps each COSE algorithm to its (curve, hash). ISO/IEC 18013-5 ties each algorithm to its curve."""

_CURVES = {1: "P-256", 2: "P-384", 3: "P-521", SM2_CURVE: "SM2"}
_CURVE_IDS = {name: number for number, name in _CURVES.items()}
# Constants for decompressing points. All these curves are y^2 = x^3 - 3x + b.
_PRIME = {
    "P-256": 2**256 - 2**224 + 2**192 + 2**96 - 1,
    "P-384": 2**384 - 2**128 - 2**96 + 2**32 - 1,
    "P-521": 2**521 - 1,
    "SM2": 2**256 - 2**224 - 2**96 + 2**64 - 1,
}
_B = {
    "P-256": 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    "P-384": 0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
    "P-521": int(
        "51953EB9618E1C9A1F929A21A0B68540EEA2DA725B99B315F3B8B489918EF109E156193951EC7E937B1652C0BD3BB1BF07"
        "3573DF883D2C34F1EF451FD46B503F00",
        16,
    ),
    "SM2": 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93,
}


class Message:
    """A COSE_Sign1, COSE_Mac0 (4 members) or COSE_Encrypt0 (3 members): headers, payload, authenticator."""

    def __init__(
        self,
        protected_bytes: bytes,
        protected: "dict[Any, Any]",
        unprotected: "dict[Any, Any]",
        payload: "bytes | None",
        authenticator: bytes,
        tag: "int | None" = None,
    ) -> None:
        self.protected_bytes = protected_bytes
        self.protected = protected
        self.unprotected = unprotected
        self.payload = payload
        self.authenticator = authenticator
        self.tag = tag

    @property
    def algorithm(self) -> "Any":
        """Return the `alg` of the protected header, or None. An unprotected `alg` does not count."""
        return self.protected.get(ALG)


def parse(item: "Any", members: int = 4) -> Message:
    """Return a decoded COSE array as a Message; `members` is 4 for Sign1 and Mac0, and 3 for Encrypt0.

    `item` may be tagged or untagged. Raises FormatError `cose.form` for any other item. Raises VerificationError
    `cose.crit` for critical headers, because we support none of them.
    """
    tag = None
    if isinstance(item, cbor.Tag) and item.number in ((SIGN1_TAG, MAC0_TAG) if members == 4 else (ENCRYPT0_TAG,)):
        tag = item.number
        item = item.value
    if not isinstance(item, list) or len(item) != members:
        raise FormatError("cose.form", "not a COSE array of the right length")
    protected_bytes, unprotected, payload = item[0], item[1], item[2]
    authenticator = item[3] if members == 4 else b""
    if not isinstance(protected_bytes, cbor.BYTES) or not isinstance(unprotected, dict):
        raise FormatError("cose.form", "headers of the wrong type")
    if not (payload is None or isinstance(payload, cbor.BYTES)) or not isinstance(authenticator, cbor.BYTES):
        raise FormatError("cose.form", "payload or authenticator of the wrong type")
    protected = cbor.decode(protected_bytes) if protected_bytes else {}
    if not isinstance(protected, dict):
        raise FormatError("cose.form", "the protected header is not a map")
    for label in unprotected:
        if not isinstance(label, (int, str)):
            raise FormatError("cose.form", "a header label must be an integer or text")
        if label in protected:
            raise FormatError("cose.form", "a header parameter appears twice")
    if CRIT in protected or CRIT in unprotected:
        raise VerificationError("cose.crit", "critical header parameters are not supported")
    return Message(protected_bytes, protected, unprotected, payload, authenticator, tag)


def sig_structure(protected: bytes, payload: bytes, external_aad: bytes = b"") -> bytes:
    """Return the bytes that a COSE_Sign1 signature covers (RFC 9052 section 4.4)."""
    return b"".join(_signed(protected, payload, external_aad))


def _signed(protected: bytes, payload: bytes, external_aad: bytes = b"") -> "tuple[bytes, bytes]":
    """Return `sig_structure` in two pieces. The payload may be as long as a statement, and is not copied."""
    head = cbor.encode(["Signature1", protected, external_aad, cbor.Raw(b"")])
    return head + cbor.byte_string_head(payload), payload


def mac_structure(protected: bytes, payload: bytes, external_aad: bytes = b"") -> bytes:
    """Return the bytes that a COSE_Mac0 tag covers (RFC 9052 section 6.3)."""
    return cbor.encode(["MAC0", protected, external_aad, payload])


def enc_structure(protected: bytes, external_aad: bytes = b"") -> bytes:
    """Return the additional data of a COSE_Encrypt0 (RFC 9052 section 5.3)."""
    return cbor.encode(["Encrypt0", protected, external_aad])


def sign1(
    crypto: "Crypto",
    private: bytes,
    payload: bytes,
    protected: "dict[Any, Any] | None" = None,
    unprotected: "dict[Any, Any] | None" = None,
    detached: bool = False,
) -> "list[Any]":
    """Return an ES256 COSE_Sign1 over `payload`, as the array to encode. `detached` leaves the payload out of the
    array."""
    headers: dict[Any, Any] = {ALG: ES256}
    headers.update(protected or {})
    protected_bytes = cbor.encode(headers)
    signature = crypto.sign(private, sig_structure(protected_bytes, payload))
    return [protected_bytes, unprotected or {}, None if detached else payload, signature]


def verify_sign1(crypto: "Crypto", message: Message, key: "tuple[str, bytes]", payload: "bytes | None" = None) -> None:
    """Check a COSE_Sign1 with `key` (curve, public). `payload` is the content if it is detached, otherwise None.

    Raises VerificationError: `cose.algorithm` if the algorithm is unknown or not for the key's curve, `cose.signature`
    if the signature is wrong.
    """
    curve, public = key
    expected = SIGNATURE_ALGORITHMS.get(message.algorithm) if type(message.algorithm) is int else None
    if expected is None or expected[0] != curve:
        raise VerificationError("cose.algorithm", "signature algorithm unknown or not of the key's curve")
    content = _content(message, payload, MAC0_TAG)
    signed = _signed(message.protected_bytes, content)
    if not crypto.verify(curve, public, expected[1], signed, message.authenticator):
        raise VerificationError("cose.signature", "the signature is not good")


def verify_mac0(crypto: "Crypto", message: Message, key: bytes, payload: "bytes | None" = None) -> None:
    """Check an HMAC 256/256 COSE_Mac0 with `key`. `payload` is the content if it is detached, otherwise None.

    Raises VerificationError: `cose.algorithm` for any other algorithm, `cose.mac` for a wrong MAC.
    """
    if type(message.algorithm) is not int or message.algorithm != HMAC_256:
        raise VerificationError("cose.algorithm", "the MAC algorithm must be HMAC 256/256")
    expected = crypto.hmac_sha256(key, mac_structure(message.protected_bytes, _content(message, payload, SIGN1_TAG)))
    if not same(expected, message.authenticator):
        raise VerificationError("cose.mac", "the MAC is not good")


def _content(message: Message, payload: "bytes | None", foreign_tag: int) -> bytes:
    if message.tag == foreign_tag:
        raise FormatError("cose.form", "tagged as another structure")
    if (message.payload is None) == (payload is None):
        raise FormatError("cose.form", "the payload must be either in the structure or detached")
    return payload if message.payload is None else message.payload  # type: ignore[return-value]  # checked above


def same(left: bytes, right: bytes) -> bool:
    """Are two secrets equal? The computing time depends only on the lengths of the secrets, and not on the place where
    the secrets differ."""
    if len(left) != len(right):
        return False
    difference = 0
    for one, other in zip(left, right):
        difference |= one ^ other
    return difference == 0


def encode_key(curve: str, public: bytes) -> bytes:
    """Return a public key as an EC2 COSE_Key (RFC 9053 section 7.1.1), encoded."""
    size = COORDINATE_BYTES[curve]
    return cbor.encode({1: 2, -1: _CURVE_IDS[curve], -2: public[1 : 1 + size], -3: public[1 + size :]})


def parse_key(item: "Any") -> "tuple[str, bytes]":
    """Return a decoded EC2 COSE_Key as (curve, uncompressed point). This function does not check whether the point is
    on the curve. A later use of the key checks this.

    Raises FormatError `cose.key`.
    """
    if not isinstance(item, dict) or type(item.get(1)) is not int or item[1] != 2:
        raise FormatError("cose.key", "not an EC2 key")
    curve_id = item.get(-1)
    curve = _CURVES.get(curve_id) if type(curve_id) is int else None
    x, y = item.get(-2), item.get(-3)
    if curve is None or not isinstance(x, bytes) or len(x) != COORDINATE_BYTES[curve]:
        raise FormatError("cose.key", "curve or coordinate not supported")
    if isinstance(y, bool):
        y = _decompress(curve, x, y)
    if not isinstance(y, bytes) or len(y) != len(x):
        raise FormatError("cose.key", "coordinate of the wrong length")
    return curve, b"\x04" + x + y


def _decompress(curve: str, x: bytes, odd: bool) -> bytes:
    """Return y from x and the sign bit of y. All the primes are 3 mod 4, so one exponentiation gives the square
    root."""
    p = _PRIME[curve]
    number = int.from_bytes(x, "big")
    square = (number * number * number - 3 * number + _B[curve]) % p
    y = pow(square, (p + 1) >> 2, p)
    if number >= p or y * y % p != square:
        raise FormatError("cose.key", "no point has this x")
    if (y & 1) != odd:
        y = p - y
    return y.to_bytes(len(x), "big")
