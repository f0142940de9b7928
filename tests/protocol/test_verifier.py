"""Claims about the verifier of DeviceResponses, on CPython and on the lock's interpreter."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import cbor, crypto_cpython
from protocol.dates import from_rfc3339
from protocol.errors import FormatError, VerificationError
from protocol.mdoc import verifier
from protocol.mdoc.chain import TrustRoot
from tests.support import vectors
from tests.support.attacks import GOOD, REJECTED
from tests.support.credential import DS, IACA, MDL, MDL_NAME_SPACE, Case, Credential, key, present, seconds
from tests.support.damage import damaged, edits
from tests.support.verifier_on_lock import on_lock

VECTORS = (
    "annex_d_mac",
    "auth0_mac",
    "auth0_signature",
    "expired_mso",
    "pymdoccbor_mac",
    "pymdoccbor_signature",
    "tampered_value",
    "untrusted_root",
)


def verify(case: Case, **changes: Any) -> list[verifier.VerifiedDocument]:
    return verifier.verify(
        crypto_cpython,
        case.device_response,
        case.session_transcript,
        [TrustRoot(certificate, doc_types) for certificate, doc_types in case.roots],
        case.now,
        case.e_reader_private,
        case.doc_types,
        **changes,
    )


@pytest.mark.parametrize("attack", REJECTED)
def test_the_verifier_rejects(attack: str) -> None:
    code, build = REJECTED[attack]
    with pytest.raises((FormatError, VerificationError)) as refusal:
        verify(build())
    assert refusal.value.code == code


@pytest.mark.parametrize("neighbour", GOOD)
def test_the_verifier_accepts(neighbour: str) -> None:
    documents = verify(GOOD[neighbour]())
    assert documents


def test_every_code_a_test_provokes_is_in_the_table_of_codes() -> None:
    assert verifier.__doc__ is not None
    for code, _ in REJECTED.values():
        assert f"`{code}`" in verifier.__doc__ or code.startswith("cbor."), code


def test_the_lock_rejects_all_of_it_for_the_same_reasons(tmp_path: Any) -> None:
    # Large responses are left out, because their hex copies in this test do not fit into the heap beside the verifier.
    attacks = [attack for attack in REJECTED if len(REJECTED[attack][1]().device_response) < 20_000]
    answers = on_lock([REJECTED[attack][1]() for attack in attacks], tmp_path)
    assert dict(zip(attacks, answers, strict=True)) == {attack: REJECTED[attack][0] for attack in attacks}


def test_the_lock_accepts_what_cpython_accepts(tmp_path: Any) -> None:
    names = [name for name in GOOD if name != "a portrait of 30 KB"]  # tests/sim/test_verify.py tests this case
    answers = on_lock([GOOD[name]() for name in names], tmp_path)
    expected = {name: sorted(document.doc_type for document in verify(GOOD[name]())) for name in names}
    assert dict(zip(names, answers, strict=True)) == expected


# --- what an accepted response gives ---------------------------------------------------------------------------------


def test_an_accepted_document_brings_what_the_door_needs() -> None:
    case = present()
    (document,) = verify(case)
    numbers = key("device").public_key().public_numbers()
    assert document.doc_type == MDL
    assert document.elements[MDL_NAME_SPACE]["family_name"] == "Mustermann"
    assert document.elements[MDL_NAME_SPACE]["birth_date"] == cbor.Tag(1004, "1984-08-12")
    assert document.device_elements == {}
    assert document.device_key == ("P-256", b"\x04" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big"))
    assert document.country == "UT"


def test_what_the_device_says_of_itself_stays_apart_from_what_the_issuer_signed() -> None:
    (document,) = verify(GOOD["an authorized element signed by the device"]())
    assert document.device_elements == {"org.example": {"nickname": "E"}}
    assert "org.example" not in document.elements


def test_validity_ends_with_the_certificates_if_they_end_first() -> None:
    long_lived = Credential(valid_until=DS.not_after.replace(year=2030))
    (document,) = verify(present(long_lived))
    assert document.valid_until == seconds(DS.not_after)


def test_nothing_is_shown_of_a_good_document_beside_a_bad_one() -> None:
    with pytest.raises(VerificationError):
        verify(REJECTED["a forged document beside a good one"][1]())


def test_a_refusal_names_no_personal_data() -> None:
    for _, build in REJECTED.values():
        with pytest.raises((FormatError, VerificationError)) as refusal:
            verify(build())
        assert "Muster" not in str(refusal.value)
        assert "T22000129" not in str(refusal.value)


# --- published vectors -----------------------------------------------------------------------------------------------


def published(name: str, time: str | None = None) -> Case:
    vector = vectors.load(f"responses/{name}.json")
    roots = [(bytes.fromhex(root), None) for root in vector["trust_roots"]]
    now = from_rfc3339(time or vector["time"])
    return Case(
        bytes.fromhex(vector["device_response"]),
        bytes.fromhex(vector["session_transcript"]),
        list(roots),
        (now, now),
        bytes.fromhex(vector["reader_private_key"]),
    )


@vectors.needed
@pytest.mark.parametrize("name", VECTORS)
def test_published_responses_are_judged_as_published(name: str) -> None:
    case = published(name)
    if vectors.load(f"responses/{name}.json")["expect"] == "accept":
        assert verify(case)
        return
    with pytest.raises(VerificationError):
        verify(case)


@vectors.needed
@pytest.mark.parametrize("name", ["pymdoccbor_mac", "pymdoccbor_signature"])
def test_a_published_response_is_not_accepted_before_it_was_signed(name: str) -> None:
    with pytest.raises(VerificationError) as refusal:
        verify(published(name, "2026-11-23T16:52:00Z"))  # This is one second before validFrom.
    assert refusal.value.code == "mdoc.not_yet_valid"


# --- fuzzing ---------------------------------------------------------------------------------------------------------

SEEDS = {method: present(Credential(method=method)) for method in ("deviceSignature", "deviceMac")}
INTERESTING = st.sampled_from(
    [0x00, 0x17, 0x18, 0x1B, 0x3B, 0x5B, 0x5F, 0x7F, 0x9B, 0x9F, 0xBB, 0xD8, 0xF6, 0xFB, 0xFF]
)


@given(
    method=st.sampled_from(sorted(SEEDS)),
    edited=edits(INTERESTING | st.integers(0, 255), most=6),
)
def test_a_mutated_response_is_rejected_in_order_or_means_the_same(
    method: str, edited: list[tuple[float, int, int]]
) -> None:
    seed = SEEDS[method]
    data = damaged(seed.device_response, edited)
    case = Case(data, seed.session_transcript, seed.roots, seed.now, seed.e_reader_private)
    try:
        (document,) = verify(case)
    except (FormatError, VerificationError):
        return
    # A part that no signature covers may change, for example an unknown member. But the result never changes.
    signed = verify(seed)[0].elements
    for name_space, values in document.elements.items():
        for element, value in values.items():
            assert signed[name_space][element] == value


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_in_order(data: bytes) -> None:
    with pytest.raises((FormatError, VerificationError)):
        verifier.verify(crypto_cpython, data, SEEDS["deviceMac"].session_transcript, [IACA.certificate(IACA)], (0, 0))


@given(st.binary(max_size=100))
def test_arbitrary_transcripts_never_authenticate(data: bytes) -> None:
    seed = SEEDS["deviceSignature"]
    with pytest.raises((FormatError, VerificationError)):
        verify(Case(seed.device_response, data, seed.roots, seed.now, seed.e_reader_private))
