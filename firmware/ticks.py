"""Milliseconds that only move forward, on both runtimes. Differences are good up to 6 days (2**29 ms), MicroPython's wrap."""

import time

if hasattr(time, "ticks_ms"):
    now = time.ticks_ms
    since = time.ticks_diff
else:

    def now() -> int:
        """Milliseconds since an arbitrary start."""
        return time.monotonic_ns() // 1000000

    def since(later: int, earlier: int) -> int:
        """`later - earlier`, in milliseconds."""
        return later - earlier
