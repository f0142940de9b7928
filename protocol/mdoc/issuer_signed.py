"""Issuer data authentication (ISO/IEC 18013-5 clause 9.3.1): did the issuer sign exactly these elements?

The table in `protocol.mdoc.verifier` lists the error codes.
"""

from protocol import const, cose
from protocol.errors import FormatError, VerificationError
from protocol.mdoc.mso import MobileSecurityObject
from protocol.mdoc.response import Document, IssuerSignedItem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from protocol.crypto import Crypto
    from protocol.mdoc.chain import DocumentSigner

_MDL_NAME_SPACE = const("org.iso.18013.5.1")


def authenticate(
    crypto: "Crypto", document: Document, signer: "DocumentSigner", now: "tuple[int, int]"
) -> MobileSecurityObject:
    """Check the MSO of `document` and return it. The MSO must have a good signature. The MSO must name the document
    type of `document`. The MSO must be valid at every moment of the interval `now`.

    Raises FormatError, VerificationError.
    """
    message = document.issuer_auth
    if message.payload is None:
        raise FormatError("mdoc.form", "issuerAuth has no payload")
    try:
        cose.verify_sign1(crypto, message, (signer.curve, signer.public))
    except VerificationError as error:
        if error.code == "cose.algorithm":
            raise VerificationError("mdoc.issuer_algorithm", "issuerAuth: " + error.message)
        raise VerificationError("mdoc.issuer_signature", "the issuer's signature is not good")
    mso = MobileSecurityObject(message.payload)
    if mso.doc_type != document.doc_type:
        raise VerificationError("mdoc.doctype", "the MSO is for another document type")
    _check_validity(mso, signer, now)
    return mso


def _check_validity(mso: MobileSecurityObject, signer: "DocumentSigner", now: "tuple[int, int]") -> None:
    if not signer.not_before <= mso.signed <= signer.not_after:
        raise VerificationError("mdoc.signed_outside_ds", "the MSO was signed outside the DS certificate's validity")
    if not mso.signed <= mso.valid_from <= mso.valid_until:
        raise VerificationError("mdoc.validity_order", "the MSO's dates contradict each other")
    if now[0] < mso.valid_from:
        raise VerificationError("mdoc.not_yet_valid", "the MSO is not valid yet")
    if now[1] > mso.valid_until:
        raise VerificationError("mdoc.expired", "the MSO has expired")


def elements(
    crypto: "Crypto", document: Document, mso: MobileSecurityObject, signer: "DocumentSigner"
) -> "dict[str, dict[str, Any]]":
    """Return the elements of `document` by name space. Each element is compared with its digest in the MSO.

    Raises FormatError, VerificationError.
    """
    result = {}
    for name_space, items in document.name_spaces.items():
        digests = mso.digests.get(name_space)
        if digests is None:
            raise VerificationError("mdoc.unknown_namespace", "the issuer did not sign this name space")
        values: "dict[str, Any]" = {}
        used = []
        for encoded in items:
            item = IssuerSignedItem(encoded)
            if item.digest_id not in digests:
                raise VerificationError("mdoc.unknown_digest", "the issuer did not sign this digest ID")
            if item.digest_id in used:
                raise VerificationError("mdoc.duplicate_digest", "a digest ID appears twice")
            if item.element in values:
                raise VerificationError("mdoc.duplicate_element", "an element appears twice")
            if crypto.digest(mso.digest_algorithm, encoded.raw) != digests[item.digest_id]:
                raise VerificationError("mdoc.digest", "an element is not what the issuer signed")
            used.append(item.digest_id)
            values[item.element] = item.value
        result[name_space] = values
    _check_place(result.get(_MDL_NAME_SPACE, {}), signer)
    return result


def _check_place(values: "dict[str, Any]", signer: "DocumentSigner") -> None:
    # Table 5 and Annex B.1.4: a licence names the country that its DS certificate names. If the DS certificate names a
    # state, the licence names this state too.
    if "issuing_country" in values and values["issuing_country"] != signer.country:
        raise VerificationError("mdoc.issuing_country", "issuing_country is not the DS certificate's country")
    jurisdiction = values.get("issuing_jurisdiction")
    if signer.state is not None and jurisdiction is not None:
        if not isinstance(jurisdiction, str) or jurisdiction.encode() != signer.state:
            raise VerificationError(
                "mdoc.issuing_jurisdiction", "issuing_jurisdiction is not the DS certificate's state"
            )
