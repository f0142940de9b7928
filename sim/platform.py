"""The booking platform: it knows who booked, and tells one lock so, in grants that name guests as keyed commitments."""

import os
from dataclasses import dataclass, replace

from protocol import crypto_cpython as crypto
from protocol import statement
from protocol.grant import UNSTATED, Grant, commitment, commitment_key, mask_ties
from protocol.naming import canonical_number, fold, identities, is_resident
from protocol.stay_pin import stay_pin

RESIDENT_ID, RESIDENT_COUNTRY = "resident-id", "CN"
"""Document and country of those whose numbers `is_resident` knows."""


@dataclass(frozen=True)
class Guest:
    """Whom a booking means, by whichever of it the platform knows.

    `document_number` as on the document and `birth_date` as YYYY-MM-DD; with both the `id_type` of the profile and the
    `country` of the document's issuer (two letters), if known; or the number and the `name` as on the document. Who
    is known by less, a `phone` number alone, is nobody in particular: a place that the grant leaves unnamed. A
    later version of the booking may know more of somebody, or less.

    Of a minor it may state the adult who answers for them, by place among the booking's guests from 1 (0: nobody), and
    what that adult is to them (`protocol.grant.RELATIONS`).
    """

    document_number: str = ""
    birth_date: str = ""
    adult: int = 0
    relation: str = UNSTATED
    name: str = ""
    id_type: str = ""
    country: str = ""
    phone: str = ""

    def identity(self) -> bytes | None:
        """The most exact identity that can be made of what is known (`protocol.naming`); None for nobody in particular.

        A resident's number tells its birth date. Raises ValueError for such a number on a document of another kind or
        country, and for a number with nothing else.
        """
        number, born, country = canonical_number(self.document_number), self.birth_date, self.country.upper()
        resident = is_resident(number)
        if resident:
            if (self.id_type or RESIDENT_ID, country or RESIDENT_COUNTRY) != (RESIDENT_ID, RESIDENT_COUNTRY):
                raise ValueError("a resident's number on a document that is none of theirs is nobody's")
            country = RESIDENT_COUNTRY
            born = born or f"{number[6:10]}-{number[10:12]}-{number[12:14]}"
        exact, dated, named, _, _ = identities(self.id_type, country, number, fold(self.name), born, resident)
        if self.id_type and country and number and born:
            return exact
        for identity in (dated, named):
            if len(identity) > 2:
                return identity
        if number:
            raise ValueError("a number alone is nobody's: it takes a birth date or a name as well")
        return None


@dataclass(frozen=True)
class Booking:
    """A stay as the platform knows it. `places` is the most guests who may stay at once; times in epoch seconds.

    `horizon` is the latest end that the stay ever had.
    """

    grant_id: bytes
    serial: int
    lock_identity: bytes
    listing: str
    valid_from: int
    until: int
    places: int
    guests: tuple[Guest, ...]
    cancelled: bool
    horizon: int


class Platform:
    """Holds a P-256 key; a placement must name its `public` for a lock to believe its grants."""

    def __init__(self, private: bytes | None = None) -> None:
        self.private = private or crypto.generate("P-256")[0]
        self.public = crypto.public("P-256", self.private)

    def book(
        self,
        lock_identity: bytes,
        listing: str,
        valid_from: int,
        until: int,
        guests: list[Guest],
        places: int | None = None,
    ) -> Booking:
        """A new booking for the room whose lock has that identity key; as many places as guests unless said."""
        return Booking(
            grant_id=os.urandom(16),
            serial=1,
            lock_identity=lock_identity,
            listing=listing,
            valid_from=valid_from,
            until=until,
            places=places or max(1, len(guests)),
            guests=tuple(guests),
            cancelled=False,
            horizon=until,
        )

    def change(
        self,
        booking: Booking,
        until: int | None = None,
        guests: list[Guest] | None = None,
        places: int | None = None,
    ) -> Booking:
        """The booking with another end (a later one extends it, an earlier one shortens it), other guests or places,
        of the next serial."""
        until = until or booking.until
        return replace(
            booking,
            serial=booking.serial + 1,
            until=until,
            horizon=max(booking.horizon, until),
            guests=booking.guests if guests is None else tuple(guests),
            places=places or booking.places,
        )

    def cancel(self, booking: Booking) -> Booking:
        """The booking cancelled for good, of the next serial."""
        return replace(booking, serial=booking.serial + 1, cancelled=True)

    def pin(self, booking: Booking, guest: Guest) -> str:
        """The stay PIN to tell a guest of the booking; it opens once that guest has checked in. Raises ValueError for
        one whom the grant cannot name."""
        identity = guest.identity()
        if identity is None:
            raise ValueError("who is nobody in particular has no PIN")
        key = commitment_key(crypto, self.private, booking.lock_identity)
        return stay_pin(crypto, key, booking.grant_id, commitment(crypto, key, booking.grant_id, identity))

    def grant(self, booking: Booking) -> bytes:
        """The signed grant for a booking. Raises FormatError `grant.form` for a booking that cannot be, ValueError as
        `Guest.identity`."""
        key = commitment_key(crypto, self.private, booking.lock_identity)
        identities = {place: guest.identity() for place, guest in enumerate(booking.guests, 1)}
        named = {
            place: commitment(crypto, key, booking.grant_id, identity)
            for place, identity in identities.items()
            if identity is not None
        }
        commitments, ties = list(named.values()), _ties(booking, list(named))
        form = Grant(
            grant_id=booking.grant_id,
            serial=booking.serial,
            listing=booking.listing,
            valid_from=booking.valid_from,
            until=booking.until,
            guests=booking.places,
            commitments=commitments,
            cancelled=booking.cancelled,
            horizon=booking.horizon,
            ties=mask_ties(crypto, key, booking.grant_id, booking.serial, commitments, ties),
        )
        return statement.sign(crypto, self.private, "grant", form.body())


def _ties(booking: Booking, named: list[int]) -> list[tuple[int, str]]:
    """The ties of those at the places `named`: by place among these, where a booking counts all its guests. An adult
    whom the booking does not have is left for the lock to refuse."""
    ties = []
    for place in named:
        guest = booking.guests[place - 1]
        if guest.adult in named:
            ties.append((named.index(guest.adult) + 1, guest.relation))
        elif guest.adult > len(booking.guests):
            ties.append((guest.adult, guest.relation))
        else:
            ties.append((0, UNSTATED))
    return ties
