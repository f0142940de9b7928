"""The stays this lock knows: the grants for them, who has checked in under each, and how often each opened the door.

In flash there are grants and guests as keyed commitments, and no name, document number or portrait. The file is a
checkpoint. The journal's notes say what happened after it, so an opening writes only its record. The checkpoint is
written when a grant changes, and before the journal erases notes that it does not cover.

A grant could come back in an older version. So when a stay is removed, its serial stays as a tombstone until the
horizon that the grant itself names.
"""

from hashlib import sha256

from firmware.memory import journal_notes
from protocol import cbor, const
from protocol.errors import RefusedError, StorageError
from protocol.grant import Grant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from firmware.memory.store import Store

MAX_STAYS = 16
"""Current and next stays of one room. More than that is a mistake or an attack."""

MAX_REMEMBERED = 64
"""Stays and tombstones together. Each stay reserves the room for its tombstone, so a cancellation is always accepted.
Once all room is taken, only a stay that is new to this lock is refused."""

LINGER_SECONDS = 86400
"""How long the guests of an ended stay are kept, in case an extension arrives late."""

_FILE = const("stays")
_TAG = const(8)
_TAG_BYTES = const(36)
_PACKED = const(69)
_SLOT = const(4)  # bytes of each entry in a table; after a hit the whole entry is compared
_TABLE = const(128)  # bytes of a table: MAX_GUESTS entries


class Guest:
    """A guest who has checked in. `commitment` is the one in the grant if it names them, or else that of the first
    level.

    `named`: a version of the grant named them. `adult`: they were certainly of age. `tag` is what is remembered of
    their document: the first bytes of the commitments to its five identities under this stay, 8 bytes each and 4 of the
    last. They are zeros for an identity that the document cannot give.
    """

    def __init__(self, commitment: bytes, named: bool, adult: bool, tag: bytes = bytes(_TAG_BYTES)) -> None:
        # One object, packed as in flash, because a lock may have five hundred of them.
        self._raw = bytes(((1 if named else 0) | (2 if adult else 0),)) + commitment + tag

    @property
    def commitment(self) -> bytes:
        """32 bytes."""
        return self._raw[1:33]

    @property
    def named(self) -> bool:
        """See the class."""
        return bool(self._raw[0] & 1)

    @property
    def adult(self) -> bool:
        """See the class."""
        return bool(self._raw[0] & 2)

    @property
    def tag(self) -> bytes:
        """See the class."""
        return self._raw[33:]

    def renew(self, names: "list[bytes]") -> None:
        """If one of `names`, a grant's commitments, is to this guest, take it as their commitment."""
        mine = [self._raw[at : at + _TAG] for at in (1, 33, 33 + _TAG, 33 + 2 * _TAG)]
        for name in names:
            if name[:_TAG] in mine and any(name[:_TAG]):
                self._raw = bytes((self._raw[0] | 1,)) + name + self.tag

    def pack(self) -> bytes:
        """69 bytes for flash: the two flags, the commitment and the tag."""
        return self._raw

    @staticmethod
    def unpack(packed: bytes) -> "Guest":
        """The guest that `pack` packed."""
        guest = Guest(packed[1:33], False, False)
        guest._raw = packed
        return guest


