"""A bench that has a trust list, for the tests of revocation."""

from pathlib import Path

import pytest

from tests.support.revocation_bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    assert bench.trusting() is None
    return bench
