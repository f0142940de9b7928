"""Revocation lists are found by the issuer's key, and serial numbers are compared as numbers."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from protocol import crypto_cpython as crypto
from protocol import trust
from protocol.errors import MooringError
from protocol.mdoc import verifier
from protocol.mdoc.remembered import RememberedSignatures
from protocol.trust import Issuer, ListEntry
from sim import pki, revocation
from tests.support import credential
from tests.support.revocation_bench import CRL, DOC_TYPE, NOW, SIGNER, STATUS, URI, Bench, cose_key, crl, status

SIGNS = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
IACA = replace(credential.IACA, usage=SIGNS)
RENEWED = replace(IACA, not_before=IACA.not_before + timedelta(days=31))
REKEYED = replace(IACA, key_name="rekeyed", subject_key_identifier=b"rekeyed")
REWRITTEN = replace(RENEWED, subject=credential.other_writing("utopia IACA"), key_name=IACA.subject.rfc4514_string())
PHOTO_ID = "org.iso.23220.photoid.1"
SERIAL = 1234567
"""Serial number of each DS certificate that `credential` makes."""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    assert bench.profile() is None
    return bench


def crl_of(issuer: credential.Authority, *serials: int) -> bytes:
    by = pki.Identity(x509.load_der_x509_certificate(issuer.certificate(issuer)), issuer.key())
    return crl(*serials, by=by, key_identifier=False)


def tap(bench: Bench, issuers: Any = None, **settings: Any) -> str | None:
    """Verify a document of IACA's DS. Return the code with which the verifier refuses the document, or None.

    `issuers` is passed on to the verifier.
    """
    case = credential.present(credential.Credential(iaca=IACA, **settings))
    trusted = bench.trusted
    try:
        verifier.verify(
            crypto,
            case.device_response,
            case.session_transcript,
            trusted.roots,
            case.now,
            revocation=trusted.revocation,
            issuers=issuers,
        )
    except MooringError as error:
        return error.code
    return None


def trusting(bench: Bench, *issuers: tuple[credential.Authority, str], lists: list[ListEntry]) -> None:
    entries = [Issuer(issuer.certificate(issuer), [doc_type]) for issuer, doc_type in issuers]
    assert bench.trusting(issuers=entries, entries=lists) is None


@pytest.mark.parametrize("hung_on", [0, 1])
@pytest.mark.parametrize(
    "issuers",
    [
        ((IACA, DOC_TYPE), (RENEWED, DOC_TYPE)),
        ((RENEWED, DOC_TYPE), (IACA, DOC_TYPE)),
        ((IACA, PHOTO_ID), (IACA, DOC_TYPE)),
        ((IACA, DOC_TYPE), (REWRITTEN, DOC_TYPE)),
    ],
    ids=["renewed", "renewed first", "for each type", "its name rewritten"],
)
@pytest.mark.parametrize("by", [IACA, REWRITTEN], ids=["named as once", "named otherwise"])
def test_a_crl_judges_all_that_its_key_signed_whichever_entry_it_hangs_on(
    bench: Bench, issuers: Any, hung_on: int, by: credential.Authority
) -> None:
    trusting(bench, *issuers, lists=[ListEntry(CRL, trust.CRL, hung_on)])
    assert bench.fresh(NOW, root=0) == bench.fresh(NOW, root=1) == "crl.stale"
    assert tap(bench) is None, "there is no list yet, and what a missing list means is for the profile to say"
    assert bench.bring(CRL, crl_of(by, SERIAL + 1)) is None
    assert bench.fresh(NOW, root=0) is bench.fresh(NOW, root=1) is None
    assert tap(bench) is None
    assert bench.bring(CRL, crl_of(by, SERIAL)) is None
    assert tap(bench) == "mdoc.ds_revoked"
    bench.reboot()
    assert tap(bench) == "mdoc.ds_revoked"


def test_a_status_list_judges_documents_of_its_issuers_key_whichever_entry_it_hangs_on(bench: Bench) -> None:
    lists = [ListEntry(STATUS, trust.STATUS_LIST, 1, URI, cose_key(SIGNER))]
    trusting(bench, (IACA, DOC_TYPE), (RENEWED, DOC_TYPE), (REKEYED, DOC_TYPE), lists=lists)
    assert bench.bring(STATUS, status({3: 1})) is None
    revoked = revocation.reference(URI, 3)
    assert [bench.asked(status=revoked, root=root) for root in range(3)] == ["mdoc.revoked", "mdoc.revoked", None]
    assert bench.profile(2, unlisted="refuse") is None
    assert [bench.fresh(NOW, status=revoked, root=root) for root in range(3)] == [None, None, "mdoc.unlisted"]


def test_a_signature_remembered_as_good_revokes_nothing_of_a_list_that_came_since(bench: Bench) -> None:
    trusting(bench, (IACA, DOC_TYPE), (RENEWED, DOC_TYPE), lists=[ListEntry(CRL, trust.CRL, 1)])
    memory = RememberedSignatures(crypto)
    first = memory.recollect()
    assert tap(bench, first) is None and first.computed == 2
    memory.keep(first)
    again = memory.recollect()
    assert tap(bench, again) is None and (again.recalled, again.computed) == (2, 0)
    assert bench.bring(CRL, crl_of(RENEWED, SERIAL)) is None
    assert tap(bench, memory.recollect()) == "mdoc.ds_revoked"


def test_another_key_of_the_same_name_has_lists_of_its_own(bench: Bench) -> None:
    trusting(
        bench, (REKEYED, DOC_TYPE), (IACA, DOC_TYPE), lists=[ListEntry(1, trust.CRL, 0), ListEntry(2, trust.CRL, 1)]
    )
    assert bench.bring(1, crl_of(IACA, SERIAL)) == "crl.signature"
    assert bench.bring(1, crl_of(REKEYED, SERIAL)) is None
    assert tap(bench) is None
    assert bench.fresh(NOW, root=0) is None and bench.fresh(NOW, root=1) == "crl.stale"
    assert bench.bring(2, crl_of(IACA, SERIAL)) is None
    assert tap(bench) == "mdoc.ds_revoked"


def test_a_signer_under_an_intermediate_is_refused_whatever_the_lists_say(bench: Bench) -> None:
    above = replace(IACA, constraints=x509.BasicConstraints(ca=True, path_length=1))
    ds = replace(credential.DS, authority_key_identifier=b"intermediate")
    trusting(bench, (above, DOC_TYPE), (credential.INTERMEDIATE, PHOTO_ID), lists=[ListEntry(CRL, trust.CRL, 0)])
    assert bench.bring(CRL, crl_of(above)) is None
    assert tap(bench, intermediates=(credential.INTERMEDIATE,), ds=ds) == "mdoc.chain_intermediate"
    assert tap(bench) is None


def test_a_crl_is_read_however_its_own_number_is_written(bench: Bench) -> None:
    trusting(bench, (IACA, DOC_TYPE), lists=[ListEntry(CRL, trust.CRL, 0)])
    number = bytes.fromhex("0603551d140403020101")
    odd = credential.signed_anew(crl_of(IACA, SERIAL), number, number[:-1] + b"\x81", IACA.key())
    assert bench.bring(CRL, odd) is None
    assert tap(bench) == "mdoc.ds_revoked"


@pytest.mark.parametrize("in_certificate", ["000005", "0000c8", "ffffc8", "00ffc8", "12d687"])
@pytest.mark.parametrize("in_list", ["00000005", "000000c8", "ffffffc8", "0000ffc8", "0012d687"])
def test_serial_numbers_are_compared_as_numbers(bench: Bench, in_certificate: str, in_list: str) -> None:
    def number(written: str) -> int:
        shortest = int.from_bytes(bytes.fromhex(written), "big", signed=True)
        return shortest if shortest >= 0 else shortest & 0xFF  # here, the leading zero byte is missing

    trusting(bench, (IACA, DOC_TYPE), lists=[ListEntry(CRL, trust.CRL, 0)])
    placeholder = 0x7F5A5A5A
    listed = credential.signed_anew(
        crl_of(IACA, placeholder), placeholder.to_bytes(4, "big"), bytes.fromhex(in_list), IACA.key()
    )
    assert bench.bring(CRL, listed) is None
    serial = b"\x02\x03" + SERIAL.to_bytes(3, "big")
    plain = credential.DS.certificate(IACA)
    odd = credential.signed_anew(plain, serial, b"\x02\x03" + bytes.fromhex(in_certificate), IACA.key())
    expected = "mdoc.ds_revoked" if number(in_certificate) == number(in_list) else None
    assert tap(bench, ds_certificate=odd) == expected
