"""A second implementation of the rules in docs/door-rules.md. This implementation knows people by name, and does not
use keys.

The lock must delete old grants, because its flash is small. The model remembers the last accepted version of every
grant for ever. If lock and model always give the same answers, then the lock's deletions do no harm.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from sim.platform import Booking

DAY = 86400
ORDER = ("none", "over", "revoked", "suspended", "unknown", "early", "unnamed", "full", "guardian")

BORN = {
    "ann": "1990-03-07",
    "ana": "1990-03-07",
    "ben": "1956-02-29",
    "zoe": "2001-01-01",
    "kim": "2015-06-01",
    "leo": "2008-11-20",
}
"""Birth date on each document. All these documents have the same name printed on them.

So "ann" and "ana", with the same birth date, are two documents of one person. Leo comes of age two days after the story
begins.
"""


@dataclass
class Stay:
    """A stay. `came` lists the people who have checked in, in the order of their check-ins.

    `by_name` holds the guests whose names were in the grant at their check-in, or in a later version of the grant.
    `grown` holds the guests who were of age at their check-in.
    """

    booking: Booking
    came: list[str] = field(default_factory=list)
    by_name: set[str] = field(default_factory=set)
    grown: set[str] = field(default_factory=set)
    openings: int = 0

    @property
    def named(self) -> list[str]:
        return [guest.document_number for guest in self.booking.guests]

    @property
    def inside(self) -> list[str]:
        return [name for name in self.came if name in self.named or name not in self.by_name]


@dataclass
class Opening:
    """The opening that the model expects. The lock's record must describe this opening."""

    stay: Stay
    name: str
    check_in: bool
    number: int
    guardian: str | None = None
    relation: str | None = None


class Model:
    """The model of a door. `status` and `admits` come from the placement. `stays` maps each grant id to its stay."""

    def __init__(self) -> None:
        self.status = "active"
        self.admits = "named"
        self.stays: dict[bytes, Stay] = {}
        self._taken: dict[bytes, Booking] = {}
        self._closed: set[bytes] = set()
        self._latest_forgotten = 0

    # --- grants ------------------------------------------------------------------------------------------------------

    def offer(self, booking: Booking, earliest: int) -> bool:
        """Take a version of a grant from a courier. Return whether the lock must accept this version.

        The lock also accepts a version that it already has.
        """
        known, stay = self._taken.get(booking.grant_id), self.stays.get(booking.grant_id)
        longer = stay is None or booking.until > stay.booking.until
        if self.status == "revoked" and not booking.cancelled and longer:
            return False
        self._forget(earliest)
        stay = self.stays.get(booking.grant_id)
        if known is not None and booking.serial <= known.serial:
            return booking == known and (stay is not None or (booking.cancelled and booking.grant_id in self._closed))
        if booking.grant_id in self._closed and not booking.cancelled:
            return False
        if stay is None and (booking.horizon if booking.cancelled else booking.until) < self._latest_forgotten:
            return False
        self._taken[booking.grant_id] = booking
        if booking.cancelled:
            self.stays.pop(booking.grant_id, None)
            self._close(booking)
            return True
        stay = self.stays.setdefault(booking.grant_id, Stay(booking))
        stay.booking = booking
        stay.by_name |= set(stay.came) & set(stay.named)
        return True

    def _forget(self, earliest: int) -> None:
        now = self._latest_forgotten = max(self._latest_forgotten, earliest)
        for grant_id, stay in list(self.stays.items()):
            if stay.booking.until + DAY < now:
                del self.stays[grant_id]
                self._close(stay.booking)
        self._closed = {grant_id for grant_id in self._closed if self._taken[grant_id].horizon >= now}

    def _close(self, booking: Booking) -> None:
        if booking.horizon >= self._latest_forgotten:
            self._closed.add(booking.grant_id)

    # --- openings ----------------------------------------------------------------------------------------------------

    def come(self, names: Sequence[str], interval: tuple[int, int | None]) -> Opening | str:
        """Judge somebody who shows the documents `names`. Return the opening, or the reason why the door stays shut."""
        allowed: list[tuple[int, Opening]] = []
        reason = "none"
        for _, stay in sorted(self.stays.items(), key=lambda item: (item[1].booking.valid_from, item[0])):
            for name in names:
                outcome = self._judge(stay, name, interval)
                if isinstance(outcome, Opening):
                    rank = 0 if not outcome.check_in else 1 if name in stay.named else 2
                    allowed.append((rank, outcome))
                else:
                    reason = max(reason, outcome, key=ORDER.index)
        return min(allowed, key=lambda item: item[0])[1] if allowed else reason

    def _judge(self, stay: Stay, name: str, interval: tuple[int, int | None]) -> Opening | str:
        earliest, latest = interval
        booking = stay.booking
        over = earliest > booking.until or (latest or 0) > booking.until
        if name in stay.came:
            if name not in stay.inside:
                return "none"
            return "over" if over else Opening(stay, name, False, stay.came.index(name) + 1)
        unnamed_places = booking.places - len(stay.named)
        if name not in stay.named and not (unnamed_places and self._admits_companions(stay)):
            return "none"
        if over:
            return "over"
        if self.status != "active":
            return self.status
        if latest is None:
            return "unknown"
        if earliest < booking.valid_from:
            return "early"
        companions = [other for other in stay.inside if other not in stay.by_name]
        if name not in stay.named and stay.named and companions == stay.inside:
            return "unnamed"
        if name not in stay.named and len(companions) >= unnamed_places:
            return "full"
        if len(stay.inside) >= booking.places or any(BORN[other] == BORN[name] for other in stay.inside):
            return "full"
        return self._check_in(stay, name, of_age(name, earliest))

    def _admits_companions(self, stay: Stay) -> bool:
        return self.admits == "walk-in" or (self.admits == "unnamed" and bool(stay.named))

    def _check_in(self, stay: Stay, name: str, grown: bool) -> Opening | str:
        opening = Opening(stay, name, True, len(stay.came) + 1)
        adults = [other for other in stay.inside if other in stay.grown]
        if not grown and not adults:
            return "guardian"
        if not grown:
            opening.guardian, opening.relation = adults[0], "unstated"
            for guest in stay.booking.guests:
                if guest.document_number == name and guest.adult and stay.named[guest.adult - 1] in adults:
                    opening.guardian, opening.relation = stay.named[guest.adult - 1], guest.relation
        return opening

    def opened(self, opening: Opening, earliest: int) -> None:
        """Update the model after the door has opened as expected."""
        stay, name = opening.stay, opening.name
        stay.openings += 1
        if opening.check_in:
            stay.came.append(name)
            if name in stay.named:
                stay.by_name.add(name)
            if of_age(name, earliest):
                stay.grown.add(name)


def of_age(name: str, earliest: int) -> bool:
    """Return whether somebody is eighteen everywhere on Earth at `earliest`, the lower end of the clock's interval."""
    born = date.fromisoformat(BORN[name])
    slowest_calendar = (datetime.fromtimestamp(earliest, UTC) - timedelta(hours=12)).date()
    return (slowest_calendar.year - born.year, slowest_calendar.month, slowest_calendar.day) >= (
        18,
        born.month,
        born.day,
    )
