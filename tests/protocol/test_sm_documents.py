"""Both runtimes accept documents of the SM suite where the suite is allowed, and refuse documents that break a rule."""

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol import crypto_cpython
from protocol.errors import FormatError, VerificationError
from protocol.mdoc import verifier
from protocol.x509 import Certificate
from sim import issuer, sm_issuer, verify
from sim.phone import response
from sim.phone.session import HolderSession
from sim.sm2 import PrivateKey
from tests.support import credential
from tests.support.on_lock import run_on_lock

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
IACA = sm_issuer.authority(now=NOW - timedelta(days=90))
DS = sm_issuer.document_signer(IACA, now=NOW - timedelta(days=60))
DEVICE = PrivateKey.generate()
DOC_TYPE = issuer.RESIDENT_ID
TRANSCRIPT = credential.session_transcript()


def p256() -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    return key, key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


PHONE, PHONE_PUBLIC = p256()


@dataclass(frozen=True)
class SMCase:
    """One presentation of an SM document, and the values that the verifier is given."""

    signer: sm_issuer.Identity = DS
    device: Any = DEVICE
    public: bytes = DEVICE.public
    curve: int = sm_issuer.SM2_CURVE
    root: bytes = IACA.der
    suites: list[str] | None = None
    change: Callable[[Any], None] = field(default=lambda document: None)
    when: datetime = NOW

    def response(self) -> bytes:
        issued = sm_issuer.issue(
            DOC_TYPE,
            issuer.specimen(DOC_TYPE),
            self.public,
            self.signer,
            now=NOW - timedelta(days=30),
            device_curve=self.curve,
        )
        wanted = {
            name_space: dict.fromkeys(elements, False) for name_space, elements in issuer.specimen(DOC_TYPE).items()
        }
        session = HolderSession(PHONE, b"", b"")
        session.transcript = TRANSCRIPT
        shared: list[tuple[response.Credential, Mapping[str, Mapping[str, bool]]]] = [
            (response.Credential(DOC_TYPE, issued, self.device), wanted)
        ]
        item = cbor2.loads(response.build(shared, session, "signature"))
        self.change(item["documents"][0])
        return cbor2.dumps(item)


def judge(case: SMCase) -> list[verifier.VerifiedDocument]:
    now = credential.seconds(case.when)
    return verifier.verify(crypto_cpython, case.response(), TRANSCRIPT, [case.root], (now, now), suites=case.suites)


MIXED = SMCase(device=PHONE, public=PHONE_PUBLIC, curve=1)
GOOD = {
    "everything on SM2": SMCase(),
    "everything on SM2, where nothing else is allowed": SMCase(suites=["sm"]),
    "a phone whose secure element makes P-256 keys": MIXED,
    "such a phone where both suites are allowed": replace(MIXED, suites=["sm", "nist"]),
}


def _flip(*path: Any) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        value = document[path[-1]]
        document[path[-1]] = value[:-1] + bytes([value[-1] ^ 1])

    return change


def _algorithm(number: int) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        document["issuerSigned"]["issuerAuth"][0] = cbor2.dumps({1: number})

    return change


def _tampered(document: Any) -> None:
    (items,) = document["issuerSigned"]["nameSpaces"].values()
    item = cbor2.loads(items[0].value)
    items[0] = cbor2.CBORTag(24, cbor2.dumps({**item, "elementValue": "someone else"}))


OTHER = sm_issuer.authority(now=NOW - timedelta(days=90))
BAD = {
    "an SM document where only the other suite is allowed": ("mdoc.suite", SMCase(suites=["nist"])),
    "a P-256 device key where only SM is allowed": ("mdoc.suite", replace(MIXED, suites=["sm"])),
    "an SM document where no suite is allowed": ("mdoc.suite", SMCase(suites=[])),
    "a bad issuer signature": ("mdoc.issuer_signature", SMCase(change=_flip("issuerSigned", "issuerAuth", 3))),
    "an SM2 key said to sign ES256": ("mdoc.issuer_algorithm", SMCase(change=_algorithm(-7))),
    "a neighbouring private-use number": ("mdoc.issuer_algorithm", SMCase(change=_algorithm(-65538))),
    "a tampered value": ("mdoc.digest", SMCase(change=_tampered)),
    "a bad device signature": (
        "mdoc.device_signature",
        SMCase(change=_flip("deviceSigned", "deviceAuth", "deviceSignature", 3)),
    ),
    "a device-key mismatch": ("mdoc.device_signature", SMCase(device=PrivateKey.generate())),
    "a P-256 point called SM2": (
        "mdoc.device_signature",
        SMCase(public=PHONE_PUBLIC),
    ),
    "an IACA of the same name with another key": ("mdoc.chain_key_identifier", SMCase(root=OTHER.der)),
    "an expired MSO": ("mdoc.expired", SMCase(when=NOW + timedelta(days=336))),
}


