from typing import Any

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol import cbor, cose
from protocol import crypto_cpython as crypto
from protocol.mdoc import request
from sim import pki
from sim.phone.request import RequestError, read
from tests.support import tap, vectors

TRANSCRIPT = cbor2.dumps([cbor2.CBORTag(24, b"\xa0"), cbor2.CBORTag(24, b"\xa0"), [b"Hs", None]])
NAME_SPACE = "org.iso.18013.5.1"
ITEMS = {"org.iso.18013.5.1.mDL": {NAME_SPACE: ["given_name", "family_name"]}}


def roots() -> list[x509.Certificate]:
    return [tap.reader_root().certificate]


def build(
    items: dict[str, dict[str, list[str]]] = ITEMS, private: bytes = b"", chain: list[bytes] | None = None, **more: Any
) -> bytes:
    return cbor.encode(
        request.device_request(
            crypto, items, TRANSCRIPT, private or tap.reader_key()[0], chain or list(tap.reader_chain()), **more
        )
    )


def who_asks(raw: bytes, transcript: bytes = TRANSCRIPT) -> str | None:
    (asked,) = read(raw, transcript, roots())
    return asked.reader


def test_an_independent_holder_reads_who_asks_for_what_and_that_it_will_be_kept() -> None:
    (asked,) = read(build(), TRANSCRIPT, roots())
    assert asked.doc_type == "org.iso.18013.5.1.mDL"
    assert asked.elements == {NAME_SPACE: {"family_name": True, "given_name": True}}
    assert asked.reader == "TEST door"


def test_the_intent_to_retain_is_told_as_it_is() -> None:
    (asked,) = read(build(intent_to_retain=False), TRANSCRIPT, roots())
    assert set(asked.elements[NAME_SPACE].values()) == {False}


def test_each_document_type_is_asked_for_and_signed_by_itself() -> None:
    asked = read(build({"b": {"n": ["x"]}, "a": {"n": ["y"]}}), TRANSCRIPT, roots())
    assert [(one.doc_type, one.reader) for one in asked] == [("a", "TEST door"), ("b", "TEST door")]


def test_the_request_is_deterministic_cbor_with_detached_reader_authentication() -> None:
    decoded = cbor.decode_deterministic(build())
    auth = decoded["docRequests"][0]["readerAuth"]
    assert decoded["version"] == "1.0"
    assert cbor.decode(auth[0]) == {cose.ALG: cose.ES256}
    assert auth[1] == {cose.X5CHAIN: tap.reader_chain()[0]}
    assert auth[2] is None and len(auth[3]) == 64


def test_a_longer_chain_goes_out_as_an_array() -> None:
    sub_key, sub = crypto.generate("P-256")
    chain = [pki.reader_certificate(tap.reader_root(), sub), tap.reader_root().der]
    auth = cbor.decode(build(private=sub_key, chain=chain))["docRequests"][0]["readerAuth"]
    assert auth[1] == {cose.X5CHAIN: chain}


@vectors.needed
def test_reader_authentication_is_that_of_annex_d() -> None:
    annex = {name: bytes.fromhex(value) for name, value in vectors.load("annex_d/annex_d.json").items()}
    transcript = cbor2.loads(annex["session_transcript_bytes"]).value
    items = cbor.decode(annex["device_request"])["docRequests"][0]["itemsRequest"]
    content = request.reader_authentication(transcript, items)
    assert content.hex() == vectors.load("annex_d/annex_d_derived.json")["reader_authentication_bytes"]
    auth = cose.parse(cbor.decode(annex["reader_auth"]))
    public = x509.load_der_x509_certificate(annex["reader_cert"]).public_key()
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    cose.verify_sign1(crypto, auth, ("P-256", point), content)


def test_a_request_moved_to_another_session_names_nobody() -> None:
    other = cbor2.dumps([cbor2.CBORTag(24, b"\xa0"), cbor2.CBORTag(24, b"\xa0"), [b"Other", None]])
    assert who_asks(build()) == "TEST door"
    assert who_asks(build(), other) is None


def test_a_request_signed_with_another_key_names_nobody() -> None:
    assert who_asks(build(private=crypto.generate("P-256")[0])) is None


def test_a_reader_of_an_unknown_root_names_nobody() -> None:
    private, public = crypto.generate("P-256")
    stranger = pki.authority("reader root")  # the false root has the same name as the true root
    assert who_asks(build(private=private, chain=[pki.reader_certificate(stranger, public)])) is None


def test_a_certificate_for_another_purpose_names_nobody() -> None:
    private, public = crypto.generate("P-256")
    wrong = pki.reader_certificate(tap.reader_root(), public, purpose=pki.MDL_DOCUMENT_SIGNER)
    assert who_asks(build(private=private, chain=[wrong])) is None


def test_an_expired_reader_certificate_names_nobody() -> None:
    private, public = crypto.generate("P-256")
    expired = pki.reader_certificate(tap.reader_root(), public, days=0)
    assert who_asks(build(private=private, chain=[expired])) is None


def test_an_element_added_to_a_signed_request_names_nobody() -> None:
    decoded = cbor2.loads(build())
    items = cbor2.loads(decoded["docRequests"][0]["itemsRequest"].value)
    items["nameSpaces"][NAME_SPACE]["portrait"] = False
    decoded["docRequests"][0]["itemsRequest"] = cbor2.CBORTag(24, cbor2.dumps(items))
    assert who_asks(cbor2.dumps(decoded)) is None


@pytest.mark.parametrize(
    "raw", [b"", b"\xff", cbor2.dumps([]), cbor2.dumps({"version": "2.0", "docRequests": []}), cbor2.dumps({})]
)
def test_a_request_out_of_form_is_an_error_to_the_holder(raw: bytes) -> None:
    with pytest.raises(RequestError):
        read(raw, TRANSCRIPT, roots())
