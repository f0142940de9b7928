"""The true time at a site, and the province's clock, which may be wrong."""

import time
from dataclasses import dataclass


@dataclass
class TrueTime:
    """`offset`: how far the site is ahead of this machine. `province_error`: how far the province is ahead of the site.

    Both are in seconds, and both may change while the site runs.
    """

    offset: int
    province_error: int = 0

    def now(self) -> float:
        """The true time, seconds since 1970."""
        return time.time() + self.offset

    def at_the_province(self) -> float:
        """The time by the province's clock."""
        return self.now() + self.province_error
