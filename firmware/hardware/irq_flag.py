"""An event that interrupts and radio handlers may set."""

import asyncio
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def irq_flag() -> "Any":
    """An event with `set`, `clear` and `wait` that irq handlers may set.

    On the chip these handlers run in a thread or an interrupt. Only `ThreadSafeFlag` wakes a sleeping loop from there.
    The unix port runs them in the loop, so an `Event` is enough. It would poll a `ThreadSafeFlag` every millisecond.
    """
    return getattr(asyncio, "ThreadSafeFlag" if sys.platform == "esp32" else "Event")()
