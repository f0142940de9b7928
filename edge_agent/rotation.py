"""Share the connections of one Bluetooth adapter among all locks, so that each lock has its turn within a known time.

Theory of operation. An adapter holds 5 to 7 connections at a time, and a building may have 200 locks. So a lock is
visited: connect, fetch its records, hand over what waits for it, leave. The connections are divided into three lanes:

    lane       places               who uses it
    ---------  -------------------  ----------------------------------------------------------------------------
    line       `connections` - 2    locks that answered when they were last tried, or that were not tried yet
    side       1                    locks that did not answer, each of them later after each failure; and locks that
                                    hint that they have records: in turn, if both wait
    strangers  1                    addresses that claim to be a lock and have not proven it (`edge_agent.roster`)

    event                                          what happens
    ---------------------------------------------  ------------------------------------------------------------------
    a place in the line is free                    of the locks that are due, the one with the oldest latest start has
                                                   it; a lock that had no turn yet comes first
    a lock is due and no place is free             the oldest visit is asked to leave; two locks due: the two oldest …
    a visit is asked to leave                      it finishes its work and leaves within VISIT_SECONDS
    a visit has left                               the lock is due REVISIT_SECONDS after it was asked to leave
    a lock does not answer                         it is silent: it has its turns in the side lane
    a scan hears a hint of records                 the lock has one extra visit in the side lane, if it still waits for
                                                   its turn when that place is free
    a silent lock answers, or a scan has heard it  it goes back to the line
    a lock answers while all locks are silent      all go back to the line: it was the adapter that failed

If there are no more locks than places, nobody is ever asked to leave, and all links stay open.

The order of visits in the line depends on the starts of earlier visits in the line alone. It does not depend on what a
lock has to say. An extra visit does depend on it (`edge_agent.hints`).

Bound. While a lock waits, at least min(places, locks that wait) visits end in every VISIT_SECONDS, and no other lock
has two turns before it. So with N locks that answer and P places, a visit begins at most REVISIT_SECONDS +
ceil(N / P) * VISIT_SECONDS after the visit before was asked to leave. Until then the lock was connected. `bound`
computes this number. Neither silent locks nor strangers nor hints change it, because they have places of their own. A
lock keeps its place in the order of the line when it has an extra visit.

Each session gives a lock at most one extra visit. Of the locks that hint, the one has it whose latest extra visit is
the oldest. So a lock that hints all the time takes no more than its share from the other locks that hint.
"""

import asyncio
import contextlib
import itertools
import math
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from edge_agent.hints import Hints
from edge_agent.radio_care import RadioCare

CONNECTIONS: Final = 5
"""Number of connections that any adapter holds. The adapter of a Raspberry Pi and most USB adapters hold 5 to 7."""
SIDE_PLACES: Final = 2
"""Connections that are kept for the side lane and for strangers: one for each lane."""
VISIT_SECONDS: Final = 30.0
"""Maximum time from the moment when a visit is asked to leave until its place is free."""
WORK_SECONDS: Final = 25.0
"""Part of VISIT_SECONDS after which the visit is cut off. The rest is the time limit for disconnecting."""
BEGIN_SECONDS: Final = 15.0
"""Part of VISIT_SECONDS in which the visit may begin something new, such as the next statement."""
REVISIT_SECONDS: Final = 30.0
"""Time from the moment when a visit is asked to leave until its lock is due again. Each visit costs the lock a
handshake, which takes its chip some seconds."""
CONNECTING_AT_ONCE: Final = 3
"""Maximum number of locks in the line that connect at the same time. BlueZ hangs if many attempts wait."""


def bound(connections: int, locks: int) -> float:
    """Return the maximum time in seconds from one visit to the next visit to a lock, if `locks` locks answer."""
    return REVISIT_SECONDS + math.ceil(locks / places(connections)) * VISIT_SECONDS


def places(connections: int) -> int:
    """Return the number of places in the line."""
    return max(1, connections - SIDE_PLACES)


@dataclass(eq=False)
class Member:
    """A lock that has its turn again and again."""

    address: str
    start: tuple[bool, int]
    """Place in the order of the latest starts. A lock that had no turn yet comes before all others."""
    due: float = 0.0
    silent: bool = False
    waiting: "asyncio.Future[Turn] | None" = None
    seen: float | None = None
    """When the lock last said HELLO or was last connected, in seconds of the event loop."""
    turn: "Turn | None" = None
    failures: int = 0
    begun: float | None = None
    """When the latest turn began."""
    asked_at: float | None = None
    """When the last visit was asked to leave; None if the last visit was lost, and before the first visit."""
    hints: Hints | None = None
    """Reads the lock's hints. None if the lock has had its extra visit, or has not answered yet."""
    hinted: bool = False
    """True if the lock shall have an extra visit."""
    extra: int = 0
    """Place in the order of the latest extra visits."""


