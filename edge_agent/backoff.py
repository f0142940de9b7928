"""How long to wait before the next attempt to reach a lock or the broker."""

import asyncio
import contextlib
import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Seconds to wait between attempts. Each wait is twice as long as the wait before it, from `first` up to `limit`.

    Half of each wait is random. After a power cut in a building or a restart of the broker, all locks and agents come
    back at the same moment. Without the random half, all of them would also try again at the same moments.
    """

    first: float
    limit: float

    def wait(self, failures: int) -> float:
        """Return the seconds to wait after `failures` (>= 1) failed attempts in a row."""
        # The exponent is limited. Otherwise, after weeks of failures, the result would overflow a float.
        ceiling = min(self.limit, self.first * 2.0 ** min(failures - 1, 64))
        return ceiling * random.uniform(0.5, 1.0)


async def until(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, but at most `seconds`."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
