"""DeviceResponse (ISO/IEC 18013-5 clause 8.3.2.1.2.2): its form, which is parsed before anything in it is verified.

All bytes that a digest or signature covers are kept as received. `IssuerSignedItem` reads one element.
`IssuerSignedItem` is used only after the issuer's signature is known to be good. `response.cddl` beside this file shows
the form.
"""

from protocol import cbor, cose
from protocol.errors import FormatError, VerificationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_DEVICE_RESPONSE = 65536
"""Maximum size of a DeviceResponse, in bytes. This limit is twice the size of a licence with a large portrait, and is
small enough for the lock's heap.
"""

MAX_DOCUMENTS = 4
MAX_ELEMENTS = 128
"""Maximum number of elements in one document, over all name spaces."""


def invalid(what: str) -> FormatError:
    """Return the error that says that `what` does not have the required form."""
    return FormatError("mdoc.form", what + " does not have the required form")


def member(item: "Any", key: "Any", kind: "Any", what: str) -> "Any":
    """Return `item[key]`. Raises FormatError `mdoc.form` unless `item` is a map and the value is of type `kind`."""
    value = item.get(key) if isinstance(item, dict) else None
    if kind is bytes and isinstance(value, memoryview):
        value = bytes(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise invalid(what)
    return value


class DeviceResponse:
    """`version`, `status` and `documents`."""

    def __init__(self, version: str, status: int, documents: "list[Document]") -> None:
        self.version = version
        self.status = status
        self.documents = documents


class Document:
    """One document as received.

    `name_spaces` maps each name space to its IssuerSignedItemBytes. `issuer_auth` is the issuer's signature.
    `device_name_spaces` are the DeviceNameSpacesBytes. `device_signature` and `device_mac` are None if the document
    does not have them.
    """

    def __init__(self, item: "Any") -> None:
        """Raises FormatError."""
        self.doc_type: str = member(item, "docType", str, "docType")
        issuer_signed = member(item, "issuerSigned", dict, "issuerSigned")
        self.name_spaces: "dict[str, list[cbor.Encoded]]" = {}
        if "nameSpaces" in issuer_signed:
            self.name_spaces = _name_spaces(member(issuer_signed, "nameSpaces", dict, "nameSpaces"))
        self.issuer_auth = cose.parse(issuer_signed.get("issuerAuth"))
        device_signed = member(item, "deviceSigned", dict, "deviceSigned")
        self.device_name_spaces: cbor.Encoded = member(
            device_signed, "nameSpaces", cbor.Encoded, "DeviceNameSpacesBytes"
        )
        device_auth = member(device_signed, "deviceAuth", dict, "deviceAuth")
        self.device_signature = _message(device_auth, "deviceSignature")
        self.device_mac = _message(device_auth, "deviceMac")
        for key in device_auth:
            if key not in ("deviceSignature", "deviceMac"):
                raise invalid("deviceAuth")


class IssuerSignedItem:
    """One element with its digest ID and salt."""

    def __init__(self, encoded: cbor.Encoded) -> None:
        """Read the content of IssuerSignedItemBytes. Raises FormatError."""
        item = encoded.decode()
        self.digest_id: int = member(item, "digestID", int, "digestID")
        member(item, "random", bytes, "random")
        self.element: str = member(item, "elementIdentifier", str, "elementIdentifier")
        if self.digest_id < 0 or "elementValue" not in item:
            raise invalid("IssuerSignedItem")
        self.value: "Any" = item["elementValue"]


def _message(device_auth: "dict[Any, Any]", key: str) -> "cose.Message | None":
    return cose.parse(device_auth[key]) if key in device_auth else None


def _name_spaces(item: "dict[Any, Any]") -> "dict[str, list[cbor.Encoded]]":
    count = 0
    for name_space, elements in item.items():
        if not isinstance(name_space, str) or not isinstance(elements, list) or not elements:
            raise invalid("nameSpaces")
        for element in elements:
            if not isinstance(element, cbor.Encoded):
                raise invalid("IssuerSignedItemBytes")
        count += len(elements)
    if count > MAX_ELEMENTS:
        raise VerificationError("mdoc.too_many", "more elements than we read")
    return item


def parse(data: "bytes | memoryview") -> DeviceResponse:
    """Parse the form of a DeviceResponse. A memoryview is read in place (`protocol.cbor`). If the status is not 0, the
    result has no documents, even if `data` holds some.

    Raises FormatError `cbor.*`, `cose.form`, `mdoc.form` for a malformed response, `mdoc.too_long` for more than
    MAX_DEVICE_RESPONSE bytes. Raises VerificationError `cose.crit` for a critical header, `mdoc.version` for an unknown
    version, `mdoc.too_many` for too many documents or elements.
    """
    if len(data) > MAX_DEVICE_RESPONSE:
        raise FormatError("mdoc.too_long", "longer than any response we read")
    item = cbor.decode(data)
    version: str = member(item, "version", str, "version")
    if not major_one(version):
        raise VerificationError("mdoc.version", "a DeviceResponse of a version we do not know")
    status: int = member(item, "status", int, "status")
    documents = member(item, "documents", list, "documents") if "documents" in item else []
    if status != 0:
        return DeviceResponse(version, status, [])
    if len(documents) > MAX_DOCUMENTS:
        raise VerificationError("mdoc.too_many", "more documents than we read")
    return DeviceResponse(version, status, [Document(each) for each in documents])


def major_one(version: str) -> bool:
    """Is this a version 1.x? The standard changes the minor number for compatible additions (clause 8.1)."""
    minor = version[2:]
    if version[:2] != "1." or not 1 <= len(minor) <= 3:
        return False
    for digit in minor:
        if not "0" <= digit <= "9":
            return False
    return True
