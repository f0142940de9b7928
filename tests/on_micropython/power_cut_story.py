"""The life of a lock for the test of power cuts, with all that the lock acknowledged. Runs on MicroPython."""

import vfs

from firmware import crypto
from firmware.hardware import ticks
from firmware.memory import identity

clock = [0]
setattr(ticks, "now", lambda: clock[0])  # noqa: B010  the story's own time, on a module that says it is a constant

from firmware.door.policy import Decision  # noqa: E402
from firmware.lock import Lock  # noqa: E402
from firmware.memory.stays import Guest  # noqa: E402
from firmware.memory.store import Store  # noqa: E402
from firmware.memory.tally import Tally  # noqa: E402
from protocol import record, statement  # noqa: E402
from protocol.grant import Grant  # noqa: E402
from protocol.placement import Placement  # noqa: E402
from protocol.receipt import Receipt  # noqa: E402
from protocol.record import BOOT, CHECK_IN, DOOR, ENTRY, REFUSAL  # noqa: E402
from protocol.signed_time import SignedTime  # noqa: E402
from sim.board.memory_flash import MemoryFlash  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STATE_BLOCKS, JOURNAL_BLOCKS = 20, 9
NOW = 1_800_000_000
STAY = b"G" * 16
MOUNT = "/lock"
FULL = 20
"""Length of the shortest story that continues until the journal is full."""


class Claim:
    """A guest's claim to be somebody. The recorder needs only the claim's method."""

    method = "mdoc"


