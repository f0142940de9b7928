"""Decides which entries of registered guests are recorded one by one, and when counted entries become a record.

Guests may come and go as often as they like. But each record uses room in the journal that later check-ins need. So if
a guest enters for the third time within ten minutes, this entry and later entries are only counted in the tally. All
guests together have a rate limit for records. While this limit is used up, every entry is counted. A count becomes a
record when its guest has made no entry for ten minutes, or when the count is an hour old.

All times are measured in the lock's ticks. After a boot, each guest's ten minutes start again. A boot does not reset
the rate limit: at the boot, the lock charges the limit for every record of entries that has no receipt yet. So nobody
gets more records by cutting the power.
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
"""Within this time, a guest's first two entries are recorded, and later entries are counted. A guest who has made no
entry for this long is called quiet."""
_LONGEST_MS = const(3600000)
"""Age at which a count becomes a record even if its guest is not quiet."""
_AT_ONCE = const(96)
"""Number of records of entries that all guests together may cause in a burst."""
_EACH_MS = const(300000)
"""Time after which all guests together may cause one more record."""
_GUESTS = const(64)
"""Maximum number of guests whose last two entries are remembered. This number is enough for two large stays. Entries of
all other guests are counted.
"""


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
        """May an entry of this guest become a record now? If not, the entry is only counted."""
        if not self._records.allows():
            return False
        recent = self._taken.get(key)
        if recent is None:
            return len(self._taken) < _GUESTS or self._forget()
        return recent[0] is None or ticks.age(recent[0]) >= _WINDOW_MS

    def entered(self, key: "Key") -> None:
        """Remember that this guest has entered now. The caller has already recorded or counted the entry."""
        recent = self._taken.get(key)
        if recent is not None or len(self._taken) < _GUESTS or self._forget():
            self._taken[key] = (None if recent is None else recent[1], ticks.now())

    def recorded(self) -> None:
        """Charge a record of entries to the rate limit."""
        if self._records.allows():
            self._records.use()

    def ready(self, line: "Line") -> bool:
        """Should this line become a record now? The line counts a guest's entries."""
        if not self._records.allows():
            return False
        age, recent = ticks.age(line.since), self._taken.get((line.grant_id, line.guest))
        return age >= _LONGEST_MS or (age if recent is None else ticks.age(recent[1])) >= _WINDOW_MS

    def _forget(self) -> bool:
        """Forget the guests who are quiet. Returns True if there is room for another guest."""
        for key, recent in list(self._taken.items()):
            if ticks.age(recent[1]) >= _WINDOW_MS:
                del self._taken[key]
        return len(self._taken) < _GUESTS
