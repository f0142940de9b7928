"""Which records go out next. Three lanes through the outbox, without any network.

Theory of operation. A record leaves the outbox when the province has signed a receipt or a refusal for it. The record
is then settled. Until then, it is sent again. Receipts are cumulative, so the province can give none for a lock while
a lower counter of this lock is missing there. So a backlog is sent from the lowest counter of each lock on.

A lock is called silent while the province says nothing about the lock's records. The reason may be that the province is
away, that the lock is not registered yet, or that an earlier record is missing. Silent locks must not take places from
others.

    lane      what it sends                                                        batches under way
    --------  -------------------------------------------------------------------  -----------------
    fresh     records that came after the connection was made, in order of         `window`
              arrival; so they never wait behind a backlog
    backlog   of each answered lock that has a backlog, all records from the       `window`
              lowest counter on; the locks take turns
    repeated  of each silent lock, a record that has just come, and else only the  REPEATS
              record with the lowest counter, when the repetition is due

    state     event                                     next state
    --------  ----------------------------------------  --------------------------------------------------------
    answered  a batch with its record has no receipt    silent, and a repetition is due now; the next one is two
              within the receipt timeout, and the       timeouts away. If the province has said nothing at all
              province has said nothing about it since  since then, all locks with a backlog become silent.
    answered  the same, but the province has spoken     answered: its backlog is sent once more from the lowest
              about it since                            counter on
    silent    the repetition is due                     silent: the wait for the next one doubles, up to
                                                        RESEND_LIMIT
    silent    a record of another lock is settled, and  silent: the repetition is due now, because the province
              nothing was for a whole wait              was away and is back
    silent    one of its own records is settled         answered: its backlog is sent from the lowest counter on
    silent    it has no record in the outbox            answered
    any       a new connection                          answered: everything that is stored is backlog

At most 2 * `window` + REPEATS batches are in memory.
"""

from collections.abc import Callable, Iterable
from typing import Final

from edge_agent import log
from edge_agent.outbox import Key, Outbox, Stored
from protocol import uplink

RESEND_LIMIT: Final = 120.0
"""Maximum wait before a record of each silent lock is sent once more. So the agent notices within this time that the
province is back, and 200 silent locks cost about 1 KB/s."""
REPEATS: Final = 4
"""Maximum number of batches of silent locks that are under way at a time, in addition to the windows."""


class UnderWay:
    """A published batch: the MQTT message that carries it, the keys of its unsettled records, the size of its records
    in bytes, and when it was sent."""

    def __init__(self, batch_id: bytes, mid: int, rows: list[Stored], sent: float) -> None:
        self.batch_id, self.mid, self.sent = batch_id, mid, sent
        self.keys = {(row.lock_id, row.counter) for row in rows}
        self.all_keys = frozenset(self.keys)
        self.size = sum(len(row.record) for row in rows)
        self.acknowledged = False

    def note_taken(self) -> None:
        """Note the PUBACK of the broker."""
        self.acknowledged = True


