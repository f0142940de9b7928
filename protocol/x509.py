"""X.509 version 3 certificates (RFC 5280): the parts that matter for a path to an IACA.

Parsing reads the content of a certificate, and refuses a certificate that is not well-formed. `protocol.mdoc.chain`
decides whether a certificate may be trusted. A key or signature of an unknown kind is not refused, so one unusual IACA
does not make a whole trust list unusable. `curve` or `signature_hash` is then None, and the certificate verifies
nothing.
"""

from protocol import const, dates, der
from protocol.crypto import COORDINATE_BYTES
from protocol.errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.crypto import Crypto

MAX_CERTIFICATE = 4096
"""Maximum size of a certificate, in bytes. Real IACA and DS certificates have 450 to 1,000 bytes."""

# Bits of KeyUsage, as masks on the first byte.
DIGITAL_SIGNATURE = 0x80
KEY_CERT_SIGN = 0x04
CRL_SIGN = 0x02

_EC_PUBLIC_KEY = const(b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01")
_CURVES = {
    b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07": "P-256",
    b"\x06\x05\x2b\x81\x04\x00\x22": "P-384",
    b"\x06\x05\x2b\x81\x04\x00\x23": "P-521",
    b"\x06\x08\x2a\x81\x1c\xcf\x55\x01\x82\x2d": "SM2",
}
# The AlgorithmIdentifier of ecdsa-with-SHA256, -SHA384 and -SHA512, without the last byte, which names the hash. The
# AlgorithmIdentifier has no parameters (RFC 5758 section 3.2).
_ECDSA = const(b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03")
_HASHES = {2: "SHA-256", 3: "SHA-384", 4: "SHA-512"}
# SM2 with SM3, 1.2.156.10197.1.501. GM/T 0015 leaves the parameters out, but some certificates have a NULL there.
_SM2_WITH_SM3 = (
    b"\x30\x0a\x06\x08\x2a\x81\x1c\xcf\x55\x01\x83\x75",
    b"\x30\x0c\x06\x08\x2a\x81\x1c\xcf\x55\x01\x83\x75\x05\x00",
)

_COUNTRY = const(b"\x55\x04\x06")
_STATE = const(b"\x55\x04\x08")

_STRINGS = const(b"\x0c\x13\x16")
"""Tags of UTF8String, PrintableString and IA5String."""

_SUBJECT_KEY_IDENTIFIER = const(b"\x55\x1d\x0e")
_KEY_USAGE = const(b"\x55\x1d\x0f")
_BASIC_CONSTRAINTS = const(b"\x55\x1d\x13")
_AUTHORITY_KEY_IDENTIFIER = const(b"\x55\x1d\x23")
_EXTENDED_KEY_USAGE = const(b"\x55\x1d\x25")


class Certificate:
    """A parsed certificate.

    `raw` is the DER, and `tbs` is its signed part. `serial` is the serial number as `der.Reader.serial` returns it.
    `issuer` and `subject` are DER names, to be compared by `same_name`. `not_before` and `not_after` are seconds since
    1970. `country` and `state` come from the subject and may be None. `key_usage` is the first byte of the extension,
    or None. `extended_key_usage` holds the contents of the object identifiers, or is None. `unknown_critical` says
    whether the certificate has a critical extension that we do not process.
    """

    def __init__(self, data: bytes) -> None:
        """Parse DER. Raises FormatError `der.*` or `x509.*`."""
        if len(data) > MAX_CERTIFICATE:
            raise FormatError("x509.too_long", "longer than any certificate we read")
        # `bytes` copies even a bytes object, and a lock keeps the certificates of its trust list twice then.
        self.raw = data if type(data) is bytes else bytes(data)
        outside = der.Reader(self.raw)
        certificate = outside.enter(der.SEQUENCE)
        outside.finish()
        start = certificate.at
        tbs = certificate.enter(der.SEQUENCE)
        self._tbs = start, certificate.at  # the signed part itself would be a second copy of most of the certificate
        algorithm = certificate.element(der.SEQUENCE)
        self.signature, unused = certificate.bits()
        certificate.finish()
        if unused:
            raise FormatError("x509.signature", "the signature is not a whole number of bytes")

        self.signature_hash = hash_of(algorithm)
        self.is_ca = False
        self.key_usage: "int | None" = None
        self.extended_key_usage: "list[bytes] | None" = None
        self.subject_key_identifier: "bytes | None" = None
        self.authority_key_identifier: "bytes | None" = None
        self.unknown_critical = False

        if tbs.peek() != 0xA0:
            raise FormatError("x509.version", "not a version 3 certificate")
        version = tbs.enter(0xA0)
        if version.unsigned() != 2:
            raise FormatError("x509.version", "not a version 3 certificate")
        version.finish()
        self.serial = tbs.serial()
        if tbs.element(der.SEQUENCE) != algorithm:
            raise FormatError("x509.algorithm", "the two algorithm fields differ")
        self.issuer = tbs.element(der.SEQUENCE)
        validity = tbs.enter(der.SEQUENCE)
        self.not_before = read_time(validity)
        self.not_after = read_time(validity)
        validity.finish()
        self.subject = tbs.element(der.SEQUENCE)
        attributes = _attributes(self.subject)
        self.country = _only(attributes, _COUNTRY)
        self.state = _only(attributes, _STATE)
        self.curve, self.public = _public_key(tbs.enter(der.SEQUENCE))
        for unique_identifier in (0x81, 0x82):
            if tbs.peek() == unique_identifier:
                tbs.skip()
        if tbs.peek() == 0xA3:
            extensions = tbs.enter(0xA3)
            self._read_extensions(extensions.enter(der.SEQUENCE))
            extensions.finish()
        tbs.finish()

    def _read_extensions(self, extensions: der.Reader) -> None:
        seen = []
        while extensions:
            extension = extensions.enter(der.SEQUENCE)
            identifier = extension.content(der.OBJECT_IDENTIFIER)
            critical = extension.peek() == der.BOOLEAN and extension.boolean()
            value = extension.enter(der.OCTET_STRING)
            extension.finish()
            if identifier in seen:
                raise FormatError("x509.extension", "an extension appears twice")
            seen.append(identifier)
            if identifier == _BASIC_CONSTRAINTS:
                constraints = value.enter(der.SEQUENCE)
                self.is_ca = constraints.peek() == der.BOOLEAN and constraints.boolean()
                if constraints:
                    constraints.unsigned()  # We ignore the path length, because no CA may follow (protocol.mdoc.chain).
                constraints.finish()
            elif identifier == _KEY_USAGE:
                bits, _ = value.bits()
                self.key_usage = bits[0] if bits else 0
            elif identifier == _EXTENDED_KEY_USAGE:
                purposes = value.enter(der.SEQUENCE)
                self.extended_key_usage = []
                while purposes:
                    self.extended_key_usage.append(purposes.content(der.OBJECT_IDENTIFIER))
            elif identifier == _SUBJECT_KEY_IDENTIFIER:
                self.subject_key_identifier = value.content(der.OCTET_STRING)
            elif identifier == _AUTHORITY_KEY_IDENTIFIER:
                authority = value.enter(der.SEQUENCE)
                if authority.peek() == 0x80:
                    self.authority_key_identifier = authority.content(0x80)
                while authority:
                    authority.skip()
            else:
                self.unknown_critical = self.unknown_critical or critical
                continue
            value.finish()

    @property
    def tbs(self) -> bytes:
        """The signed part of the certificate."""
        return self.raw[self._tbs[0] : self._tbs[1]]

    @property
    def self_issued(self) -> bool:
        """Are subject and issuer the same name? (RFC 5280 section 3.2)"""
        return same_name(self.issuer, self.subject)

    def verifies(self, crypto: "Crypto", other: "Certificate") -> bool:
        """Is the signature of `other` made with the key of this certificate?"""
        return self.signed(crypto, other.signature_hash, other.tbs, other.signature)

    def signed(self, crypto: "Crypto", signature_hash: "str | None", tbs: bytes, signature: bytes) -> bool:
        """Is the DER `signature` over `tbs` made with the key of this certificate? `signature_hash` is a result of
        `hash_of`."""
        if self.curve is None or signature_hash is None:
            return False
        raw = _raw_signature(signature, COORDINATE_BYTES[self.curve])
        return raw is not None and crypto.verify(self.curve, self.public, signature_hash, tbs, raw)


def same_name(name: bytes, other: bytes) -> bool:
    """Are these DER names the same? String type, case and spaces make no difference (RFC 5280, section 7.1). Characters
    outside ASCII are compared as bytes. Malformed names are the same only if their bytes are equal."""
    try:
        return name == other or _comparable(name) == _comparable(other)
    except FormatError:
        return False


def hash_of(algorithm: bytes) -> "str | None":
    """Return the hash of a signature with this DER AlgorithmIdentifier ("SM3" stands for SM2 with SM3), or None if
    unknown."""
    if algorithm in _SM2_WITH_SM3:
        return "SM3"
    if len(algorithm) == 12 and algorithm[:11] == _ECDSA:
        return _HASHES.get(algorithm[11])
    return None


def read_time(validity: der.Reader) -> int:
    """Return the next UTCTime or GeneralizedTime, in seconds since 1970. Raises FormatError."""
    tag = validity.peek()
    if tag not in (der.UTC_TIME, der.GENERALIZED_TIME):
        raise FormatError("x509.validity", "not a time")
    content = validity.content(tag)
    # DER allows only one length for each form, so from_asn1 can tell the two forms apart by length.
    if len(content) != (13 if tag == der.UTC_TIME else 15) or max(content) > 0x7F:
        raise FormatError("x509.validity", "not a time of the form it must have")
    return dates.from_asn1(str(content, "ascii"))


def _attributes(name: bytes) -> "list[tuple[bytes, int, bytes]]":
    """Return the attributes of a DER name as (type, tag of the value, value). (b"", 0, b"") marks the beginning of each
    relative name."""
    attributes = []
    outside = der.Reader(name)
    sets = outside.enter(der.SEQUENCE)
    outside.finish()
    while sets:
        attributes.append((b"", 0, b""))
        relative = sets.enter(der.SET)
        while relative:
            attribute = relative.enter(der.SEQUENCE)
            kind = attribute.content(der.OBJECT_IDENTIFIER)
            tag = attribute.peek()
            attributes.append((kind, tag, attribute.content(tag)))
            attribute.finish()
    return attributes


def _only(attributes: "list[tuple[bytes, int, bytes]]", wanted: bytes) -> "bytes | None":
    """Return the value of the attribute type `wanted`, or None. Raises FormatError if this attribute type occurs
    twice."""
    found = None
    for kind, _, value in attributes:
        if kind == wanted:
            if found is not None:
                raise FormatError("x509.name", "a name gives two countries or states")
            found = value
    return found


def _comparable(name: bytes) -> "list[tuple[bytes, int, bytes]]":
    """Return the attributes of a DER name, in the form in which names are compared."""
    attributes = []
    for kind, tag, value in _attributes(name):
        if tag in _STRINGS:
            tag, value = _STRINGS[0], b" ".join(value.lower().split())
        attributes.append((kind, tag, value))
    return attributes


def _public_key(info: der.Reader) -> "tuple[str | None, bytes]":
    algorithm = info.enter(der.SEQUENCE)
    kind = algorithm.element(der.OBJECT_IDENTIFIER)
    parameters = algorithm.element(algorithm.peek()) if algorithm else b""
    algorithm.finish()
    public, unused = info.bits()
    info.finish()
    curve = _CURVES.get(parameters) if kind == _EC_PUBLIC_KEY else None
    if curve is None or unused or len(public) != 1 + 2 * COORDINATE_BYTES[curve] or public[0] != 4:
        return None, b""
    return curve, public


def _raw_signature(encoded: bytes, size: int) -> "bytes | None":
    """Return `r || s` of an ECDSA-Sig-Value (RFC 3279 section 2.2.3), or None if `encoded` is not a signature for this
    curve."""
    try:
        outside = der.Reader(encoded)
        values = outside.enter(der.SEQUENCE)
        outside.finish()
        r, s = values.unsigned(), values.unsigned()
        values.finish()
    except FormatError:
        return None
    if r >> (8 * size) or s >> (8 * size):
        return None
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")
