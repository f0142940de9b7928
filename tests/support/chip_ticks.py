"""The ticks of the chip, controlled by a test.

The counter is part of the chip, like the flash and the radio, so a test may replace it. In the simulator,
`sim/board/boot.py` does the same for the firmware.
"""

from collections.abc import Callable

import pytest

from firmware.hardware import ticks

PERIOD_MS = 1 << 30
"""MicroPython's TICKS_PERIOD on 32 bits. Differences of ticks are correct up to half a period in both directions."""
DAY_MS = 86400 * 1000


def stand_in(monkeypatch: pytest.MonkeyPatch, now: Callable[[], int]) -> None:
    """Let the ticks of the firmware be those of `now`, which must not wrap."""
    monkeypatch.setattr(ticks, "now", now)


class ChipTicks:
    """A clock that a test moves. `ms` is the true time in milliseconds, and `firmware.hardware.ticks` follows it.

    The ticks start again at zero every twelve and a half days.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ms = 0
        stand_in(monkeypatch, lambda: self.ms % PERIOD_MS)
        monkeypatch.setattr(ticks, "since", _since)


def _since(later: int, earlier: int) -> int:
    return (later - earlier + PERIOD_MS // 2) % PERIOD_MS - PERIOD_MS // 2
