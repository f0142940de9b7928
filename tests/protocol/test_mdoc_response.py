"""Claims about the shape of a DeviceResponse and of the signed parts, also with odd values inside."""

from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import cbor, crypto_cpython
from protocol.errors import FormatError, VerificationError
from protocol.mdoc import response, verifier
from protocol.mdoc.chain import TrustRoot
from protocol.mdoc.mso import MobileSecurityObject
from tests.support.attacks.building import put
from tests.support.credential import MDL, MDL_NAME_SPACE, Case, Credential, present
from tests.support.on_lock import run_on_lock

ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats()
    | st.text(max_size=4)
    | st.binary(max_size=4)
    | st.just(cbor2.undefined),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.integers(-9, 40) | st.text(max_size=3), inner, max_size=3)
        | st.builds(cbor2.CBORTag, st.sampled_from([0, 16, 17, 18, 55799]), inner)
        | st.builds(lambda item: cbor2.CBORTag(24, cbor2.dumps(item)), inner)
    ),
    max_leaves=6,
)

IN_MSO = [
    ("version",),
    ("digestAlgorithm",),
    ("docType",),
    ("valueDigests",),
    ("valueDigests", MDL_NAME_SPACE),
    ("valueDigests", MDL_NAME_SPACE, 0),
    ("deviceKeyInfo",),
    ("deviceKeyInfo", "deviceKey"),
    ("deviceKeyInfo", "deviceKey", 1),
    ("deviceKeyInfo", "deviceKey", -1),
    ("deviceKeyInfo", "deviceKey", -2),
    ("deviceKeyInfo", "deviceKey", -3),
    ("deviceKeyInfo", "keyAuthorizations"),
    ("validityInfo",),
    ("validityInfo", "signed"),
    ("validityInfo", "validFrom"),
    ("validityInfo", "validUntil"),
]
IN_DOCUMENT: list[tuple[Any, ...]] = [
    ("docType",),
    ("issuerSigned",),
    ("issuerSigned", "nameSpaces"),
    ("issuerSigned", "nameSpaces", MDL_NAME_SPACE),
    ("issuerSigned", "nameSpaces", MDL_NAME_SPACE, 0),
    ("issuerSigned", "issuerAuth"),
    *[("issuerSigned", "issuerAuth", position) for position in range(4)],
    ("issuerSigned", "issuerAuth", 1, 33),
    ("deviceSigned",),
    ("deviceSigned", "nameSpaces"),
    ("deviceSigned", "deviceAuth"),
    ("deviceSigned", "deviceAuth", "deviceSignature"),
    *[("deviceSigned", "deviceAuth", "deviceSignature", position) for position in range(4)],
]
IN_ITEM = [("digestID",), ("random",), ("elementIdentifier",)]


def verify(case: Case) -> list[verifier.VerifiedDocument]:
    roots: list[Any] = [TrustRoot(root, doc_types) for root, doc_types in case.roots]
    return verifier.verify(
        crypto_cpython, case.device_response, case.session_transcript, roots, case.now, case.e_reader_private
    )


def judged(case: Case) -> None:
    """Verify a case, which may be accepted or refused with a MooringError. Any other error fails the test."""
    try:
        verify(case)
    except (FormatError, VerificationError) as refusal:
        assert refusal.code.split(".")[0] in ("cbor", "cose", "mdoc")


@given(st.sampled_from(IN_MSO), ODD)
def test_an_issuer_that_signs_nonsense_is_answered_in_order(where: tuple[Any, ...], value: Any) -> None:
    judged(present(Credential(change_mso=put(*where, value))))


@given(st.sampled_from(IN_DOCUMENT), ODD)
def test_a_wallet_that_sends_nonsense_is_answered_in_order(where: tuple[Any, ...], value: Any) -> None:
    judged(present(Credential(change_document=put(*where, value))))


@given(st.sampled_from(IN_ITEM), ODD)
def test_a_signed_item_of_nonsense_is_answered_in_order(where: tuple[Any, ...], value: Any) -> None:
    try:
        case = present(Credential(change_item=put(*where, value)))
    except (TypeError, RuntimeError):
        return  # This digest ID cannot be a key in the builder's own map.
    judged(case)


