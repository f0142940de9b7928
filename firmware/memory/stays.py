"""The stays that this lock knows. For each stay, the lock keeps the grant, the guests who have checked in, and the
number of openings.

Flash holds the grants. It holds no guests, only keyed commitments to them. Names, document numbers and portraits are
not in flash. The file is a checkpoint. Everything that happened after the checkpoint is in the journal's notes, so an
opening writes only its record. The checkpoint is written when a grant changes. The checkpoint is also written before
the journal erases notes that are newer than the checkpoint.

After a stay was removed, somebody could once more deliver an older version of its grant. So the lock keeps the serial
of a removed stay as a tombstone, until the horizon that the grant names.
"""

from hashlib import sha256

from firmware.memory import journal_notes
from protocol import cbor, const
from protocol.errors import RefusedError, StorageError
from protocol.grant import Grant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from firmware.memory.store import Store

MAX_STAYS = 16
"""Maximum number of current and future stays of one room. A larger number would be a mistake or an attack."""

MAX_REMEMBERED = 64
"""Maximum number of stays and tombstones together. Each stay reserves the place for its tombstone, so a cancellation is
always accepted. When all places are taken, the lock refuses only stays that are new to the lock."""

LINGER_SECONDS = 86400
"""The guests of an ended stay are kept for this long, in case an extension arrives late."""

_FILE = const("stays")
_TAG = const(8)
_TAG_BYTES = const(36)
_PACKED = const(69)
_SLOT = const(4)  # Bytes of each entry in a table. If these bytes match, more bytes are compared.
_TABLE = const(128)  # Bytes of a table with MAX_GUESTS entries.


class Guest:
    """A guest who has checked in. `commitment` is the commitment by which the grant names the guest. If the grant does
    not name the guest, `commitment` is the commitment to the guest's first identity.

    `named` is True if a version of the grant named the guest. `adult` is True if the guest was certainly of age. `tag`
    recognises their document. `tag` has the first bytes of the commitments to the document's five identities under this
    stay: 8 bytes for each of the first four identities, and 4 bytes for the fifth. For an identity that the document
    cannot give, these bytes are zeros.
    """

    def __init__(self, packed: bytes) -> None:
        """`packed` is the output of `pack`."""
        self._raw = packed

    @staticmethod
    def of(commitment: bytes, named: bool, adult: bool, tag: bytes = bytes(_TAG_BYTES)) -> "Guest":
        """Make the `Guest` for a person who checks in now."""
        return Guest(bytes(((1 if named else 0) | (2 if adult else 0),)) + commitment + tag)

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
        """Search `names`, the commitments of a grant, for this guest. If a commitment matches, it becomes the guest's
        `commitment`, and `named` becomes True."""
        mine = [self._raw[at : at + _TAG] for at in (1, 33, 33 + _TAG, 33 + 2 * _TAG)]
        for name in names:
            if name[:_TAG] in mine and any(name[:_TAG]):
                self._raw = bytes((self._raw[0] | 1,)) + name + self.tag

    def pack(self) -> bytes:
        """Return 69 bytes for flash: the two flags, the commitment and the tag."""
        return self._raw


