"""mdoc authentication (ISO/IEC 18013-5 clause 9.1.3): does the answer in this session come from the device key that the
issuer named?

The table in `protocol.mdoc.verifier` lists the error codes.
"""

from protocol import cbor, cose
from protocol.crypto import AGREEMENT_CURVES, COORDINATE_BYTES, hkdf
from protocol.errors import FormatError, VerificationError
from protocol.mdoc.response import invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from protocol.crypto import Crypto
    from protocol.mdoc.mso import MobileSecurityObject
    from protocol.mdoc.response import Document


def elements(document: "Document", mso: "MobileSecurityObject") -> "dict[str, dict[str, Any]]":
    """Return the elements that the device itself signed. The issuer must have authorized each element.

    Raises FormatError for malformed name spaces. Raises VerificationError `mdoc.key_authorization` for an element
    without authorization.
    """
    name_spaces = document.device_name_spaces.decode()
    if not isinstance(name_spaces, dict):
        raise invalid("DeviceNameSpaces")
    for name_space, values in name_spaces.items():
        if not isinstance(name_space, str) or not isinstance(values, dict) or not values:
            raise invalid("DeviceNameSpaces")
        for element in values:
            if not isinstance(element, str):
                raise invalid("DeviceNameSpaces")
            if not mso.authorizes(name_space, element):
                raise VerificationError("mdoc.key_authorization", "the device key may not sign this element")
    return name_spaces


def authenticate(
    crypto: "Crypto",
    document: "Document",
    mso: "MobileSecurityObject",
    session_transcript: bytes,
    e_reader_private: "bytes | None",
) -> None:
    """Check the one deviceSignature or deviceMac of `document`. Raises FormatError, VerificationError."""
    signature, mac = document.device_signature, document.device_mac
    message = signature or mac
    if message is None or (signature and mac):
        raise VerificationError("mdoc.device_auth", "there must be either a deviceSignature or a deviceMac")
    if message.payload is not None:
        raise FormatError("mdoc.device_payload", "the payload of mdoc authentication must be null")
    # DeviceAuthenticationBytes. Transcript and name spaces are included as the bytes that were exchanged.
    content = cbor.wrap(
        cbor.encode(
            ["DeviceAuthentication", cbor.Raw(session_transcript), document.doc_type, document.device_name_spaces]
        )
    ).raw
    try:
        if signature:
            cose.verify_sign1(crypto, message, mso.device_key, content)
        else:
            if type(message.algorithm) is not int or message.algorithm != cose.HMAC_256:
                raise VerificationError("cose.algorithm", "the MAC algorithm must be HMAC 256/256")
            key = _mac_key(crypto, mso.device_key, session_transcript, e_reader_private)
            cose.verify_mac0(crypto, message, key, content)
    except VerificationError as error:
        code = _CODES.get(error.code)
        if code is None:
            raise
        raise VerificationError(code, "mdoc authentication: " + error.message)


_CODES = {
    "cose.algorithm": "mdoc.device_algorithm",
    "cose.signature": "mdoc.device_signature",
    "cose.mac": "mdoc.device_mac",
    "crypto.key": "mdoc.device_key",
}


def _mac_key(
    crypto: "Crypto", device_key: "tuple[str, bytes]", session_transcript: bytes, e_reader_private: "bytes | None"
) -> bytes:
    """EMacKey (clause 9.1.3.5). Sessions are on NIST curves, so a device key of the SM suite can make signatures but no
    MACs."""
    curve, public = device_key
    if curve not in AGREEMENT_CURVES or e_reader_private is None or len(e_reader_private) != COORDINATE_BYTES[curve]:
        raise VerificationError(
            "mdoc.reader_key", "a deviceMac needs the reader's private key, on the device key's curve"
        )
    salt = crypto.digest("SHA-256", cbor.wrap(session_transcript).raw)
    return hkdf(crypto, crypto.ecdh(curve, e_reader_private, public), salt, b"EMacKey", 32)
