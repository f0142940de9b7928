"""The watchdog is fed by one task, and only while all others do their work. When one does not, the lock starts again:
by itself, or by the watchdog where it does not come to that.
"""

import asyncio

from firmware.hardware.console import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from machine import WDT

WATCHDOG_MS = 30000
"""Longer than the slowest step on the chip; a loop that has not come round by then is stuck."""

SERVED_MS = 120000
"""Longer than the longest tap, with a holder who takes their time; a door that serves one guest for so long hangs."""

_LOOP_MS = 1000


async def watch(
    watchdog: "WDT", tasks: "list[asyncio.Task[None]]", serving_ms: "Callable[[], int]", tick: "Callable[[], object]"
) -> None:
    """Feed `watchdog` and call `tick` about once a second; returns, to feed no more, when the lock should restart.

    `serving_ms` says for how long the door has been serving one guest. A task that ended is a reason, and so is a guest
    who is never done; guests who come one after the other are none, however little time there is between them.
    """
    while True:
        for task in tasks:
            if task.done():
                try:
                    await task
                except Exception as error:  # noqa: BLE001  whatever it was: name it, and let the lock start again
                    log("lock.task_failed", error=type(error).__name__)
                return
        served = serving_ms()
        if served >= SERVED_MS:
            log("lock.stuck", ms=served)
            return
        watchdog.feed()
        tick()
        await asyncio.sleep(_LOOP_MS / 1000)
