"""Sends statements to the lock of one door: those of the platform and of the province, and any other statement that a
courier carries.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from protocol import placement, statement
from sim.lock import Lock
from sim.people import Person
from sim.platform import Booking, Guest, Platform
from sim.province.province import Province
from sim.true_time import TrueTime

DAY = 86400
QUIET_SECONDS = 0.3
"""After this many seconds without a console line, the lock has handled everything that couriers brought."""


class Guestlike(Protocol):
    """Somebody for whom a stay can be booked."""

    person: Person


@dataclass(frozen=True)
class Bookings:
    """Makes, changes and cancels bookings at the lock with the key `identity_public`, and changes the lock's placement.

    Each method returns once the lock has taken the statement.
    """

    platform: Platform
    province: Province
    lock: Lock
    lock_id: bytes
    identity_public: bytes
    listing: str
    time: TrueTime

    async def book(
        self,
        *guests: Guestlike,
        begins: int = -3600,
        ends: int = 2 * DAY,
        places: int | None = None,
        ties: dict[int, tuple[int, str]] | None = None,
    ) -> Booking:
        """Book a stay for `guests`. The stay begins at `begins` and ends at `ends`, both in seconds from now.

        `ties` says which adult answers for a minor: {minor: (adult, relation)}. The minor and the
        adult are given by their positions in `guests`, counted from 1.
        """
        now, named = int(self.time.now()), booking_names(guests, ties or {})
        booking = self.platform.book(self.identity_public, self.listing, now + begins, now + ends, named, places)
        await self.send(booking)
        return booking

    async def share(self, booking: Booking) -> None:
        """Send a stay that was booked at another door of the listing, so that the guests of the stay may also enter
        here.
        """
        await self.send(replace(booking, lock_identity=self.identity_public))

    async def send(self, booking: Booking) -> None:
        """Send the grant for `booking` to the lock through the province."""
        before = len(self.lock.console)
        self.province.queue_grant(self.lock_id, self.platform.grant(booking))
        await taken(self.lock, "grant", before)

    async def bring(self, signed: bytes) -> str | None:
        """Have an edge agent carry a statement, new or old, to the lock.

        Returns the code of the refusal, or None if the lock took the statement.
        """
        # The lock's answer names only the kind of statement. So first wait until no other statement is on its way.
        before, kind = -1, statement.parse(signed).kind
        while before != len(self.lock.console):
            before = len(self.lock.console)
            await asyncio.sleep(QUIET_SECONDS)
        self.province.relay(self.lock_id, [signed])
        answer = await self.lock.wait_for_any(
            ("statement.taken", "statement.refused"), since=before, where=lambda line: line.facts["kind"] == kind
        )
        return answer.facts.get("code")

    async def publish(self, make: Callable[[], bytes], kind: str) -> bytes:
        """Call `make`. By this call, the province publishes a statement of the kind `kind`. Returns the statement."""
        before = len(self.lock.console)
        signed = make()
        await taken(self.lock, kind, before)
        return signed

    async def set_status(self, status: str) -> bytes:
        """Have the province make the placement active, suspended or revoked. Returns the new placement."""
        return await self.publish(lambda: self.province.set_status(self.lock_id, status), "placement")

    async def declare(self, admits: str) -> None:
        """Have the province declare which guests the listing admits: `admits` is a constant of `placement`."""
        assert admits in (placement.NAMED, placement.UNNAMED, placement.WALK_IN)
        before, doors = len(self.lock.console), self.province.store.listing(self.listing).doors
        self.province.declare_listing(self.listing, doors=doors, admits=admits)
        await taken(self.lock, "placement", before)


async def taken(lock: Lock, kind: str, since: int) -> None:
    """Wait until the lock has taken a statement of `kind`. Console lines before the index `since` are ignored."""
    await lock.wait_for("statement.taken", since=since, where=lambda line: line.facts["kind"] == kind)


def booking_names(guests: Sequence[Guestlike], ties: dict[int, tuple[int, str]]) -> list[Guest]:
    """Return the data that the platform has about `guests`."""
    return [
        Guest(each.person.document_number, each.person.birth_date, *ties.get(place, (0, "unstated")))
        for place, each in enumerate(guests, 1)
    ]
