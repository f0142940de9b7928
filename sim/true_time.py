"""The true time at a site, and the province's clock, which may be wrong."""

import time
from dataclasses import dataclass


@dataclass
class TrueTime:
    """The clocks of a site and of its province. Each clock is given by its difference in seconds from another clock.

    `offset` is how far the site's time is ahead of this machine's clock. `province_error` is how far the province's
    clock is ahead of the site's time. `offset` and `province_error` may change while the site runs.
    """

    offset: int
    province_error: int = 0

    def pass_by(self, seconds: int) -> None:
        """Let this time pass at once."""
        self.offset += seconds

    def mislead_the_province(self, seconds: int) -> None:
        """Let the province's clock be ahead of the site's time by `seconds` from now on."""
        self.province_error = seconds

    def now(self) -> float:
        """Return the true time, in seconds since 1970."""
        return time.time() + self.offset

    def at_the_province(self) -> float:
        """Return the time that the province's clock shows, in seconds since 1970."""
        return self.now() + self.province_error
