"""Which entries of registered guests become records of their own, and when counted entries become a record.

Guests may come and go as often as they like, and each record takes room from guests who have not checked in yet. So the
third entry of a guest within ten minutes is counted in the tally instead, and so is each one after it. All guests
together have a rate limit for records. While it is used up, every entry is counted. A count becomes a record when its
guest has made no entry for ten minutes, or after an hour.

Minutes are minutes of the lock's ticks. After a boot each guest's ten minutes start again, but the rate limit does not:
each record of entries that still waits for its receipt is charged to it. So nobody gets more records by cutting the
power.
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
"""A guest's first two entries within this time are recorded, and later ones are counted. A guest without an entry for
this long is quiet."""
_LONGEST_MS = const(3600000)
"""Age at which a count becomes a record even if its guest is not quiet."""
_AT_ONCE = const(96)
"""Records of entries that all guests together may cause in a burst."""
_EACH_MS = const(300000)
"""The time after which they may cause one more."""
_GUESTS = const(64)
"""Guests whose last two entries are remembered, enough for two large stays. Entries of other guests are counted."""


class Entries:
    """The recent entries. A key is (grant id, guest's number)."""

    def __init__(self, journal: "Journal") -> None:
        self._records = RateLimit(_AT_ONCE, _EACH_MS)
        self._taken: dict[Key, tuple[int | None, int]] = {}  # ticks of the last two entries
        for _, _, note in journal.entries_from(journal.through + 1):
            noted = journal_notes.openings(note)
            if noted is not None and noted[1] is None:
                self.recorded()

    def may_record(self, key: "Key") -> bool:
        """May an entry of that guest become a record of its own now?"""
        if not self._records.allows():
            return False
        recent = self._taken.get(key)
        if recent is None:
            return len(self._taken) < _GUESTS or self._forget()
        return recent[0] is None or ticks.age(recent[0]) >= _WINDOW_MS

    def entered(self, key: "Key") -> None:
        """That guest has entered, and the entry was recorded or counted."""
        recent = self._taken.get(key)
        if recent is not None or len(self._taken) < _GUESTS or self._forget():
            self._taken[key] = (None if recent is None else recent[1], ticks.now())

    def recorded(self) -> None:
        """A record of entries was made. It is charged to the rate limit."""
        if self._records.allows():
            self._records.use()

    def ready(self, line: "Line") -> bool:
        """Is it time to make a record of this line, which counts a guest's entries?"""
        if not self._records.allows():
            return False
        age, recent = ticks.age(line.since), self._taken.get((line.grant_id, line.guest))
        return age >= _LONGEST_MS or (age if recent is None else ticks.age(recent[1])) >= _WINDOW_MS

    def _forget(self) -> bool:
        """Forget guests who have been quiet. True if there is room for another guest."""
        for key, recent in list(self._taken.items()):
            if ticks.age(recent[1]) >= _WINDOW_MS:
                del self._taken[key]
        return len(self._taken) < _GUESTS
