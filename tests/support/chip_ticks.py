"""Ticks as the chip has them, in a test's hand: they come round again every twelve days and a half."""

import pytest

from firmware.hardware import ticks

PERIOD_MS = 1 << 30
"""MicroPython's TICKS_PERIOD on 32 bits; differences are right up to half of it, either way."""
DAY_MS = 86400 * 1000


class ChipTicks:
    """Sets `ms`, the milliseconds that have truly gone by, for `firmware.hardware.ticks`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ms = 0
        monkeypatch.setattr(ticks, "now", lambda: self.ms % PERIOD_MS)
        monkeypatch.setattr(ticks, "since", _since)


def _since(later: int, earlier: int) -> int:
    return (later - earlier + PERIOD_MS // 2) % PERIOD_MS - PERIOD_MS // 2
