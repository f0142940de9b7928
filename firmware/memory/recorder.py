"""The recorder makes all records: of openings, refusals and boots, and of events at the sensors, the clock and the
console.

An opening is recorded before the strike moves. An event is counted in the tally at once, and becomes a record while the
door is idle. An action at the console is recorded before it happens. Anybody can cause events all night by being
refused at the door. So there are limits on writes to the tally, on records of events per hour, and on the events' share
of the journal.

How much is recorded depends on the free room in the journal:

    sectors free     events               check-in   entry of a registered guest
    half or more     a record each        a record   a record, or counted if it is one of many (entries.py)
    fewer            counted              a record   the same
    fewer than 4     counted              refused    the same
    no room at all   counted              refused    counted

An event goes through these states:

    state      where it is              goes on when
    waiting    RAM, added up            `_slots` allows one more write
    counted    a line of the tally      the door is idle, `_due` names the line, and `_records` allows one more record
    recorded   a record in the journal  at once: its line is closed

The method `_due` chooses the next line that becomes a record. The method chooses the line of an alarm (door, tamper,
key, reader) at once. It chooses other lines only after QUIET_MS, so that further events of the same kind can be added
up. No count is lost. If the journal has no room for a count, the count becomes a record after the next receipt.

`run` works while nobody is served, one small step at a time. `run` writes counts, erases sectors, tidies the tally,
prepares a seal (in two steps of one multiplication each) and makes one record. So an arriving guest waits for at most
one multiplication.
"""

import asyncio

from firmware.hardware import ticks
from firmware.hardware.console import log
from firmware.memory import journal_notes
from firmware.memory.entries import Entries
from firmware.memory.rate_limit import RateLimit
from firmware.memory.tally import Line, Tally
from protocol import const, hpke, record
from protocol.errors import MooringError, RefusedError, StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from firmware.memory.clock import Clock
    from firmware.memory.identity import Identity
    from firmware.memory.journal import Journal, Place
    from firmware.memory.stays import Guest, Stay, Stays
    from firmware.memory.visits import Visits
    from protocol.crypto import Crypto
    from protocol.placement import Placement

    Interval = tuple[int, int | None]

    class Shown(Protocol):
        """The part of a claim that the recorder needs."""

        method: str

    class Opening(Protocol):
        """An allowed opening: a `firmware.door.policy.Decision`."""

        kind: int
        interval: Interval
        stay: Stay
        number: int
        guest: Guest | None
        fields: dict[str, str] | None

        @property
        def claim(self) -> Shown:
            """The claim with which the guest came in."""

    class Placed(Protocol):
        """An object that knows the placement of the lock."""

        placement: Placement | None


RESERVED_SECTORS = 4
"""Number of sectors that check-ins leave free, so that entries of registered guests can still be recorded one by
one."""

SLOTS, SLOT_MS = 16, 30000
"""Limit on writes of events to the tally. A burst of SLOTS writes is allowed, and one more write after each SLOT_MS.
Events that must not be written yet add up in RAM."""

RECORDS, RECORD_MS = 20, 180000
"""Limit on records of events. A burst of RECORDS records is allowed, and one more record after each RECORD_MS. A whole
burst is allowed again after a boot, or after an hour without such records."""

QUIET_MS = 30000
"""A boot, a change of the clock or a refusal waits for this long for further events of the same kind. Alarms do not
wait.
"""
_LIFE = const(b"mooring/life")
_LIFE_SECONDS = const(21600)
"""Length of a period with one sign of life. It is `protocol.registration.LIFE_SECONDS`, which a lock does not load."""
_ALARMS = (record.DOOR, record.TAMPER, record.MECHANICAL, record.READER)


