"""The ticks of the chip, controlled by a test. They start again at zero every twelve and a half days."""

import pytest

from firmware.hardware import ticks

PERIOD_MS = 1 << 30
"""MicroPython's TICKS_PERIOD on 32 bits. Differences of ticks are correct up to half a period in both directions."""
DAY_MS = 86400 * 1000


class ChipTicks:
    """A clock that a test moves. `ms` is the true time in milliseconds, and `firmware.hardware.ticks` follows it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ms = 0
        monkeypatch.setattr(ticks, "now", lambda: self.ms % PERIOD_MS)
        monkeypatch.setattr(ticks, "since", _since)


def _since(later: int, earlier: int) -> int:
    return (later - earlier + PERIOD_MS // 2) % PERIOD_MS - PERIOD_MS // 2
