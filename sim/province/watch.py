"""Which locks are silent: the province misses their signs of life.

Each lock makes one sign of life in each period of `registration.LIFE_SECONDS`. A sign of life is a record like any
other, so an edge that withholds a lock's records also withholds signs of life. The lock is silent when two periods in a
row have passed without one. How a lock goes on:

    state    event                                                        next state
    -------  -----------------------------------------------------------  ----------
    watched  ALARM_AFTER whole periods have passed since its newest sign  silent
    silent   a sign comes that is not older than that                     watched
    any      its placement is revoked                                     not watched; its signs do not count
    any      its placement is active again                                watched from that time on

The period of a sign is that of the lock's own time, and never later than the time at which the sign came. So nobody
can bring signs in advance, and old signs that come late heal nothing until the newest one comes.

The province cannot look behind an edge, so it says what it knows (`Silence.cause`):

    cause     what the province knows
    --------  ---------------------------------------------------------------------------------------------------------
    edge      nothing came from any lock of this edge: the edge or its network is down, or it withholds everything
    lock      other locks of this edge go on: the lock is off or out of reach, or the edge withholds all of its records
    withheld  the lock worked: later records came, or the edge says that it was connected. Either the edge withholds
              records, or it withholds receipts, so that the lock's journal is too full for signs of life
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from protocol.registration import LIFE_SECONDS
from sim.province.store import Lock, Store

ALARM_AFTER = 2
"""Number of signs of life in a row that may not be missed. One may be missing because the power was cut."""

REVOKED = "life.revoked"
"""Verdict on a sign of life of a lock whose placement is revoked."""

EDGE, LOCK, WITHHELD = "edge", "lock", "withheld"
MEANINGS = {
    EDGE: "nothing comes from any lock of this edge: it is down, has no network, or withholds everything",
    LOCK: "other locks of this edge go on: this lock is off or out of reach, or the edge withholds its records",
    WITHHELD: "the lock worked, and its signs of life do not come: the edge withholds records or receipts",
}
"""What each cause means."""


@dataclass(frozen=True)
class Silence:
    """A time in which no signs of life of a lock came.

    `edge` is the edge that last served the lock, or None. `since` is the time of the last sign of life before the
    silence, or the time from which signs were expected if there was none. `missed` is the number of whole periods
    without a sign of life. `healed_at` is the time at which signs of life came again, and None if the lock is silent
    now. Only then there is a `cause`. All times are epoch seconds.
    """

    lock: Lock
    edge: str | None
    since: int
    missed: int
    healed_at: int | None
    cause: str | None


@dataclass(frozen=True)
class Life:
    """The signs of life of a lock that is watched. `missing` is the number of whole periods from the beginning until
    now without a sign of life. `last` is the time of the newest sign of life, or None."""

    missing: int
    last: int | None
    silences: list[Silence]

    @property
    def silent(self) -> Silence | None:
        """The silence that goes on now, or None."""
        return self.silences[-1] if self.silences and self.silences[-1].healed_at is None else None


def _missed(since: int, now: int) -> int:
    """Return the number of whole periods between the periods of two times."""
    return max(0, now // LIFE_SECONDS - since // LIFE_SECONDS - 1)


def lives(store: Store, now: int) -> dict[bytes, Life]:
    """Return the signs of life of every lock that is watched, by lock id."""
    watched = store.watched()
    locks = [lock for lock in store.locks() if lock.lock_id in watched]
    known = {lock.lock_id: _life(store, lock, watched[lock.lock_id][0], now) for lock in locks}
    alive = {lock.edge for lock in locks if known[lock.lock_id].silent is None}
    return {
        lock.lock_id: _with_cause(known[lock.lock_id], watched[lock.lock_id][1], lock.edge in alive) for lock in locks
    }


def silences(lives: dict[bytes, Life]) -> list[Silence]:
    """Return all silences: those that go on first, then those that are over, the latest first."""
    found = [silence for life in lives.values() for silence in life.silences]
    return sorted(found, key=lambda silence: (silence.healed_at is not None, -(silence.healed_at or silence.since)))


class Watch:
    """Tells a person at the console when a lock falls silent, and when it is heard again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._told: dict[bytes, Silence] = {}

    def look(self, now: int) -> list[str]:
        """Return one line for each change since the last call."""
        lines = []
        silent = {lock_id: life.silent for lock_id, life in lives(self._store, now).items()}
        for lock_id, silence in silent.items():
            before = self._told.get(lock_id)
            if silence is not None and (before is None or before.cause != silence.cause):
                lines.append(
                    f"{_name(silence)} is silent since {_time(silence.since)}: {MEANINGS[silence.cause or LOCK]}"
                )
                self._told[lock_id] = silence
        for lock_id in [lock_id for lock_id in self._told if silent.get(lock_id) is None]:
            before = self._told.pop(lock_id)
            how = "is heard again" if lock_id in silent else "is not watched any more"
            lines.append(f"{_name(before)} {how}; it was silent since {_time(before.since)}")
        return lines


def _name(silence: Silence) -> str:
    edge = f"edge {silence.edge}" if silence.edge else "no edge yet"
    return f"lock {silence.lock.lock_id.hex()[:8]}, {silence.lock.listing}, room {silence.lock.room}, {edge}"


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _life(store: Store, lock: Lock, began: int, now: int) -> Life:
    since, last, edge = began, None, None
    opened: tuple[int, str] | None = None  # a silence that is not over: since when, and which edge served the lock
    silences: list[Silence] = []
    expected = range(began // LIFE_SECONDS + 1, now // LIFE_SECONDS)
    single: set[int] = set()
    several = 0  # periods that records of more than one sign cover
    for first, newest, count, bringer, came in store.signs(lock.lock_id, began):
        made = min(newest, came)
        if count == 1:
            single.add(made // LIFE_SECONDS)
        else:
            covered = range(max(first // LIFE_SECONDS, expected.start), min(made // LIFE_SECONDS + 1, expected.stop))
            several += min(count, len(covered))
        if last is not None and made <= last:
            continue
        if opened is None and _missed(since, came) >= ALARM_AFTER:
            opened = since, edge or bringer
        since = max(since, made)
        last = made
        if opened is not None and _missed(made, came) < ALARM_AFTER:
            silences.append(Silence(lock, opened[1], opened[0], _missed(opened[0], came), came, None))
            opened = None
        if opened is None:
            edge = bringer
    if _missed(since, now) >= ALARM_AFTER:
        silences.append(Silence(lock, lock.edge, since, _missed(since, now), None, None))
    seen = sum(period in expected for period in single)
    return Life(max(0, len(expected) - seen - several), last, silences)


def _with_cause(life: Life, heard_at: int, edge_alive: bool) -> Life:
    silence = life.silent
    if silence is None:
        return life
    cause = LOCK if edge_alive else EDGE
    if _missed(silence.since, heard_at) >= ALARM_AFTER:
        cause = WITHHELD
    told = Silence(silence.lock, silence.edge, silence.since, silence.missed, None, cause)
    return Life(life.missing, life.last, [*life.silences[:-1], told])
