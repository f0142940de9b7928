"""Who makes a record: the one way from the door, the sensors, the clock and the boot into the journal.

An opening is recorded in one act, before the strike moves. An event is counted in the tally, at once and durably, and
becomes a record when the door is idle; an opening waits for one multiplication of it at most. What is done at the
console is recorded as an opening is, before it is done. What events may cost is bounded, for anyone can fail at a door
all night: how often the tally is written, how many records an hour come of it, and how much of the journal.

    sectors free     events               check-in   entry of a registered guest
    half or more     a record each        a record   a record, or counted if it is one of many (entries.py)
    fewer            counted              a record   the same
    fewer than 4     counted              refused    the same
    no room at all   counted              refused    counted

Nothing that was counted is lost: it becomes records in its time, or with the next receipt if there was no room.
"""

import asyncio

from firmware.hardware import ticks
from firmware.hardware.console import log
from firmware.memory import journal_notes
from firmware.memory.entries import Entries
from firmware.memory.rate_limit import RateLimit
from firmware.memory.tally import Line, Tally
from protocol import hpke, record
from protocol.errors import MooringError, RefusedError, StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from firmware.door.policy import Decision
    from firmware.memory.clock import Clock
    from firmware.memory.identity import Identity
    from firmware.memory.journal import Journal
    from firmware.memory.stays import Stays
    from firmware.memory.visits import Visits
    from firmware.trust.trusted_statements import TrustedStatements
    from protocol.crypto import Crypto
    from protocol.placement import Placement

    Interval = tuple[int, int | None]

RESERVED_SECTORS = 4
"""Sectors that check-ins leave free, so that guests already registered can still be recorded one by one."""

SLOTS, SLOT_MS = 16, 30000
"""Events that are counted in flash at once, and the time in which another may be; in between they add up in RAM."""

RECORDS, RECORD_MS = 20, 180000
"""Records of events that may be made at once after an hour of quiet or a boot, and the time in which another may be."""

QUIET_MS = 30000
"""How long a boot, a change of the clock or a refusal waits for more of its like. What alarms does not wait."""
_ALARMS = (record.DOOR, record.TAMPER, record.MECHANICAL, record.READER)


class Recorder:
    """Makes the lock's records, none but openings' during `visits`. `on_record` is called when there is a new one that
    no opening made."""

    def __init__(
        self,
        crypto: "Crypto",
        identity: "Identity",
        trusted: "TrustedStatements",
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
        self._full = not journal.has_room()  # entries were counted for want of room alone
        self._waiting: dict[Any, Line] = {}  # events that the tally may not be written for yet
        self._noticed: int | None = ticks.now()
        self._ephemeral: tuple[bytes, bytes] | None = None
        self._encapsulation: tuple[bytes, tuple[bytes, bytes]] | None = None
        self._news = asyncio.Event()
        self._on_record = on_record

    # --- openings ----------------------------------------------------------------------------------------------------

    def opening(self, decision: "Decision", interval: "Interval") -> None:
        """Record the opening that was decided, a CHECK_IN or an ENTRY. Durable on return; the stays follow.

        Raises StorageError, and then nothing was recorded and the door must stay shut: `journal.full` for a check-in
        that has no room left (an entry always has), `journal.size` for one whose fields no sector holds,
        `journal.flash`, or `store.write` where room has to be made first.
        """
        journal, kind, guest = self._journal, decision.kind, decision.guest
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
        log("record.sealed", bytes=len(sealed), ms=ticks.since(ticks.now(), began))
        began = ticks.now()
        counter, note = journal.next_counter, journal_notes.opening(grant_id, guest.pack() if guest else None)
        journal.append(sealed, note)
        if kind == record.ENTRY:
            self._entries.recorded()
            self._entries.entered(who)
        log("journal.durable", counter=counter, ms=ticks.since(ticks.now(), began))

    def act(self, what: str) -> None:
        """Record what somebody is about to do at the console, of MAINTENANCE's. Durable on return.

        Raises, and then it must not be done: RefusedError `door.unplaced` where there is no key to seal to yet,
        StorageError `journal.full` (half of the ring is for those who come in), `journal.flash`.
        """
        if self._trusted.placement is None:
            raise RefusedError("door.unplaced", "nothing can be recorded yet")
        if 2 * self._journal.free_sectors() < self._journal.sectors:
            raise StorageError("journal.full", "too many records wait for a receipt")
        line = Line(record.MAINTENANCE, what, *self._clock.interval())
        self._append(line)
        self._on_record()

    # --- events ------------------------------------------------------------------------------------------------------

    def event(self, kind: int, what: str, earliest: "int | None" = None) -> None:
        """Count an event of `protocol.record.EVENTS` that happens now, or began at `earliest`.

        Raises no StorageError: what the flash does not take is logged and lost, and nothing waits for it.
        """
        if what not in record.EVENTS[kind]:
            raise ValueError("no such event")  # here, and not when it can no longer be sealed
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
        """Count what an answer of the province did to the interval that was `before`."""
        _, latest = self._clock.interval()
        if (latest is None) != (before[1] is None):
            self.event(record.TIME, "doubted" if latest is None else "known", before[0])

    def news(self) -> None:
        """There may be room again: a receipt has come, or a placement with a key to seal to."""
        self._news.set()

    def _count(self, key: "Any") -> None:
        """Write what waits in RAM under `key` to the tally."""
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
        """Make records of what was counted, and room, until cancelled."""
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
        """Do one small thing. True if there is more that can be done now. Raises StorageError."""
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
        """The half of sealing that knows nothing of the record, so that the next opening need not wait for it.

        One multiplication at a time: a guest who comes meanwhile waits for no more than that.
        """
        if self._ephemeral is None:
            self._ephemeral = self._crypto.generate("P-256")
            return
        ephemeral, self._ephemeral = self._ephemeral, None
        self._encapsulation = (sealing_key, hpke.encapsulate(self._crypto, sealing_key, ephemeral))

    def _due(self) -> "Line | None":
        """The line to make a record of now, if any."""
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
        """Make one record of a line of the tally. Whatever the power does in between, it becomes one and not two."""
        if line.kind != record.ENTRY:
            self._records.use()
        self._append(line)
        self._tally.close(line)
        self._on_record()

    def _append(self, line: Line) -> None:
        body = self._common(line.kind, line.earliest, line.latest)
        body[record.COUNT] = line.count
        if line.kind == record.ENTRY:
            stay = self._stays.held(line.grant_id)
            body.update({record.GRANT_ID: line.grant_id, record.GUEST: line.guest or None, record.METHOD: line.what})
            body[record.OCCUPANCY] = None if stay is None else stay.occupancy(line.count)
            self._entries.recorded()
        else:
            body[record.WHAT] = line.what
        counter, note = self._journal.next_counter, line.note()
        self._journal.append(self._seal(body), note)
        log("event.durable", counter=counter, kind=line.kind, count=line.count)

    # --- making a record ---------------------------------------------------------------------------------------------

    def _placement(self) -> "Placement":
        placement = self._trusted.placement
        assert placement is not None, "nothing is recorded before there is a key to seal it to"
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

    def _seal(self, body: "dict[Any, Any]") -> bytes:
        key, made = self._placement().sealing_key, None
        if self._encapsulation is not None and self._encapsulation[0] == key:
            made = self._encapsulation[1]
        self._encapsulation = None  # it serves once
        lock_id, journal = self._identity.lock_id, self._journal
        payload = record.seal(self._crypto, key, lock_id, journal.next_counter, journal.head, body, made)
        return record.sign(self._crypto, self._identity.private, payload)