@given(ODD)
def test_any_value_of_an_element_comes_through(value: Any) -> None:
    (document,) = verify(present(Credential(elements={MDL_NAME_SPACE: {"portrait": value}})))
    assert "portrait" in document.elements[MDL_NAME_SPACE]


@given(ODD)
def test_a_response_that_is_anything_is_answered_in_order(value: Any) -> None:
    with pytest.raises((FormatError, VerificationError)):
        response.parse(cbor2.dumps(value))


def test_the_lock_answers_nonsense_as_cpython_does() -> None:
    odd: list[Any] = [
        None,
        True,
        -1,
        1.5,
        "",
        "text",
        b"",
        b"\x80",
        [],
        [[]],
        {},
        {1: 2},
        cbor2.CBORTag(0, "x"),
        cbor2.CBORTag(24, b"\xa0"),
    ]
    cases = [present(Credential(change_mso=put(*where, value))) for where in IN_MSO for value in odd[::2]]
    cases += [present(Credential(change_document=put(*where, value))) for where in IN_DOCUMENT for value in odd]
    shared = [cases[0].session_transcript.hex(), cases[0].roots[0][0].hex(), cases[0].now]
    source = """
from firmware import crypto
from protocol.errors import FormatError, VerificationError
from protocol.mdoc import verifier
from protocol.mdoc.remembered import Recollection
transcript, root, now = bytes.fromhex(given[0]), verifier.chain.TrustRoot(bytes.fromhex(given[1])), given[2]
known = []  # Good signatures, which most cases share. Verifying them again would take most of the time.
def judge(data):
    issuers = Recollection(crypto, known)
    try:
        verifier.verify(crypto, bytes.fromhex(data), transcript, [root], now, None, None, None, issuers)
        return "accepted"
    except (FormatError, VerificationError) as error:
        return error.code
    finally:
        known.extend([name for name in issuers.good if name not in known])
answer([judge(data) for data in given[3]])
"""

    def judge(case: Case) -> str:
        try:
            verify(case)
        except (FormatError, VerificationError) as refusal:
            return refusal.code
        return "accepted"

    for start in range(0, len(cases), 40):
        some = cases[start : start + 40]
        answers = run_on_lock(source, [*shared, [case.device_response.hex() for case in some]])
        assert answers == [judge(case) for case in some]


# --- shapes ----------------------------------------------------------------------------------------------------------


def test_items_stay_as_they_came_until_they_are_opened() -> None:
    case = present()
    (document,) = response.parse(case.device_response).documents
    sent = cbor2.loads(case.device_response)["documents"][0]["issuerSigned"]["nameSpaces"][MDL_NAME_SPACE]
    assert document.doc_type == MDL
    assert [item.raw for item in document.name_spaces[MDL_NAME_SPACE]] == [cbor2.dumps(item) for item in sent]
    opened = response.IssuerSignedItem(document.name_spaces[MDL_NAME_SPACE][0])
    assert (opened.digest_id, opened.element, opened.value) == (0, "family_name", "Mustermann")


@pytest.mark.parametrize("status", [10, 11, 12])
def test_documents_beside_an_error_status_are_not_even_read(status: int) -> None:
    parsed = response.parse(cbor2.dumps({"version": "1.0", "status": status, "documents": ["nonsense"]}))
    assert parsed.documents == []


@pytest.mark.parametrize("version", ["", "1", "1.", "1.x", "1.0.0", "01.0", "2.0", "1.1234", " 1.0", "1.٠"])
def test_a_version_that_is_not_1_x_is_refused(version: str) -> None:
    assert not response.major_one(version)


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.12"])
def test_minor_versions_are_read(version: str) -> None:
    assert response.major_one(version)


def test_an_mso_must_be_wrapped() -> None:
    for payload in (cbor.encode({}), cbor.encode(b""), cbor.encode(cbor.Tag(25, {}))):
        with pytest.raises(FormatError) as refusal:
            MobileSecurityObject(payload)
        assert refusal.value.code == "mdoc.form"