class Recorder:
    """Makes the lock's records. While somebody is served (`visits`), `run` makes no records. `on_record` is called
    after each new record, but not after the record of an opening."""

    def __init__(
        self,
        crypto: "Crypto",
        identity: "Identity",
        trusted: "Placed",
        clock: "Clock",
        journal: "Journal",
        tally: Tally,
        known: "Stays",
        visits: "Visits",
        on_record: "Callable[[], None]",
    ) -> None:
        self._crypto = crypto
        self._identity = identity
        self._trusted = trusted
        self._clock = clock
        self._journal = journal
        self._tally = tally
        self._stays = known
        self._visits = visits
        self._slots = RateLimit(SLOTS, SLOT_MS)
        self._records = RateLimit(RECORDS, RECORD_MS)
        self._entries = Entries(journal)
        self._full = not journal.has_room()  # True if entries were counted because the journal had no room.
        self._waiting: dict[Any, Line] = {}  # Events that must not be written to the tally yet.
        self._noticed: int | None = ticks.now()
        self._ephemeral: tuple[bytes, bytes] | None = None
        self._encapsulation: tuple[bytes, tuple[bytes, bytes]] | None = None
        self._news = asyncio.Event()
        self._on_record = on_record
        self._life_due = 0
        self.live(clock.persisted)  # the signs of life up to this time were made before the last power cut

    # --- openings ----------------------------------------------------------------------------------------------------

    def opening(self, decision: "Opening") -> None:
        """Record an opening: a CHECK_IN or an ENTRY. On return, the opening is durable, in the journal or in the tally.
        If the opening is in the journal, the stays have been updated.

        After a StorageError, nothing was recorded, and the door must stay shut. The code is `journal.full` if there is
        no room for a check-in (there is always room for an entry), `journal.size` if the fields are larger than a
        sector, `journal.flash` if the flash fails, or `store.write` if a checkpoint had to be written first and this
        write failed.
        """
        journal, kind, guest, interval = self._journal, decision.kind, decision.guest, decision.interval
        grant_id, method = decision.stay.grant.grant_id, decision.claim.method
        if kind == record.CHECK_IN and journal.free_sectors() < RESERVED_SECTORS:
            raise StorageError("journal.full", "too many records wait for a receipt")
        began = ticks.now()
        who = (grant_id, decision.number)
        if kind == record.ENTRY:
            room = journal.has_room()
            if not room or not self._entries.may_record(who):
                self._tally.add(Line(kind, method, interval[0], interval[1], 1, grant_id, decision.number))
                self._entries.entered(who)
                self._full = self._full or not room
                self._news.set()
                log("entry.counted", ms=ticks.since(ticks.now(), began))
                return
        body = self._common(kind, interval[0], interval[1])
        body.update({record.GRANT_ID: grant_id, record.GUEST: decision.number, record.METHOD: method})
        body[record.OCCUPANCY] = decision.stay.occupancy(1, guest)
        if kind == record.ENTRY:
            body[record.COUNT] = 1
        else:
            body[record.FIELDS] = decision.fields
            untold = decision.stay.mark(guest) if guest else 0
            if untold:
                body[record.MARK] = untold
        sealed = self._seal(body)
        log("record.sealed", bytes=len(sealed[2]), ms=ticks.since(ticks.now(), began))
        began = ticks.now()
        counter, note = journal.next_counter, journal_notes.opening(grant_id, guest.pack() if guest else None)
        journal.append(*sealed, note)
        if kind == record.ENTRY:
            self._entries.recorded()
            self._entries.entered(who)
        log("journal.durable", counter=counter, ms=ticks.since(ticks.now(), began))

    def act(self, what: str) -> None:
        """Record an action at the console before it happens. `what` is one of the actions of
        `record.EVENTS[MAINTENANCE]`. On return, the record is durable.

        If this raises an error, the action must not happen. Raises RefusedError `door.unplaced` if there is no key to
        seal to yet. Raises StorageError `journal.full` if less than half of the ring is free, because half of the ring
        is kept for guests. Raises StorageError `journal.flash` if the flash fails.
        """
        if self._trusted.placement is None:
            raise RefusedError("door.unplaced", "without a placement nothing can be recorded")
        if 2 * self._journal.free_sectors() < self._journal.sectors:
            raise StorageError("journal.full", "too many records wait for a receipt")
        line = Line(record.MAINTENANCE, what, *self._clock.interval())
        self._append(line)
        self._on_record()

    # --- events ------------------------------------------------------------------------------------------------------

    def event(self, kind: int, what: str, earliest: "int | None" = None) -> None:
        """Count an event that happens now, or that began at `earliest`. `kind` and `what` are from
        `protocol.record.EVENTS`.

        Raises no StorageError. An event that cannot be written to flash is logged and lost.
        """
        if what not in record.EVENTS[kind]:
            raise ValueError("no such event")  # otherwise the error would come later, when the event is sealed
        now = self._clock.interval()
        line = Line(kind, what, now[0] if earliest is None else earliest, now[1])
        waiting = self._waiting.get(line.key())
        if waiting is None:
            self._waiting[line.key()] = line
        else:
            waiting.join(line)
        if self._slots.allows():
            self._count(line.key())
        self._news.set()

    def refused(self, reason: str) -> None:
        """Count a refusal under its reason class."""
        self.event(record.REFUSAL, reason)

    def clock_changed(self, before: "Interval") -> None:
        """Count an event if an answer of the province made the clock's upper end known or unknown. `before` is the
        interval before the answer."""
        _, latest = self._clock.interval()
        if (latest is None) != (before[1] is None):
            self.event(record.TIME, "doubted" if latest is None else "known", before[0])

    def live(self, now: int) -> None:
        """Count a sign of life if it is due at the earliest time `now`. Call this about once a second. The province
        notices when signs of life do not come.

        The identity key makes the moments unpredictable (record.cddl). So nobody can recognise a sign of life by its
        time, and locks do not all report at the same moment. If several moments have passed without power, one sign of
        life stands for all of them.
        """
        due = self._life_due
        if now < due or not now:
            return
        if due:  # if `due` is 0, the lock has just started, or has just learned the time for the first time
            self.event(record.LIFE, "alive")
        period = now // _LIFE_SECONDS
        while self._life_due <= now:
            drawn = self._crypto.hmac_sha256(self._identity.private, _LIFE + period.to_bytes(8, "big"))
            self._life_due = period * _LIFE_SECONDS + int.from_bytes(drawn[:4], "big") % _LIFE_SECONDS
            period += 1
        self._clock.settle(due - 1)  # so a power cut does not repeat it

    def news(self) -> None:
        """Tell the recorder that a receipt or a placement has arrived. Now the journal may have room, or there may be a
        key to seal to."""
        self._news.set()

    def _count(self, key: "Any") -> None:
        """An event waits in RAM under `key`. Write this event to the tally."""
        line = self._waiting.pop(key)
        self._slots.use()
        if self._noticed is None:
            self._noticed = ticks.now()
        try:
            self._tally.add(line)
        except StorageError as error:
            log("event.lost", kind=line.kind, code=error.code)

    # --- while the door is idle --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work while the door is idle, until cancelled."""
        while True:
            more = False
            if not self._visits.going_on:
                try:
                    more = self.work()
                except MooringError as error:
                    log("recorder.trouble", code=error.code)
                except MemoryError:
                    log("recorder.trouble", code="recorder.memory")
            if more:
                await asyncio.sleep(0)
                continue
            try:
                await asyncio.wait_for(self._news.wait(), 1 if self._open() else None)
            except asyncio.TimeoutError:
                pass
            self._news.clear()

    def _open(self) -> bool:
        return bool(self._waiting or self._tally.lines() or self._visits.going_on)

    def work(self) -> bool:
        """Do one small step. Returns True if there is more to do now. Raises StorageError."""
        for key in list(self._waiting):
            if self._slots.allows():
                self._count(key)
        if self._journal.reclaim():
            return True
        self._tally.tidy()
        placement = self._trusted.placement
        if placement is None:
            return False
        if self._encapsulation is None or self._encapsulation[0] != placement.sealing_key:
            self._prepare(placement.sealing_key)
            return True
        line = self._due()
        if line is None:
            return False
        self._record(line)
        return True

    def _prepare(self, sealing_key: bytes) -> None:
        """Do the part of sealing that does not depend on the record, so that the next opening need not wait for it.

        Each call does one multiplication. So a guest who arrives meanwhile waits for at most one multiplication.
        """
        if self._ephemeral is None:
            self._ephemeral = self._crypto.generate("P-256")
            return
        ephemeral, self._ephemeral = self._ephemeral, None
        self._encapsulation = (sealing_key, hpke.encapsulate(self._crypto, sealing_key, ephemeral))

    def _due(self) -> "Line | None":
        """Return the line that should become a record now, or None."""
        lines = self._tally.lines()
        entries = [line for line in lines if line.kind == record.ENTRY]
        if self._journal.has_room():
            for line in entries:
                if self._full or self._entries.ready(line):
                    return line
            self._full = False
        if len(entries) == len(lines):
            self._noticed = None
            return None
        noticed = ticks.now() if self._noticed is None else self._noticed
        self._noticed = noticed
        waited = ticks.age(noticed) >= QUIET_MS
        if not waited and all(line.kind not in _ALARMS for line in lines):
            return None
        half = 2 * self._journal.free_sectors() >= self._journal.sectors
        for line in lines:
            if line.kind != record.ENTRY and half and self._records.allows():
                return line
        return None

    def _record(self, line: Line) -> None:
        """Turn a line of the tally into a record. The line becomes exactly one record, even if the power is cut."""
        if line.kind != record.ENTRY:
            self._records.use()
        self._append(line)
        self._tally.close(line)
        self._on_record()

    def _append(self, line: Line) -> None:
        body = self._common(line.kind, line.earliest, line.latest)
        body[record.COUNT] = line.count
        if line.kind == record.ENTRY:
            stay = self._stays.get(line.grant_id)
            body.update({record.GRANT_ID: line.grant_id, record.GUEST: line.guest or None, record.METHOD: line.what})
            body[record.OCCUPANCY] = None if stay is None else stay.occupancy(line.count)
            self._entries.recorded()
        else:
            body[record.WHAT] = line.what
        counter, note = self._journal.next_counter, line.note()
        self._journal.append(*self._seal(body), note)
        log("event.durable", counter=counter, kind=line.kind, count=line.count)

    # --- making a record ---------------------------------------------------------------------------------------------

    def _placement(self) -> "Placement":
        placement = self._trusted.placement
        assert placement is not None, "nothing is recorded before there is a key to seal to"
        return placement

    def _common(self, kind: int, earliest: int, latest: "int | None") -> "dict[Any, Any]":
        placement = self._placement()
        return {
            record.KIND: kind,
            record.EARLIEST: earliest,
            record.LATEST: latest,
            record.LISTING_CODE: placement.listing,
            record.PROFILE_ID: placement.profile_id,
        }

    def _seal(self, body: "dict[Any, Any]") -> "tuple[Place, bytes, bytes]":
        """Make the next record. Returns the first three arguments of `Journal.append`."""
        key, made = self._placement().sealing_key, None
        if self._encapsulation is not None and self._encapsulation[0] == key:
            made = self._encapsulation[1]
        self._encapsulation = None  # an encapsulation may be used only once
        crypto, place = self._crypto, self._journal.place()
        payload = record.seal(crypto, key, self._identity.lock_id, place[0], place[1], body, made)
        return place, record.payload_hash(payload), record.sign(crypto, self._identity.private, payload)
