"""An event that interrupts and radio handlers may set."""

import asyncio
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def irq_flag() -> "Any":
    """An event to be set from an irq handler, with `set`, `clear` and `wait`.

    On the chip those come from a thread or an interrupt of their own, and only `ThreadSafeFlag` wakes a sleeping loop
    from there. The unix port would poll for it every millisecond, and runs its handlers in the loop anyway.
    """
    return getattr(asyncio, "ThreadSafeFlag" if sys.platform == "esp32" else "Event")()
