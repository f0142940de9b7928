"""A private key with which the agent proves to the broker who it is.

The agent works with `Key` only: it asks for a request and for signatures, and writes `pem` into a file that OpenSSL
loads. It never looks at the private number. So a key in a security token (PKCS#11) needs one more class of this form,
whose `make` lets the token make the key. OpenSSL's pkcs11-provider accepts a PEM file that holds only the key's address
in the token; such a file would be its `pem`. There is no such class yet, and no token was tried.
"""

from typing import Protocol, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from protocol.errors import FormatError


class Key(Protocol):
    """A key pair on P-256."""

    @property
    def pem(self) -> bytes:
        """What OpenSSL loads to use this key."""

    @property
    def public(self) -> ec.EllipticCurvePublicKey:
        """The public half."""

    def request(self, name: str) -> x509.CertificateSigningRequest:
        """Return a certificate request for the edge `name`."""

    def sign(self, text: bytes) -> bytes:
        """Return the signature of `text`: ES256, 64 bytes."""


class FileKey:
    """A key in a file, as PEM without a passphrase."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self._private = private

    @classmethod
    def make(cls) -> Self:
        """Make a fresh key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def load(cls, pem: bytes) -> Self:
        """Read a key. Raises FormatError `certificate.private` for anything else than a P-256 key."""
        try:
            private = load_pem_private_key(pem, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise FormatError("certificate.private", "no readable key in PEM") from None
        if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
            raise FormatError("certificate.private", "no key on the curve P-256")
        return cls(private)

    @property
    def pem(self) -> bytes:
        """The key in PKCS#8."""
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def public(self) -> ec.EllipticCurvePublicKey:
        """The public half."""
        return self._private.public_key()

    def request(self, name: str) -> x509.CertificateSigningRequest:
        """Return a certificate request for the edge `name`."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return x509.CertificateSigningRequestBuilder().subject_name(subject).sign(self._private, hashes.SHA256())

    def sign(self, text: bytes) -> bytes:
        """Return the signature of `text`: ES256, 64 bytes."""
        r, s = decode_dss_signature(self._private.sign(text, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
