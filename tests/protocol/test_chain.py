"""Claims about the path to an IACA, apart from any response. The attacks on it are in attacks.py."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509

from protocol import crypto_cpython
from protocol.errors import VerificationError
from protocol.mdoc import chain
from protocol.x509 import Certificate
from tests.protocol.attacks.building import BELOW_INTERMEDIATE, PATHLEN_1
from tests.protocol.credential import DS, IACA, INTERMEDIATE, NOW, Authority, name, seconds

INSTANT = (seconds(NOW), seconds(NOW))


def path(certificates: list[bytes], *roots: bytes, now: tuple[int, int] = INSTANT) -> chain.DocumentSigner:
    anchors = [chain.TrustRoot(root) for root in roots]
    return chain.verify_path(crypto_cpython, [Certificate(each) for each in certificates], anchors, now)


def refused(certificates: list[bytes], *roots: bytes, now: tuple[int, int] = INSTANT) -> str:
    with pytest.raises(VerificationError) as refusal:
        path(certificates, *roots, now=now)
    return refusal.value.code


def test_a_good_path_gives_the_document_signers_key_and_the_validity_of_all_of_it() -> None:
    short = replace(IACA, not_after=NOW + timedelta(days=1))
    signer = path([DS.certificate(short)], short.certificate(short))
    assert (signer.curve, signer.country, signer.state) == ("P-256", "UT", None)
    assert signer.public == Certificate(DS.certificate(IACA)).public
    assert (signer.not_before, signer.not_after) == (seconds(DS.not_before), seconds(DS.not_after))
    assert (signer.valid_from, signer.valid_until) == (seconds(DS.not_before), seconds(short.not_after))


def test_the_whole_time_interval_must_lie_inside_the_certificates() -> None:
    certificates, root = [DS.certificate(IACA)], IACA.certificate(IACA)
    start, end = seconds(DS.not_before), seconds(DS.not_after)
    assert path(certificates, root, now=(start, end)).country == "UT"
    assert refused(certificates, root, now=(start - 1, end)) == "mdoc.chain_validity"
    assert refused(certificates, root, now=(start, end + 1)) == "mdoc.chain_validity"


def test_a_path_of_three_needs_every_one_of_its_links() -> None:
    inner = replace(INTERMEDIATE, subject=name("Utopia inner"), authority_key_identifier=b"intermediate")
    outer = replace(INTERMEDIATE, constraints=x509.BasicConstraints(ca=True, path_length=1))
    root = replace(IACA, constraints=x509.BasicConstraints(ca=True, path_length=None))
    certificates = [BELOW_INTERMEDIATE.certificate(inner), inner.certificate(outer), outer.certificate(root)]
    anchor = root.certificate(root)
    assert path(certificates, anchor).country == "UT"
    assert refused([certificates[0], certificates[2]], anchor) == "mdoc.chain_names"
    assert refused([certificates[0], certificates[2], certificates[1]], anchor) == "mdoc.chain_names"
    tight = PATHLEN_1.certificate(PATHLEN_1)
    assert refused([*certificates[:2], outer.certificate(PATHLEN_1)], tight) == "mdoc.chain_path_length"


def test_a_forged_link_in_the_middle_breaks_the_path() -> None:
    mallory = replace(INTERMEDIATE, key_name="mallory")
    certificates = [BELOW_INTERMEDIATE.certificate(mallory), INTERMEDIATE.certificate(PATHLEN_1)]
    assert refused(certificates, PATHLEN_1.certificate(PATHLEN_1)) == "mdoc.chain_signature"


def test_a_document_signer_cannot_issue_another() -> None:
    second = replace(DS, subject=name("Second DS"), authority_key_identifier=b"document signer")
    certificates = [second.certificate(DS), DS.certificate(PATHLEN_1)]
    assert refused(certificates, PATHLEN_1.certificate(PATHLEN_1)) == "mdoc.chain_ca"


def test_an_odd_root_in_the_trust_list_does_not_spoil_the_others() -> None:
    odd = replace(IACA, curve="brainpoolP256r1")
    assert path([DS.certificate(IACA)], odd.certificate(odd), IACA.certificate(IACA)).country == "UT"


def test_an_anchor_need_not_be_self_signed() -> None:
    above = Authority(name("World root"))
    crossed = replace(IACA, authority_key_identifier=None)
    assert path([DS.certificate(crossed)], crossed.certificate(above)).country == "UT"


def test_a_root_counts_in_the_time_in_which_it_is_trusted_and_no_other() -> None:
    start, end = INSTANT[0], INSTANT[0] + 60
    certificates, root = [Certificate(DS.certificate(IACA))], IACA.certificate(IACA)

    def judged(trusted_from: int | None, trusted_until: int | None) -> str | None:
        anchors = [chain.TrustRoot(root, None, trusted_from, trusted_until)]
        try:
            chain.verify_path(crypto_cpython, certificates, anchors, (start, end))
        except VerificationError as refusal:
            return refusal.code
        return None

    assert [judged(*times) for times in ((None, None), (start, None), (None, end), (start, end))] == [None] * 4
    assert [judged(start + 1, None), judged(None, end - 1)] == ["mdoc.root_validity"] * 2


def test_a_root_that_is_no_longer_trusted_does_not_hide_one_that_is() -> None:
    root = IACA.certificate(IACA)
    anchors = [chain.TrustRoot(root, None, None, INSTANT[0] - 1), chain.TrustRoot(root)]
    assert chain.verify_path(crypto_cpython, [Certificate(DS.certificate(IACA))], anchors, INSTANT).root is anchors[1]


def test_the_serial_number_is_of_the_certificate_that_the_root_signed() -> None:
    signer = path([DS.certificate(IACA)], IACA.certificate(IACA))
    assert signer.serial == (1234567).to_bytes(3, "big")


def test_a_root_without_limits_serves_every_document_type() -> None:
    root = IACA.certificate(IACA)
    assert chain.TrustRoot(root).trusts("any")
    assert chain.TrustRoot(root, ["one"]).trusts("one")
    assert not chain.TrustRoot(root, ["one"]).trusts("other")
    assert not chain.TrustRoot(root, []).trusts("one")
