"""A rate limit for actions that anybody could cause again and again."""

from firmware.hardware import ticks


class RateLimit:
    """Limits uses. A burst may have up to `most` uses. After each `every_ms` milliseconds, one more use is allowed."""

    def __init__(self, most: int, every_ms: int) -> None:
        self._most = most
        self._every_ms = every_ms
        self._left = most
        self._since = ticks.now()

    def allows(self) -> bool:
        """Is a use allowed now?"""
        returned = ticks.age(self._since) // self._every_ms
        if returned or self._left == self._most:
            self._left = min(self._most, self._left + returned)
            self._since = ticks.now()
        return self._left > 0

    def use(self) -> None:
        """Count a use that `allows` has allowed."""
        self._left -= 1

    def give_back(self) -> None:
        """Take back a counted use that turned out to be harmless."""
        self._left = min(self._most, self._left + 1)
