"""Create an event that may be set by interrupts and by handlers of the radio."""

import asyncio
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def irq_flag() -> "Any":
    """Return an event that irq handlers may set. Its methods are `set`, `clear` and `wait`.

    On the chip, irq handlers run in another thread or in an interrupt. From there, only a `ThreadSafeFlag` can wake a
    sleeping event loop. The unix port runs the handlers in the event loop, so an `Event` is enough. On the unix port, a
    `ThreadSafeFlag` would be polled every millisecond.
    """
    return getattr(asyncio, "ThreadSafeFlag" if sys.platform == "esp32" else "Event")()
