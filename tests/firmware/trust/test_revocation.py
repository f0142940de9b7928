"""Which revocation lists the lock takes from a courier, and how these lists affect a tap."""

import random
import zlib
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography import x509

from protocol import crypto_cpython as crypto
from protocol import statement, trust
from protocol.errors import MooringError
from protocol.revocation_list import MAX_CONTENT, RevocationList
from protocol.trust import Issuer, ListEntry
from sim import pki, revocation
from tests.support.credential import IACA as MAY_NOT
from tests.support.revocation_bench import (
    CLAIMS,
    CRL,
    DAY,
    DOC_TYPE,
    IDENTIFIER_TYPE,
    IDENTIFIERS,
    IDENTIFIERS_URI,
    NAMESAKE,
    NOW,
    OTHER,
    SIGNER,
    STATUS,
    STATUS_TYPE,
    STRANGER,
    URI,
    Bench,
    a_million_documents,
    cose_key,
    crl,
    identifiers,
    status,
    token,
)

# --- what a list says ------------------------------------------------------------------------------------------------


def test_a_revoked_document_signer_is_refused_and_its_neighbour_is_not(bench: Bench) -> None:
    assert bench.bring(CRL, crl(2**100 + 7, 5)) is None
    assert bench.asked(2**100 + 7) == bench.asked(5) == "mdoc.ds_revoked"
    assert bench.asked(6) is None
    assert bench.asked(5, root=1) is None, "the same serial number of another issuer"


def test_a_crl_that_revokes_nothing_is_a_list_like_any_other(bench: Bench) -> None:
    assert bench.bring(CRL, crl()) is None
    assert bench.asked(5) is None


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_status_list_is_read_at_every_size_of_its_entries(bench: Bench, bits: int) -> None:
    assert bench.bring(STATUS, status({0: 1, 9: 1, 998: 1}, bits=bits)) is None
    for index in (0, 9, 998):
        assert bench.asked(status=revocation.reference(URI, index)) == "mdoc.revoked"
    for index in (1, 8, 10, 997, 999):
        assert bench.asked(status=revocation.reference(URI, index)) is None


