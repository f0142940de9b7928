"""The booking platform: it knows who booked, and tells one lock so, in grants that name guests as keyed commitments."""

import os
from dataclasses import dataclass, replace

from protocol import crypto_cpython as crypto
from protocol import statement
from protocol.grant import Grant, commitment, commitment_key


@dataclass(frozen=True)
class Guest:
    """Whom a booking names: document number as on the document, birth date as YYYY-MM-DD."""

    document_number: str
    birth_date: str


@dataclass(frozen=True)
class Booking:
    """A stay as the platform knows it. `places` is the most guests who may check in; times in epoch seconds."""

    grant_id: bytes
    serial: int
    lock_identity: bytes
    listing: str
    valid_from: int
    until: int
    places: int
    guests: tuple[Guest, ...]
    cancelled: bool = False


class Platform:
    """Holds a P-256 key; a placement must name its `public` for a lock to believe its grants."""

    def __init__(self, private: bytes | None = None) -> None:
        self._private = private or crypto.generate("P-256")[0]
        self.public = crypto.public("P-256", self._private)

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
            os.urandom(16), 1, lock_identity, listing, valid_from, until, places or max(1, len(guests)), tuple(guests)
        )

    def extend(self, booking: Booking, until: int) -> Booking:
        """The booking with another end, of the next serial."""
        return replace(booking, serial=booking.serial + 1, until=until)

    def cancel(self, booking: Booking) -> Booking:
        """The booking cancelled, of the next serial."""
        return replace(booking, serial=booking.serial + 1, cancelled=True)

    def grant(self, booking: Booking) -> bytes:
        """The signed grant for a booking. Raises FormatError `grant.form` for a booking that cannot be."""
        key = commitment_key(crypto, self._private, booking.lock_identity)
        named = [
            commitment(crypto, key, booking.grant_id, guest.document_number, guest.birth_date)
            for guest in booking.guests
        ]
        form = Grant(
            booking.grant_id,
            booking.serial,
            booking.listing,
            booking.valid_from,
            booking.until,
            booking.places,
            named,
            booking.cancelled,
        )
        return statement.sign(crypto, self._private, "grant", form.body())
