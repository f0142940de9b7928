"""Makes an issuer's revocation lists: CRLs with `cryptography`, status and identifier lists with cbor2 and zlib."""

import zlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from sim.pki import Identity

DAY = 86400


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def crl(
    iaca: Identity,
    serials: Iterable[int],
    issued: int,
    expires: int,
    extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    entry_extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    key_identifier: bool = True,
) -> bytes:
    """Make a CRL (DER) of `iaca` that revokes the certificates with these `serials`. Times are in seconds since 1970.

    `extensions` are added to the list, and `entry_extensions` to each of its entries. The bool beside each extension
    says whether it is critical.
    """
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(iaca.certificate.subject)
        .last_update(_moment(issued))
        .next_update(_moment(expires))
        .add_extension(x509.CRLNumber(1), critical=False)
    )
    if key_identifier:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(iaca.key.public_key())
        builder = builder.add_extension(identifier, critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    for serial in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(_moment(issued))
        for extension, critical in entry_extensions:
            entry = entry.add_extension(extension, critical=critical)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(iaca.key, hashes.SHA256()).public_bytes(Encoding.DER)


def pack(statuses: Mapping[int, int], size: int, bits: int = 1) -> bytes:
    """Return the compressed status list of `size` documents. All documents are valid except those in `statuses`."""
    packed = bytearray((size * bits + 7) // 8)
    for index, status in statuses.items():
        packed[index * bits // 8] |= status << index * bits % 8
    return zlib.compress(bytes(packed), 9)


def sign_token(key: ec.EllipticCurvePrivateKey, header: dict[Any, Any], claims: dict[Any, Any]) -> bytes:
    """Return a CWT with the given `header` and `claims`, signed with `key` by ES256."""
    protected, payload = cbor2.dumps({1: -7, **header}), cbor2.dumps(claims)
    signed = cbor2.dumps(["Signature1", protected, b"", payload])
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    return cbor2.dumps(cbor2.CBORTag(18, [protected, {}, payload, r.to_bytes(32, "big") + s.to_bytes(32, "big")]))


def _claims(uri: str, issued: int, expires: int) -> dict[int, Any]:
    return {2: uri, 6: issued, 4: expires, 65534: DAY}


def status_token(
    key: ec.EllipticCurvePrivateKey,
    uri: str,
    statuses: Mapping[int, int],
    issued: int,
    expires: int | None = None,
    size: int = 1000,
    bits: int = 1,
) -> bytes:
    """Make a Token Status List of `size` documents at `uri`. By default, the list expires a week after `issued`."""
    claims = _claims(uri, issued, issued + 7 * DAY if expires is None else expires)
    claims[65533] = {"bits": bits, "lst": pack(statuses, size, bits)}
    return sign_token(key, {16: "application/statuslist+cwt"}, claims)


def identifier_token(key: ec.EllipticCurvePrivateKey, uri: str, identifiers: Iterable[bytes], issued: int) -> bytes:
    """Make an identifier list at `uri` that revokes the documents with these `identifiers`. The list is valid for a
    week.
    """
    claims = _claims(uri, issued, issued + 7 * DAY)
    claims[65530] = {"identifiers": {identifier: {} for identifier in identifiers}}
    return sign_token(key, {16: "application/identifierlist+cwt"}, claims)


def reference(uri: str, index: int) -> dict[str, Any]:
    """Return the member of a document's MSO that refers to the document's place in a status list."""
    return {"status_list": {"idx": index, "uri": uri}}
