"""The booking platform: it knows who booked, and tells one lock so, in grants that name guests as keyed commitments."""

import os
from dataclasses import dataclass, replace

from protocol import crypto_cpython as crypto
from protocol import statement
from protocol.grant import UNSTATED, Grant, commitment, commitment_key, mask_ties
from protocol.stay_pin import stay_pin


@dataclass(frozen=True)
class Guest:
    """Whom a booking names: document number as on the document, birth date as YYYY-MM-DD.

    Of a minor it may state the adult who answers for them, by place among the booking's guests from 1 (0: nobody), and
    what that adult is to them (`protocol.grant.RELATIONS`).
    """

    document_number: str
    birth_date: str
    adult: int = 0
    relation: str = UNSTATED


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
        """The stay PIN to tell a guest of the booking; it opens once that guest has checked in."""
        key = commitment_key(crypto, self.private, booking.lock_identity)
        mine = commitment(crypto, key, booking.grant_id, guest.document_number, guest.birth_date)
        return stay_pin(crypto, key, booking.grant_id, mine)

    def grant(self, booking: Booking) -> bytes:
        """The signed grant for a booking. Raises FormatError `grant.form` for a booking that cannot be."""
        key = commitment_key(crypto, self.private, booking.lock_identity)
        named = [
            commitment(crypto, key, booking.grant_id, guest.document_number, guest.birth_date)
            for guest in booking.guests
        ]
        ties = [(guest.adult, guest.relation) for guest in booking.guests]
        form = Grant(
            grant_id=booking.grant_id,
            serial=booking.serial,
            listing=booking.listing,
            valid_from=booking.valid_from,
            until=booking.until,
            guests=booking.places,
            commitments=named,
            cancelled=booking.cancelled,
            horizon=booking.horizon,
            ties=mask_ties(crypto, key, booking.grant_id, booking.serial, named, ties),
        )
        return statement.sign(crypto, self.private, "grant", form.body())
