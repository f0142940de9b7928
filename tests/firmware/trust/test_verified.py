"""A statement that was verified when it arrived is not verified again at a boot, and no other statement gets past."""

from pathlib import Path
from typing import Any

import pytest

from firmware.memory import identity
from firmware.trust.trusted_statements import TrustedStatements
from protocol import crypto_cpython as crypto
from protocol.errors import MooringError
from tests.support.revocation_bench import CRL, Bench, crl

FILE = "verified"
PLATFORM = crypto.generate("P-256")


class Counting:
    """The cryptography, which counts how many of the province's signatures it has verified."""

    def __init__(self, province: bytes) -> None:
        self.province = province
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(crypto, name)

    def verify(self, curve: str, public: bytes, *rest: Any) -> bool:
        self.count += public == self.province
        return crypto.verify(curve, public, *rest)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    assert bench.profile() is None and bench.trusting() is None and bench.bring(CRL, crl(5)) is None
    return bench


def verified_at_a_boot(bench: Bench) -> int:
    """Return how many signatures of the province a boot verifies."""
    own = identity.load(crypto, bench.store)
    assert own is not None
    counting = Counting(own.anchor)
    trusted = TrustedStatements(counting, bench.store, own)
    assert trusted.serials() == bench.trusted.serials() and trusted.profile is not None
    assert trusted.profile.body() == bench.trusted.profile.body()  # type: ignore[union-attr]
    return counting.count


def test_a_boot_verifies_no_statement_that_was_verified_when_it_arrived(bench: Bench) -> None:
    assert verified_at_a_boot(bench) == 0


@pytest.mark.parametrize("tags", [b"", bytes(32), bytes(32 * 4)], ids=["none", "one", "all"])
def test_statements_without_a_good_tag_are_verified_once_more_and_then_have_one(bench: Bench, tags: bytes) -> None:
    bench.store.write(FILE, tags)
    assert verified_at_a_boot(bench) == 3
    assert verified_at_a_boot(bench) == 0


def test_a_tag_is_good_only_for_the_statement_at_its_place(bench: Bench) -> None:
    tags = bench.store.read(FILE)
    assert tags is not None
    bench.store.write(FILE, tags[32:64] * 4)
    assert verified_at_a_boot(bench) == 2, "the tag of the trust list is at the place of the trust list too"


def test_a_tag_is_good_only_for_the_whole_statement(bench: Bench) -> None:
    data = bench.store.read("profile")
    assert data is not None
    bench.store.write("profile", data[:-1] + bytes((data[-1] ^ 1,)))
    with pytest.raises(MooringError, match=r"cose\.signature"):
        bench.reboot()


def test_the_tags_of_another_lock_or_under_another_pinned_key_are_not_good(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    other = Bench(folder)
    for name in ("profile", "trust-list", "revocation-list.1", FILE):
        other.store.write(name, bench.store.read(name) or b"")
    other.trusted = bench.trusted
    assert verified_at_a_boot(other) == 3
    bench.store.write("anchor", PLATFORM[1])
    with pytest.raises(MooringError, match=r"cose\.signature"):
        bench.reboot()


def test_a_power_cut_before_the_tag_costs_one_verification(bench: Bench) -> None:
    before = bench.store.read(FILE)
    assert before is not None
    assert bench.profile(2) is None
    bench.store.write(FILE, before)
    assert verified_at_a_boot(bench) == 1
    assert verified_at_a_boot(bench) == 0