class Stay:
    """One grant, the key of the platform that signed it, and what happened under it.

    A guest's number is their position in `guests`, from 1, and never changes. A tap searches tables that are made in
    advance. All tables have the same length, whoever is in, and are searched from end to end.
    """

    def __init__(self, grant: Grant, platform: bytes, guests: "list[Guest]", openings: int) -> None:
        self.grant = grant
        self.platform = platform
        self.guests = guests
        self.openings = openings
        self._map()

    def _map(self) -> None:
        """Make the tables. Call this when the grant or the guests have changed."""
        guests, names = self.guests, self.grant.commitments
        mine = [guest.commitment for guest in guests]
        inside = [at for at, guest in enumerate(guests) if not guest.named or mine[at] in names]
        self._bits = sum([1 << at for at in inside])
        self._checked = len(inside)
        self._count = len([guest for guest in guests if not guest.named])
        self._numbers = bytes([mine.index(name) + 1 if name in mine else 0 for name in names])
        self._known = self._slots(names)
        self._documents = self._slots([guest.tag for guest in guests])
        self._owners = self._slots([guests[at].tag[3 * _TAG :] for at in inside])

    def _slots(self, items: "list[bytes]") -> bytes:
        """A table of the first bytes of `items`. Filled up with bytes that look the same to anybody without the keys.
        These also replace an item of zeros, so that nothing is ever found by zeros."""
        padding: bytes = sha256(self.grant.grant_id).digest()
        found = [each[:_SLOT] if any(each[:_TAG]) else padding[:_SLOT] for each in items]
        return (b"".join(found) + padding * (_TABLE // 32))[:_TABLE]

    def join(self, guest: Guest) -> None:
        """Add `guest`, who has checked in."""
        guest.renew(self.grant.commitments)
        self.guests.append(guest)
        self._map()

    def known(self, commitments: "list[bytes]") -> "tuple[int, bytes, bool, bool]":
        """Who shows a document with these `commitments` to its first four identities. Returns the number of the guest
        if they have checked in, or 0; the commitment to check in by; whether the grant names it; and whether a guest of
        the same name and birth date is in.

        For everybody who has not checked in here the work is the same, whoever else has.
        """
        exact, person = commitments[0], commitments[3]
        number, named, again = _place(self._documents, exact), b"", _place(self._owners, person) > 0
        # The place may be one of the filling. The slices below are then empty.
        if exact[:_TAG] not in [guest.tag[:_TAG] for guest in self.guests[max(0, number - 1) : number]]:
            number = 0
        for each in commitments[:3]:
            place = _place(self._known, each)
            if place and each in self.grant.commitments[place - 1 : place]:
                named, number = each, self._numbers[place - 1] or number
        if again:
            again = person[:_TAG] in [self.guests[inside - 1].tag[24:32] for inside in self.present()]
        if number and named and not self.belongs(number):
            number = 0  # a newer grant names the document in another way, so they check in anew
        return number, named or exact, named != b"", again

    def number(self, which: bytes) -> "int | None":
        """Number of the guest with that commitment, or whose `tag` begins with these 8 bytes. None if they have not
        checked in."""
        for number, guest in enumerate(self.guests, 1):
            if which in (guest.commitment, guest.tag[:_TAG]):
                return number
        return None

    def belongs(self, number: int) -> bool:
        """Does this guest still belong to the stay? Not if an earlier version of the grant named them and this one does
        not."""
        return bool(self._bits << 1 >> number & 1)

    def present(self) -> "list[int]":
        """Numbers of the guests who have checked in and still belong to the stay."""
        return [number for number in range(1, len(self.guests) + 1) if self.belongs(number)]

    def unnamed(self) -> int:
        """Number of guests who have checked in and whom no version of the grant named."""
        return self._count

    def mark(self, guest: Guest) -> int:
        """record.MARK for the check-in of `guest`, 0 for none."""
        if not any(guest.tag[3 * _TAG : 4 * _TAG]):
            return 1
        born = guest.tag[4 * _TAG :]
        return 2 if born in [self.guests[number - 1].tag[4 * _TAG :] for number in self.present()] else 0

    def occupancy(self, openings: int, joining: "Guest | None" = None) -> "list[int]":
        """OCCUPANCY for a record of `openings` more openings. `joining` is the guest who checks in by it, if any."""
        present = self._checked + (1 if joining is not None else 0)
        return [self.grant.guests, present, self.openings + openings, self.grant.until]

    def renew(self, grant: Grant) -> None:
        """Continue under a newer version of the grant. A guest who is in stays in if it names them at any level."""
        self.grant = grant
        for guest in self.guests:
            guest.renew(grant.commitments)
        self._map()


def _place(table: bytes, commitment: bytes) -> int:
    """Position of `commitment` in a table from 1, or 0. The search may end early at a difference, but where that is
    depends on a key. Nobody who could measure the time has it."""
    at = table.find(commitment[:_SLOT])
    return 0 if at % _SLOT else at // _SLOT + 1


VACANT = Stay(Grant(bytes(16), 1, "", 1, 2, 1, [], False, 2, b""), b"", [], 0)
"""Takes the place of each stay that does not exist, so that the time taken does not show how many do."""


class Stays:
    """All stays, as of the checkpoint in flash. When the journal opens, it passes on the notes of all records since."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._stays: dict[bytes, Stay] = {}
        self._tombstones: dict[bytes, tuple[int, int]] = {}  # grant id: (serial, horizon)
        # The latest time at which something was forgotten. After a reboot the clock may be before it.
        self._floor = 0
        self._applied = 0
        raw = store.read(_FILE)
        if raw is not None:
            self._load(cbor.decode(raw))
        self._changed = False

    def _load(self, saved: "Any") -> None:
        if not isinstance(saved, list) or len(saved) != 4:
            raise StorageError("stays.corrupt", "the file of stays cannot be parsed")
        self._applied, self._floor = saved[0], saved[1]
        while saved[2]:  # free each packed stay before the next one is unpacked
            body, platform, packed, openings = saved[2].pop()
            grant = Grant.parse(cbor.decode(body))
            guests = [Guest.unpack(packed[at : at + _PACKED]) for at in range(0, len(packed), _PACKED)]
            self._stays[grant.grant_id] = Stay(grant, platform, guests, openings)
        for grant_id, serial, horizon in saved[3]:
            self._tombstones[grant_id] = (serial, horizon)

    def _save(self) -> None:
        # Grants and guests are byte strings, because a full lock would have more items than the decoder accepts.
        stays = [
            [cbor.encode(stay.grant.body()), stay.platform, b"".join([g.pack() for g in stay.guests]), stay.openings]
            for stay in self._stays.values()
        ]
        tombstones = [[grant_id, serial, horizon] for grant_id, (serial, horizon) in self._tombstones.items()]
        self._store.write(_FILE, cbor.encode([self._applied, self._floor, stays, tombstones]))
        self._changed = False

    def checkpoint(self) -> None:
        """Write the checkpoint if notes have changed anything since the last one. Raises StorageError."""
        if self._changed:
            self._save()

    def all(self) -> "list[Stay]":
        """Every stay, in no particular order. None of them is cancelled."""
        return list(self._stays.values())

    def get(self, grant_id: bytes) -> "Stay | None":
        """The stay under that grant, or None."""
        return self._stays.get(grant_id)

    # --- grants ------------------------------------------------------------------------------------------------------

    def accept(self, grant: Grant, platform: bytes, earliest: int) -> None:
        """Take a grant that `platform` signed, for a new stay or a newer version for a known one. `earliest` is the
        clock's lower end, in seconds.

        Raises RefusedError: `grant.platform` another platform granted this stay; `grant.serial` it is not newer than
        the known version; `grant.horizon` its horizon is earlier than that of an earlier version; `grant.closed` the
        stay was cancelled or ended long ago; `grant.over` the new stay is already over; `grant.many` there is no room.
        """
        self._forget(earliest)
        stay = self._stays.get(grant.grant_id)
        if stay is not None:
            known = stay.grant
            if platform != stay.platform:
                raise RefusedError("grant.platform", "another platform granted this stay")
            if grant.serial == known.serial and grant.body() == known.body():
                self.checkpoint()
                return
            _check_newer(grant, known.serial, known.horizon)
            stay.renew(grant)
        elif grant.grant_id in self._tombstones:
            serial, horizon = self._tombstones[grant.grant_id]
            if grant.serial == serial and grant.cancelled:
                self.checkpoint()
                return
            _check_newer(grant, serial, horizon)
            if not grant.cancelled:
                raise RefusedError("grant.closed", "the stay was cancelled or ended long ago")
            stay = Stay(grant, platform, [], 0)
        else:
            self._check_room(grant)
            stay = Stay(grant, platform, [], 0)
        self._stays[grant.grant_id] = stay
        if grant.cancelled:
            self._bury(stay)
        self._changed = True
        self.checkpoint()

    def _check_room(self, grant: Grant) -> None:
        """Make sure that there is room for a stay that is new here. Raises RefusedError."""
        if (grant.horizon if grant.cancelled else grant.until) < self._floor:
            raise RefusedError("grant.over", "the stay is over")
        if len(self._stays) >= MAX_STAYS:
            for stay in [stay for stay in self._stays.values() if stay.grant.until < self._floor]:
                self._bury(stay)
        if len(self._stays) >= MAX_STAYS or len(self._stays) + len(self._tombstones) >= MAX_REMEMBERED:
            raise RefusedError("grant.many", "no room for another stay")

    def _forget(self, earliest: int) -> None:
        """Forget what can no longer come back, by the clock's lower end."""
        self._floor = floor = max(self._floor, earliest)
        past = [stay for stay in self._stays.values() if stay.grant.until + LINGER_SECONDS < floor]
        for stay in past:
            self._bury(stay)
        passed = [key for key, (_, horizon) in self._tombstones.items() if horizon < floor]
        for grant_id in passed:
            del self._tombstones[grant_id]
        if past or passed:
            self._save()  # at once: a reboot must not undo this, even if the grant that is being taken is refused

    def _bury(self, stay: Stay) -> None:
        grant = stay.grant
        del self._stays[grant.grant_id]
        if grant.horizon >= self._floor:
            self._tombstones[grant.grant_id] = (grant.serial, grant.horizon)

    # --- openings ----------------------------------------------------------------------------------------------------

    def record(self, counter: int, note: bytes) -> None:
        """Bring the stays up to the journal's record `counter` with that `note`. A record that the checkpoint covers
        already changes nothing."""
        if counter <= self._applied:
            return
        self._applied = counter
        noted = journal_notes.openings(note)
        if noted is None:
            return  # an event
        grant_id, guest, openings = noted
        stay = self._stays.get(grant_id)
        if stay is not None:
            stay.openings += openings
            if guest:
                stay.join(Guest.unpack(guest))
            self._changed = True


def _check_newer(grant: Grant, serial: int, horizon: int) -> None:
    if grant.serial <= serial:
        raise RefusedError("grant.serial", "the lock has a newer version of this grant")
    if grant.horizon < horizon:
        raise RefusedError("grant.horizon", "an earlier version had a later horizon")
