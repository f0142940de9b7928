"""Placements: which lock is at which door of which listing. Each room has one listing code.

The QR codes of the doors are made here, too.
"""

from collections.abc import Callable
from dataclasses import replace

from protocol import crypto_cpython as crypto
from protocol import listing_code, placement, statement
from protocol.errors import ConfigError
from protocol.listing_code import ListingCode
from protocol.placement import Placement
from sim.province.keys import Keys
from sim.province.store import Listing, Lock, Store

LINK = "HTTPS://CODE.MOORING.EXAMPLE/L/"
"""The default target of a listing code's link."""


class Placements:
    """Declares listings and places locks, with the province's store and keys. `clock` gives epoch seconds."""

    def __init__(self, store: Store, keys: Keys, clock: Callable[[], float]) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock

    def declare(self, listing: Listing) -> list[tuple[bytes, bytes]]:
        """Declare how many doors a listing has, and which guests the listing admits.

        Returns (lock id, new placement) for each lock of the listing. Raises ConfigError `placement.doors` if the
        listing has more locks than doors, and FormatError `placement.form` if a value does not fit into a placement.
        """
        with self._store.transaction():
            locks = [lock for lock in self._store.locks() if lock.listing == listing.code]
            standing = [lock for lock in locks if lock.status != placement.REVOKED]
            if any(lock.door > listing.doors for lock in standing):
                named = ", ".join(lock.lock_id.hex() for lock in standing)
                raise ConfigError("placement.doors", f"listing {listing.code} has more locks than doors: {named}")
            self._store.put_listing(listing)
            signed = [(lock.lock_id, self._sign_placement(lock, self.reader_chain(lock.lock_id))) for lock in locks]
        return signed

    def place(self, lock: Lock, reader_chain: list[bytes]) -> bytes:
        """Register a lock, or change its placement. Returns the new placement statement, with the next serial.

        A lock that is new to a listing gets the listing's first free door. Raises ConfigError `placement.lock_taken` if
        the lock is placed at another listing. Raises ConfigError `placement.listing_taken` if every door of the listing
        has another lock, and FormatError `placement.form` if a value does not fit into a placement.
        """
        with self._store.transaction():
            placed = replace(lock, door=self._door_for(lock))
            self._store.put_lock(placed)
            signed = self._sign_placement(placed, reader_chain)
        return signed

    def _door_for(self, lock: Lock) -> int:
        held = self._store.lock(lock.lock_id)
        if held is not None and held.status != placement.REVOKED and held.listing != lock.listing:
            raise ConfigError(
                "placement.lock_taken",
                f"lock {lock.lock_id.hex()} is placed at listing {held.listing}, "
                f"so it cannot be placed at listing {lock.listing}; revoke the old placement first",
            )
        others = {
            other.door: other.lock_id.hex()
            for other in self._store.locks()
            if other.listing == lock.listing and other.lock_id != lock.lock_id and other.status != placement.REVOKED
        }
        if held is not None and held.listing == lock.listing:
            if held.door not in others or lock.status == placement.REVOKED:
                return held.door
        doors = self._store.listing(lock.listing).doors
        free = [door for door in range(1, doors + 1) if door not in others]
        if not free:
            raise ConfigError(
                "placement.listing_taken",
                f"listing {lock.listing} has {doors} door{'s' if doors > 1 else ''}, with lock "
                f"{', lock '.join(others.values())}; lock {lock.lock_id.hex()} was to be placed there",
            )
        return free[0]

    def _sign_placement(self, lock: Lock, reader_chain: list[bytes]) -> bytes:
        held = self._store.statement("placement", lock.lock_id.hex())
        form = Placement(
            serial=1 if held is None else held[0] + 1,
            lock_id=lock.lock_id,
            listing=lock.listing,
            status=lock.status,
            platform_key=lock.platform_key,
            sealing_key=self._keys.sealing_public,
            profile_id=lock.profile,
            room=lock.room,
            reader_chain=reader_chain,
            admits=self._store.listing(lock.listing).admits,
            door=lock.door,
        )
        signed = self._keys.sign("placement", form.body())
        self._store.put_statement("placement", lock.lock_id.hex(), form.serial, signed)
        return signed

    def reader_chain(self, lock_id: bytes) -> list[bytes]:
        """Return the reader certificates in a lock's placement, and none for a lock without a placement."""
        held = self._store.statement("placement", lock_id.hex())
        if held is None:
            return []
        return Placement.parse(statement.open(crypto, held[1], "placement", self._keys.signing_public)).reader_chain

    def code(self, listing: str, place: str | None = None, door: int = 1, link: str = LINK) -> str:
        """Return the text of the QR code for a door of a listing.

        `place` is the address of the room. If `place` is None, the address of the door's lock is used. Raises
        ConfigError `listing-code.door` if the listing does not have that door. Raises ConfigError `listing-code.place`
        if no address is given and the door has no lock, and FormatError `listing-code.form` if a value does not fit
        into a listing code.
        """
        doors = self._store.listing(listing).doors
        if not 1 <= door <= doors:
            raise ConfigError(
                "listing-code.door",
                f"listing {listing} has {doors} door{'s' if doors > 1 else ''}. Choose one of them with --door",
            )
        if place is None:
            rooms = [
                lock.room
                for lock in self._store.locks()
                if (lock.listing, lock.door) == (listing, door) and lock.status != placement.REVOKED
            ]
            if not rooms:
                raise ConfigError(
                    "listing-code.place",
                    f"no lock is placed at door {door} of {listing}. Give its address with --place",
                )
            place = rooms[0]
        code = ListingCode(listing, place, door, link, int(self._clock()))
        return listing_code.write(crypto, self._keys.signing_private, code)