class Stay:
    """A stay: its grant, the key of the platform that signed the grant, the guests and the number of openings.

    `packed` has the guests in a row, packed as in flash, because a lock may have five hundred guests. A guest's number
    is their position in this row, counted from 1. It never changes. A tap searches tables that are made in advance. All
    tables have the same length, which does not depend on the number of guests. A search that finds nothing goes through
    the whole table.
    """

    def __init__(self, grant: Grant, platform: bytes, packed: bytes, openings: int) -> None:
        self.grant = grant
        self.platform = platform
        self.packed = packed
        self.openings = openings
        self._map(grant)

    @property
    def guests(self) -> "list[Guest]":
        """The guests, made anew at each use."""
        return [self.guest(number) for number in range(1, self.joined() + 1)]

    def guest(self, number: int) -> Guest:
        """Return the guest with this number."""
        return Guest(self.packed[_PACKED * (number - 1) : _PACKED * number])

    def joined(self) -> int:
        """Return the number of guests who have checked in under this stay, even those who do not belong to it now."""
        return len(self.packed) // _PACKED

    def _map(self, grant: Grant) -> None:
        """Make the tables, and take `grant` last. Call this when the grant or the guests have changed. If memory runs
        out, the stay keeps the grant that it had. So the new grant is not taken for a known one when it comes again."""
        guests, names = self.guests, grant.commitments
        mine = [guest.commitment for guest in guests]
        inside = [at for at, guest in enumerate(guests) if not guest.named or mine[at] in names]
        self._bits = sum([1 << at for at in inside])
        self._checked = len(inside)
        self._count = len([guest for guest in guests if not guest.named])
        self._numbers = bytes([mine.index(name) + 1 if name in mine else 0 for name in names])
        # Three tables in one object: the grant's names, the guests' documents, and the guests in person.
        owners = self._slots([guests[at].tag[3 * _TAG :] for at in inside])
        self._tables = self._slots(names) + self._slots([guest.tag for guest in guests]) + owners
        self.grant = grant

    def _slots(self, items: "list[bytes]") -> bytes:
        """Make a table of the first bytes of `items`. Unused places are filled with bytes that look like entries to
        anybody without the keys. The filling also replaces an item of zeros, so that a search for zeros finds
        nothing."""
        padding: bytes = sha256(self.grant.grant_id).digest()
        found = [each[:_SLOT] if any(each[:_TAG]) else padding[:_SLOT] for each in items]
        return (b"".join(found) + padding * (_TABLE // 32))[:_TABLE]

    def join(self, guest: Guest) -> None:
        """Add `guest`, who has checked in."""
        guest.renew(self.grant.commitments)
        self.packed += guest.pack()
        self._map(self.grant)

    def known(self, commitments: "list[bytes]") -> "tuple[int, bytes, bool, bool]":
        """Find the person who shows a document. `commitments` are the commitments to the document's first four
        identities.

        Returns (number, commitment, named, again). `number` is the guest's number if the person has checked in, or else
        0. `commitment` is the commitment for the person's check-in. `named` is True if the grant contains that
        commitment. `again` is True if a guest with the same name and birth date has checked in.

        The work is the same for everybody who has not checked in here. The work does not depend on the guests who have
        checked in.
        """
        exact, person = commitments[0], commitments[3]
        number, named, again = _place(self._tables, 1, exact), b"", _place(self._tables, 2, person) > 0
        # The search may have found one of the bytes that fill unused places. Then the slices below are empty.
        tag = _PACKED * number - _TAG_BYTES
        if not number or exact[:_TAG] != self.packed[tag : tag + _TAG]:
            number = 0
        for each in commitments[:3]:
            place = _place(self._tables, 0, each)
            if place and each in self.grant.commitments[place - 1 : place]:
                named, number = each, self._numbers[place - 1] or number
        if again:
            again = person[:_TAG] in [self.guest(inside).tag[24:32] for inside in self.present()]
        if number and named and not self.belongs(number):
            number = 0  # a newer grant names the document differently, so the guest checks in again
        return number, named or exact, named != b"", again

    def number(self, which: bytes) -> "int | None":
        """Find the number of a guest, or None if the guest has not checked in. `which` is the guest's commitment, or
        the first 8 bytes of their `tag`."""
        for number, guest in enumerate(self.guests, 1):
            if which in (guest.commitment, guest.tag[:_TAG]):
                return number
        return None

    def belongs(self, number: int) -> bool:
        """Does this guest still belong to the stay? A guest no longer belongs to the stay if an earlier version of the
        grant named them but the present version does not."""
        return bool(self._bits << 1 >> number & 1)

    def present(self) -> "list[int]":
        """Return the numbers of the guests who have checked in and still belong to the stay."""
        return [number for number in range(1, self.joined() + 1) if self.belongs(number)]

    def unnamed(self) -> int:
        """Return the number of guests who have checked in without being named by any version of the grant."""
        return self._count

    def mark(self, guest: Guest) -> int:
        """Return the value of record.MARK for the check-in of `guest`, or 0 if the record needs no mark."""
        if not any(guest.tag[3 * _TAG : 4 * _TAG]):
            return 1
        born = guest.tag[4 * _TAG :]
        return 2 if born in [self.guest(number).tag[4 * _TAG :] for number in self.present()] else 0

    def occupancy(self, openings: int, joining: "Guest | None" = None) -> "list[int]":
        """Return the value of OCCUPANCY for a record that adds `openings` openings. `joining` is the guest who checks
        in with that record, or None."""
        present = self._checked + (1 if joining is not None else 0)
        return [self.grant.guests, present, self.openings + openings, self.grant.until]

    def renew(self, grant: Grant) -> None:
        """Continue under `grant`, a newer version of the grant. A named guest who has checked in still belongs to the
        stay if the new version contains a commitment to any of their first three identities.
        """
        guests = self.guests
        for guest in guests:
            guest.renew(grant.commitments)
        self.packed = b"".join([guest.pack() for guest in guests])
        self._map(grant)


def _place(tables: bytes, table: int, commitment: bytes) -> int:
    """Return the position of `commitment` in a table, counted from 1, or 0 if the table does not contain it. `table`
    is the number of the table in `tables`, counted from 0. A comparison
    may end early at the first byte that differs. The position of that byte depends on a key, and nobody who could
    measure the time has the key.
    """
    start = _TABLE * table
    at = tables.find(commitment[:_SLOT], start, start + _TABLE)
    return 0 if at % _SLOT else (at - start) // _SLOT + 1


VACANT = Stay(Grant(bytes(16), 1, "", 1, 2, 1, [], False, 2, b""), b"", b"", 0)
"""A dummy stay. Dummies fill up the stays that a decision looks at, so that the duration of the decision does not show
how many real stays there are."""


class Stays:
    """All stays. The stays are first read from the checkpoint in flash. When the journal opens, the journal passes on
    its notes, which bring the stays up to date."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._stays: dict[bytes, Stay] = {}
        self._tombstones: dict[bytes, tuple[int, int]] = {}  # Maps a grant id to (serial, horizon).
        # The latest time that `_forget` has used. After a reboot, the clock may show an earlier time.
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
            self._stays[grant.grant_id] = Stay(grant, platform, packed, openings)
        for grant_id, serial, horizon in saved[3]:
            self._tombstones[grant_id] = (serial, horizon)

    def _save(self) -> None:
        self._store.write_parts(_FILE, self._parts())
        self._changed = False

    def _parts(self) -> "Iterator[bytes]":
        """Yield the file in parts, because the heap may have no room for the whole file of a lock with many stays."""
        yield cbor.array_head(4) + cbor.encode(self._applied) + cbor.encode(self._floor)
        yield cbor.array_head(len(self._stays))
        for stay in self._stays.values():
            # Grants and guests are saved as byte strings. Otherwise the file of a full lock would have more CBOR items
            # than the decoder accepts.
            yield cbor.array_head(4)
            for part in (cbor.encode(stay.grant.body()), stay.platform, stay.packed, stay.openings):
                yield cbor.encode(part)
        yield cbor.array_head(len(self._tombstones))
        for grant_id, (serial, horizon) in self._tombstones.items():
            yield cbor.encode([grant_id, serial, horizon])

    def checkpoint(self) -> None:
        """Write the checkpoint if notes have changed a stay since the last checkpoint. Raises StorageError."""
        if self._changed:
            self._save()

    def all(self) -> "list[Stay]":
        """Return all stays that are not cancelled, in no particular order."""
        return list(self._stays.values())

    def get(self, grant_id: bytes) -> "Stay | None":
        """Return the stay with this grant id, or None."""
        return self._stays.get(grant_id)

    # --- grants ------------------------------------------------------------------------------------------------------

    def accept(self, grant: Grant, platform: bytes, earliest: int) -> None:
        """Take a grant that `platform` signed. The grant may be for a new stay, or it may be a newer version for a
        known stay. `earliest` is the clock's lower end, in seconds.

        Raises RefusedError: `grant.platform` if another platform granted this stay; `grant.serial` if the grant is not
        newer than the known version; `grant.horizon` if an earlier version had a later horizon; `grant.closed` if the
        stay was cancelled, or if it ended long ago; `grant.over` if a new stay is already over; `grant.many` if there
        is no room for a new stay.
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
            stay = Stay(grant, platform, b"", 0)
        else:
            self._check_room(grant)
            stay = Stay(grant, platform, b"", 0)
        self._stays[grant.grant_id] = stay
        if grant.cancelled:
            self._bury(stay)
        self._changed = True
        self.checkpoint()

    def _check_room(self, grant: Grant) -> None:
        """Make sure that there is room for a stay that is new to this lock. Raises RefusedError if there is no room, or
        if the stay is over."""
        if (grant.horizon if grant.cancelled else grant.until) < self._floor:
            raise RefusedError("grant.over", "the stay is over")
        if len(self._stays) >= MAX_STAYS:
            for stay in [stay for stay in self._stays.values() if stay.grant.until < self._floor]:
                self._bury(stay)
        if len(self._stays) >= MAX_STAYS or len(self._stays) + len(self._tombstones) >= MAX_REMEMBERED:
            raise RefusedError("grant.many", "no room for another stay")

    def _forget(self, earliest: int) -> None:
        """Remove stays and tombstones that are no longer needed at `earliest`, the clock's lower end."""
        self._floor = floor = max(self._floor, earliest)
        past = [stay for stay in self._stays.values() if stay.grant.until + LINGER_SECONDS < floor]
        for stay in past:
            self._bury(stay)
        passed = [key for key, (_, horizon) in self._tombstones.items() if horizon < floor]
        for grant_id in passed:
            del self._tombstones[grant_id]
        if past or passed:
            self._save()  # save now: no reboot may bring these back, even if the new grant is refused

    def _bury(self, stay: Stay) -> None:
        grant = stay.grant
        del self._stays[grant.grant_id]
        if grant.horizon >= self._floor:
            self._tombstones[grant.grant_id] = (grant.serial, grant.horizon)

    # --- openings ----------------------------------------------------------------------------------------------------

    def resume(self, next_counter: int) -> None:
        """Expect the record `next_counter` next. Raises StorageError.

        The journal may have been erased, or may have lost its newest sector. The journal's counters then continue below
        the last counter in the checkpoint. So new records get counters that older records had. The checkpoint contains
        the effects of the older records, but not the effects of the new records.
        """
        if self._applied >= next_counter:
            self._applied = next_counter - 1
            self._save()  # save now, because the next boot could not tell new records from old ones

    def record(self, counter: int, note: bytes) -> None:
        """Apply the journal's record `counter` to the stays. `note` is its note. A record that is already in the
        checkpoint changes nothing."""
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
                stay.join(Guest(guest))
            self._changed = True


def _check_newer(grant: Grant, serial: int, horizon: int) -> None:
    if grant.serial <= serial:
        raise RefusedError("grant.serial", "the lock has a newer version of this grant")
    if grant.horizon < horizon:
        raise RefusedError("grant.horizon", "an earlier version had a later horizon")
