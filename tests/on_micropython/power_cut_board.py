"""Run by MicroPython. A lock's whole flash is in memory, and the power is cut at each operation on this flash.

The story is played once, on the real littlefs and with the firmware's own cryptography. Every program and erase
operation on both partitions is logged. After a cut at operation k, the flash has the results of the first k - 1
operations, and half of operation k if this operation is torn. The lock boots from each such flash, and `verify`
compares the lock with everything that it acknowledged before the cut. With `twice`, the power is cut again at each
operation of that boot.

Prints one line of JSON: the number of operations, cuts and records, and the violated conditions.
"""

import gc
import json
import sys
import time

import vfs

from firmware import crypto
from firmware.memory import journal_notes
from sim.board.memory_flash import MemoryFlash
from sim.board.nor_flash import PowerCut
from tests.on_micropython.power_cut_story import JOURNAL_BLOCKS, MOUNT, STATE_BLOCKS, STAY, Story

# isort: split
from firmware.memory.clock import Clock
from firmware.memory.journal import Journal
from firmware.memory.recorder import Recorder
from firmware.memory.stays import Stays
from firmware.memory.store import Store
from firmware.memory.tally import Line, Tally
from protocol import cbor, cose, record
from protocol.record import ENTRY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Lost(Exception):
    """A condition that must hold does not hold."""


def must(holds: bool, what: str) -> None:
    """Raise Lost if `holds` is False. `what` describes the failure."""
    if not holds:
        raise Lost(what)


def verify(story: Story, done: int, state: MemoryFlash, journal_flash: MemoryFlash) -> None:
    """Boot from the flash, and compare the lock with all that it acknowledged in the first `done` operations."""
    said = [(what, value) for at, what, value in story.said if at <= done]

    def values(wanted: str) -> "list[Any]":
        return [value for what, value in said if what == wanted]

    vfs.mount(vfs.VfsLfs2(state), MOUNT)
    try:
        store = Store(MOUNT)
        floor = Clock(crypto, store, story.own.lock_id).interval()[0]
        must(floor >= max(values("floor"), default=0), "the floor is lower")
        stays = Stays(store)
        journal = Journal(journal_flash, stays)
        tally = Tally(journal_flash, journal.last_note)
        held = {number: data for number, data, _ in journal.entries_from(1)}
        acknowledged = max(values("record"), default=0)
        must(journal.next_counter > acknowledged, "a counter is used again")
        must(journal.next_counter <= max(story.made) + 1, "a record came from nowhere")
        must(journal.through >= max(values("receipt"), default=0), "a receipt is forgotten")
        must(journal.through < journal.next_counter, "a receipt for what was never made")
        for number in range(journal.through + 1, journal.next_counter):
            must(held.get(number) == story.made[number], "a record is lost or another")
        if journal.next_counter > 1:
            newest = record.parse(story.made[journal.next_counter - 1]).payload_hash
            must(journal.head == newest, "the chain goes on from elsewhere")
        # Counted openings and events must be in the tally, or in a record made from the tally, but never in both.
        told = 0
        for number in range(1, journal.next_counter):
            note = cbor.decode(story.notes[number])
            told += 0 if journal_notes.settled(story.notes[number]) is None else note[-1]
        waiting = sum(line.count for line in tally.lines())
        counted = len(values("counted")) + len(values("event"))
        must(counted <= told + waiting <= counted + 1, "a count is lost or doubled")
        serials = values("grant")
        stay = stays.get(STAY)
        if serials:
            must(stay is not None and stay.grant.serial >= serials[-1], "a grant is forgotten")
        if stay is not None:
            inside = [guest.commitment for guest in stay.guests]
            must(len(set(inside)) == len(inside), "a guest checked in twice")
            must(all(guest in inside for guest in values("guest")), "a registered guest is forgotten")
        # The lock must be able to continue: the next record must fit the chain, and must be there after another boot.
        # If the journal has no room for a record, entries are only counted. Then the next entry must be counted.
        if not journal.has_room():
            tally.add(Line(ENTRY, "mdoc", 1, 1, 1, STAY, 1))
            again = sum(line.count for line in Tally(journal_flash, journal.last_note).lines())
            must(again == waiting + 1, "the next entry is not counted")
            return
        made = next_record(story, journal)
        journal.append(journal.place(), record.parse(made).payload_hash, made, journal_notes.opening(STAY))
        next_boot = Journal(journal_flash)
        must(
            (next_boot.next_counter, next_boot.head) == (journal.next_counter, journal.head),
            "the next record does not hold",
        )
    finally:
        vfs.umount(MOUNT)


