"""A door, a guest, and a stay in which that guest has checked in."""

from pathlib import Path

import pytest

from sim.platform import Booking
from tests.support.doorway import Doorway, Visitor


@pytest.fixture
def doorway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doorway:
    return Doorway(tmp_path, monkeypatch)


@pytest.fixture
def guest(doorway: Doorway) -> Visitor:
    return doorway.visitor()


@pytest.fixture
def stay(doorway: Doorway, guest: Visitor) -> Booking:
    """A stay of one guest who has checked in."""
    booking = doorway.book(guest)
    doorway.tap(guest.phone)
    assert doorway.opened() and guest.keys.keys
    return booking
