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
"""`since(later, earlier)` in milliseconds."""
