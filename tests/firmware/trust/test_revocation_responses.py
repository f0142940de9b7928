"""Revocation as part of the verification of a response, and lists that were damaged on their way."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol import crypto_cpython as crypto
from protocol import trust
from protocol.errors import MooringError
from protocol.mdoc import verifier
from protocol.trust import Issuer, ListEntry
from sim import revocation
from tests.support import credential
from tests.support.credential import IACA as MAY_NOT
from tests.support.damage import damaged, edits
from tests.support.revocation_bench import (
    CRL,
    IDENTIFIERS,
    SIGNER,
    STATUS,
    URI,
    Bench,
    cose_key,
    crl,
    identifiers,
    status,
)

# --- as part of the verification of a response -----------------------------------------------------------------------


@pytest.fixture
def judged(tmp_path: Path) -> Any:
    """A function that verifies a response under the lists of a bench. This function returns the code of the refusal, or
    None.

    The attribute `bench` of the function is the bench.
    """
    bench = Bench(tmp_path)
    iaca = replace(MAY_NOT, usage=credential.key_usage(key_cert_sign=True))
    issuers = [Issuer(iaca.certificate(iaca), [credential.MDL])]
    bench.trusting(issuers=issuers, entries=[ListEntry(STATUS, trust.STATUS_LIST, 0, URI, cose_key(SIGNER))])

    def judge(index: int) -> str | None:
        def refer(mso: Any) -> None:
            mso["status"] = revocation.reference(URI, index)

        case = credential.present(credential.Credential(iaca=iaca, change_mso=refer))
        arguments = (crypto, case.device_response, case.session_transcript, bench.trusted.roots, case.now)
        try:
            (document,) = verifier.verify(*arguments, revocation=bench.trusted.revocation)
        except MooringError as error:
            return error.code
        assert (document.status.list_uri, document.status.index) == (URI, index)
        return None

    judge.bench = bench  # type: ignore[attr-defined]  # one fixture, two parts
    return judge


def test_a_response_with_a_revoked_document_is_refused_and_its_neighbour_accepted(judged: Any) -> None:
    assert judged(3) is None, "no list, nothing revoked; that it is missing is for the profile to judge"
    assert judged.bench.bring(STATUS, status({3: 1, 4: 2}, bits=2)) is None
    assert [judged(index) for index in (2, 3, 4, 5)] == [None, "mdoc.revoked", "mdoc.suspended", None]
    assert judged(1000) == "mdoc.status_index"


# --- whatever comes --------------------------------------------------------------------------------------------------

GENUINE = {
    CRL: crl(5, 2**100),
    STATUS: status({3: 1, 500: 1}),
    IDENTIFIERS: identifiers(b"one", b"another"),
}


def signed_parts(token: bytes) -> Any:
    """Return payload and signature of a token, with or without a tag."""
    item = cbor2.loads(token)
    return (item.value if isinstance(item, cbor2.CBORTag) else item)[2:]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    st.sampled_from([CRL, STATUS, IDENTIFIERS]),
    edits(st.integers(0, 255), most=4),
)
def test_a_list_damaged_on_its_way_is_refused_in_order(
    bench: Bench, number: int, damages: list[tuple[float, int, int]]
) -> None:
    data = damaged(GENUINE[number], damages)
    if data != GENUINE[number] and data:
        # No signature covers the tag and the unprotected header. The tag is optional, and nothing reads the header.
        code = bench.bring(number, data)
        assert code is not None or signed_parts(data) == signed_parts(GENUINE[number])