class Lane:
    """The batches of one lane that are under way, at most `window`."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.under_way: list[UnderWay] = []

    @property
    def is_full(self) -> bool:
        """Return True if no more batch may be under way."""
        return len(self.under_way) >= self.window


class Lanes:
    """The lanes of one connection. `now()` gives the time in seconds. `timeout` is the receipt timeout in seconds."""

    def __init__(self, outbox: Outbox, window: int, timeout: float, now: Callable[[], float]) -> None:
        self._outbox, self._timeout, self._now = outbox, timeout, now
        self.fresh, self.backlog, self.repeated = Lane(window), Lane(window), Lane(REPEATS)
        self.all = (self.fresh, self.backlog, self.repeated)
        self._arrived = self._arrived_silent = outbox.newest()
        """The row that the fresh lane has reached, for answered and for silent locks."""
        self._walks: dict[bytes, int] = dict.fromkeys(outbox.lock_ids(), 0)
        """The locks with a backlog, and the counter that each has reached. The next lock in turn comes first."""
        self._due: set[bytes] = set()
        """The silent locks whose repetition is due."""
        self._silent: set[bytes] = set()
        self._spoke: dict[bytes, float] = {}
        """When the province last settled a record of a lock."""
        self._patience = timeout
        self._repeat_at = self._heard = now()

    @property
    def under_way(self) -> list[UnderWay]:
        """All batches that are published but not settled."""
        return [batch for lane in self.all for batch in lane.under_way]

    def find(self, lane: Lane, most: int, left_out: Callable[[Key], bool]) -> list[Stored]:
        """Return the records for the next batch of a lane, at most `most` bytes; none if there is nothing to send.

        Records that are under way, and records for which `left_out(key)` is true, are passed over. Raises StorageError.
        """
        sent = {key for batch in self.under_way for key in batch.keys}
        while True:
            rows = self._read(lane, most)
            wanted = [
                row
                for row in rows
                if (row.lock_id, row.counter) not in sent and not left_out((row.lock_id, row.counter))
            ]
            if wanted or not rows:
                return wanted
            self.take(lane, rows)

    def _read(self, lane: Lane, most: int) -> list[Stored]:
        if lane is self.fresh:
            rows = self._outbox.batch(self._arrived, most, uplink.MAX_RECORDS, without=self._silent)
            self._arrived = self._arrived if rows else self._outbox.newest()
            return rows
        if lane is self.backlog:
            rows = self._outbox.lowest(self._walks, most, uplink.MAX_RECORDS)
            if not rows:
                self._walks.clear()
            return rows
        if not self._silent:
            return []
        rows = self._outbox.batch(self._arrived_silent, most, uplink.MAX_RECORDS, only=self._silent)
        self._arrived_silent = self._arrived_silent if rows else self._outbox.newest()
        return rows or self._lowest_of_silent(most)

    def _lowest_of_silent(self, most: int) -> list[Stored]:
        now = self._now()
        if now >= self._repeat_at:
            log.event("batch.again", locks=len(self._silent))
            self._due |= self._silent
            self._patience = min(self._patience * 2, max(RESEND_LIMIT, self._timeout))
            self._repeat_at = now + self._patience
        rows = self._outbox.lowest(dict.fromkeys(sorted(self._due), 0), most, uplink.MAX_RECORDS, of_each=1)
        if not rows:
            self._silent -= self._due
            self._due.clear()
        return rows

    def take(self, lane: Lane, rows: list[Stored]) -> None:
        """Let the lane go past these rows, which `find` has read."""
        if lane is self.fresh:
            self._arrived = rows[-1].id
        elif lane is self.backlog:
            for row in rows:
                # At the end of the dictionary: it is the turn of another lock.
                self._walks.pop(row.lock_id, None)
                self._walks[row.lock_id] = row.counter
        else:
            self._arrived_silent = max(self._arrived_silent, *(row.id for row in rows))
            self._due -= {row.lock_id for row in rows}

    def settle(self, keys: Iterable[Key]) -> None:
        """Treat these records as settled, because they have left the outbox."""
        gone = set(keys)
        for lane in self.all:
            for batch in lane.under_way:
                batch.keys -= gone
            lane.under_way = [batch for batch in lane.under_way if batch.keys]
        of, now = {lock_id for lock_id, _ in gone}, self._now()
        if not of:
            return
        for lock_id in of:
            self._spoke[lock_id] = now
        self._answer(self._silent & of)
        if now - self._heard >= self._patience:
            # The province was away, and is back: repeat a record of each of the other silent locks at once.
            self._repeat_at = now
        self._heard = now

    def _answer(self, locks: set[bytes]) -> None:
        self._silent -= locks
        self._due -= locks
        self._walks |= dict.fromkeys(locks, 0)

    def send_again(self, batch: UnderWay) -> None:
        """Drop a batch that the broker did not take, and send its records again."""
        for lane in self.all:
            lane.under_way = [each for each in lane.under_way if each is not batch]
        locks = {lock_id for lock_id, _ in batch.keys}
        self._walks |= dict.fromkeys(locks - self._silent, 0)
        self._due |= locks & self._silent

    def expire(self) -> None:
        """Drop batches that waited too long for a receipt."""
        now = self._now()
        late = [batch for batch in self.under_way if now - batch.sent >= self._timeout]
        if not late:
            return
        for lane in self.all:
            lane.under_way = [batch for batch in lane.under_way if batch not in late]
        silent: set[bytes] = set()
        for batch in late:
            for lock_id in {lock_id for lock_id, _ in batch.keys}:
                if self._spoke.get(lock_id, -1.0) < batch.sent:
                    silent.add(lock_id)
                elif lock_id not in self._silent:
                    self._walks[lock_id] = 0
        if self._heard < min(batch.sent for batch in late):
            silent |= set(self._walks)
        new = silent - self._silent
        self._silent |= new
        for lock_id in new:
            self._walks.pop(lock_id, None)
        log.event("receipt.late", batches=len(late), silent_locks=len(self._silent), seconds=self._timeout)
        if new:
            # The broker may have lost the batches. So repeat at once, and after that less and less often.
            self._due |= new
            self._arrived_silent = max(self._arrived_silent, self._arrived)
            self._patience = self._timeout * 2
            self._repeat_at = now + self._patience

    def deadline(self) -> float | None:
        """Return when the next batch is late or the next repetition is due; None if nothing is."""
        times = [batch.sent + self._timeout for batch in self.under_way]
        if self._silent and not self.repeated.is_full:
            times.append(self._repeat_at)
        return min(times, default=None)
