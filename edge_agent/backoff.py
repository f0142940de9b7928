"""How long to wait before the next attempt to reach a lock or the broker."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Seconds to wait between attempts. They double from `first` to `limit`.

    Half of each wait is random. After a power cut in a building, or a restart of the broker, everybody comes back at
    once. Without the random half, all their attempts would go on coming at the same moments.
    """

    first: float
    limit: float

    def wait(self, failures: int) -> float:
        """How long to wait after `failures` (>= 1) failed attempts in a row."""
        # After weeks of failures an unlimited exponent would overflow a float.
        ceiling = min(self.limit, self.first * 2.0 ** min(failures - 1, 64))
        return ceiling * random.uniform(0.5, 1.0)
