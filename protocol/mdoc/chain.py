"""The path from a document signer (DS) certificate to a trusted IACA: ISO/IEC 18013-5 clause 9.3.3, RFC 5280 section 6.

Stands apart from the response, because it alone depends on nothing that a guest brings fresh: what costs time in it,
the signatures, may be remembered (`protocol.mdoc.remembered`), while everything else is judged anew.
Codes of the errors: see the table in `protocol.mdoc.verifier`.
"""

from protocol.errors import FormatError, VerificationError
from protocol.x509 import DIGITAL_SIGNATURE, KEY_CERT_SIGN, Certificate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocol.crypto import Crypto

MAX_CERTIFICATES = 3
"""Most certificates in an x5chain. The standard has the IACA sign the DS certificate itself, so one is usual."""

MDL_DOCUMENT_SIGNER = b"\x28\x81\x8c\x5d\x05\x01\x02"
"""Extended key usage 1.0.18013.5.1.2 (Annex B.1.4)."""


class TrustRoot:
    """A trusted IACA certificate, for all document types or only for those in `doc_types`, and trusted from
    `trusted_from` to `trusted_until` (seconds since 1970; None where that end is open)."""

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
    """A DS certificate with a good path: `curve` and `public` are its key, `not_before` and `not_after` its own
    validity, `valid_from` and `valid_until` that of the whole path, all in seconds since 1970; `country` is the two
    letters of its subject, `state` the bytes of the subject's state or province, or None; `root` is the TrustRoot that
    the path ends at; `algorithms` names the curves and hashes that the path stands on; `serial` is the number of the
    certificate that the root signed, the DS certificate itself unless there is another in between.
    """

    def __init__(self, path: "list[Certificate]", root: TrustRoot) -> None:
        certificate = path[0]
        self.curve = certificate.curve or ""
        self.public = certificate.public
        self.not_before = certificate.not_before
        self.not_after = certificate.not_after
        self.valid_from = max([each.not_before for each in path])
        self.valid_until = min([each.not_after for each in path])
        self.country = str(certificate.country or b"", "ascii")  # two letters: _check_place
        self.state = certificate.state
        self.root = root
        self.serial = path[-2].serial
        self.algorithms = [each.curve or "" for each in path] + [each.signature_hash or "" for each in path[:-1]]


def x5chain(header: object) -> "list[Certificate]":
    """Certificates of an x5chain header value (RFC 9360: one bstr or an array), DS certificate first.

    Raises FormatError `mdoc.certificate`; VerificationError `mdoc.x5chain` for none or too many, `mdoc.self_issued` for
    one that could only be a trust anchor: those never come from the other side.
    """
    ders = [header] if isinstance(header, bytes) else header
    if not isinstance(ders, list) or not 1 <= len(ders) <= MAX_CERTIFICATES:
        raise VerificationError("mdoc.x5chain", "the x5chain must hold one to three certificates")
    certificates = []
    for each in ders:
        if not isinstance(each, bytes):
            raise FormatError("mdoc.certificate", "a certificate must be a byte string")
        try:
            certificates.append(Certificate(each))
        except FormatError as error:
            raise FormatError("mdoc.certificate", "a certificate in the x5chain is malformed (" + error.code + ")")
    for certificate in certificates:
        if certificate.self_issued:
            raise VerificationError("mdoc.self_issued", "the x5chain must not bring a trust anchor along")
    return certificates


def verify_path(
    crypto: "Crypto", certificates: "list[Certificate]", roots: "list[TrustRoot]", now: "tuple[int, int]"
) -> DocumentSigner:
    """Judge the path certificates[0] <- certificates[1] <- ... <- one of `roots` over the whole time interval `now`.

    Raises VerificationError.
    """
    _check_document_signer(certificates[0])
    for certificate in certificates:
        _check_usable(certificate, now)
    for position in range(1, len(certificates)):
        _check_issuer(certificates[position], certificates[position - 1], position - 1)
    top = certificates[-1]
    refusal = VerificationError("mdoc.untrusted", "no trusted IACA of that name")
    for root in roots:
        anchor = root.certificate
        if anchor.subject != top.issuer:
            continue
        try:
            # An IACA may have renewed its key under the same name, so another root may still fit.
            _check_usable(anchor, now)
            _check_trusted(root, now)
            _check_issuer(anchor, top, len(certificates) - 1)
            _check_place(certificates[0], anchor)
            _check_signatures(crypto, certificates + [anchor])
        except VerificationError as error:
            refusal = error
            continue
        return DocumentSigner(certificates + [anchor], root)
    raise refusal


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


def _check_trusted(root: TrustRoot, now: "tuple[int, int]") -> None:
    if root.trusted_from is not None and now[0] < root.trusted_from:
        raise VerificationError("mdoc.root_validity", "the IACA is not trusted yet")
    if root.trusted_until is not None and now[1] > root.trusted_until:
        raise VerificationError("mdoc.root_validity", "the IACA is no longer trusted")


def _check_issuer(issuer: Certificate, issued: Certificate, below: int) -> None:
    """May `issuer` have issued `issued`? `below` CA certificates stand between it and the DS certificate."""
    if issued.issuer != issuer.subject:
        raise VerificationError("mdoc.chain_names", "issuer and subject names do not chain")
    wanted, offered = issued.authority_key_identifier, issuer.subject_key_identifier
    if wanted is not None and offered is not None and wanted != offered:
        raise VerificationError("mdoc.chain_key_identifier", "authority and subject key identifiers differ")
    if not issuer.is_ca:
        raise VerificationError("mdoc.chain_ca", "an issuing certificate is not a CA's")
    if issuer.key_usage is None or not issuer.key_usage & KEY_CERT_SIGN:
        raise VerificationError("mdoc.chain_key_usage", "an issuing certificate may not sign certificates")
    if issuer.path_length is not None and below > issuer.path_length:
        raise VerificationError("mdoc.chain_path_length", "the path is longer than a CA in it allows")


def _check_place(document_signer: Certificate, anchor: Certificate) -> None:
    # Annex B.1: the country is mandatory in both, and the same; the state too, if the IACA names one.
    country = anchor.country or b""
    if len(country) != 2 or not all(0x41 <= letter & 0xDF <= 0x5A for letter in country):
        raise VerificationError("mdoc.chain_country", "the IACA does not say which country it is of")
    if document_signer.country != country:
        raise VerificationError("mdoc.chain_country", "DS certificate and IACA are not of the same country")
    if anchor.state is not None and document_signer.state != anchor.state:
        raise VerificationError("mdoc.chain_state", "DS certificate and IACA are not of the same state or province")


def _check_signatures(crypto: "Crypto", path: "list[Certificate]") -> None:
    # From the anchor down, so that no key is used before it is trusted.
    for position in range(len(path) - 1, 0, -1):
        if not path[position].verifies(crypto, path[position - 1]):
            raise VerificationError("mdoc.chain_signature", "a certificate's signature is not good")
