"""The phone's DeviceResponse: the elements that the owner agreed to share, signed or MACed for this session."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from sim.phone.session import HolderSession
from sim.sm2 import PrivateKey as SM2PrivateKey

Authentication = Literal["signature", "mac"]
Tamper = Literal[
    "element-value",  # Another value in a signed element.
    "extra-element",  # An added element that the issuer never signed.
    "doc-type",  # The document claims to be of another type.
    "issuer-signature",  # One bit of the issuer's signature is flipped.
    "device-signature",  # One bit of deviceSignature or deviceMac is flipped.
    "session-data",  # One bit of the encrypted message is flipped.
]


@dataclass(frozen=True)
class Credential:
    """A document on the phone: its IssuerSigned as issued, and its private device key."""

    doc_type: str
    issuer_signed: bytes
    device_key: ec.EllipticCurvePrivateKey | SM2PrivateKey


def build(
    shared: list[tuple[Credential, Mapping[str, Mapping[str, bool]]]],
    session: HolderSession,
    authentication: Authentication,
    tamper: Tamper | None = None,
) -> bytes:
    """Return an encoded DeviceResponse. `shared` has each credential and the names of its elements to present."""
    documents = [_document(credential, wanted, session, authentication, tamper) for credential, wanted in shared]
    response: dict[str, Any] = {"version": "1.0", "status": 0}
    if documents:
        response["documents"] = documents
    return cbor2.dumps(response)


def available(credential: Credential, wanted: Mapping[str, Mapping[str, bool]]) -> dict[str, list[str]]:
    """Return the elements of `wanted` that the credential has, as {namespace: [element]}."""
    found: dict[str, list[str]] = {}
    for name_space, items in cbor2.loads(credential.issuer_signed)["nameSpaces"].items():
        names = [cbor2.loads(item.value)["elementIdentifier"] for item in items]
        here = sorted(name for name in names if name in wanted.get(name_space, {}))
        if here:
            found[name_space] = here
    return found


def _document(
    credential: Credential,
    wanted: Mapping[str, Mapping[str, bool]],
    session: HolderSession,
    authentication: Authentication,
    tamper: Tamper | None,
) -> dict[str, Any]:
    issuer_signed = cbor2.loads(credential.issuer_signed)
    chosen: dict[str, list[cbor2.CBORTag]] = {}
    for name_space, items in issuer_signed["nameSpaces"].items():
        asked = wanted.get(name_space, {})
        kept = [item for item in items if cbor2.loads(item.value)["elementIdentifier"] in asked]
        if kept:
            chosen[name_space] = kept
    issuer_auth = list(issuer_signed["issuerAuth"])
    doc_type = credential.doc_type
    if tamper == "element-value":
        _forge_value(chosen)
    elif tamper == "extra-element":
        _forge_element(chosen)
    elif tamper == "issuer-signature":
        issuer_auth[3] = _flip(issuer_auth[3])
    elif tamper == "doc-type":
        doc_type += ".other"
    return {
        "docType": doc_type,
        "issuerSigned": {"nameSpaces": chosen, "issuerAuth": issuer_auth},
        "deviceSigned": _device_signed(credential.device_key, doc_type, session, authentication, tamper),
    }


def _device_signed(
    key: ec.EllipticCurvePrivateKey | SM2PrivateKey,
    doc_type: str,
    session: HolderSession,
    authentication: Authentication,
    tamper: Tamper | None,
) -> dict[str, Any]:
    name_spaces = cbor2.CBORTag(24, cbor2.dumps({}))
    content = ["DeviceAuthentication", cbor2.loads(session.transcript), doc_type, name_spaces]
    covered = cbor2.dumps(cbor2.CBORTag(24, cbor2.dumps(content)))
    if isinstance(key, SM2PrivateKey):
        # Session keys are on NIST curves. A device key of the SM suite is on another curve, so it can sign, but cannot
        # make a MAC.
        protected = cbor2.dumps({1: -65537})
        proof = key.sign(cbor2.dumps(["Signature1", protected, b"", covered]))
        authentication = "signature"
    elif authentication == "mac":
        assert session.reader_public is not None
        mac_key = session.derive(key.exchange(ec.ECDH(), session.reader_public), b"EMacKey")
        protected = cbor2.dumps({1: 5})
        proof = hmac.digest(mac_key, cbor2.dumps(["MAC0", protected, b"", covered]), "sha256")
    else:
        p384 = isinstance(key.curve, ec.SECP384R1)
        protected = cbor2.dumps({1: -35 if p384 else -7})
        hash_algorithm: hashes.HashAlgorithm = hashes.SHA384() if p384 else hashes.SHA256()
        signed = cbor2.dumps(["Signature1", protected, b"", covered])
        size = (key.key_size + 7) // 8
        r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hash_algorithm)))
        proof = r.to_bytes(size, "big") + s.to_bytes(size, "big")
    if tamper == "device-signature":
        proof = _flip(proof)
    member = "deviceMac" if authentication == "mac" else "deviceSignature"
    return {"nameSpaces": name_spaces, "deviceAuth": {member: [protected, {}, None, proof]}}


def _flip(proof: bytes) -> bytes:
    return proof[:-1] + bytes((proof[-1] ^ 1,))


def _forge_value(chosen: dict[str, list[cbor2.CBORTag]]) -> None:
    """Change the value of the first text element."""
    for items in chosen.values():
        for index, item in enumerate(items):
            content = cbor2.loads(item.value)
            if isinstance(content["elementValue"], str):
                content["elementValue"] += "X"
                items[index] = cbor2.CBORTag(24, cbor2.dumps(content))
                return


def _forge_element(chosen: dict[str, list[cbor2.CBORTag]]) -> None:
    for items in chosen.values():
        content = cbor2.loads(items[0].value)
        content.update({"digestID": 9999, "elementIdentifier": "nationality", "elementValue": "CN"})
        items.append(cbor2.CBORTag(24, cbor2.dumps(content)))
        return


def corrupt(message: bytes) -> bytes:
    """Return SessionData with one bit of its ciphertext flipped."""
    content = cbor2.loads(message)
    return cbor2.dumps({**content, "data": _flip(content["data"])})
