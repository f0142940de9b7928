"""One task feeds the watchdog, but only while all other tasks work. If a task has failed, the lock restarts itself. If
the lock can no longer restart itself, the watchdog resets the chip.
"""

import asyncio

from firmware.hardware.console import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from machine import WDT

WATCHDOG_MS = 30000
"""The watchdog resets the chip if it was not fed for this long. This time is longer than the slowest step on the chip,
so an event loop that takes longer is stuck.
"""

SERVED_MS = 120000
"""A door that serves one guest for this long is stuck. Even a slow guest's tap takes less time."""

_LOOP_MS = 1000


async def watch(
    watchdog: "WDT", tasks: "list[asyncio.Task[None]]", serving_ms: "Callable[[], int]", tick: "Callable[[], object]"
) -> None:
    """Feed `watchdog` and call `tick` about once a second. Wait until the lock should restart, then return.

    The lock should restart when a task has ended, or when the door has served one guest for too long. `serving_ms`
    returns how long the door has served the current guest, or 0 between two guests. So a long row of guests is no
    reason to restart.
    """
    while True:
        await asyncio.sleep(_LOOP_MS / 1000)  # first of all, the tasks begin to serve
        for task in tasks:
            if task.done():
                try:
                    await task
                except Exception as error:  # noqa: BLE001  whatever it was, log its type and let the lock start again
                    log("lock.task_failed", error=type(error).__name__)
                return
        served = serving_ms()
        if served >= SERVED_MS:
            log("lock.stuck", ms=served)
            return
        watchdog.feed()
        tick()
