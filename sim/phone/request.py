"""Reads a DeviceRequest and checks its reader authentication.

So the phone can show its owner which reader asks for which elements.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

import cbor2
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509.oid import NameOID

from sim.pki import MDOC_READER


class RequestError(Exception):
    """The phone cannot act on the request. The text is for the phone's owner."""


@dataclass(frozen=True)
class Asked:
    """A document in the request.

    `elements` is {namespace: {element: whether the reader will keep it}}. `reader` is the name of the reader, or None
    for an unknown reader.
    """

    doc_type: str
    elements: Mapping[str, Mapping[str, bool]]
    reader: str | None


def read(raw: bytes, transcript: bytes, roots: Iterable[x509.Certificate], now: datetime | None = None) -> list[Asked]:
    """Return the documents that `raw` asks for. An unverified reader is not an error.

    Raises RequestError if `raw` is malformed.
    """
    try:
        request = cbor2.loads(raw)
        if not request["version"].startswith("1."):
            raise RequestError("unknown version")
        return [_document(item, transcript, tuple(roots), now or datetime.now(UTC)) for item in request["docRequests"]]
    except (cbor2.CBORDecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise RequestError("malformed request") from error


def _document(
    request: Mapping[str, object], transcript: bytes, roots: tuple[x509.Certificate, ...], now: datetime
) -> Asked:
    items_bytes = request["itemsRequest"]
    if not isinstance(items_bytes, cbor2.CBORTag) or items_bytes.tag != 24:
        raise RequestError("ItemsRequestBytes is not tagged")
    items = cbor2.loads(items_bytes.value)
    reader = None
    if "readerAuth" in request:
        try:
            reader = _reader(request["readerAuth"], items_bytes, transcript, roots, now)
        except (InvalidSignature, x509.ExtensionNotFound, KeyError, TypeError, ValueError):
            reader = None
    return Asked(items["docType"], items["nameSpaces"], reader)


def _reader(
    auth: object, items: cbor2.CBORTag, transcript: bytes, roots: tuple[x509.Certificate, ...], now: datetime
) -> str:
    """Return the common name of the authenticated reader (clause 9.1.4). Raises an error for any other reader."""
    if not isinstance(auth, (list, tuple)) or auth[2] is not None:
        raise ValueError("readerAuth must be a COSE_Sign1 with detached payload")
    if cbor2.loads(auth[0]) != {1: -7}:
        raise ValueError("not ES256")
    x5chain = auth[1][33]
    chain = [x509.load_der_x509_certificate(der) for der in ([x5chain] if isinstance(x5chain, bytes) else x5chain)]
    _check_path(chain, roots, now)
    authentication = ["ReaderAuthentication", cbor2.loads(transcript), items]
    content = cbor2.dumps(cbor2.CBORTag(24, cbor2.dumps(authentication)))
    signed = cbor2.dumps(["Signature1", auth[0], b"", content])
    public = chain[0].public_key()
    signature = auth[3]
    if not isinstance(public, ec.EllipticCurvePublicKey) or len(signature) != 64:
        raise ValueError("not an ES256 signature")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    public.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    return str(chain[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def _check_path(chain: list[x509.Certificate], roots: tuple[x509.Certificate, ...], now: datetime) -> None:
    leaf = chain[0]
    if MDOC_READER not in leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value:
        raise ValueError("not an mdoc reader certificate")
    if not leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature:
        raise ValueError("not a certificate for signing")
    root = next((root for root in roots if root.subject == chain[-1].issuer), None)
    if root is None:
        raise ValueError("the reader root is unknown")
    path = [*chain, root]
    for certificate, issuer in pairwise(path):
        certificate.verify_directly_issued_by(issuer)
        if not issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            raise ValueError("the issuer is not a certificate authority")
    for certificate in path:
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise ValueError("outside its validity")