@pytest.mark.parametrize("size", [1, 8, 4096, 100_000])
def test_every_entry_of_a_list_is_what_the_issuer_said(bench: Bench, size: int) -> None:
    chance = random.Random(size)
    revoked = set(chance.sample(range(size), min(size, 500) // 2))
    assert bench.bring(STATUS, status(dict.fromkeys(revoked, 1), size=size)) is None
    for index in [*sorted(revoked)[:40], *chance.sample(range(size), min(size, 80)), 0, size - 1]:
        expected = "mdoc.revoked" if index in revoked else None
        assert bench.asked(status=revocation.reference(URI, index)) == expected, index


def test_a_list_with_more_revoked_documents_than_a_lock_remembers_is_refused(bench: Bench) -> None:
    dense = status(dict.fromkeys(range(0, 8 * 4096, 8), 1), size=10**6)
    assert bench.bring(STATUS, dense) is None
    assert bench.bring(STATUS, status(dict.fromkeys(range(0, 8 * 4097, 8), 1), size=10**6)) == "status-list.too_dense"
    assert bench.asked(status=revocation.reference(URI, 8 * 4095)) == "mdoc.revoked", "the list in use stays in use"


@pytest.mark.parametrize(("value", "code"), [(1, "mdoc.revoked"), (2, "mdoc.suspended"), (3, "mdoc.status_unknown")])
def test_every_status_but_valid_is_refused(bench: Bench, value: int, code: str) -> None:
    assert bench.bring(STATUS, status({77: value}, bits=2)) is None
    assert bench.asked(status=revocation.reference(URI, 77)) == code


def test_an_index_beyond_the_list_is_refused(bench: Bench) -> None:
    assert bench.bring(STATUS, status(size=1000)) is None
    assert bench.asked(status=revocation.reference(URI, 999)) is None
    for index in (1000, 10**6, 8 * 2**20, 2**60, 2**64 - 1):
        assert bench.asked(status=revocation.reference(URI, index)) == "mdoc.status_index"


def test_a_status_at_another_uri_or_of_another_issuer_is_not_this_lists_affair(bench: Bench) -> None:
    assert bench.bring(STATUS, status({5: 1})) is None
    assert bench.asked(status=revocation.reference(URI + "0", 5)) is None
    assert bench.asked(status=revocation.reference(URI, 5), root=1) is None
    assert bench.asked(status=None) is None


def test_an_identifier_list_revokes_whom_it_names(bench: Bench) -> None:
    assert bench.bring(IDENTIFIERS, identifiers(b"\xcc\xcc", b"other")) is None
    for identifier, code in ((b"\xcc\xcc", "mdoc.revoked"), (b"\xcc", None), (b"", None)):
        assert bench.asked(status={"identifier_list": {"id": identifier, "uri": IDENTIFIERS_URI}}) == code


def test_a_million_documents_fit_into_one_statement(bench: Bench) -> None:
    large, revoked, valid = a_million_documents()
    assert 2000 < len(large) < MAX_CONTENT
    assert bench.bring(STATUS, large) is None
    assert bench.asked(status=revocation.reference(URI, revoked)) == "mdoc.revoked"
    assert bench.asked(status=revocation.reference(URI, valid)) is None


def test_lists_survive_a_reboot_and_are_judged_again(bench: Bench) -> None:
    bench.bring(CRL, crl(5))
    bench.bring(STATUS, status({9: 1}))
    bench.reboot()
    assert bench.asked(5) == "mdoc.ds_revoked"
    assert bench.asked(status=revocation.reference(URI, 9)) == "mdoc.revoked"
    assert bench.trusted.serials() == {"trust-list": 1, "revocation-list.1": 1, "revocation-list.2": 2}


def test_an_extract_that_does_not_belong_to_its_list_is_made_anew(bench: Bench) -> None:
    # The power was cut after the newer extract was written, and before the newer list was written.
    bench.bring(CRL, crl(6))
    older = bench.store.read("revocation-list.1")
    bench.bring(CRL, crl(5))
    assert older is not None
    bench.store.write("revocation-list.1", older)
    bench.reboot()
    assert (bench.asked(6), bench.asked(5)) == ("mdoc.ds_revoked", None)
    assert bench.bring(CRL, crl(5)) is None


def test_a_list_swapped_in_flash_stops_the_boot(bench: Bench) -> None:
    bench.bring(CRL, crl(5))
    forged = statement.sign(
        crypto, crypto.generate("P-256")[0], "revocation-list", RevocationList(9, CRL, crl()).body()
    )
    bench.store.write("revocation-list.1", forged)
    with pytest.raises(MooringError, match=r"cose\.signature"):
        bench.reboot()


# --- what is not taken -----------------------------------------------------------------------------------------------


def test_an_older_list_cannot_come_back(bench: Bench) -> None:
    old = bench.signed(CRL, crl(), 1)
    assert bench.take(old) is None
    assert bench.take(old) is None, "taking the same list again is no error"
    assert bench.bring(CRL, crl(5), serial=2) is None
    assert bench.take(old) == "revocation-list.serial"
    bench.reboot()
    assert bench.take(old) == "revocation-list.serial"
    assert bench.bring(CRL, crl(5, 6), serial=2) == "revocation-list.serial"
    assert bench.asked(5) == "mdoc.ds_revoked"


def test_nor_by_way_of_a_trust_list_that_leaves_it_out_for_a_while(bench: Bench) -> None:
    old = bench.signed(CRL, crl(), 1)
    assert bench.bring(CRL, crl(5), serial=2) is None
    assert bench.trusting(2, entries=[]) is None
    assert bench.asked(5) is None
    assert bench.take(old) == "revocation-list.serial"
    assert bench.trusting(3) is None
    assert bench.take(old) == "revocation-list.serial"
    assert bench.asked(5) == "mdoc.ds_revoked"


def test_a_list_made_before_the_one_held_is_refused_whatever_its_serial(bench: Bench) -> None:
    assert bench.bring(CRL, crl(5, issued=NOW - 60)) is None
    assert bench.bring(CRL, crl(issued=NOW - 61)) == "revocation-list.older"
    assert bench.bring(STATUS, status({1: 1}, issued=NOW - 60)) is None
    assert bench.bring(STATUS, status(issued=NOW - 61)) == "revocation-list.older"


def test_a_list_that_the_trust_list_does_not_name_is_refused(bench: Bench) -> None:
    assert bench.bring(4, crl()) == "revocation-list.unknown"


def test_without_a_trust_list_there_is_nothing_to_judge_a_list_by(tmp_path: Path) -> None:
    assert Bench(tmp_path).bring(CRL, crl()) == "revocation-list.unknown"


def test_a_list_that_another_province_signed_is_refused(bench: Bench) -> None:
    body = RevocationList(1, CRL, crl()).body()
    assert bench.deliver("revocation-list", body, crypto.generate("P-256")[0]) == "cose.signature"
    assert bench.trusting(2, signer=crypto.generate("P-256")[0]) == "cose.signature"


def test_a_crl_of_another_ca_is_refused(bench: Bench) -> None:
    assert bench.bring(CRL, crl(by=OTHER)) == "crl.issuer"
    # NAMESAKE has the same name, but a different key. The key identifier shows the difference. If the CRL has no key
    # identifier, the signature shows the difference.
    assert bench.bring(CRL, crl(by=NAMESAKE)) == "crl.issuer"
    assert bench.bring(CRL, crl(by=NAMESAKE, key_identifier=False)) == "crl.signature"
    assert bench.bring(CRL, crl(key_identifier=False)) is None


ANY = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
PARTIAL = x509.IssuingDistributionPoint(None, None, True, False, None, False, False)
INDIRECT = x509.IssuingDistributionPoint(None, None, False, False, None, True, False)


@pytest.mark.parametrize(
    "extension",
    [x509.DeltaCRLIndicator(1), INDIRECT, PARTIAL, ANY],
    ids=["a delta CRL", "an indirect CRL", "a partial CRL", "an unknown one"],
)
def test_a_crl_with_a_critical_extension_is_refused(bench: Bench, extension: x509.ExtensionType) -> None:
    assert bench.bring(CRL, crl(extensions=[(extension, True)])) == "crl.critical"
    if extension is ANY:
        assert bench.bring(CRL, crl(extensions=[(extension, False)])) is None


def test_a_crl_whose_entry_has_a_critical_extension_is_refused(bench: Bench) -> None:
    # The entry is for a certificate of another issuer, as in an indirect CRL.
    named = x509.CertificateIssuer([x509.DirectoryName(OTHER.certificate.subject)])
    assert bench.bring(CRL, crl(5, entry_extensions=[(named, True)])) == "crl.critical"
    reason = x509.CRLReason(x509.ReasonFlags.key_compromise)
    assert bench.bring(CRL, crl(5, entry_extensions=[(reason, False)])) is None
    assert bench.asked(5) == "mdoc.ds_revoked"


def test_a_crl_by_an_iaca_that_may_not_sign_crls_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    certificate = MAY_NOT.certificate(MAY_NOT)
    assert bench.trusting(issuers=[Issuer(certificate, [DOC_TYPE])], entries=[ListEntry(CRL, trust.CRL, 0)]) is None
    by = pki.Identity(x509.load_der_x509_certificate(certificate), MAY_NOT.key())
    assert bench.bring(CRL, crl(by=by, key_identifier=False)) == "crl.issuer"


def test_a_crl_cut_anywhere_or_with_bytes_after_it_is_refused(bench: Bench) -> None:
    der = crl(5, 6)
    for end in range(0, len(der), 7):
        assert bench.bring(CRL, der[:end] or b"\x30") is not None
    assert bench.bring(CRL, der + b"\x00") == "der.trailing"
    assert bench.asked(5) is None


def test_a_list_whose_time_is_over_is_refused(bench: Bench) -> None:
    assert bench.bring(CRL, crl(expires=NOW - 1)) == "revocation-list.expired"
    assert bench.bring(CRL, crl(expires=NOW)) is None
    assert bench.bring(STATUS, token(_4=NOW - 1)) == "revocation-list.expired"
    assert bench.bring(STATUS, token(_4=NOW)) is None


def test_a_list_of_a_time_still_to_come_is_refused_once_the_time_is_known(bench: Bench) -> None:
    coming = crl(issued=NOW + 1)
    assert bench.bring(CRL, coming) == "revocation-list.early"
    assert bench.bring(CRL, coming, now=(NOW - 9, NOW + 1)) is None
    assert bench.bring(STATUS, status(issued=NOW + 1), now=(NOW, None)) is None


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (lambda: status(by=STRANGER), "status-list.signature"),
        (lambda: status(uri=URI + "/"), "status-list.uri"),
        (lambda: identifiers(b"id"), "status-list.kind"),
        (lambda: token({16: "application/statuslist+jwt"}), "status-list.form"),
        (lambda: token({}), "status-list.form"),
        (lambda: token({**STATUS_TYPE, 2: [16]}), "cose.crit"),
        (lambda: token({**STATUS_TYPE, 1: -35}), "status-list.signature"),
        (lambda: token({**STATUS_TYPE, 33: b"certificate"}), None),
        (lambda: token(_2=None), "status-list.form"),
        (lambda: token(_2=7), "status-list.form"),
        (lambda: token(_4=None), "status-list.form"),
        (lambda: token(_6=None), "status-list.form"),
        (lambda: token(_6="2026"), "status-list.form"),
        (lambda: token(_6=True), "status-list.form"),
        (lambda: token(_6=float("nan")), "status-list.form"),
        (lambda: token(_6=NOW - 0.5), None),
        (lambda: token(_5=NOW), None),
        (lambda: token(_5=NOW + 1), "revocation-list.early"),
        (lambda: token(_5="now"), "status-list.form"),
        (lambda: token(_65533=None), "status-list.form"),
        (lambda: token(_65533={"bits": 3, "lst": revocation.pack({}, 8)}), "status-list.form"),
        (lambda: token(_65533={"bits": True, "lst": revocation.pack({}, 8)}), "status-list.form"),
        (lambda: token(_65533={"lst": revocation.pack({}, 8)}), "status-list.form"),
        (lambda: token(_65533={"bits": 1}), "status-list.form"),
        (lambda: token(_65533={"bits": 1, "lst": b"not zlib"}), "status-list.zlib"),
        (lambda: token(_65533={"bits": 1, "lst": revocation.pack({}, 10**4)[:-6]}), "status-list.zlib"),
        (lambda: token(_65533={"bits": 1, "lst": revocation.pack({}, 10**4) + b"\x00"}), "status-list.zlib"),
        (lambda: token(_65533={"bits": 1, "lst": zlib.compress(bytes(2**20), 9)}), None),
        (lambda: token(_65533={"bits": 1, "lst": zlib.compress(bytes(2**20 + 1), 9)}), "status-list.too_long"),
        (lambda: token()[:-1], "cbor.truncated"),
        (lambda: token() + b"\x00", "cbor.trailing"),
        (lambda: cbor2.dumps(cbor2.CBORTag(17, cbor2.loads(token()).value)), "cose.form"),
        (lambda: cbor2.dumps(cbor2.loads(token()).value), None),
        (lambda: crl(), "cbor.trailing"),
        (lambda: b"\x81" * 4000, "cbor.depth"),
        (lambda: b"\x9b\x80" + bytes(7), "cbor.truncated"),
    ],
)
def test_a_status_list_that_breaks_a_rule_is_refused(bench: Bench, content: Any, code: str | None) -> None:
    assert bench.bring(STATUS, content()) == code


