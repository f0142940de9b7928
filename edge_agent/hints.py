"""Read the hint in a lock's advertisement: does the lock have records that it has not sent yet?

The lock makes a new hint every `HINT_SECONDS`, whether or not it has anything to say. Each hint is keyed by the last
session with an edge (`protocol.link_initiator.hint`). So only that edge can read the hints, and to everybody else they
are random bytes. The keys are in memory only: after a restart, the agent can read a lock's hints again after its next
visit.

The lock counts its hints from the session on, and so does the edge. The two counts can differ a little:

    by          because
    ----------  --------------------------------------------------------------------------------------------------------
    0 or 1      the lock makes its hints at fixed moments, and the session may begin at any time between two of them
    at most 1   the clocks drift: at most 0.02 percent, so less than HINT_SECONDS in three days; or the lock was busy

So four hints are good at a time. A random hint is taken for one of them once in 16,384 times. This costs one visit.
"""

from dataclasses import dataclass
from typing import Final

from protocol import crypto_cpython, link
from protocol.link_initiator import HINT_SECONDS, hint

EARLIER: Final = 1
LATER: Final = 2
"""How many hints before and after its own count the edge accepts."""


@dataclass(frozen=True)
class Hints:
    """The hints of a lock since its last session with us. `key` is the session's hint key, and `since` is the time of
    the session in seconds of the event loop."""

    key: bytes
    since: float

    def has_news(self, advertised: bytes, now: float) -> bool:
        """Does this advertised content (`link.advertisement`) say that the lock has records for us? Everything that
        cannot be read says no."""
        shown = advertised[link.PREFIX_BYTES :]
        number = int((now - self.since) // HINT_SECONDS)
        numbers = range(max(number - EARLIER, 1), number + LATER + 1)
        return any(shown == hint(crypto_cpython, self.key, each, True) for each in numbers)
