"""Attacks on mdoc authentication."""

from typing import Any

import cbor2

from tests.support.attacks.building import PID, Build, authorizing, drop, flip_last, mac, one, put
from tests.support.credential import (
    MDL_NAME_SPACE,
    Case,
    Credential,
    key,
    present,
    session_transcript,
)


def _mac_beside_the_signature(document: Any) -> None:
    auth = document["deviceSigned"]["deviceAuth"]
    auth["deviceMac"] = [cbor2.dumps({1: 5}), {}, None, bytes(32)]


def _replayed() -> Case:
    return present(session=session_transcript(nonce=b"another handover"))


def _point_off_the_curve(item: Any) -> None:
    item["deviceKeyInfo"]["deviceKey"][-3] = flip_last(item["deviceKeyInfo"]["deviceKey"][-3])


DEVICE: dict[str, tuple[str, Build]] = {
    # mdoc authentication
    "an element that the device made up": (
        "mdoc.key_authorization",
        one(device_elements={MDL_NAME_SPACE: {"family_name": "Mallory"}}),
    ),
    "an element beside the one authorized": (
        "mdoc.key_authorization",
        one(
            device_elements={"org.example": {"other": 1}},
            **authorizing(dataElements={"org.example": ["nickname"]}),
        ),
    ),
    "a name space beside the one authorized": (
        "mdoc.key_authorization",
        one(device_elements={"org.example": {"nickname": 1}}, **authorizing(nameSpaces=["org.other"])),
    ),
    "a name space authorized both ways": (
        "mdoc.form",
        one(**authorizing(nameSpaces=["org.example"], dataElements={"org.example": ["nickname"]})),
    ),
    "device elements added after signing": (
        "mdoc.device_signature",
        one(
            change_document=put(
                "deviceSigned", "nameSpaces", cbor2.CBORTag(24, cbor2.dumps({"org.example": {"n": 1}}))
            ),
            **authorizing(nameSpaces=["org.example"]),
        ),
    ),
    "neither signature nor MAC": ("mdoc.device_auth", one(change_document=put("deviceSigned", "deviceAuth", {}))),
    "both signature and MAC": ("mdoc.device_auth", one(change_document=_mac_beside_the_signature)),
    "a third kind of device authentication": (
        "mdoc.form",
        one(change_document=put("deviceSigned", "deviceAuth", "deviceSecret", b"")),
    ),
    "a signature with its payload attached": ("mdoc.device_payload", one(change_device_message=put(2, b"payload"))),
    "a MAC with an empty payload attached": ("mdoc.device_payload", mac(change_device_message=put(2, b""))),
    "a replayed transcript": ("mdoc.device_signature", _replayed),
    "a MAC in a replayed transcript": (
        "mdoc.device_mac",
        lambda: present(Credential(method="deviceMac"), session=session_transcript(nonce=b"another handover")),
    ),
    "a device-key mismatch": ("mdoc.device_signature", one(device_key=key("cloned phone"))),
    "a device-key mismatch under a MAC": ("mdoc.device_mac", mac(device_key=key("cloned phone"))),
    "a bad device signature": (
        "mdoc.device_signature",
        one(change_device_message=lambda m: put(3, flip_last(m[3]))(m)),
    ),
    "a device signature for another document type": ("mdoc.device_signature", one(authenticated_doc_type=PID)),
    "a flipped MAC": ("mdoc.device_mac", mac(change_device_message=lambda m: put(3, flip_last(m[3]))(m))),
    "a MAC cut to eight bytes": ("mdoc.device_mac", mac(change_device_message=lambda m: put(3, m[3][:8])(m))),
    "an empty MAC": ("mdoc.device_mac", mac(change_device_message=put(3, b""))),
    "a device signature with ES384 on P-256": ("mdoc.device_algorithm", one(change_device_protected=put(1, -35))),
    "a device signature without algorithm": ("mdoc.device_algorithm", one(change_device_protected=drop(1))),
    "a MAC of 64 bits by algorithm": ("mdoc.device_algorithm", mac(change_device_protected=put(1, 4))),
    "a MAC with HMAC 512": ("mdoc.device_algorithm", mac(change_device_protected=put(1, 7))),
    "a MAC without a reader key": (
        "mdoc.reader_key",
        lambda: present(Credential(method="deviceMac"), e_reader_private=None),
    ),
    "a MAC with a reader key on another curve": (
        "mdoc.reader_key",
        lambda: present(Credential(method="deviceMac"), e_reader_private=bytes(47) + b"\x01"),
    ),
    "a MAC made for another reader": (
        "mdoc.device_mac",
        lambda: present(Credential(method="deviceMac"), e_reader_private=bytes(31) + b"\x01"),
    ),
    "a MAC with a device key on P-521, where no session can be": (
        "mdoc.reader_key",
        mac(curve="P-521"),
    ),
    "a device key on a Brainpool curve": (
        "mdoc.device_key",
        one(change_mso=put("deviceKeyInfo", "deviceKey", -1, 256)),
    ),
    "a device key of EdDSA": (
        "mdoc.device_key",
        one(change_mso=put("deviceKeyInfo", "deviceKey", {1: 1, -1: 6, -2: bytes(32)})),
    ),
    "a device key off its curve under a MAC": ("mdoc.device_key", mac(change_mso=_point_off_the_curve)),
    "a device key off its curve": ("mdoc.device_signature", one(change_mso=_point_off_the_curve)),
}
