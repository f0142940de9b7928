"""Verifies a DeviceResponse. The caller sees the content of the response only if every check passes.

Every refusal is a FormatError or a VerificationError with one of these codes:

| code | refused because |
| --- | --- |
| `cbor.*`, `cose.form`, `cose.crit` | the bytes are not CBOR or COSE in the strict form read here |
| `mdoc.too_long`, `mdoc.too_many` | longer than `MAX_DEVICE_RESPONSE`, or too many documents or elements |
| `mdoc.memory` | reading it takes more memory than the lock has |
| `mdoc.form` | a member is missing or of the wrong type |
| `mdoc.session_transcript` | the SessionTranscript given is not one |
| `mdoc.clock` | the time interval has no known end |
| `mdoc.version` | DeviceResponse version other than 1.x |
| `mdoc.status` | status other than 0 (10 general error, 11 CBOR decoding error, 12 CBOR validation error) |
| `mdoc.no_documents` | status 0 without a document |
| `mdoc.duplicate_document` | the same document type twice |
| `mdoc.doctype_not_accepted` | a document type that the caller did not allow |
| `mdoc.x5chain` | no x5chain, or a number of certificates other than one to three |
| `mdoc.certificate` | a certificate is malformed |
| `mdoc.self_issued` | the x5chain holds a self-issued certificate that is not a trusted root |
| `mdoc.untrusted` | no trusted IACA has the name that issued the DS certificate |
| `mdoc.root_doctype` | the IACA is not trusted for this document type |
| `mdoc.root_validity` | the IACA is not trusted over the whole time interval |
| `mdoc.ds_revoked` | a CRL of the IACA lists the DS certificate |
| `mdoc.chain_intermediate` | a CA stands between DS certificate and IACA |
| `mdoc.chain_key_identifier` | the IACA's key identifier is not the one that the DS certificate names |
| `mdoc.chain_signature`, `mdoc.chain_key` | the DS certificate's signature is wrong; a key is of an unknown kind |
| `mdoc.chain_validity` | a certificate is not valid over the whole time interval |
| `mdoc.chain_critical` | a critical extension that we do not know |
| `mdoc.chain_ca`, `mdoc.chain_key_usage` | the IACA's certificate is not that of a CA, or may not sign certificates |
| `mdoc.chain_country`, `mdoc.chain_state` | DS certificate and IACA name different places |
| `mdoc.ds_key_usage`, `mdoc.ds_extended_key_usage` | the DS certificate is not for signing documents |
| `mdoc.issuer_algorithm` | issuerAuth algorithm absent, unprotected, unknown, or not of the key's curve |
| `mdoc.issuer_signature` | the issuer's signature is wrong |
| `mdoc.mso_version`, `mdoc.digest_algorithm` | an MSO version or a digest algorithm we do not know |
| `mdoc.device_key` | the device key is of an unknown kind, or not a point on its curve |
| `mdoc.doctype` | document and MSO differ in document type |
| `mdoc.signed_outside_ds` | signed outside the DS certificate's validity |
| `mdoc.validity_order` | not signed <= validFrom <= validUntil |
| `mdoc.not_yet_valid`, `mdoc.expired` | the time interval is not wholly inside the MSO's validity |
| `mdoc.revoked`, `mdoc.suspended` | the issuer's status list or identifier list marks the document so |
| `mdoc.status_unknown`, `mdoc.status_index` | the status list holds an undefined status, or has no such entry |
| `mdoc.suite` | it uses algorithms of a suite that the caller did not allow |
| `mdoc.unknown_namespace`, `mdoc.unknown_digest` | the issuer signed no such name space or digest ID |
| `mdoc.digest` | an element does not match its digest |
| `mdoc.duplicate_digest`, `mdoc.duplicate_element` | a digest ID or element twice in a name space |
| `mdoc.issuing_country`, `mdoc.issuing_jurisdiction` | a licence names another place than its DS certificate |
| `mdoc.key_authorization` | the device signed an element that the issuer did not authorize |
| `mdoc.device_auth` | not exactly one of deviceSignature and deviceMac |
| `mdoc.device_payload` | its payload is not null |
| `mdoc.device_algorithm` | its algorithm is not of the device key's curve, or not HMAC 256/256 |
| `mdoc.reader_key` | a deviceMac without a reader key on the device key's curve |
| `mdoc.device_signature`, `mdoc.device_mac` | another key, another session or other content |

If the caller passes revocation lists (`revocation`), these lists are checked. The caller decides how old the lists may
be.
"""

from protocol import cbor, cose
from protocol.crypto import suite
from protocol.errors import FormatError, VerificationError
from protocol.mdoc import chain, device_signed, issuer_signed, response
from protocol.mdoc.status import StatusReference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    from protocol.crypto import Crypto
    from protocol.mdoc.mso import MobileSecurityObject
    from protocol.x509 import Certificate

    class Revocation(Protocol):
        """The caller's knowledge about revoked certificates and documents."""

        def check(self, root: chain.TrustRoot, serial: bytes, status: StatusReference) -> None:
            """Raises VerificationError if a list revokes the certificate or the document. `root` signed the
            certificate, and `serial` is its serial number. `status` refers to the document."""


DOC_TYPES = [
    "org.iso.18013.5.1.mDL",
    "org.iso.23220.photoid.1",
    "org.iso.23220.photoID.1",
    "eu.europa.ec.eudi.pid.1",
    "org.mooring.cn.resident-id.1",
]
"""Document types that are accepted unless the caller passes other types."""


