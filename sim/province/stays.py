"""Which guests are where: facts for an officer, from the records of openings at all locks. Nothing here is a judgement.

A lock knows its own stays, but no names. Only the province knows stays and names. So the province can say which adult
answers for a minor, and whether one ID is at two listings at once.
"""

from dataclasses import dataclass

from protocol import record
from protocol.profile import GUARDIAN
from sim.province.store import Registration, Store


@dataclass(frozen=True)
class Stay:
    """One stay, as described by its latest record.

    `booked` and `checked_in` are numbers of guests, and `until` is the end of the stay in epoch seconds.
    """

    lock_id: bytes
    listing: str
    grant_id: bytes
    booked: int
    checked_in: int
    openings: int
    until: int


@dataclass(frozen=True)
class Double:
    """One ID that checked in at a second listing before its stay at the first listing was over."""

    id_number: str
    first: Registration
    second: Registration


def stays(store: Store) -> list[Stay]:
    """Return every stay with a recorded opening, sorted by listing."""
    latest: dict[tuple[bytes, bytes], Stay] = {}
    for item in store.registrations():
        if item.occupancy is not None and item.grant_id is not None:
            stay = Stay(item.lock_id, item.listing, item.grant_id, *item.occupancy)
            latest[item.lock_id, item.grant_id] = stay
    return sorted(latest.values(), key=lambda stay: (stay.listing, stay.until))


def guardian_of(store: Store, minor: Registration) -> Registration | None:
    """Return the check-in of the adult who answers for a minor.

    Returns None if no adult is named, or if the adult's check-in has not arrived yet.
    """
    for item in store.registrations(record.CHECK_IN):
        same_stay = (item.lock_id, item.grant_id) == (minor.lock_id, minor.grant_id)
        if same_stay and str(item.guest) == minor.fields.get(GUARDIAN):
            return item
    return None


def doubles(store: Store) -> list[Double]:
    """Return each ID that checked in at a listing before its stay at another listing had ended."""
    ends = {(stay.lock_id, stay.grant_id): stay.until for stay in stays(store)}
    by_id: dict[tuple[str, str], list[Registration]] = {}
    for item in store.registrations(record.CHECK_IN):
        by_id.setdefault((item.fields["id_type"], item.fields["id_number"]), []).append(item)
    found = []
    for (_, id_number), items in sorted(by_id.items()):
        ordered = sorted(items, key=lambda item: (item.earliest or 0, item.lock_id, item.counter))
        for at, first in enumerate(ordered):
            until = ends.get((first.lock_id, first.grant_id or b""), 0)
            found += [
                Double(id_number, first, second)
                for second in ordered[at + 1 :]
                if second.listing != first.listing and (second.earliest or 0) <= until
            ]
    return found
