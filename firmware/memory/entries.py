"""Which entries of registered guests become records of their own, and when what was counted of them becomes one.

A guest may come and go as often as they like, and each record takes room of those who have not checked in yet. So the
third entry of a guest within ten minutes, and each that follows, is counted in the tally instead; and so is every
entry once a purse that all guests share is empty. A count becomes a record when its guest has been quiet for ten
minutes, or has not for an hour.

Minutes are those of the lock's ticks. A boot begins the window anew and the purse does not: what still waits for a
receipt was paid from it. So whoever takes the power away gets no more records than who leaves it on.
"""

from firmware.hardware import ticks
from firmware.memory import journal_notes
from firmware.memory.rate_limit import RateLimit
from protocol import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.memory.journal import Journal
    from firmware.memory.tally import Line

    Key = tuple[bytes, int]

_WINDOW_MS = const(600000)
"""Two entries of a guest within so long are recorded; those after them are counted. So long is quiet, too."""
_LONGEST_MS = const(3600000)
"""How long a count may go on before it becomes a record although its guest is not quiet."""
_AT_ONCE = const(96)
"""Records of entries that all guests together may cause at once."""
_EACH_MS = const(300000)
"""The time after which they may cause one more."""
_GUESTS = const(64)
"""Guests who are remembered for their last two entries: the whole of two large stays. Entries of others are counted."""


class Entries:
    """The entries of late. A key is (grant id, guest's number)."""

    def __init__(self, journal: "Journal") -> None:
        self._records = RateLimit(_AT_ONCE, _EACH_MS)
        self._taken: dict[Key, tuple[int | None, int]] = {}  # the times of the last two
        for _, _, note in journal.entries_from(journal.through + 1):
            noted = journal_notes.openings(note)
            if noted is not None and noted[1] is None:
                self.recorded()

    def may_record(self, key: "Key") -> bool:
        """May an entry of that guest be a record of its own now?"""
        if not self._records.allows():
            return False
        recent = self._taken.get(key)
        if recent is None:
            return len(self._taken) < _GUESTS or self._forget()
        return recent[0] is None or ticks.age(recent[0]) >= _WINDOW_MS

    def entered(self, key: "Key") -> None:
        """That guest has entered, however it was kept."""
        recent = self._taken.get(key)
        if recent is not None or len(self._taken) < _GUESTS or self._forget():
            self._taken[key] = (None if recent is None else recent[1], ticks.now())

    def recorded(self) -> None:
        """A record of entries is made."""
        if self._records.allows():
            self._records.use()

    def ready(self, line: "Line") -> bool:
        """Is it time to make a record of what was counted of a guest's entries?"""
        if not self._records.allows():
            return False
        age, recent = ticks.age(line.since), self._taken.get((line.grant_id, line.guest))
        return age >= _LONGEST_MS or (age if recent is None else ticks.age(recent[1])) >= _WINDOW_MS

    def _forget(self) -> bool:
        """Let go of guests who have been quiet; True if there is room for another."""
        for key, recent in list(self._taken.items()):
            if ticks.age(recent[1]) >= _WINDOW_MS:
                del self._taken[key]
        return len(self._taken) < _GUESTS
