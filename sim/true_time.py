"""The time of a world: this machine's, shifted; and the province's idea of it, which may be wrong."""

import time
from dataclasses import dataclass


@dataclass
class TrueTime:
    """`offset` is how far the world is ahead of this machine, `province_error` how far the province's clock is ahead of
    the world; both in seconds, and both may change while the world runs."""

    offset: int
    province_error: int = 0

    def now(self) -> float:
        """The true time, seconds since 1970."""
        return time.time() + self.offset

    def at_the_province(self) -> float:
        """What the province takes for it."""
        return self.now() + self.province_error
