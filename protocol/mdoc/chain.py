"""The path from a document signer (DS) certificate to a trusted IACA: ISO/IEC 18013-5 clause 9.3.3, RFC 5280 section 6.

There is no certificate between the DS certificate and the IACA, because the standard requires the IACA to sign the DS
certificate itself (Annex B.1). A CA between them would have its own revocation list, which no lock holds.

The check of the path has a separate module, because the path of a document is the same at each visit, and the rest of
the answer is not. Verifying the signatures takes most of the time. A good signature may be remembered
(`protocol.mdoc.remembered`). Everything else is checked again at each visit. The table in `protocol.mdoc.verifier`
lists the error codes.
"""

import sys

from protocol import cbor
from protocol.errors import FormatError, VerificationError
from protocol.x509 import DIGITAL_SIGNATURE, KEY_CERT_SIGN, Certificate, same_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocol.crypto import Crypto

_MICROPYTHON = sys.implementation.name == "micropython"
MAX_CERTIFICATES = 3
"""Maximum number of certificates read from an x5chain. Only the DS certificate counts. One of these certificates may be
a trusted root.
"""

MDL_DOCUMENT_SIGNER = b"\x28\x81\x8c\x5d\x05\x01\x02"
"""Extended key usage 1.0.18013.5.1.2 (Annex B.1.4)."""


class TrustRoot:
    """A trusted IACA certificate. The certificate is trusted for the document types in `doc_types`, or for all types if
    `doc_types` is None. The certificate is trusted from `trusted_from` to `trusted_until`, both in seconds since 1970.
    Either time may be None, which means no limit."""

    def __init__(
        self,
        certificate: "Certificate | bytes",
        doc_types: "Sequence[str] | None" = None,
        trusted_from: "int | None" = None,
        trusted_until: "int | None" = None,
    ) -> None:
        """Takes a Certificate or its DER. Raises FormatError `der.*`, `x509.*`."""
        self.certificate = certificate if isinstance(certificate, Certificate) else Certificate(certificate)
        self.doc_types = doc_types
        self.trusted_from = trusted_from
        self.trusted_until = trusted_until

    def trusts(self, doc_type: str) -> bool:
        """May documents of this type come from this root?"""
        return self.doc_types is None or doc_type in self.doc_types


class DocumentSigner:
    """A DS certificate with a good path.

    `curve` and `public` are the certificate's key. `not_before` and `not_after` limit the time in which the certificate
    is valid. `valid_from` and `valid_until` limit the time in which both the certificate and its root are valid. All
    four times are in seconds since 1970. `country` is the two letters in the certificate's subject. `state` is the
    subject's state or province in bytes, or None. `root` is the TrustRoot that signed this certificate. `algorithms`
    names the curves and hashes that the path uses. `serial` is its serial number.
    """

    def __init__(self, certificate: Certificate, root: TrustRoot) -> None:
        anchor = root.certificate
        self.curve = certificate.curve or ""
        self.public = certificate.public
        self.not_before = certificate.not_before
        self.not_after = certificate.not_after
        self.valid_from = max(certificate.not_before, anchor.not_before)
        self.valid_until = min(certificate.not_after, anchor.not_after)
        self.country = str(certificate.country or b"", "ascii")  # two letters: _check_place
        self.state = certificate.state
        self.root = root
        self.serial = certificate.serial
        self.algorithms = [certificate.curve or "", anchor.curve or "", certificate.signature_hash or ""]


def x5chain(header: object, roots: "list[TrustRoot]") -> Certificate:
    """Return the DS certificate in an x5chain header value (RFC 9360: one bstr or an array, DS certificate first).

    If the last certificate is byte for byte one of `roots`, it is ignored, because trust comes only from our own list.
    Raises FormatError `mdoc.certificate` for a malformed certificate. Raises VerificationError `mdoc.x5chain` for no or
    too many certificates, `mdoc.self_issued` for a self-issued certificate that is not one of `roots`,
    `mdoc.chain_intermediate` for a CA between DS and IACA.
    """
    ders = [header] if isinstance(header, cbor.BYTES) else header
    if not isinstance(ders, list) or not 1 <= len(ders) <= MAX_CERTIFICATES:
        raise VerificationError("mdoc.x5chain", "the x5chain must hold one to three certificates")
    if len(ders) > 1 and ders[-1] in [root.certificate.raw for root in roots]:
        ders = ders[:-1]
    certificates = []
    for each in ders:
        if not isinstance(each, cbor.BYTES):
            raise FormatError("mdoc.certificate", "a certificate must be a byte string")
        try:
            certificates.append(Certificate(each) if _MICROPYTHON else _read(bytes(each)))
        except FormatError as error:
            raise FormatError("mdoc.certificate", "a certificate in the x5chain is malformed (" + error.code + ")")
    for certificate in certificates:
        if certificate.self_issued:
            raise VerificationError("mdoc.self_issued", "the x5chain must not bring a trust anchor along")
    if len(certificates) > 1:
        raise VerificationError("mdoc.chain_intermediate", "the IACA must have signed the DS certificate itself")
    return certificates[0]