@pytest.mark.parametrize(
    ("claim", "code"),
    [
        ({"identifiers": {}}, None),
        ({"identifiers": {"text": {}}}, "status-list.form"),
        ({"identifiers": [b"id"]}, "status-list.form"),
        ({}, "status-list.form"),
        (None, "status-list.form"),
    ],
)
def test_an_identifier_list_that_breaks_a_rule_is_refused(bench: Bench, claim: Any, code: str | None) -> None:
    claims = {2: IDENTIFIERS_URI, 4: NOW + DAY, 6: NOW, 65530: claim}
    assert bench.bring(IDENTIFIERS, revocation.sign_token(SIGNER, IDENTIFIER_TYPE, claims)) == code
    both = {**claims, 65530: {"identifiers": {}}, 65533: CLAIMS[65533]}
    assert bench.bring(IDENTIFIERS, revocation.sign_token(SIGNER, IDENTIFIER_TYPE, both)) == "status-list.form"


def test_a_list_longer_than_a_lock_can_read_cannot_be_published(bench: Bench) -> None:
    large = crl(*range(2**120, 2**120 + 300))
    assert len(large) > MAX_CONTENT
    with pytest.raises(MooringError) as refusal:
        bench.bring(CRL, large)
    assert refusal.value.code == "revocation-list.form"
    assert bench.bring(CRL, crl(*range(2**120, 2**120 + 100))) is None
    assert bench.asked(2**120 + 99) == "mdoc.ds_revoked"


def test_a_new_trust_list_takes_a_list_out_of_use_that_its_key_did_not_sign(bench: Bench) -> None:
    bench.bring(STATUS, status({9: 1}))
    other_key = [ListEntry(STATUS, trust.STATUS_LIST, 0, URI, cose_key(STRANGER))]
    assert bench.trusting(2, entries=other_key) is None
    assert bench.asked(status=revocation.reference(URI, 9)) is None
    assert bench.bring(STATUS, status({9: 1}, by=STRANGER)) is None
    assert bench.asked(status=revocation.reference(URI, 9)) == "mdoc.revoked"


def test_an_older_trust_list_cannot_come_back(bench: Bench) -> None:
    assert bench.trusting(3, entries=[]) is None
    assert bench.trusting(2) == "trust-list.serial"
    bench.reboot()
    assert bench.trusting(2) == "trust-list.serial"
