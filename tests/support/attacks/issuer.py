"""Attacks on the signed parts: issuerAuth, MSO, validity, digests."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import cbor2

from tests.support.attacks.building import DAY, Build, at, drop, flip_last, items, mso, one, put, reopened
from tests.support.credential import (
    DS,
    MDL,
    MDL_NAME_SPACE,
    NOW,
    SIGNED,
    key,
    name,
)


def _swap_values(elements: list[Any]) -> None:
    first, second = cbor2.loads(elements[0].value), cbor2.loads(elements[1].value)
    elements[0] = reopened(elements[0], elementValue=second["elementValue"])
    elements[1] = reopened(elements[1], elementValue=first["elementValue"])


def _same_element_twice(item: Any) -> None:
    if item["elementIdentifier"] == "given_name":
        item["elementIdentifier"] = "family_name"


def _algorithm_unprotected(message: Any) -> None:
    message[0] = b""
    message[1][1] = -7


ISSUER: dict[str, tuple[str, Build]] = {
    # issuerAuth
    "a bad issuer signature": ("mdoc.issuer_signature", one(change_issuer_auth=lambda m: put(3, flip_last(m[3]))(m))),
    "an issuer signature of zeros": ("mdoc.issuer_signature", one(change_issuer_auth=put(3, bytes(64)))),
    "an issuer signature of no bytes": ("mdoc.issuer_signature", one(change_issuer_auth=put(3, b""))),
    "an MSO signed by another key": ("mdoc.issuer_signature", one(issuer_key=key("mallory"))),
    "an MSO changed after signing": (
        "mdoc.issuer_signature",
        one(change_issuer_auth=lambda m: put(2, m[2].replace(MDL.encode(), b"org.iso.18013.5.1.mDX"))(m)),
    ),
    "issuerAuth without algorithm": ("mdoc.issuer_algorithm", one(change_issuer_protected=drop(1))),
    "issuerAuth with its algorithm unprotected": (
        "mdoc.issuer_algorithm",
        one(change_issuer_auth=_algorithm_unprotected),
    ),
    "ES384 on P-256": ("mdoc.issuer_algorithm", one(change_issuer_protected=put(1, -35))),
    "issuerAuth with EdDSA": ("mdoc.issuer_algorithm", one(change_issuer_protected=put(1, -8))),
    "issuerAuth with a textual algorithm": ("mdoc.issuer_algorithm", one(change_issuer_protected=put(1, "ES256"))),
    "issuerAuth with a critical header": ("cose.crit", one(change_issuer_protected=put(2, [1]))),
    "issuerAuth without payload": ("mdoc.form", one(change_issuer_auth=put(2, None))),
    "issuerAuth of three members": ("cose.form", one(change_issuer_auth=drop(3))),
    "issuerAuth tagged as a MAC": (
        "cose.form",
        one(
            change_document=lambda d: put(
                "issuerSigned", "issuerAuth", cbor2.CBORTag(17, d["issuerSigned"]["issuerAuth"])
            )(d)
        ),
    ),
    # MSO
    "an MSO of version 2.0": ("mdoc.mso_version", mso(put("version", "2.0"))),
    "an MSO with SHA-1": ("mdoc.digest_algorithm", mso(put("digestAlgorithm", "SHA-1"))),
    "an MSO with its digest algorithm in lower case": ("mdoc.digest_algorithm", mso(put("digestAlgorithm", "sha-256"))),
    "an MSO without device key": ("mdoc.device_key", mso(drop("deviceKeyInfo", "deviceKey"))),
    "an MSO with an RSA device key": ("mdoc.device_key", mso(put("deviceKeyInfo", "deviceKey", {1: 3}))),
    "an MSO with short digests": (
        "mdoc.form",
        mso(put("valueDigests", MDL_NAME_SPACE, 0, b"short")),
    ),
    "an MSO with a date that is no tdate": (
        "mdoc.form",
        mso(put("validityInfo", "validUntil", "2027-01-01T00:00:00Z")),
    ),
    "an MSO with a date that does not exist": (
        "mdoc.form",
        mso(put("validityInfo", "validUntil", cbor2.CBORTag(0, "2027-02-29T00:00:00Z"))),
    ),
    "an MSO without validity": ("mdoc.form", mso(drop("validityInfo"))),
    "an MSO with a status list without a uri": ("mdoc.form", mso(put("status", {"status_list": {"idx": 1}}))),
    "an MSO with a negative index": ("mdoc.form", mso(put("status", {"status_list": {"idx": -1, "uri": "u"}}))),
    "an MSO with a textual identifier": ("mdoc.form", mso(put("status", {"identifier_list": {"id": "i", "uri": "u"}}))),
    # Validity
    "an expired MSO": ("mdoc.expired", one(valid_until=NOW - timedelta(seconds=1))),
    "an MSO of tomorrow": ("mdoc.not_yet_valid", one(valid_from=NOW + timedelta(seconds=1))),
    "a clock whose latest time is past the end": ("mdoc.expired", at(NOW, NOW + 61 * DAY)),
    "a clock whose earliest time is before the start": ("mdoc.not_yet_valid", at(SIGNED - DAY, NOW)),
    "a clock that knows no latest time": ("mdoc.clock", at(NOW, None)),
    "a clock that runs backwards": ("mdoc.clock", at(NOW, NOW - DAY)),
    "an MSO signed before its DS certificate was valid": (
        "mdoc.signed_outside_ds",
        one(signed=DS.not_before - DAY),
    ),
    "an MSO signed after its DS certificate expires": (
        "mdoc.signed_outside_ds",
        one(signed=DS.not_after + DAY, valid_from=DS.not_after + DAY, valid_until=DS.not_after + 9 * DAY),
    ),
    "validFrom before signed": ("mdoc.validity_order", one(valid_from=SIGNED - DAY)),
    "validUntil before validFrom": ("mdoc.validity_order", one(valid_until=SIGNED - DAY)),
    # Digests
    "a tampered value": ("mdoc.digest", items(lambda e: put(0, reopened(e[0], elementValue="Musterfrau"))(e))),
    "a tampered element name": ("mdoc.digest", items(lambda e: put(0, reopened(e[0], elementIdentifier="alias"))(e))),
    "a re-encoded item": (
        "mdoc.digest",
        items(lambda e: put(0, cbor2.CBORTag(24, cbor2.dumps(cbor2.loads(e[0].value), canonical=True)))(e)),
    ),
    "two values swapped": ("mdoc.digest", items(_swap_values)),
    "a bad hash in the MSO": ("mdoc.digest", mso(put("valueDigests", MDL_NAME_SPACE, 0, bytes(32)))),
    "an unknown name space": (
        "mdoc.unknown_namespace",
        one(
            change_document=lambda d: put(
                "issuerSigned", "nameSpaces", {"org.example": d["issuerSigned"]["nameSpaces"][MDL_NAME_SPACE]}
            )(d)
        ),
    ),
    "an unknown digest ID": ("mdoc.unknown_digest", items(lambda e: put(0, reopened(e[0], digestID=99))(e))),
    "a negative digest ID": ("mdoc.form", items(lambda e: put(0, reopened(e[0], digestID=-1))(e))),
    "an item returned twice": ("mdoc.duplicate_digest", items(lambda e: e.append(e[0]))),
    "two values for one element": ("mdoc.duplicate_element", one(change_item=_same_element_twice)),
    "an item without salt": ("mdoc.form", one(change_item=drop("random"))),
    "an item without value": ("mdoc.form", one(change_item=drop("elementValue"))),
    "an item that is not wrapped": ("mdoc.form", items(lambda e: put(0, cbor2.loads(e[0].value))(e))),
    "an item with a duplicate key": (
        "cbor.duplicate",
        items(lambda e: put(0, cbor2.CBORTag(24, b"\xa2\x01\x01\x01\x02"))(e)),
    ),
    "a name space without items": (
        "mdoc.form",
        one(change_document=put("issuerSigned", "nameSpaces", MDL_NAME_SPACE, [])),
    ),
    # The place that a licence names
    "a licence that names another country": (
        "mdoc.issuing_country",
        one(elements={MDL_NAME_SPACE: {"issuing_country": "XX"}}),
    ),
    "a licence that names another state": (
        "mdoc.issuing_jurisdiction",
        one(
            ds=replace(DS, subject=name("Utopia DS", "UT", "UT-1")),
            elements={MDL_NAME_SPACE: {"issuing_jurisdiction": "UT-2"}},
        ),
    ),
}
