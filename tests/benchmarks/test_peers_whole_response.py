"""Compares our verifier on CPython with two other VERIFIERS: how long the same response takes, and what each one
checks.

The response comes from a phone with one driving licence. `pymdoccbor` issued this licence. "bare" is not a verifier.
"bare" uses `cbor2` and `cryptography`, and does only what every verifier has to do: it decodes, hashes the elements,
reads one certificate, and verifies three signatures. "bare" compares nothing. So "bare" shows how little time a
verifier could take.

Our verifier appears four times. "ours, new issuer" has never read the issuer's certificate before. "ours" has read the
certificate before, and verifies all three signatures like "bare". The last two remember good signatures of issuers, as
a lock does (`protocol.mdoc.remembered`). So they do not verify the certificate's signature again, or neither of the
issuer's two signatures. All other checks are made each time.

Each library also gets responses that have exactly one defect. So the table of checks shows what the VERIFIERS do, and
not what they promise.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from time import process_time
from typing import TYPE_CHECKING, Any

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from pymdoccbor.mdoc.verifier import MdocCbor

from protocol import crypto_cpython
from protocol.errors import MooringError
from protocol.mdoc import chain, verifier
from protocol.mdoc.chain import TrustRoot
from protocol.mdoc.remembered import RememberedSignatures
from sim import issuer, pki
from tests.support.credential import Case, Credential, key, present, session_transcript

if TYPE_CHECKING:
    from protocol.crypto import Crypto

ROUNDS, IN_A_ROW = 40, 10
MISSING = "the group `bench` of pyproject.toml is not installed"
NAME_SPACE = "org.iso.18013.5.1"
NOW = datetime.now(UTC)
"""This is the real time, because pymdoccbor cannot use any other time."""
MOMENT = int(NOW.timestamp()) + 86400

# Every verifier reads the trusted root once, before the first response.
IACA = pki.authority("IACA", "SE")
ROOTS = [TrustRoot(IACA.der)]
SIGNER = pki.document_signer(IACA)


def presented(
    signer: pki.Identity = SIGNER,
    lasts: int = 365,
    change: Callable[[Any], None] = lambda _: None,
    method: str = "deviceSignature",
) -> Case:
    """Return a response with a licence that `signer` has issued and that is valid for `lasts` days."""
    point = crypto_cpython.public("P-256", key("device").private_numbers().private_value.to_bytes(32, "big"))
    until = (NOW + timedelta(lasts)).date()
    data = issuer.specimen(issuer.MDL)
    issued = issuer.issue(issuer.MDL, data, point, signer, valid_until=until)

    def graft(document: Any) -> None:
        document["issuerSigned"] = cbor2.loads(issued)
        change(document)

    return present(Credential(method=method, change_document=graft), now=(MOMENT, MOMENT))


def another_name(document: Any) -> None:
    items = list(document["issuerSigned"]["nameSpaces"][NAME_SPACE])
    items[0] = cbor2.CBORTag(24, cbor2.dumps({**cbor2.loads(items[0].value), "elementValue": "Svensson"}))
    document["issuerSigned"] = {**document["issuerSigned"], "nameSpaces": {NAME_SPACE: items}}


def ours(case: Case, issuers: "Crypto | None" = None) -> bool:
    try:
        verifier.verify(
            *(crypto_cpython, case.device_response, case.session_transcript, ROOTS, case.now, case.e_reader_private),
            issuers=issuers,
        )
    except MooringError:
        return False
    return True


def ours_of_a_new_issuer(case: Case) -> bool:
    chain.KNOWN.clear()
    crypto_cpython.load_public.cache_clear()
    return ours(case)


def remembering(shown: Case) -> Callable[[Case], bool]:
    """Return our verifier as it is after it has verified the response `shown`."""
    memory = RememberedSignatures(crypto_cpython)
    recollection = memory.recollect()
    assert ours(shown, recollection)
    memory.keep(recollection)
    return lambda case: ours(case, memory.recollect())


def pymdoccbor(case: Case) -> bool:
    mdoc = MdocCbor()
    mdoc.loads(case.device_response)
    return bool(mdoc.verify([IACA.certificate]))


def isomdoc(case: Case) -> bool:
    library = pytest.importorskip("isomdoc", reason=MISSING)
    try:
        library.verify_device_response(case.device_response, cbor2.loads(case.session_transcript))
    except Exception:  # noqa: BLE001  # It has no errors of its own.
        return False
    return True


def bare(case: Case) -> bool:
    (document,) = cbor2.loads(case.device_response)["documents"]
    signed = document["issuerSigned"]
    for item in signed["nameSpaces"][NAME_SPACE]:
        hashlib.sha256(cbor2.dumps(item)).digest()
        cbor2.loads(item.value)
    protected, headers, payload, signature = signed["issuerAuth"]
    mso = cbor2.loads(cbor2.loads(payload).value)
    certificate = x509.load_der_x509_certificate(headers[33])
    certificate.verify_directly_issued_by(IACA.certificate)
    public: Any = certificate.public_key()
    _verify(public, [protected, payload], signature)
    device = mso["deviceKeyInfo"]["deviceKey"]
    point = b"\x04" + device[-2] + device[-3]
    own, transcript = document["deviceSigned"], cbor2.loads(case.session_transcript)
    content = cbor2.dumps(["DeviceAuthentication", transcript, document["docType"], own["nameSpaces"]])
    protected, _, _, signature = own["deviceAuth"]["deviceSignature"]
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    _verify(public, [protected, cbor2.dumps(cbor2.CBORTag(24, content))], signature)
    return True


def _verify(public: ec.EllipticCurvePublicKey, signed: list[bytes], signature: bytes) -> None:
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    structure = cbor2.dumps(["Signature1", signed[0], b"", signed[1]])
    public.verify(encode_dss_signature(r, s), structure, ec.ECDSA(hashes.SHA256()))


VERIFIERS: list[Callable[[Case], bool]] = [ours, pymdoccbor, isomdoc]


@pytest.mark.bench
def test_the_time_to_verify_a_whole_response() -> None:
    case = presented()
    measured = {
        "ours, new issuer": ours_of_a_new_issuer,
        "ours": ours,
        "ours, signer remembered": remembering(presented(lasts=300)),
        "ours, document remembered": remembering(case),
        "pymdoccbor": pymdoccbor,
        "isomdoc": isomdoc,
        "bare": bare,
    }
    best = dict.fromkeys(measured, float("inf"))
    for _ in range(ROUNDS):
        # The verifiers take turns. So a time in which this machine is slow affects all verifiers.
        for name, each in measured.items():
            for _ in range(IN_A_ROW):
                start = process_time()
                accepted = each(case)
                best[name] = min(best[name], process_time() - start)
                assert accepted
    print(f"\na DeviceResponse of {len(case.device_response)} bytes on CPython: the best of {ROUNDS * IN_A_ROW}")
    for name, seconds in best.items():
        print(f"  {name:<26}{seconds * 1000:>7.3f} ms{seconds / best['bare']:>7.2f} times bare")


@pytest.mark.bench
def test_what_each_library_checks_in_a_response() -> None:
    logging.disable()
    try:
        good = presented()
        refused = {
            "an element that the issuer did not sign": presented(change=another_name),
            "an issuer who is not trusted": presented(pki.document_signer(pki.authority("IACA", "SE"))),
            "a document that has expired": presented(lasts=-2),
            "a response of another session": replace(good, session_transcript=session_transcript(nonce=b"other")),
        }
        print("\ndoes it refuse ...".ljust(44) + "".join(f"{each.__name__:>12}" for each in VERIFIERS))
        for defect, case in refused.items():
            verdicts = [not each(case) for each in VERIFIERS]
            print(f"  {defect:<41}" + "".join(f"{'yes' if verdict else 'no':>12}" for verdict in verdicts))
            assert verdicts[0]
        print("does it accept ...")
        verdicts = [each(presented(method="deviceMac")) for each in VERIFIERS]
        print(f"  {'a deviceMac':<41}" + "".join(f"{'yes' if verdict else 'no':>12}" for verdict in verdicts))
        assert verdicts[0] and all(each(good) for each in VERIFIERS)
    finally:
        logging.disable(logging.NOTSET)
    print(", ".join(f"{each.__name__} {version(each.__name__)}" for each in VERIFIERS[1:]))
