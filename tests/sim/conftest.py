"""Fixtures for the tests of the province: a province without a broker, a platform, and a lock with some records."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.platform import Platform
from sim.province import Province
from tests.support.chain import NOW, Chain, check_in, entry
from tests.support.edge_side import place


@pytest.fixture
def province(tmp_path: Path) -> Iterator[Province]:
    """A province that is not connected to anything. Its clock stands still."""
    province = Province(tmp_path, "127.0.0.1", 1, clock=lambda: NOW + 5)
    yield province
    province.stop()


@pytest.fixture
def platform() -> Platform:
    """Return the platform that is named in the lock's placement."""
    return Platform()


@pytest.fixture
def chain(province: Province, platform: Platform) -> Chain:
    """A registered lock with five records: a check-in and four entries."""
    chain = Chain(province.keys.sealing_public)
    place(province, chain, platform)
    chain.append(check_in())
    for _ in range(4):
        chain.append(entry())
    return chain
