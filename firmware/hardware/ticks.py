"""Milliseconds that only move forward, on both runtimes. Differences are good up to 6 days, for MicroPython's wrap."""

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def _now() -> int:
    return time.monotonic_ns() // 1000000


def _since(later: int, earlier: int) -> int:
    return later - earlier


now: "Callable[[], int]" = getattr(time, "ticks_ms", _now)
"""Milliseconds since an arbitrary start."""

since: "Callable[[int, int], int]" = getattr(time, "ticks_diff", _since)
"""`since(later, earlier)` in milliseconds; negative once ticks have wrapped in between."""

FOREVER = 1 << 29
"""An age in milliseconds that stands for all from six days on: so far can the chip's ticks be told apart."""


def age(earlier: int) -> int:
    """Milliseconds from `earlier` to now, FOREVER if ticks have wrapped meanwhile. For all that is not looked at daily:
    after twelve days it would begin anew."""
    elapsed = since(now(), earlier)
    return FOREVER if elapsed < 0 else elapsed
