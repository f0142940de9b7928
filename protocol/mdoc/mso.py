"""MobileSecurityObject (ISO/IEC 18013-5 clause 9.1.2.4): what the issuer signed."""

from protocol import cbor, cose, dates
from protocol.errors import FormatError, VerificationError
from protocol.mdoc.response import invalid, major_one, member

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DIGEST_BYTES = {"SHA-256": 32, "SHA-384": 48, "SHA-512": 64, "SM3": 32}
"""Digest algorithms of the standard (table 21) and of the SM suite, each with the length of its digests in bytes."""


class MobileSecurityObject:
    """A parsed MSO.

    `digests` maps each name space to a map from digest ID to digest. `device_key` is (curve, public).
    `authorized_name_spaces` and `authorized_elements` are the keyAuthorizations. `signed`, `valid_from` and
    `valid_until` are seconds since 1970. `status` is the revocation reference as received, or None
    (`protocol.mdoc.status`).
    """

    def __init__(self, payload: bytes) -> None:
        """Read the issuerAuth payload, `#6.24(bstr .cbor MobileSecurityObject)`.

        Raises FormatError for a malformed payload. Raises VerificationError `mdoc.mso_version` for an unknown version,
        `mdoc.digest_algorithm` for an unknown digest algorithm.
        """
        tagged = cbor.decode(payload)
        if not isinstance(tagged, cbor.Encoded):
            raise invalid("MobileSecurityObjectBytes")
        item = tagged.decode()
        if not major_one(member(item, "version", str, "MSO version")):
            raise VerificationError("mdoc.mso_version", "an MSO of a version we do not know")
        self.digest_algorithm: str = member(item, "digestAlgorithm", str, "digestAlgorithm")
        if self.digest_algorithm not in DIGEST_BYTES:
            raise VerificationError("mdoc.digest_algorithm", "a digest algorithm we do not know")
        self.doc_type: str = member(item, "docType", str, "MSO docType")
        self.digests = _digests(member(item, "valueDigests", dict, "valueDigests"), DIGEST_BYTES[self.digest_algorithm])

        key_info = member(item, "deviceKeyInfo", dict, "deviceKeyInfo")
        try:
            self.device_key = cose.parse_key(key_info.get("deviceKey"))
        except FormatError:
            raise FormatError("mdoc.device_key", "the device key is of a kind we do not know")
        authorizations = key_info.get("keyAuthorizations", {})
        if not isinstance(authorizations, dict):
            raise invalid("keyAuthorizations")
        self.authorized_name_spaces = _texts(authorizations.get("nameSpaces", []))
        self.authorized_elements = _authorized_elements(authorizations.get("dataElements", {}))
        for name_space in self.authorized_elements:
            # Clause 9.1.2.4: a name space is authorized either as a whole or by element.
            if name_space in self.authorized_name_spaces:
                raise invalid("keyAuthorizations")

        validity = member(item, "validityInfo", dict, "validityInfo")
        self.signed = _date(validity, "signed")
        self.valid_from = _date(validity, "validFrom")
        self.valid_until = _date(validity, "validUntil")
        self.status: "Any" = item.get("status")

    def authorizes(self, name_space: str, element: str) -> bool:
        """May the device key sign this element?"""
        return name_space in self.authorized_name_spaces or element in self.authorized_elements.get(name_space, [])


def _digests(item: "dict[Any, Any]", length: int) -> "dict[str, dict[int, bytes]]":
    for name_space, digests in item.items():
        if not isinstance(name_space, str) or not isinstance(digests, dict):
            raise invalid("valueDigests")
        for digest_id, digest in digests.items():
            if not isinstance(digest_id, int) or not isinstance(digest, bytes) or len(digest) != length:
                raise invalid("valueDigests")
    return item


def _texts(item: "Any") -> "list[str]":
    if not isinstance(item, list):
        raise invalid("keyAuthorizations")
    for text in item:
        if not isinstance(text, str):
            raise invalid("keyAuthorizations")
    return item


def _authorized_elements(item: "Any") -> "dict[str, list[str]]":
    if not isinstance(item, dict):
        raise invalid("keyAuthorizations")
    for name_space, elements in item.items():
        if not isinstance(name_space, str):
            raise invalid("keyAuthorizations")
        _texts(elements)
    return item


def _date(validity: "dict[Any, Any]", key: str) -> int:
    tagged = member(validity, key, cbor.Tag, "validityInfo")
    if tagged.number != 0 or not isinstance(tagged.value, str):
        raise invalid("validityInfo")
    try:
        return dates.from_rfc3339(tagged.value)
    except FormatError:
        raise invalid("validityInfo")
