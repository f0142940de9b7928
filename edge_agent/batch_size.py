"""How many bytes of records a batch may have. A broker may have a limit that it does not announce.

Some brokers refuse a longer message in their PUBACK. Others end the connection, and some of them without a reason. The
agent halves its batches until they pass, and tries longer ones again after an hour. A size that has passed before is
not blamed for one lost connection: networks end connections too.

    event                                        what follows
    -------------------------------------------  ----------------------------------------------------------------
    a batch is refused                           half its size from now on
    the connection ends before the PUBACK of a   half its size, if no batch of this size has ever passed; otherwise
    batch                                        only after STRIKES such ends in a row
    a batch passes                               its size is proven
    nothing was refused for FORGET_SECONDS       twice the size, up to the configured size
"""

from typing import Final

FORGET_SECONDS: Final = 3600.0
"""How long a smaller size is kept. A wrong guess, such as after a network that failed, costs little for an hour."""
STRIKES: Final = 3


class BatchSize:
    """The limit for one broker, at most `most` bytes. Times are in seconds, of any clock that only goes forward."""

    def __init__(self, most: int) -> None:
        self._most = self.limit = most
        self.probing = False
        """True after the limit has shrunk, until a batch passes. Then only one batch should be under way."""
        self._proven = self._strikes = 0
        self._shrunk_at = 0.0

    def passed(self, size: int, now: float) -> None:
        """The broker has taken a batch of `size` bytes."""
        self._proven, self._strikes, self.probing = max(self._proven, size), 0, False
        if self.limit < self._most and now - self._shrunk_at >= FORGET_SECONDS:
            self.limit, self._shrunk_at = min(self.limit * 2, self._most), now

    def refused(self, size: int, now: float) -> None:
        """The broker has refused a batch of `size` bytes, and said so."""
        self.limit, self.probing, self._strikes = max(min(self.limit, size // 2), 1), True, 0
        self._proven, self._shrunk_at = min(self._proven, size - 1), now

    def ended(self, size: int, now: float) -> bool:
        """The connection has ended before the PUBACK of a batch of `size` bytes. Return True if the size is blamed."""
        self._strikes += 1
        if size <= self._proven and self._strikes < STRIKES:
            return False
        self.refused(size, now)
        return True
