"""Lists that may be stale or were never delivered, under each value of the profile's rule and any clock interval."""

from pathlib import Path

import pytest

from protocol.trust import Issuer
from sim import revocation
from tests.support.revocation_bench import (
    CRL,
    DAY,
    DOC_TYPE,
    IACA,
    IDENTIFIERS,
    IDENTIFIERS_URI,
    NOW,
    OTHER,
    STATUS,
    URI,
    Bench,
    crl,
    identifiers,
    status,
)

AGES = {"trust_list": 30 * DAY, "crl": 10 * DAY, "status_list": 5 * DAY}
REFERENCE = revocation.reference(URI, 3)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A bench with a trust list and the three lists that it names.

    All lists are fresh at NOW. By their own dates, the lists are valid for a long time.
    """
    bench = Bench(tmp_path)
    assert bench.profile(max_age_seconds=AGES) is None
    assert bench.trusting() is None
    assert bench.bring(CRL, crl(issued=NOW, expires=NOW + 99 * DAY)) is None
    assert bench.bring(STATUS, status(issued=NOW, expires=NOW + 99 * DAY)) is None
    assert bench.bring(IDENTIFIERS, identifiers(issued=NOW)) is None
    return bench


def test_fresh_lists_stand_in_nobodys_way(bench: Bench) -> None:
    assert bench.fresh(NOW, status=REFERENCE) is None
    assert bench.fresh(NOW + 5 * DAY, status=REFERENCE) is None


@pytest.mark.parametrize(
    ("age", "status_of", "code"),
    [
        (5 * DAY, REFERENCE, "status-list.stale"),
        (5 * DAY, {"identifier_list": {"id": b"i", "uri": IDENTIFIERS_URI}}, "status-list.stale"),
        (10 * DAY, None, "crl.stale"),
        (30 * DAY, None, "trust-list.stale"),
    ],
)
@pytest.mark.parametrize("root", [0, 1])
def test_each_list_has_its_age_to_the_second_and_judges_its_own_issuers_documents_only(
    bench: Bench, age: int, status_of: object, code: str, root: int
) -> None:
    judged = root == 0 or code == "trust-list.stale"
    if code != "trust-list.stale":
        assert bench.fresh(NOW + age, status=status_of, root=root) is None
    assert bench.fresh(NOW + age + 1, status=status_of, root=root) == (code if judged else None)


def test_a_list_is_stale_at_its_own_end_even_if_the_profile_would_wait_longer(bench: Bench) -> None:
    bench.bring(CRL, crl(issued=NOW, expires=NOW + DAY))
    assert bench.fresh(NOW + DAY) is None
    assert bench.fresh(NOW + DAY + 1) == "crl.stale"
    bench.bring(STATUS, status(issued=NOW, expires=NOW + 60))
    assert bench.fresh(NOW + 60, status=REFERENCE) is None
    assert bench.fresh(NOW + 61, status=REFERENCE) == "status-list.stale"


def test_a_list_that_never_came_is_stale(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.profile(max_age_seconds=AGES)
    bench.trusting()
    assert bench.fresh(NOW) == "crl.stale"
    bench.bring(CRL, crl(issued=NOW))
    assert bench.fresh(NOW) is None
    assert bench.fresh(NOW, status=REFERENCE) == "status-list.stale"
    assert bench.fresh(NOW, status=REFERENCE, root=1) is None


@pytest.mark.parametrize(
    ("rule", "check_in", "entry"),
    [("accept", None, None), ("refuse-new", "crl.stale", None), ("refuse-all", "crl.stale", "crl.stale")],
)
def test_the_profile_says_what_a_stale_list_means(
    bench: Bench, rule: str, check_in: str | None, entry: str | None
) -> None:
    assert bench.profile(2, max_age_seconds=AGES, stale=rule) is None
    late = NOW + 11 * DAY
    assert bench.fresh(late) == check_in
    assert bench.fresh(late, check_in=False) == entry
    assert bench.fresh(NOW) is None
    assert bench.fresh(NOW, check_in=False) is None


def test_a_time_of_which_only_the_floor_is_known_makes_every_list_stale(bench: Bench) -> None:
    assert bench.fresh(None) == "trust-list.stale"
    assert bench.fresh(None, check_in=False) is None
    bench.profile(2, max_age_seconds=AGES, stale="refuse-all")
    assert bench.fresh(None, check_in=False) == "trust-list.stale"


def test_what_is_revoked_stays_so_when_the_list_is_stale(bench: Bench) -> None:
    bench.profile(2, max_age_seconds=AGES, stale="accept")
    bench.bring(CRL, crl(5, issued=NOW, expires=NOW + 1))
    assert bench.fresh(NOW + 100 * DAY) is None
    assert bench.asked(5) == "mdoc.ds_revoked"


@pytest.mark.parametrize(("rule", "check_in"), [("accept", None), ("refuse", "mdoc.unlisted")])
def test_a_reference_to_a_list_that_nobody_brings_is_for_the_profile_to_judge(
    bench: Bench, rule: str, check_in: str | None
) -> None:
    bench.profile(2, max_age_seconds=AGES, unlisted=rule)
    elsewhere = revocation.reference("https://other.example/1", 3)
    assert bench.fresh(NOW, status=elsewhere) == check_in
    assert bench.fresh(NOW, status=elsewhere, check_in=False) is None
    assert bench.fresh(NOW, status=REFERENCE) is None
    assert bench.fresh(NOW, status=REFERENCE, root=1) == check_in
    assert bench.fresh(NOW, status=None) is None
    assert bench.fresh(NOW, status={"something": "new"}) is None


def test_a_renewed_list_is_fresh_again(bench: Bench) -> None:
    later = NOW + 31 * DAY
    assert bench.fresh(later) == "trust-list.stale"
    bench.trusting(2, issued_at=later)
    assert bench.fresh(later) == "crl.stale"
    bench.bring(CRL, crl(issued=later, expires=later + DAY), now=(later, later))
    assert bench.fresh(later) is None


def test_an_issuer_is_trusted_in_its_time_only(bench: Bench) -> None:
    window = [Issuer(IACA.der, [DOC_TYPE], NOW, NOW + DAY), Issuer(OTHER.der, [DOC_TYPE])]
    bench.trusting(2, issuers=window)
    first, second = bench.trusted.roots
    assert (first.trusted_from, first.trusted_until) == (NOW, NOW + DAY)
    assert (second.trusted_from, second.trusted_until) == (None, None)
