"""Makes new test certificates in each run, as in ISO/IEC 18013-5 annex B. These certificates are never for real
documents.

An issuing authority (IACA) signs the certificates of document signers. A reader root signs mdoc reader certificates.
The common name of every subject contains TEST.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID, ObjectIdentifier

MDL_DOCUMENT_SIGNER = ObjectIdentifier("1.0.18013.5.1.2")
MDOC_READER = ObjectIdentifier("1.0.18013.5.1.6")


@dataclass(frozen=True)
class Identity:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        """The certificate in DER."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def private(self) -> bytes:
        """The private scalar in big-endian bytes. The scalar is as long as a coordinate of the curve."""
        return self.key.private_numbers().private_value.to_bytes((self.key.key_size + 7) // 8, "big")

    @property
    def public(self) -> bytes:
        """The public key as an uncompressed point."""
        return self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _name(common_name: str, country: str, province: str | None = None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COUNTRY_NAME, country)]
    if province is not None:
        attributes.append(x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, province))
    attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, f"TEST {common_name}"))
    return x509.Name(attributes)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _hash(curve: ec.EllipticCurve) -> hashes.SHA256 | hashes.SHA384:
    return hashes.SHA384() if isinstance(curve, ec.SECP384R1) else hashes.SHA256()


def _validity(now: datetime | None, days: int) -> tuple[datetime, datetime]:
    # Test certificates are valid from a day ago, because the lock's clock may be a little behind.
    begin = (now or datetime.now(UTC)).replace(microsecond=0) - timedelta(days=1)
    return begin, begin + timedelta(days=days)


def authority(
    common_name: str,
    country: str = "CN",
    province: str | None = None,
    curve: ec.EllipticCurve | None = None,
    now: datetime | None = None,
    days: int = 3650,
) -> Identity:
    """Make a self-signed root: an IACA (annex B.1.2) or a reader root (B.1.6). The certificate is valid from a day
    before `now`.
    """
    curve = curve or ec.SECP256R1()
    key = ec.generate_private_key(curve)
    name = _name(common_name, country, province)
    begin, end = _validity(now, days)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_contact(), critical=False)
        .sign(key, _hash(curve))
    )
    return Identity(certificate, key)


def _contact() -> x509.IssuerAlternativeName:
    return x509.IssuerAlternativeName([x509.UniformResourceIdentifier("https://iaca.example/")])


def _signed_by(
    root: Identity,
    common_name: str,
    public: ec.EllipticCurvePublicKey,
    purpose: ObjectIdentifier,
    validity: tuple[datetime, datetime],
    country: str | None,
) -> x509.Certificate:
    issuer = root.certificate.subject
    if country is None:
        country = str(issuer.get_attributes_for_oid(NameOID.COUNTRY_NAME)[0].value)
    provinces = issuer.get_attributes_for_oid(NameOID.STATE_OR_PROVINCE_NAME)
    province = str(provinces[0].value) if provinces else None
    points = [x509.DistributionPoint([x509.UniformResourceIdentifier("https://iaca.example/crl")], None, None, None)]
    return (
        x509.CertificateBuilder()
        .subject_name(_name(common_name, country, province))
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity[0])
        .not_valid_after(validity[1])
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.key.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
        .add_extension(_contact(), critical=False)
        .add_extension(x509.CRLDistributionPoints(points), critical=False)
        .sign(root.key, _hash(root.key.curve))
    )


def document_signer(
    iaca: Identity,
    common_name: str = "document signer",
    curve: ec.EllipticCurve | None = None,
    now: datetime | None = None,
    days: int = 400,
    country: str | None = None,
) -> Identity:
    """Make a document signer (annex B.1.4) under `iaca`. The certificate is invalid if `country` differs from the
    IACA's country.
    """
    key = ec.generate_private_key(curve or ec.SECP256R1())
    validity = _validity(now, days)
    return Identity(_signed_by(iaca, common_name, key.public_key(), MDL_DOCUMENT_SIGNER, validity, country), key)


def reader_certificate(
    root: Identity,
    public: bytes,
    common_name: str = "door",
    now: datetime | None = None,
    days: int = 1000,
    purpose: ObjectIdentifier = MDOC_READER,
) -> bytes:
    """Make an mdoc reader certificate (annex B.1.7) for the P-256 key `public`, an uncompressed point. Returns DER."""
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
    return _signed_by(root, common_name, key, purpose, _validity(now, days), None).public_bytes(Encoding.DER)
