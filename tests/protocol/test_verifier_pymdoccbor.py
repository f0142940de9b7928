"""Claims about credentials of the independent issuer pymdoccbor. Our test phone presents them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import cbor2
import pytest
from pymdoccbor.mdoc.issuer import MdocCborIssuer

from protocol import cbor, crypto_cpython
from protocol.errors import VerificationError
from protocol.mdoc import verifier
from tests.support.credential import (
    DS,
    IACA,
    MDL,
    MDL_NAME_SPACE,
    Credential,
    key,
    present,
    seconds,
    session_transcript,
)
from tests.support.verifier_on_lock import on_lock

DAY = timedelta(days=1)
NOW = datetime.now(UTC)
"""This is the real time, because pymdoccbor cannot use any other time."""

IACA_NOW = replace(IACA, not_before=NOW - 9 * DAY, not_after=NOW + 900 * DAY)
DS_NOW = replace(DS, not_before=NOW - 9 * DAY, not_after=NOW + 90 * DAY)

ELEMENTS = {
    "family_name": "Mustermann",
    "given_name": "Erika",
    "birth_date": "1984-08-12",
    "document_number": "T22000129",
    "issuing_country": "UT",
}


def numbers(name: str) -> dict[str, Any]:
    private = key(name) if name == "device" else DS_NOW.key()
    public = private.public_key().public_numbers()
    return {
        "KTY": "EC2",
        "CURVE": "P_256",
        "ALG": "ES256",
        "D": private.private_numbers().private_value.to_bytes(32, "big"),
        "X": public.x.to_bytes(32, "big"),
        "Y": public.y.to_bytes(32, "big"),
        "KID": name.encode(),
    }


def issued() -> Any:
    """Let pymdoccbor issue an mDL, and return it in the form that `documents` contains."""
    issuer = MdocCborIssuer(private_key=numbers("issuer"), alg="ES256", kid="issuer")
    return issuer.new(
        doctype=MDL,
        data={MDL_NAME_SPACE: dict(ELEMENTS)},
        validity={
            "issuance_date": (NOW - DAY).strftime("%Y-%m-%d"),
            "expiry_date": (NOW + 30 * DAY).strftime("%Y-%m-%d"),
        },
        devicekeyinfo=numbers("device"),
        x509_chain=[DS_NOW.certificate(IACA_NOW)],
    )["documents"][0]


def presented(method: str, change: Any = lambda document: None, **settings: Any) -> Any:
    theirs = issued()

    def graft(document: Any) -> None:
        document["issuerSigned"] = theirs["issuerSigned"]
        change(document)

    moment = seconds(datetime.now(UTC)) + 1
    return present(
        Credential(iaca=IACA_NOW, ds=DS_NOW, method=method, change_document=graft),
        **{"now": (moment, moment), **settings},
    )


def verify(case: Any) -> list[verifier.VerifiedDocument]:
    roots: list[Any] = [root for root, _ in case.roots]
    return verifier.verify(
        crypto_cpython, case.device_response, case.session_transcript, roots, case.now, case.e_reader_private
    )


@pytest.mark.parametrize("method", ["deviceSignature", "deviceMac"])
def test_a_credential_of_pymdoccbor_is_accepted(method: str) -> None:
    (document,) = verify(presented(method))
    elements = document.elements[MDL_NAME_SPACE]
    assert elements.pop("birth_date") == cbor.Tag(1004, "1984-08-12")
    assert elements == {name: value for name, value in ELEMENTS.items() if name != "birth_date"}


def test_the_lock_accepts_it_too_and_rejects_it_once_tampered(tmp_path: Any) -> None:
    cases = [presented("deviceSignature"), presented("deviceMac"), presented("deviceMac", _tamper)]
    assert on_lock(cases, tmp_path) == [[MDL], [MDL], "mdoc.digest"]


def _tamper(document: Any) -> None:
    items = document["issuerSigned"]["nameSpaces"][MDL_NAME_SPACE]
    items[0] = cbor2.CBORTag(24, cbor2.dumps({**cbor2.loads(items[0].value), "elementValue": "Mallory"}))


# pymdoccbor's own verifier accepted four of these five bad responses.
@pytest.mark.parametrize(
    ("code", "settings"),
    [
        ("mdoc.expired", {"now": (seconds(NOW + 40 * DAY), seconds(NOW + 40 * DAY))}),
        ("mdoc.not_yet_valid", {"now": (seconds(NOW - DAY), seconds(NOW + DAY))}),
        ("mdoc.device_mac", {"session": session_transcript(nonce=b"another")}),
        ("mdoc.digest", {"change": _tamper}),
        (
            "mdoc.unknown_namespace",
            {
                "change": lambda d: d["issuerSigned"]["nameSpaces"].update(
                    x=d["issuerSigned"]["nameSpaces"][MDL_NAME_SPACE]
                )
            },
        ),
        (
            "mdoc.device_mac",
            {"change": lambda d: d["deviceSigned"]["deviceAuth"]["deviceMac"].__setitem__(3, bytes(32))},
        ),
    ],
)
def test_what_pymdoccbor_lets_pass_is_rejected(code: str, settings: dict[str, Any]) -> None:
    with pytest.raises(VerificationError) as refusal:
        verify(presented("deviceMac", **settings))
    assert refusal.value.code == code