def next_record(story: Story, journal: Journal) -> bytes:
    """Return a record that continues the chain. To save time, the record is neither sealed nor signed."""
    payload = cbor.encode([1, story.own.lock_id, journal.next_counter, journal.head, bytes(500)])
    protected = cbor.encode({cose.ALG: cose.ES256, cose.TYP: "mooring/record"})
    return cbor.encode([protected, {}, payload, bytes(64)])


def cut_everywhere(story: Story, twice: bool, every: int) -> "tuple[int, list[str]]":
    """Cut the power before each operation and in the middle of each operation. Return the number of cuts, and the
    violations.
    """
    state, journal = MemoryFlash(STATE_BLOCKS, story.before[0], 0), MemoryFlash(JOURNAL_BLOCKS, story.before[1], 1)
    partitions = (state, journal)
    cuts, violated = 0, []
    for done in range(len(story.log) + 1):
        for torn in (False, True):
            if torn and done == len(story.log):
                continue
            after = [MemoryFlash(each.sectors, each.content, each.name) for each in partitions]
            if torn:
                operation = story.log[done]
                after[operation[0]].apply(operation[1], operation[2], True)
            again = 0 if twice and done % every == 0 else None
            while True:
                cuts += 1
                trial = [MemoryFlash(each.sectors, each.content, each.name) for each in after]
                if again is not None:
                    left = [again]
                    for each in trial:
                        each.power = left
                    if not _boot_is_cut(story, done, trial):
                        again = None  # the boot was not cut, because it has no more than `again` operations
                    for each in trial:
                        each.power = None
                try:
                    verify(story, done, trial[0], trial[1])
                except (Lost, OSError, ValueError, KeyError) as error:
                    violated.append(str(error) + " after operation " + str(done) + (" torn" if torn else ""))
                if again is None:
                    break
                again += 1
        if done < len(story.log):
            operation = story.log[done]
            partitions[operation[0]].apply(operation[1], operation[2])
    return cuts, violated


def _boot_is_cut(story: Story, done: int, trial: "list[MemoryFlash]") -> bool:
    """Boot, then write without a change, until the power is cut again. Return False if the power was not cut."""
    try:
        vfs.mount(vfs.VfsLfs2(trial[0]), MOUNT)
    except PowerCut:
        return True
    try:
        stays = Stays(Store(MOUNT))
        journal = Journal(trial[1], stays)
        tally = Tally(trial[1], journal.last_note)
        stays._save()
        tally._move()
        journal.reclaim()
    except PowerCut:
        return True
    finally:
        vfs.umount(MOUNT)
    return False


def forget_receipts(self: Journal, through: int, head: bytes) -> None:
    """Do the same as `Journal.receipt`, but do not store the receipt in flash."""
    self.through = through


def close_first(self: "Any", line: Line) -> None:
    """Do the same as `Recorder._record`, but close the line before the record is in the journal."""
    close, self._tally.close = self._tally.close, lambda line: None
    close(line)
    record_of_line(self, line)
    self._tally.close = close


record_of_line = Recorder._record


def close_never(self: "Any", line: Line) -> None:
    """Do the same as `Tally.close`, but only in memory."""
    del self._lines[line.key()]


def erase_at_once(self: "Any", sectors: "list[int]") -> None:
    """Do the same as `Journal._erase_all`, but make no checkpoint before notes are erased."""
    for sector in sectors:
        self._erase(sector)


DEFECTS = {
    "none": None,
    "receipt": (Journal, "receipt", forget_receipts),
    "order": (Recorder, "_record", close_first),
    "twice": (Tally, "close", close_never),
    "checkpoint": (Journal, "_erase_all", erase_at_once),
}
"""The defects that the test must find. Each one replaces a method of the firmware by a version that does not survive a
power cut."""


def main(length: int, twice: bool, every: int, defect: str) -> None:
    """Play the story, cut the power at each of its operations, and print the result."""
    planted = DEFECTS[defect]
    if planted is not None:
        setattr(*planted)
    getattr(gc, "threshold")(4 << 20)  # noqa: B009  images larger than the lock's heap, which is not measured here
    began = time.time()
    story = Story()
    story.tell(length)
    cuts, violated = cut_everywhere(story, twice, every)
    kinds = [operation[2] is None for operation in story.log if operation[0] == 1]
    answer = {
        "operations": len(story.log),
        "erases": sum(kinds),
        "programs": len(kinds) - sum(kinds),
        "littlefs": len(story.log) - len(kinds),
        "records": len(story.made),
        "cuts": cuts,
        "violated": violated[:5],
        "seconds": time.time() - began,
    }
    print("\x02" + json.dumps(answer))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] == "twice", int(sys.argv[3]), sys.argv[4])