@dataclass(eq=False)
class Turn:
    """A place for one connection. `leave` is set when the visit is asked to leave."""

    lane: str
    leave: asyncio.Event = field(default_factory=asyncio.Event)
    asked_at: float | None = None
    cut_off: bool = False
    _limit: asyncio.Timeout | None = None

    def ask_to_leave(self, now: float) -> None:
        """Let the visit end within VISIT_SECONDS."""
        if self.asked_at is None:
            self.asked_at = now
            self.leave.set()
            self._apply()

    @property
    def begin_until(self) -> float:
        """Time in seconds of the event loop, until which the visit may begin something new."""
        return math.inf if self.asked_at is None else self.asked_at + BEGIN_SECONDS

    @property
    def _deadline(self) -> float | None:
        return None if self.asked_at is None else self.asked_at + WORK_SECONDS

    def stay(self) -> None:
        """Take back `ask_to_leave`."""
        self.leave.clear()
        self.asked_at = None
        self._apply()

    @contextlib.asynccontextmanager
    async def limited(self) -> AsyncIterator[None]:
        """Cut off what runs inside this block when the visit's time is over. Then raises TimeoutError, and `cut_off` is
        True."""
        self._limit = limit = asyncio.timeout_at(self._deadline)
        try:
            async with limit:
                yield
        finally:
            self._limit, self.cut_off = None, limit.expired()

    def _apply(self) -> None:
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(self._deadline)


