"""What platform and province decide about a world's door, and couriers who bring what they like."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from protocol import placement, statement
from sim.lock_process import LockProcess
from sim.people import Person
from sim.platform import Booking, Guest, Platform
from sim.province.province import Province

DAY = 86400
QUIET_SECONDS = 0.3
"""A lock whose console has been silent for so long has dealt with all that couriers brought it."""


class Guestlike(Protocol):
    """Whoever can be booked."""

    person: Person


class Bookings:
    """The part of a World that books, changes and cancels stays, and changes the placement."""

    platform: Platform
    province: Province
    lock: LockProcess
    lock_id: bytes
    identity_public: bytes

    def now(self) -> int:
        """The true time in this world, seconds since 1970."""
        raise NotImplementedError

    async def book(
        self,
        *guests: Guestlike,
        begins: int = -3600,
        ends: int = 2 * DAY,
        places: int | None = None,
        ties: dict[int, tuple[int, str]] | None = None,
    ) -> Booking:
        """A stay for these people, from `begins` to `ends` seconds from now; returns once the lock holds its grant.

        `ties` state whose minor a guest is: {guest: (adult, relation)}, both by place from 1.
        """
        now, lock = self.now(), self.province.store.lock(self.lock_id)
        assert lock is not None, "a world's lock is registered"
        named = booking_names(guests, ties or {})
        booking = self.platform.book(self.identity_public, lock.listing, now + begins, now + ends, named, places)
        await self.send(booking)
        return booking

    async def send(self, booking: Booking) -> None:
        """Send this version of a booking to the lock by the usual way; returns once the lock has taken it."""
        before = len(self.lock.console)
        self.province.queue_grant(self.lock_id, self.platform.grant(booking))
        await self._taken("grant", before)

    async def bring(self, signed: bytes) -> str | None:
        """Have the edge agent carry a statement to the lock, new or not. The code of the lock's refusal, or None."""
        # The lock's answer does not say which statement it is to: whatever else is on its way comes first.
        before, kind = -1, statement.parse(signed).kind
        while before != len(self.lock.console):
            before = len(self.lock.console)
            await asyncio.sleep(QUIET_SECONDS)
        self.province.relay(self.lock_id, [signed])
        answer = await self.lock.wait_for_any(
            ("statement.taken", "statement.refused"), since=before, where=lambda line: line.facts["kind"] == kind
        )
        return answer.facts.get("code")

    async def set_status(self, status: str) -> bytes:
        """Let the province make the placement active, suspended or revoked; the statement, once the lock holds it."""
        before = len(self.lock.console)
        signed = self.province.set_status(self.lock_id, status)
        await self._taken("placement", before)
        return signed

    async def declare(self, admits: str) -> None:
        """Let the province declare whom the listing admits; returns once the lock holds its new placement."""
        before, lock = len(self.lock.console), self.province.store.lock(self.lock_id)
        assert lock is not None and admits in (placement.NAMED, placement.UNNAMED, placement.WALK_IN)
        self.province.declare_listing(lock.listing, admits=admits)
        await self._taken("placement", before)

    async def _taken(self, kind: str, since: int) -> None:
        """Wait until the lock has taken a statement of that kind."""
        await self.lock.wait_for("statement.taken", since=since, where=lambda line: line.facts["kind"] == kind)


def booking_names(guests: Sequence[Guestlike], ties: dict[int, tuple[int, str]]) -> list[Guest]:
    """What the platform knows of them."""
    return [
        Guest(each.person.document_number, each.person.birth_date, *ties.get(place, (0, "unstated")))
        for place, each in enumerate(guests, 1)
    ]
