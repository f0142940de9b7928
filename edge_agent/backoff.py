"""How long to wait before trying again, to a lock or to the broker."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Waiting times between attempts, seconds, doubling from `first` to `limit`. Half of each is jitter: after a power
    cut in a building, or a restart of the broker, all come back in the same second and must not stay in step."""

    first: float
    limit: float

    def wait(self, failures: int) -> float:
        """How long to wait after `failures` (>= 1) failed attempts in a row."""
        # The exponent is bounded only to keep the power a float after weeks of failures.
        ceiling = min(self.limit, self.first * 2.0 ** min(failures - 1, 64))
        return ceiling * random.uniform(0.5, 1.0)