class VerifiedDocument:
    """A completely verified document.

    `elements` is {name space: {element: value}} as the issuer signed them. Values are as `protocol.cbor` decodes them;
    a full-date is `cbor.Tag(1004, text)`. `device_elements` has the same form. Only the device vouches for these
    elements. The issuer has allowed the device to sign these elements. `device_key` is (curve, public).
    `valid_until` is the earliest expiry time of the MSO and the certificates, in seconds since 1970. `country` is the
    country of the DS certificate. `root` is the TrustRoot of the DS certificate's path. `status` is the MSO's
    revocation reference.
    """

    def __init__(
        self,
        doc_type: str,
        elements: "dict[str, dict[str, Any]]",
        device_elements: "dict[str, dict[str, Any]]",
        mso: "MobileSecurityObject",
        signer: chain.DocumentSigner,
        status: StatusReference,
    ) -> None:
        self.doc_type = doc_type
        self.elements = elements
        self.device_elements = device_elements
        self.device_key = mso.device_key
        self.valid_until = min(mso.valid_until, signer.valid_until)
        self.country = signer.country
        self.root = signer.root
        self.status = status


def verify(
    crypto: "Crypto",
    device_response: "bytes | memoryview",
    session_transcript: bytes,
    roots: "Sequence[chain.TrustRoot | Certificate | bytes]",
    now: "tuple[int, int | None]",
    e_reader_private: "bytes | None" = None,
    doc_types: "Sequence[str] | None" = None,
    suites: "Sequence[str] | None" = None,
    issuers: "Crypto | None" = None,
    revocation: "Revocation | None" = None,
) -> "list[VerifiedDocument]":
    """Verify a whole DeviceResponse and return its documents. A memoryview is read in place, and long byte strings in
    the documents are then views of it.

    `session_transcript` is the encoded SessionTranscript of the session in which the response was received. `roots` are
    the trusted IACAs (TrustRoot, Certificate or DER). `now` is the interval (earliest, latest) that contains the true
    time, in seconds since 1970. `e_reader_private` is the reader's session key, needed for a deviceMac. `doc_types` are
    the allowed document types. None means `DOC_TYPES`. `suites` are the allowed suites of algorithms (`crypto.SUITES`).
    None means all suites. `issuers` replaces `crypto`, but only for verifying issuers' signatures. `issuers` may
    remember good signatures (`protocol.mdoc.remembered`). `revocation` are the revocation lists.

    Raises FormatError and VerificationError with the codes above, and FormatError `der.*` or `x509.*` for a root that
    is not a certificate.
    """
    earliest, latest = now
    if latest is None or earliest > latest:
        raise VerificationError("mdoc.clock", "the time is not known well enough")
    allowed = DOC_TYPES if doc_types is None else doc_types
    anchors = [root if isinstance(root, chain.TrustRoot) else chain.TrustRoot(root) for root in roots]
    try:
        _check_transcript(session_transcript)
        answer = response.parse(device_response)
        _check_documents(answer, allowed)
        verified = []
        for document in answer.documents:
            certificate = _x5chain(document.issuer_auth, anchors)
            signer = chain.verify_path(issuers or crypto, certificate, document.doc_type, anchors, (earliest, latest))
            mso = issuer_signed.authenticate(issuers or crypto, document, signer, (earliest, latest))
            status = StatusReference(mso.status)
            if revocation is not None:
                revocation.check(signer.root, signer.serial, status)
            if suites is not None:
                _check_suites(signer.algorithms + [mso.digest_algorithm, mso.device_key[0]], suites)
            elements = issuer_signed.elements(crypto, document, mso, signer)
            device_elements = device_signed.elements(document, mso)
            device_signed.authenticate(crypto, document, mso, session_transcript, e_reader_private)
            verified.append(VerifiedDocument(document.doc_type, elements, device_elements, mso, signer, status))
    except MemoryError:
        raise FormatError("mdoc.memory", "reading it takes more memory than there is")
    return verified


def _check_transcript(session_transcript: bytes) -> None:
    try:
        transcript = cbor.decode(session_transcript)
    except FormatError as error:
        raise FormatError("mdoc.session_transcript", "not a SessionTranscript (" + error.code + ")")
    if not isinstance(transcript, list) or len(transcript) != 3:
        raise FormatError("mdoc.session_transcript", "a SessionTranscript has three members")


def _check_documents(answer: response.DeviceResponse, allowed: "Sequence[str]") -> None:
    if answer.status != 0:
        raise VerificationError("mdoc.status", "the mdoc reports an error")
    if not answer.documents:
        raise VerificationError("mdoc.no_documents", "the response holds no document")
    seen = []
    for document in answer.documents:
        if document.doc_type in seen:
            raise VerificationError("mdoc.duplicate_document", "the same document type twice")
        if document.doc_type not in allowed:
            raise VerificationError("mdoc.doctype_not_accepted", "this document type is not accepted here")
        seen.append(document.doc_type)


def _check_suites(algorithms: "list[str]", allowed: "Sequence[str]") -> None:
    for algorithm in algorithms:
        if suite(algorithm) not in allowed:
            raise VerificationError("mdoc.suite", "algorithms of a suite that is not allowed here")


def _x5chain(issuer_auth: cose.Message, roots: "list[chain.TrustRoot]") -> "Certificate":
    header = issuer_auth.unprotected.get(cose.X5CHAIN, issuer_auth.protected.get(cose.X5CHAIN))
    if header is None:
        raise VerificationError("mdoc.x5chain", "issuerAuth has no x5chain")
    return chain.x5chain(header, roots)