def _mac_with_an_sm2_key(document: Any) -> None:
    auth = document["deviceSigned"]["deviceAuth"]
    auth.clear()
    auth["deviceMac"] = [cbor2.dumps({1: 5}), {}, None, bytes(32)]


BAD["a deviceMac with a key that no session is on"] = ("mdoc.reader_key", SMCase(change=_mac_with_an_sm2_key))


@pytest.mark.parametrize("name", GOOD)
def test_an_sm_document_is_accepted(name: str) -> None:
    (document,) = judge(GOOD[name])
    assert document.elements["org.mooring.cn.resident-id.1"]["name"] == "林小满"
    assert document.country == "CN"


@pytest.mark.parametrize("name", BAD)
def test_an_sm_document_is_rejected(name: str) -> None:
    code, case = BAD[name]
    with pytest.raises((VerificationError, FormatError)) as refusal:
        judge(case)
    assert refusal.value.code == code


def test_a_document_of_the_other_suite_is_rejected_where_only_sm_is_allowed() -> None:
    case = credential.present()
    arguments = (crypto_cpython, case.device_response, case.session_transcript, [case.roots[0][0]], case.now)
    assert verifier.verify(*arguments, suites=["nist"])
    with pytest.raises(VerificationError) as refusal:
        verifier.verify(*arguments, suites=["sm"])
    assert refusal.value.code == "mdoc.suite"


ON_LOCK = """
from firmware import crypto
from protocol.errors import MooringError
from protocol.mdoc import verifier
transcript = bytes.fromhex(given["transcript"])
answers = []
for response, root, now, suites in given["cases"]:
    response, root = bytes.fromhex(response), bytes.fromhex(root)
    try:
        found = verifier.verify(crypto, response, transcript, [root], (now, now), suites=suites)
        answers.append(found[0].doc_type)
    except MooringError as error:
        answers.append(error.code)
answer(answers)
"""


def test_the_lock_says_the_same_of_all_of_them() -> None:
    cases = [*GOOD.values(), *(case for _, case in BAD.values())]
    expected = [DOC_TYPE] * len(GOOD) + [code for code, _ in BAD.values()]
    asked = [(case.response().hex(), case.root.hex(), credential.seconds(case.when), case.suites) for case in cases]
    answers = run_on_lock(ON_LOCK, {"transcript": TRANSCRIPT.hex(), "cases": asked})
    assert dict(zip([*GOOD, *BAD], answers, strict=True)) == dict(zip([*GOOD, *BAD], expected, strict=True))


def test_an_sm2_certificate_holds_what_it_says_and_verifies_only_under_its_issuer() -> None:
    iaca, ds = Certificate(IACA.der), Certificate(DS.der)
    assert (ds.curve, ds.signature_hash, ds.public, ds.country) == ("SM2", "SM3", DS.key.public, b"CN")
    assert iaca.verifies(crypto_cpython, ds) and iaca.verifies(crypto_cpython, iaca)
    assert not Certificate(OTHER.der).verifies(crypto_cpython, ds)
    assert not ds.verifies(crypto_cpython, ds)


def test_a_null_after_the_algorithm_is_taken_as_some_authorities_write_it() -> None:
    plain, null = bytes.fromhex("300a06082a811ccf55018375"), bytes.fromhex("300c06082a811ccf550183750500")
    for changed, reads in ((IACA.der.replace(plain, null), True), (IACA.der.replace(plain, null, 1), False)):
        content = _sized(changed)
        if reads:
            assert Certificate(content).signature_hash == "SM3"
        else:
            with pytest.raises(FormatError) as refusal:
                Certificate(content)
            assert refusal.value.code == "x509.algorithm"


def _sized(changed: bytes) -> bytes:
    """Return the certificate after correcting the lengths of its two outer elements."""
    grown = len(changed) - len(IACA.der)
    outer, inner = (int.from_bytes(IACA.der[at : at + 2], "big") for at in (2, 6))
    inner_grown = 2 if changed[4:].startswith(IACA.der[4:8]) and changed.count(bytes.fromhex("83750500")) else 0
    head = b"\x30\x82" + (outer + grown).to_bytes(2, "big") + b"\x30\x82" + (inner + inner_grown).to_bytes(2, "big")
    return head + changed[8:]


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_sim_verify_takes_an_sm_document_by_what_the_file_holds(
    runtime: str, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    held = {
        "device_response": SMCase().response().hex(),
        "session_transcript": TRANSCRIPT.hex(),
        "trust_roots": [IACA.der.hex()],
        "time": NOW.isoformat(),
    }
    for roots, code in (([IACA.der.hex()], 0), ([OTHER.der.hex()], 1)):
        file = tmp_path / "case.json"
        file.write_text(json.dumps({**held, "trust_roots": roots}))
        assert verify.run(argparse.Namespace(file=str(file), runtime=runtime)) == code
        assert json.loads(capsys.readouterr().out)["accepted"] == (code == 0)
