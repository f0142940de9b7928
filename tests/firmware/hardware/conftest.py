"""The light and the buzzer of a door."""

import importlib
import sys
from collections.abc import Callable, Iterator

import pytest

from firmware.boards import esp32_c6_devkitc_1 as pins
from tests.support.panel import Panel, machine


@pytest.fixture
def panel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Panel]]:
    """Yield a function that makes a new panel."""
    monkeypatch.setitem(sys.modules, "machine", machine())
    monkeypatch.delitem(sys.modules, "firmware.hardware.signals", raising=False)
    signals = importlib.import_module("firmware.hardware.signals")
    yield lambda: Panel(signals.Signals(pins.LIGHTS, pins.BUZZER))
    sys.modules.pop("firmware.hardware.signals", None)
