"""Issues credentials of the SM suite: certificates and documents signed with SM2 and SM3, for tests and demonstrations.

The libraries used here cannot make such credentials, because pymdoccbor and `cryptography` do not have SM2. We wrote
this module ourselves, but it shares no code with the verifier. This module writes DER by hand, encodes with cbor2, and
hashes with OpenSSL.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import cbor2

from protocol.sm2_cpython import sm3
from sim.sm2 import PrivateKey

SM2_SM3 = -65537
SM2_CURVE = -65537
"""COSE numbers for private use, as defined in docs/formats.md."""

_SIGNED_SM2_SM3 = bytes.fromhex("300a06082a811ccf55018375")
_KEY_SM2 = bytes.fromhex("301306072a8648ce3d020106082a811ccf5501822d")


def der(tag: int, *contents: bytes) -> bytes:
    """Return one DER element that contains `contents`."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        length = bytes((size,))
    else:
        octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
        length = bytes((0x80 | len(octets),)) + octets
    return bytes((tag,)) + length + content


def integer(value: int) -> bytes:
    """Return the DER INTEGER of `value`, which must not be negative."""
    return der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def name(common_name: str, country: str = "CN") -> bytes:
    """Return a DER name with a country and a common name."""
    parts = ((b"\x55\x04\x06", 0x13, country), (b"\x55\x04\x03", 0x0C, common_name))
    return der(0x30, *(der(0x31, der(0x30, der(0x06, kind), der(tag, text.encode()))) for kind, tag, text in parts))


def _extension(identifier: str, value: bytes, critical: bool = False) -> bytes:
    return der(0x30, der(0x06, bytes.fromhex(identifier)), der(0x01, b"\xff") if critical else b"", der(0x04, value))


def signature(key: PrivateKey, message: bytes) -> bytes:
    """Sign `message` with SM2. Returns the signature in a DER BIT STRING."""
    raw = key.sign(message)
    values = (integer(int.from_bytes(half, "big")) for half in (raw[:32], raw[32:]))
    return der(0x03, b"\x00", der(0x30, *values))


@dataclass(frozen=True)
class Identity:
    """A certificate (DER), with its private key and the name to which the certificate was issued."""

    der: bytes
    key: PrivateKey
    subject: bytes


def _certificate(
    subject: bytes, key: PrivateKey, issuer: bytes, signer: PrivateKey, days: int, now: datetime, ca: bool
) -> bytes:
    begin = now - timedelta(days=1)
    times = (begin.strftime("%y%m%d%H%M%SZ"), (begin + timedelta(days=days)).strftime("%y%m%d%H%M%SZ"))
    identifiers = [hashlib.sha1(one.public, usedforsecurity=False).digest() for one in (key, signer)]
    extensions = [
        _extension("551d0e", der(0x04, identifiers[0])),
        _extension("551d0f", der(0x03, b"\x01\x06" if ca else b"\x07\x80"), critical=True),
    ]
    if ca:
        extensions.append(_extension("551d13", der(0x30, der(0x01, b"\xff"), integer(0)), critical=True))
    else:
        extensions.append(_extension("551d23", der(0x30, der(0x80, identifiers[1]))))
        extensions.append(_extension("551d25", der(0x30, der(0x06, bytes.fromhex("28818c5d050102"))), critical=True))
    tbs = der(
        0x30,
        der(0xA0, integer(2)),
        integer(secrets.randbits(120)),
        _SIGNED_SM2_SM3,
        issuer,
        der(0x30, *(der(0x17, time.encode()) for time in times)),
        subject,
        der(0x30, _KEY_SM2, der(0x03, b"\x00", key.public)),
        der(0xA3, der(0x30, *extensions)),
    )
    return der(0x30, tbs, _SIGNED_SM2_SM3, signature(signer, tbs))


def authority(common_name: str = "IACA", country: str = "CN", now: datetime | None = None) -> Identity:
    """Make a self-signed IACA on the SM2 curve."""
    key, subject = PrivateKey.generate(), name("TEST " + common_name, country)
    return Identity(_certificate(subject, key, subject, key, 3650, now or datetime.now(UTC), True), key, subject)


def document_signer(iaca: Identity, country: str = "CN", now: datetime | None = None) -> Identity:
    """Make a document signer under `iaca`."""
    key, subject = PrivateKey.generate(), name("TEST document signer", country)
    certificate = _certificate(subject, key, iaca.subject, iaca.key, 400, now or datetime.now(UTC), False)
    return Identity(certificate, key, subject)


def cose_key(public: bytes, curve: int = SM2_CURVE) -> dict[int, Any]:
    """Return a public key with 32-byte coordinates as an EC2 COSE_Key."""
    return {1: 2, -1: curve, -2: public[1:33], -3: public[33:]}


def issue(
    doc_type: str,
    data: dict[str, dict[str, Any]],
    device_public: bytes,
    signer: Identity,
    now: datetime | None = None,
    days: int = 365,
    status: dict[str, Any] | None = None,
    device_curve: int = SM2_CURVE,
) -> bytes:
    """Return an encoded IssuerSigned structure, with digests by SM3 and issuerAuth by SM2.

    `status` becomes a member of the MSO. If the phone's secure element can only make P-256 keys, give `device_curve` 1.
    """
    begin = (now or datetime.now(UTC)).replace(microsecond=0)
    name_spaces: dict[str, list[cbor2.CBORTag]] = {}
    digests: dict[str, dict[int, bytes]] = {}
    for name_space, elements in data.items():
        name_spaces[name_space], digests[name_space] = [], {}
        for number, (element, value) in enumerate(elements.items()):
            shown = cbor2.CBORTag(1004, value) if element.endswith("_date") else value
            item = {"digestID": number, "random": secrets.token_bytes(16)}
            item |= {"elementIdentifier": element, "elementValue": shown}
            tagged = cbor2.CBORTag(24, cbor2.dumps(item))
            digests[name_space][number] = sm3(cbor2.dumps(tagged))
            name_spaces[name_space].append(tagged)
    validity = {"signed": begin, "validFrom": begin, "validUntil": begin + timedelta(days=days)}
    mso: dict[str, Any] = {
        "version": "1.0",
        "digestAlgorithm": "SM3",
        "valueDigests": digests,
        "deviceKeyInfo": {"deviceKey": cose_key(device_public, device_curve)},
        "docType": doc_type,
        "validityInfo": {
            key: cbor2.CBORTag(0, moment.strftime("%Y-%m-%dT%H:%M:%SZ")) for key, moment in validity.items()
        },
    }
    if status is not None:
        mso["status"] = status
    payload = cbor2.dumps(cbor2.CBORTag(24, cbor2.dumps(mso)))
    protected = cbor2.dumps({1: SM2_SM3})
    proof = signer.key.sign(cbor2.dumps(["Signature1", protected, b"", payload]))
    return cbor2.dumps({"nameSpaces": name_spaces, "issuerAuth": [protected, {33: signer.der}, payload, proof]})