if not _MICROPYTHON:
    KNOWN: "dict[bytes, Certificate]" = {}
    """Certificates that were read, by their DER, because the same issuers sign most documents. A lock has no memory for
    them."""

    def _read(der: bytes) -> Certificate:
        certificate = KNOWN.get(der)
        if certificate is None:
            certificate = Certificate(der)
            if len(KNOWN) == 64:
                KNOWN.clear()
            KNOWN[der] = certificate
        return certificate


def verify_path(
    crypto: "Crypto", certificate: Certificate, doc_type: str, roots: "list[TrustRoot]", now: "tuple[int, int]"
) -> DocumentSigner:
    """Judge the path from a DS certificate to one of `roots`, for a document of type `doc_type`, at every time in
    `now`.

    Several roots may have the same name (a renewed key, or one entry for each document type). The first root that
    passes every check counts. If no root passes, a VerificationError is raised. If the certificate names the key of one
    of these roots, the error is about this root.
    """
    _check_document_signer(certificate)
    _check_usable(certificate, now)
    refusal = None
    for root in roots:
        anchor = root.certificate
        if not same_name(anchor.subject, certificate.issuer):
            continue
        try:
            _check_issuer(anchor, certificate)
            _check_usable(anchor, now)
            _check_trusted(root, doc_type, now)
            _check_place(certificate, anchor)
            if not anchor.verifies(crypto, certificate):
                raise VerificationError("mdoc.chain_signature", "the DS certificate's signature is not good")
        except VerificationError as error:
            if refusal is None or error.code != "mdoc.chain_key_identifier":
                refusal = error
            continue
        return DocumentSigner(certificate, root)
    raise refusal or VerificationError("mdoc.untrusted", "no trusted IACA of that name")


def _check_document_signer(certificate: Certificate) -> None:
    if certificate.is_ca or certificate.key_usage is None or not certificate.key_usage & DIGITAL_SIGNATURE:
        raise VerificationError("mdoc.ds_key_usage", "the DS certificate may not sign data")
    if MDL_DOCUMENT_SIGNER not in (certificate.extended_key_usage or []):
        raise VerificationError("mdoc.ds_extended_key_usage", "the certificate is not for signing documents")


def _check_usable(certificate: Certificate, now: "tuple[int, int]") -> None:
    if certificate.unknown_critical:
        raise VerificationError("mdoc.chain_critical", "a certificate has a critical extension that we do not know")
    if not certificate.not_before <= now[0] or not now[1] <= certificate.not_after:
        raise VerificationError("mdoc.chain_validity", "a certificate is not valid now")
    if certificate.curve is None:
        raise VerificationError("mdoc.chain_key", "a certificate has a key of a kind we do not know")


def _check_trusted(root: TrustRoot, doc_type: str, now: "tuple[int, int]") -> None:
    if not root.trusts(doc_type):
        raise VerificationError("mdoc.root_doctype", "the IACA is not trusted for this document type")
    if root.trusted_from is not None and now[0] < root.trusted_from:
        raise VerificationError("mdoc.root_validity", "the IACA is not trusted yet")
    if root.trusted_until is not None and now[1] > root.trusted_until:
        raise VerificationError("mdoc.root_validity", "the IACA is no longer trusted")


def _check_issuer(issuer: Certificate, issued: Certificate) -> None:
    wanted, offered = issued.authority_key_identifier, issuer.subject_key_identifier
    if wanted is not None and offered is not None and wanted != offered:
        raise VerificationError("mdoc.chain_key_identifier", "authority and subject key identifiers differ")
    if not issuer.is_ca:
        raise VerificationError("mdoc.chain_ca", "an issuing certificate is not that of a CA")
    if issuer.key_usage is None or not issuer.key_usage & KEY_CERT_SIGN:
        raise VerificationError("mdoc.chain_key_usage", "an issuing certificate may not sign certificates")


def _check_place(document_signer: Certificate, anchor: Certificate) -> None:
    # Annex B.1: the IACA and the DS certificate must name the same country. If the IACA names a state, the DS
    # certificate must name this state too.
    country = anchor.country or b""
    if len(country) != 2 or not all(0x41 <= letter & 0xDF <= 0x5A for letter in country):
        raise VerificationError("mdoc.chain_country", "the IACA does not name its country")
    if document_signer.country != country:
        raise VerificationError("mdoc.chain_country", "DS certificate and IACA are not of the same country")
    if anchor.state is not None and document_signer.state != anchor.state:
        raise VerificationError("mdoc.chain_state", "DS certificate and IACA are not of the same state or province")
