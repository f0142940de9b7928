"""What anybody may cause the lock to do, rationed: a purse of coins that grow back with time."""

from firmware.hardware import ticks


class Purse:
    """`most` coins, full at the beginning, and one more each `every_ms`."""

    def __init__(self, most: int, every_ms: int) -> None:
        self._most = most
        self._every_ms = every_ms
        self._held = most
        self._since = ticks.now()

    def holds(self) -> bool:
        """Is there a coin?"""
        grown = ticks.age(self._since) // self._every_ms
        if grown or self._held == self._most:
            self._held = min(self._most, self._held + grown)
            self._since = ticks.now()
        return self._held > 0

    def draw(self) -> None:
        """Take a coin that is there."""
        self._held -= 1

    def put_back(self) -> None:
        """A coin that was drawn need not have been."""
        self._held = min(self._most, self._held + 1)