class Rotation:
    """The turns of all locks on an adapter that holds `connections` connections."""

    def __init__(self, connections: int = CONNECTIONS) -> None:
        self.connections = connections
        self.places = places(connections)
        self.strangers = asyncio.Semaphore(1)
        """The place of the lane for strangers."""
        self.connecting = asyncio.Semaphore(CONNECTING_AT_ONCE)
        """Whoever connects from the line holds this while it connects."""
        self._members: set[Member] = set()
        self._starts = itertools.count()
        self._line: list[Turn] = []
        """The visits in the line, oldest first."""
        self._side: Turn | None = None
        self._oldest_silent_next = True
        self._hinted_next = True
        self._timer: asyncio.TimerHandle | None = None
        self.care = RadioCare(self.welcome)
        """What the agent does if the adapter is stuck."""
        self.longest_wait = 0.0
        """The longest time so far, in seconds, between two visits to a lock that answered both times. `bound` is its
        limit, as long as no lock joins."""

    @contextlib.contextmanager
    def joined(self, address: str) -> Iterator[Member]:
        """Let the lock at `address` have turns until the block ends."""
        member = Member(address, (False, next(self._starts)), due=self._now())
        self._members.add(member)
        try:
            yield member
        finally:
            self._members.discard(member)
            if member.turn is not None:
                self._free(member.turn)
            self._look()

    # --- turns -------------------------------------------------------------------------------------------------------

    async def turn(self, member: Member) -> Turn:
        """Wait for the turn of `member`. End the turn with `over`."""
        waiting: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        member.waiting = waiting
        self._look()
        try:
            return await waiting
        finally:
            member.waiting = None

    def free_turn(self) -> Turn | None:
        """Return a place for a connection that is open already, or None if no place in the line is free."""
        if len(self._line) >= self.places:
            return None
        turn = Turn("line")
        self._line.append(turn)
        return turn

    def take(self, member: Member, turn: Turn) -> None:
        """Give `member` a turn that `free_turn` returned."""
        member.turn, member.start = turn, (True, next(self._starts))

    def give_back(self, turn: Turn) -> None:
        """End a turn that `free_turn` returned and that nobody took."""
        self._free(turn)
        self._look()

    def answered(self, member: Member, hint_key: bytes = b"") -> None:
        """Note that the lock has said HELLO. A silent lock goes back to the line. `hint_key` is the key of the hints
        that the lock advertises from now on."""
        if member.silent and len(self._members) > 1 and all(other.silent for other in self._members):
            self.welcome()
        member.silent, member.failures, member.seen = False, 0, self._now()
        member.hints = Hints(hint_key, self._now()) if hint_key else None
        self.care.note_answer()
        if member.asked_at is not None and member.begun is not None:
            self.longest_wait = max(self.longest_wait, member.begun - member.asked_at)
        turn = member.turn
        if turn is not None and turn.lane == "silent" and len(self._line) < self.places:
            self._side, turn.lane = None, "line"
            self._line.append(turn)
            turn.stay()
            self._look()

    def over(self, member: Member, answered: bool, wait: float | None) -> None:
        """End the turn of `member`. The lock is due again after `wait` seconds; None stands for the usual time between
        two visits. `answered` says whether the lock has said HELLO."""
        now, turn = self._now(), member.turn
        assert turn is not None
        member.asked_at = turn.asked_at if answered else None
        if answered:
            member.seen = now
        else:
            member.silent, member.failures = True, member.failures + 1
        asked = now if turn.asked_at is None else turn.asked_at
        member.due = max(now, asked + REVISIT_SECONDS) if wait is None else now + wait
        member.turn = None
        self._free(turn)
        self._look()

    def heard(self, found: Iterable[tuple[str, bytes]]) -> None:
        """Note that a scan has heard these addresses, with what they advertise. Silent locks among them go back to the
        line. Locks that hint that they have records may have an extra visit.

        Anybody can advertise with any address. So this does not make a lock due earlier.
        """
        on_air, now = dict(found), self._now()
        for member in self._members:
            if member.turn is not None or member.address not in on_air:
                continue
            member.silent = False
            if member.hints is not None and member.hints.has_news(on_air[member.address], now):
                member.hinted = True
        self._look()

    def welcome(self) -> None:
        """Let all silent locks go back to the line at once, because what kept them silent may be over."""
        for member in self._members:
            if member.silent and member.turn is None:
                member.silent, member.due = False, min(member.due, self._now())
        self._look()

    # --- facts -------------------------------------------------------------------------------------------------------

    def is_silent(self, address: str) -> bool:
        """Return True if the lock at this address did not answer when it was last tried."""
        return any(member.failures > 0 for member in self._members if member.address == address)

    @property
    def silent(self) -> int:
        """Number of locks that did not answer when they were last tried."""
        return sum(member.failures > 0 for member in self._members)

    @property
    def bound_seconds(self) -> float | None:
        """The bound for the locks that answer now, or None if their links stay open."""
        answering = len(self._members) - self.silent
        return None if answering <= self.places else bound(self.connections, answering)

    def unseen_seconds(self) -> dict[str, float | None]:
        """Return for each address the seconds since the lock was last connected. The value is 0 while the lock is
        connected, and None if it was never connected since the start."""
        now = self._now()
        return {member.address: self._unseen(member, now) for member in self._members}

    @property
    def oldest_visit_seconds(self) -> float:
        """The longest time for which a lock that answers has not been connected now. Locks that were never connected
        do not count."""
        now = self._now()
        ages = (self._unseen(member, now) for member in self._members if member.failures == 0)
        return max((age for age in ages if age is not None), default=0.0)

    def _unseen(self, member: Member, now: float) -> float | None:
        if member.seen is None:
            return None
        return 0.0 if member.turn is not None and member.failures == 0 else now - member.seen

    # --- who is next -------------------------------------------------------------------------------------------------

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _free(self, turn: Turn) -> None:
        if turn is self._side:
            self._side = None
        elif turn in self._line:
            self._line.remove(turn)

    def _look(self) -> None:
        """Give free places to those who are due, and ask visits to leave if somebody waits."""
        now = self._now()
        waiting = [member for member in self._members if member.waiting is not None and not member.waiting.done()]
        due = [member for member in waiting if member.due <= now]
        line = sorted((member for member in due if not member.silent), key=lambda member: member.start)
        free = self.places - len(self._line)
        for member in line[:free]:
            turn = Turn("line")
            self._line.append(turn)
            self._begin(member, turn, now)
        line = line[free:]
        if self._side is None and (aside := self._next_aside(due)) is not None:
            self._side = Turn("silent" if aside.silent else "hint")
            self._side.ask_to_leave(now)
            if not aside.silent:
                line.remove(aside)
            self._begin(aside, self._side, now)
        for turn in self._line[: len(line)]:
            turn.ask_to_leave(now)
        self._wake_at([member.due for member in waiting if member.due > now])

    def _next_aside(self, due: list[Member]) -> Member | None:
        """Return the lock that has the place of the side lane next, or None."""
        silent = [member for member in due if member.silent]
        hinted = [member for member in due if member.hinted and not member.silent and member.turn is None]
        if hinted and (self._hinted_next or not silent):
            self._hinted_next = False
            return min(hinted, key=lambda member: (member.extra, member.due))
        self._hinted_next = True
        return self._next_silent(silent) if silent else None

    def _next_silent(self, silent: list[Member]) -> Member:
        """Return the lock that was connected last, because it may be back soon. Every second time, return the lock that
        has been due for the longest time, so that each lock has its turn."""
        self._oldest_silent_next = not self._oldest_silent_next
        if self._oldest_silent_next:
            return min(silent, key=lambda member: member.due)
        return max(silent, key=lambda member: (member.seen or 0.0, -member.due))

    def _begin(self, member: Member, turn: Turn, now: float) -> None:
        assert member.waiting is not None
        member.begun = now
        member.turn, member.due = turn, now
        member.hints, member.hinted = None, False
        if turn.lane == "hint":
            member.extra = next(self._starts)
        else:
            member.start = (True, next(self._starts))
        member.waiting.set_result(turn)

    def _wake_at(self, dues: list[float]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(min(dues), self._look) if dues else None
