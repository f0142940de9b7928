"""Milliseconds that only move forward, on both runtimes. MicroPython's ticks wrap, so differences are right up to 6
days."""

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
"""`since(later, earlier)` in milliseconds. Negative if the ticks have wrapped in between."""

FOREVER = 1 << 29
"""The age, in milliseconds, of everything older than about six days. The chip's ticks cannot measure more."""


def age(earlier: int) -> int:
    """Milliseconds from `earlier` to now, or FOREVER if the ticks have wrapped. After twelve days it starts again from
    0, so whoever uses it must look more often than that."""
    elapsed = since(now(), earlier)
    return FOREVER if elapsed < 0 else elapsed
