from collections.abc import Iterator

import pytest

from sim.broker import Broker, available


@pytest.fixture(params=available())
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """The embedded broker. If Mosquitto is installed, the test also runs with Mosquitto."""
    with Broker(request.param) as running:
        yield running
