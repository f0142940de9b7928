"""Claims about certificate paths to an IACA. Attacks on such paths are in tests/support/attacks/path.py."""

from dataclasses import replace
from datetime import timedelta

import pytest

from protocol import crypto_cpython
from protocol.errors import VerificationError
from protocol.mdoc import chain
from protocol.x509 import Certificate
from tests.support.attacks.building import BELOW_INTERMEDIATE, PATHLEN_1
from tests.support.credential import DS, IACA, INTERMEDIATE, MDL, NOW, Authority, name, seconds

INSTANT = (seconds(NOW), seconds(NOW))


def path(ds: bytes, *roots: bytes, now: tuple[int, int] = INSTANT) -> chain.DocumentSigner:
    anchors = [chain.TrustRoot(root) for root in roots]
    return chain.verify_path(crypto_cpython, Certificate(ds), MDL, anchors, now)


def path_to(anchors: list[chain.TrustRoot]) -> chain.DocumentSigner:
    return chain.verify_path(crypto_cpython, Certificate(DS.certificate(IACA)), MDL, anchors, INSTANT)


def refused(ds: bytes, *roots: bytes, now: tuple[int, int] = INSTANT) -> str:
    with pytest.raises(VerificationError) as refusal:
        path(ds, *roots, now=now)
    return refusal.value.code


def test_a_good_path_gives_the_document_signers_key_and_the_validity_of_all_of_it() -> None:
    short = replace(IACA, not_after=NOW + timedelta(days=1))
    signer = path(DS.certificate(short), short.certificate(short))
    assert (signer.curve, signer.country, signer.state) == ("P-256", "UT", None)
    assert signer.public == Certificate(DS.certificate(IACA)).public
    assert (signer.not_before, signer.not_after) == (seconds(DS.not_before), seconds(DS.not_after))
    assert (signer.valid_from, signer.valid_until) == (seconds(DS.not_before), seconds(short.not_after))


def test_the_whole_time_interval_must_lie_inside_the_certificates() -> None:
    ds, root = DS.certificate(IACA), IACA.certificate(IACA)
    start, end = seconds(DS.not_before), seconds(DS.not_after)
    assert path(ds, root, now=(start, end)).country == "UT"
    assert refused(ds, root, now=(start - 1, end)) == "mdoc.chain_validity"
    assert refused(ds, root, now=(start, end + 1)) == "mdoc.chain_validity"


def test_what_an_intermediate_signed_has_no_path_even_if_the_ca_above_it_is_trusted() -> None:
    ds = BELOW_INTERMEDIATE.certificate(INTERMEDIATE)
    assert refused(ds, PATHLEN_1.certificate(PATHLEN_1)) == "mdoc.untrusted"
    assert refused(ds, INTERMEDIATE.certificate(replace(PATHLEN_1, key_name="mallory")), now=(0, 0)).startswith("mdoc.")


def test_the_next_root_is_tried_whatever_is_wrong_with_one_of_the_same_name() -> None:
    ds, good = Certificate(DS.certificate(IACA)), IACA.certificate(IACA)
    other_key = replace(IACA, key_name="another")
    misfits = {
        "mdoc.root_doctype": chain.TrustRoot(good, ["other"]),
        "mdoc.root_validity": chain.TrustRoot(good, None, None, INSTANT[0] - 1),
        "mdoc.chain_validity": chain.TrustRoot(replace(IACA, not_after=NOW - timedelta(days=1)).certificate(IACA)),
        "mdoc.chain_key_identifier": chain.TrustRoot(replace(IACA, subject_key_identifier=b"new").certificate(IACA)),
        "mdoc.chain_signature": chain.TrustRoot(other_key.certificate(other_key)),
        "mdoc.chain_key_usage": chain.TrustRoot(replace(IACA, usage=None).certificate(IACA)),
    }
    fitting = chain.TrustRoot(good, [MDL])
    for code, misfit in misfits.items():
        for roots in ([misfit, fitting], [fitting, misfit], [*misfits.values(), fitting]):
            assert chain.verify_path(crypto_cpython, ds, MDL, roots, INSTANT).root is fitting
        with pytest.raises(VerificationError) as refusal:
            chain.verify_path(crypto_cpython, ds, MDL, [misfit], INSTANT)
        assert refusal.value.code == code


def test_the_refusal_is_of_the_root_whose_key_is_named_wherever_it_stands() -> None:
    stranger = replace(IACA, subject_key_identifier=b"new", key_name="another")
    over = replace(IACA, not_after=NOW - timedelta(days=1))
    pair = [stranger.certificate(stranger), over.certificate(over)]
    assert refused(DS.certificate(IACA), *pair) == refused(DS.certificate(IACA), *pair[::-1]) == "mdoc.chain_validity"


def test_an_odd_root_in_the_trust_list_does_not_spoil_the_others() -> None:
    odd = replace(IACA, curve="brainpoolP256r1")
    assert path(DS.certificate(IACA), odd.certificate(odd), IACA.certificate(IACA)).country == "UT"


def test_an_anchor_need_not_be_self_signed() -> None:
    above = Authority(name("World root"))
    crossed = replace(IACA, authority_key_identifier=None)
    assert path(DS.certificate(crossed), crossed.certificate(above)).country == "UT"


def test_a_root_counts_in_the_time_in_which_it_is_trusted_and_no_other() -> None:
    start, end = INSTANT[0], INSTANT[0] + 60
    ds, root = Certificate(DS.certificate(IACA)), IACA.certificate(IACA)

    def judged(trusted_from: int | None, trusted_until: int | None) -> str | None:
        anchors = [chain.TrustRoot(root, None, trusted_from, trusted_until)]
        try:
            chain.verify_path(crypto_cpython, ds, MDL, anchors, (start, end))
        except VerificationError as refusal:
            return refusal.code
        return None

    assert [judged(*times) for times in ((None, None), (start, None), (None, end), (start, end))] == [None] * 4
    assert [judged(start + 1, None), judged(None, end - 1)] == ["mdoc.root_validity"] * 2


def test_a_root_that_is_no_longer_trusted_does_not_hide_one_that_is() -> None:
    root = IACA.certificate(IACA)
    anchors = [chain.TrustRoot(root, None, None, INSTANT[0] - 1), chain.TrustRoot(root)]
    assert path_to(anchors).root is anchors[1]


def test_the_serial_number_is_of_the_document_signers_certificate() -> None:
    signer = path(DS.certificate(IACA), IACA.certificate(IACA))
    assert signer.serial == (1234567).to_bytes(3, "big")


def test_a_root_without_limits_serves_every_document_type() -> None:
    root = IACA.certificate(IACA)
    assert chain.TrustRoot(root).trusts("any")
    assert chain.TrustRoot(root, ["one"]).trusts("one")
    assert not chain.TrustRoot(root, ["one"]).trusts("other")
    assert not chain.TrustRoot(root, []).trusts("one")
