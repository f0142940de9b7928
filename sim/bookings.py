"""How platform and province reach the lock of one door, and how a courier can bring it anything else."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from protocol import placement, statement
from sim.lock_process import Lock
from sim.people import Person
from sim.platform import Booking, Guest, Platform
from sim.province.province import Province
from sim.true_time import TrueTime

DAY = 86400
QUIET_SECONDS = 0.3
"""After so long a silence on its console, the lock is done with everything that couriers have brought it."""


class Guestlike(Protocol):
    """Somebody who can be booked."""

    person: Person


@dataclass(frozen=True)
class Bookings:
    """Books, changes and cancels stays at the lock with that key, and changes its placement.

    Each method returns once the lock has taken what it was sent.
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
        """A stay for these people, from `begins` to `ends` seconds from now.

        `ties` say which adult a minor belongs to: {minor: (adult, relation)}, both as places in `guests`, from 1.
        """
        now, named = int(self.time.now()), booking_names(guests, ties or {})
        booking = self.platform.book(self.identity_public, self.listing, now + begins, now + ends, named, places)
        await self.send(booking)
        return booking

    async def share(self, booking: Booking) -> None:
        """Send a stay that was booked at another door of the listing: its guests may come in here as well."""
        await self.send(replace(booking, lock_identity=self.identity_public))

    async def send(self, booking: Booking) -> None:
        """Send this version of a booking by the usual way."""
        before = len(self.lock.console)
        self.province.queue_grant(self.lock_id, self.platform.grant(booking))
        await taken(self.lock, "grant", before)

    async def bring(self, signed: bytes) -> str | None:
        """Have an edge agent carry a statement to the lock, new or old. Returns the code of the refusal, or None."""
        # The lock's answer names only the kind of statement. So first wait until nothing else is on its way.
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
        """Have the province make a statement of `kind`, for all locks or for this one. Returns it."""
        before = len(self.lock.console)
        signed = make()
        await taken(self.lock, kind, before)
        return signed

    async def set_status(self, status: str) -> bytes:
        """Let the province make the placement active, suspended or revoked. Returns the new placement."""
        return await self.publish(lambda: self.province.set_status(self.lock_id, status), "placement")

    async def declare(self, admits: str) -> None:
        """Let the province declare whom the listing admits."""
        assert admits in (placement.NAMED, placement.UNNAMED, placement.WALK_IN)
        before, doors = len(self.lock.console), self.province.store.listing(self.listing).doors
        self.province.declare_listing(self.listing, doors=doors, admits=admits)
        await taken(self.lock, "placement", before)


async def taken(lock: Lock, kind: str, since: int) -> None:
    """Wait until the lock says, on a console line from index `since` on, that it has taken a statement of that kind."""
    await lock.wait_for("statement.taken", since=since, where=lambda line: line.facts["kind"] == kind)


def booking_names(guests: Sequence[Guestlike], ties: dict[int, tuple[int, str]]) -> list[Guest]:
    """What the platform knows of these guests."""
    return [
        Guest(each.person.document_number, each.person.birth_date, *ties.get(place, (0, "unstated")))
        for place, each in enumerate(guests, 1)
    ]