class Story:
    """The lock's life. `said` lists what the lock acknowledged, as (number of operations so far, what, value)."""

    def __init__(self, journal_blocks: int = JOURNAL_BLOCKS) -> None:
        self.log: list[Any] = []
        self.state = MemoryFlash(STATE_BLOCKS, None, 0, self.log)
        self.journal = MemoryFlash(journal_blocks, None, 1, self.log)
        self.said: list[tuple[int, str, Any]] = []
        self.province = crypto.generate("P-256")
        self.platform = crypto.generate("P-256")
        self.sealing = crypto.generate("P-256")
        vfs.VfsLfs2.mkfs(self.state)
        vfs.mount(vfs.VfsLfs2(self.state), MOUNT)
        self.store = Store(MOUNT)
        identity.enrol(crypto, self.store, self.province[1])
        self.boot()
        placed = self.own.lock_id, self.platform[1], self.sealing[1]
        papers = Placement(
            1, placed[0], "HZ-1", "active", placed[1], placed[2], "CN", "302", [b"c"], admits="named", door=1
        )
        self.take("placement", papers.body(), self.province)
        self.guests = 0
        self.made: dict[int, bytes] = {}
        self.notes: dict[int, bytes] = {}
        del self.log[:]
        self.before = bytes(self.state.content), bytes(self.journal.content)

    def tell(self, length: int) -> None:
        """Play `length` hours with guests, a courier, events and quiet times. The log has no flash operations except
        those of this method."""
        self.lock.recorder.event(BOOT, "power-on")
        self.say("event", None)
        self.tell_time()
        self.take_grant(1)
        for number in range(length):
            clock[0] += 3_700_000
            counted = self.counted()
            self.lock.tick()
            if self.counted() > counted:
                self.say("event", None)  # a sign of life
            self.say("floor", self.lock.clock.persisted)
            if number % 4 == 0 and self.guests < 8:
                self.check_in()
            self.enter()
            if number % 6 == 4:  # a guest enters several times in a short time, so that entries are counted
                for _ in range(3):
                    self.enter()
            if number % 3 == 1:
                self.lock.recorder.event(DOOR, "forced" if number % 2 else "opened")
                self.say("event", None)
            if number % 5 == 2:
                self.lock.recorder.event(REFUSAL, "stranger")
                self.say("event", None)
            self.rest()
            if number % 4 == 3:
                self.receipt(2)
            if number == length // 2:
                self.tell_time()
                self.take_grant(2)
        # No receipt comes until the journal is full and entries can only be counted. Then one receipt comes for all
        # records.
        while length >= FULL and self.lock.journal.has_room():
            clock[0] += 400_000
            self.enter()
        for _ in range(5):
            self.enter()
        self.rest()
        self.receipt(0)
        self.rest()
        for number, data, note in self.all_records():
            self.made[number] = data
            self.notes[number] = note
        vfs.umount(MOUNT)

    def counted(self) -> int:
        """Return the number of events and entries that the tally in flash counts now."""
        return sum(line.count for line in Tally(self.journal).lines())

    def boot(self) -> None:
        """Boot the lock from its flash."""
        own = identity.load(crypto, self.store)
        assert own is not None
        self.own = own
        self.lock = Lock(crypto, self.store, own, self.journal, lambda: None)
        self.kept: dict[int, tuple[bytes, bytes]] = {}

    def say(self, what: str, value: "Any") -> None:
        """Add to `said` that the lock has acknowledged `what` with `value`."""
        self.said.append((len(self.log), what, value))

    def take(self, kind: str, body: "dict[Any, Any]", signer: "tuple[bytes, bytes]") -> None:
        """Deliver a statement. The lock must take it."""
        _, code = self.lock.deliver(statement.sign(crypto, signer[0], kind, body))
        assert code is None, code

    def tell_time(self) -> None:
        """Deliver the province's answer to the lock's nonce."""
        nonce = self.lock.clock.nonce()
        if nonce is None:
            return
        unknown = self.lock.clock.interval()[1] is None
        self.take("time", SignedTime(nonce, NOW + clock[0] // 1000, self.own.lock_id).body(), self.province)
        if unknown:
            self.say("event", None)  # this event says that the lock now knows the time
        self.say("floor", self.lock.clock.persisted)

    def take_grant(self, serial: int) -> None:
        """Deliver a grant for eight guests, and then an extension of this grant."""
        until = NOW + serial * 10**7
        named = [bytes([number + 1]) * 32 for number in range(8)]
        grant = Grant(STAY, serial, "HZ-1", NOW - 100, until, 8, named, False, until, bytes(16))
        self.take("grant", grant.body(), self.platform)
        self.say("grant", serial)

    def check_in(self) -> None:
        """Let the next guest check in."""
        guest = Guest.of(bytes([self.guests + 1]) * 32, True, True)
        self.guests += 1
        self._open(CHECK_IN, guest, {"name": "somebody"})
        self.say("guest", guest.commitment)

    def enter(self) -> None:
        """Let a registered guest enter."""
        self._open(ENTRY, None, None)

    def _open(self, kind: int, guest: "Guest | None", fields: "dict[str, str] | None") -> None:
        stay = self.lock.stays.get(STAY)
        interval = self.lock.clock.interval()
        decided = Decision(kind, interval, stay, Claim(), max(1, self.guests), guest, fields)  # type: ignore[arg-type]
        before = self.lock.journal.next_counter
        self.lock.recorder.opening(decided)
        self.keep()
        # From here on the strike may move.
        if self.lock.journal.next_counter > before:
            self.say("record", before)
        else:
            self.say("counted", None)

    def rest(self) -> None:
        """Let the recorder work while the door is idle."""
        while self.lock.recorder.work():
            self.keep()
            self.say("record", self.lock.journal.next_counter - 1)
        self.keep()

    def keep(self) -> None:
        """Copy every new record, like an edge agent that is always connected."""
        start = max(self.kept) + 1 if self.kept else 1
        for number, data, note in self.lock.journal.entries_from(start):
            self.kept[number] = (data, note)

    def all_records(self) -> "list[tuple[int, bytes, bytes]]":
        """Return (counter, record, note) for each record so far."""
        return [(number, self.kept[number][0], self.kept[number][1]) for number in sorted(self.kept)]

    def receipt(self, behind: int) -> None:
        """Deliver a receipt. `behind` is the number of the newest records that this receipt does not cover."""
        through = self.lock.journal.next_counter - 1 - behind
        if through <= self.lock.journal.through:
            return
        head = record.parse(self.kept[through][0]).payload_hash
        self.take("receipt", Receipt(self.own.lock_id, through, head, NOW).body(), self.province)
        self.say("receipt", through)
