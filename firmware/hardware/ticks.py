"""A millisecond counter that never goes back, on both runtimes. MicroPython's ticks wrap, so only differences of up to
about six days are right."""

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def _now() -> int:
    return time.monotonic_ns() // 1000000


def _since(later: int, earlier: int) -> int:
    return later - earlier


now: "Callable[[], int]" = getattr(time, "ticks_ms", _now)
"""`now()` is the number of milliseconds since an arbitrary start."""

since: "Callable[[int, int], int]" = getattr(time, "ticks_diff", _since)
"""`since(later, earlier)` is the time between two ticks, in milliseconds. The time is negative after more than about
six days."""

FOREVER = 1 << 29
"""The age, in milliseconds, that `age` returns for anything older than about six days. The chip's ticks cannot measure
a longer time."""


def age(earlier: int) -> int:
    """Return the milliseconds from `earlier` to now, or FOREVER after more than about six days. After twelve days, the
    result starts again from 0, so the caller must check an age more often than every six days."""
    elapsed = since(now(), earlier)
    return FOREVER if elapsed < 0 else elapsed
