"""The stays this lock knows: the grants for them, and which guests have checked in.

At rest it holds grants (guests only as keyed commitments) and guest numbers; no name, document number or portrait. The
file is a checkpoint: the journal's notes say what happened after it, so an opening writes no more than its record.
It is written again when a grant changes, and before the journal erases notes that it does not know of.
"""

from protocol import cbor
from protocol.errors import RefusedError, StorageError
from protocol.grant import Grant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from firmware.journal import Journal
    from firmware.store import Store

MAX_STAYS = 16
"""Current and next stays of one room; more than that is a mistake or an attack."""

_FILE = "stays"


class Stay:
    """One grant and the numbers (from 1, in the grant's order) of the guests who have checked in under it."""

    def __init__(self, grant: Grant, checked_in: "list[int]") -> None:
        self.grant = grant
        self.checked_in = checked_in


class Stays:
    """All stays, opened from flash and brought up to date from the journal's notes."""

    def __init__(self, store: "Store", journal: "Journal") -> None:
        self._store = store
        self._stays: dict[bytes, Stay] = {}
        self._applied = 0
        raw = store.read(_FILE)
        if raw is not None:
            self._load(cbor.decode(raw))
        self._changed = False
        for counter, _, note_bytes in journal.entries_from(self._applied + 1):
            self._apply(counter, note_bytes)
        journal.before_erase = self.checkpoint

    def _load(self, saved: "Any") -> None:
        if not isinstance(saved, list) or len(saved) != 2:
            raise StorageError("stays.corrupt", "the checkpoint is not in its form")
        self._applied = saved[0]
        for body, checked_in in saved[1]:
            grant = Grant.parse(body)
            self._stays[grant.grant_id] = Stay(grant, checked_in)

    def _save(self) -> None:
        stays = [[stay.grant.body(), stay.checked_in] for stay in self._stays.values()]
        self._store.write(_FILE, cbor.encode([self._applied, stays]))
        self._changed = False

    def checkpoint(self) -> None:
        """Write what the journal's notes have changed since the last time, if anything. Raises StorageError."""
        if self._changed:
            self._save()

    def all(self) -> "list[Stay]":
        """Every stay, in no particular order."""
        return list(self._stays.values())

    def accept(self, grant: Grant, earliest: int) -> None:
        """Take a verified grant. `earliest` is the clock's lower end, in seconds.

        Raises RefusedError: `grant.serial` older than the one held, `grant.over` past already, `grant.many` no room.
        """
        held = self._stays.get(grant.grant_id)
        if held is not None:
            if grant.serial == held.grant.serial and grant.body() == held.grant.body():
                return
            if grant.serial <= held.grant.serial:
                raise RefusedError("grant.serial", "a newer form of this grant is held")
        if grant.until < earliest:
            raise RefusedError("grant.over", "the stay has passed")
        for grant_id in [key for key, stay in self._stays.items() if stay.grant.until < earliest]:
            del self._stays[grant_id]
        if held is None and len(self._stays) >= MAX_STAYS:
            raise RefusedError("grant.many", "no room for another stay")
        # A changed guest list renumbers people; those already in are found again by their commitments.
        checked_in = [] if held is None else _renumbered(held, grant)
        self._stays[grant.grant_id] = Stay(grant, checked_in)
        self._save()

    def record(self, counter: int, note_bytes: bytes) -> None:
        """Bring the stays up to the journal entry `counter` that was just appended with `note_bytes`."""
        self._apply(counter, note_bytes)

    def _apply(self, counter: int, note_bytes: bytes) -> None:
        self._applied = counter
        noted = cbor.decode(note_bytes)
        if len(noted) != 2:
            return  # of an event, or of entries that were counted: nobody checked in
        grant_id, number = noted
        stay = self._stays.get(grant_id)
        if stay is not None and number not in stay.checked_in:
            stay.checked_in.append(number)
            self._changed = True


def note(grant_id: bytes, number: int) -> bytes:
    """The journal note for guest `number` of a grant coming in."""
    return cbor.encode([grant_id, number])


def _renumbered(held: Stay, grant: Grant) -> "list[int]":
    kept = []
    for number in held.checked_in:
        commitment = held.grant.commitments[number - 1]
        if commitment in grant.commitments:
            kept.append(grant.commitments.index(commitment) + 1)
    return kept
