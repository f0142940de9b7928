"""The booking platform. The platform knows the guests of each booking. The platform's grants name guests by keyed
commitments only.
"""

import os
from dataclasses import dataclass, replace

from protocol import crypto_cpython as crypto
from protocol import statement
from protocol.grant import UNSTATED, Grant, commitment, commitment_key, mask_ties
from protocol.naming import canonical_number, fold, identities, is_resident
from protocol.stay_pin import stay_pin

RESIDENT_ID, RESIDENT_COUNTRY = "resident-id", "CN"
"""Type and country of the documents whose numbers `is_resident` recognises."""


@dataclass(frozen=True)
class Guest:
    """A guest of a booking, with the data that the platform has.

    There are two ways to name a guest. The first way is the `document_number` as on the document, with the `birth_date`
    as YYYY-MM-DD. The profile's `id_type` and the `country` of the document's issuer (two letters) make this name more
    exact, if they are known. The second way is the `document_number` with the `name` as on the document. With less
    data, such as a `phone` number alone, the guest cannot be named, and the grant has an unnamed place instead. A later
    version of the booking may have more or less data.

    For a minor, `adult` says which guest of the booking answers for the minor: the place of this adult among the
    guests, counted from 1, or 0 for nobody. `relation` says what the adult is to the minor
    (`protocol.grant.RELATIONS`).
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
        """Return the most exact identity that the data allows (`protocol.naming`), or None if the data names nobody.

        A resident's number contains the birth date. Raises ValueError for a resident's number on a document of another
        type or country, and for any other number without a birth date or a name.
        """
        number, born, country = canonical_number(self.document_number), self.birth_date, self.country.upper()
        resident = is_resident(number)
        if resident:
            if (self.id_type or RESIDENT_ID, country or RESIDENT_COUNTRY) != (RESIDENT_ID, RESIDENT_COUNTRY):
                raise ValueError("a resident's number does not belong on a document of another type or country")
            country = RESIDENT_COUNTRY
            born = born or f"{number[6:10]}-{number[10:12]}-{number[12:14]}"
        exact, dated, named, _, _ = identities(self.id_type, country, number, fold(self.name), born, resident)
        if self.id_type and country and number and born:
            return exact
        for identity in (dated, named):
            if len(identity) > 2:
                return identity
        if number:
            raise ValueError("a number alone names nobody: a birth date or a name is needed as well")
        return None


@dataclass(frozen=True)
class Booking:
    """A stay as the platform knows it. Times are in seconds since 1970.

    `places` is the maximum number of guests who may stay at once. `horizon` is the latest end that any version of the
    booking had.
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
    """A platform with a P-256 key. A lock accepts the platform's grants only if the lock's placement names the key
    `public`.
    """

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
        """Make a booking for the room whose lock has the identity key `lock_identity`.

        By default there are as many `places` as guests.
        """
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
        """Return the booking with the next serial, and with a new end, new guests or a new number of places.

        A later end extends the stay. An earlier end shortens it.
        """
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
        """Return the booking with the next serial, cancelled for good."""
        return replace(booking, serial=booking.serial + 1, cancelled=True)

    def pin(self, booking: Booking, guest: Guest) -> str:
        """Return the PIN for a guest of the booking. The PIN opens the door after this guest has checked in.

        Raises ValueError for a guest who cannot be named in the grant.
        """
        identity = guest.identity()
        if identity is None:
            raise ValueError("a guest who cannot be named in the grant has no PIN")
        key = commitment_key(crypto, self.private, booking.lock_identity)
        return stay_pin(crypto, key, booking.grant_id, commitment(crypto, key, booking.grant_id, identity))

    def grant(self, booking: Booking) -> bytes:
        """Return the signed grant for a booking.

        Raises FormatError `grant.form` for an impossible booking, and ValueError if `Guest.identity` raises it.
        """
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
    """Return the ties of the guests whose places are in `named`, with new numbers for the adults.

    The numbers change because a grant counts only named guests, while a booking counts all guests. The number of an
    adult who is not in the booking is left as it is, and the lock refuses the grant.
    """
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
