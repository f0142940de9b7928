"""Finds out what was in flash when the strike opened. The source is the board's own reports of its flash and its pins.

The lock's console is not used. The board's stand-ins give a number to each change of flash and pins, in one sequence
(`sim.board.line`). The host copies the journal's partition at the beginning of each boot. Together, the copy and the
changes show the content of flash at any moment. This content is then read as the firmware would read it after a power
cut. An opening is in order if a record of an opening became durable after the boot and after the previous opening. A
record counts for one opening only.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from firmware.boards import esp32_c6_devkitc_1 as pins
from firmware.memory import journal_notes
from firmware.memory.flash import SECTOR, TALLY_SECTORS
from firmware.memory.journal import Journal
from firmware.memory.tally import Tally
from protocol.record import ENTRY
from sim.board.bus import POWER_OFF, BoardEvent
from sim.board.memory_flash import MemoryFlash


@dataclass(frozen=True)
class Durable:
    """The flash operation that made an opening durable.

    `counter` is the counter of the opening's record, or None if the opening was counted in the tally instead.
    """

    event: BoardEvent
    counter: int | None


@dataclass(frozen=True)
class Opening:
    """An opening of the strike.

    `durable` is the earlier flash operation that recorded this opening, or None if no operation did so.
    """

    moved: BoardEvent
    durable: Durable | None


def openings(history: Sequence[BoardEvent]) -> list[Opening]:
    """Return the openings of a fail-secure strike, over all boots, in the order of the board's numbers."""
    found: list[Opening] = []
    for boot in sorted({event.boot for event in history}):
        replay = _Replay(found)
        for event in sorted((event for event in history if event.boot == boot), key=lambda event: event.number):
            replay.take(event)
    return found


class OpeningsSoFar:
    """Finds the openings of one door while its reports come in. The result is the same as that of `openings`.

    A report may arrive before a report with a lower number. The early report is kept back until the report with the
    lower number has arrived, or until the power ends.
    """

    def __init__(self) -> None:
        self._found: list[Opening] = []
        self._read = 0
        self._boot = 0
        self._replay = _Replay(self._found)
        self._next = 1
        self._kept: dict[int, BoardEvent] = {}

    def read(self, history: Sequence[BoardEvent]) -> Sequence[Opening]:
        """Take the reports in `history` that are new since the last call. Returns all openings so far."""
        for event in history[self._read :]:
            if event.boot != self._boot:
                self._release(POWER_OFF)
                self._boot, self._next = event.boot, 1
                self._replay = _Replay(self._found)
            if event.number in (0, POWER_OFF):
                self._release(event.number)
                self._replay.take(event)
            else:
                self._kept[event.number] = event
                self._release(0)
        self._read = len(history)
        return self._found

    def _release(self, through: int) -> None:
        """Replay the kept reports whose turn has come, and all kept reports with a number below `through`."""
        while self._next in self._kept:
            self._replay.take(self._kept.pop(self._next))
            self._next += 1
        for number in sorted(number for number in self._kept if number < through):
            self._replay.take(self._kept.pop(number))


class _Replay:
    """Replays the reports of one boot, in the order of their numbers. Appends each opening to `found`."""

    def __init__(self, found: list[Opening]) -> None:
        self._found = found
        self._flash: _Partition | None = None
        self._waiting: Durable | None = None

    def take(self, event: BoardEvent) -> None:
        """Replay one report."""
        if "journal" in event.facts:
            self._flash = _Partition(zlib.decompress(event.facts["journal"]))
        elif "offset" in event.facts and self._flash is not None:
            data = event.facts["data"]
            recorded = self._flash.apply(event.facts["offset"], None if data is None else bytes.fromhex(data))
            if recorded is not None:
                self._waiting = Durable(event, recorded[0])
        elif event.facts.get("pin") == pins.STRIKE and event.facts["value"] == 1:
            self._found.append(Opening(event, self._waiting))
            self._waiting = None


class _Partition:
    """The content of the journal's partition. The operations on this partition are applied one after the other."""

    def __init__(self, content: bytes) -> None:
        self._content = bytearray(content)
        self._ring = len(content) - TALLY_SECTORS * SECTOR
        self._newest: dict[int, int] = {}
        self._counted = self._entries()

    def apply(self, offset: int, data: bytes | None) -> tuple[int | None] | None:
        """Program `data` at `offset`, or erase the sector at `offset` if `data` is None.

        If this operation recorded an opening, returns a tuple of one item: the record's counter, or None for an entry
        in the tally. Otherwise returns None.
        """
        sector = offset - offset % SECTOR
        if sector < self._ring:
            before = self._newest.get(sector)
            if before is None:
                before = self._read(sector).next_counter
            self._change(offset, data)
            journal = self._read(sector)
            self._newest[sector] = journal.next_counter
            for counter, _, note in journal.entries_from(before):
                if journal_notes.openings(note) is not None and journal_notes.settled(note) is None:
                    return (counter,)
            return None
        self._change(offset, data)
        counted, self._counted = self._counted, self._entries()
        return (None,) if self._counted > counted else None

    def _change(self, offset: int, data: bytes | None) -> None:
        data = b"\xff" * SECTOR if data is None else data
        self._content[offset : offset + len(data)] = data

    def _read(self, sector: int) -> Journal:
        """Read one sector as if it were a whole journal."""
        blank = b"\xff" * (TALLY_SECTORS * SECTOR)
        return Journal(MemoryFlash(1 + TALLY_SECTORS, self._content[sector : sector + SECTOR] + blank))

    def _entries(self) -> int:
        """Return the number of entries that are counted in the tally and have no record yet."""
        tally = Tally(MemoryFlash(TALLY_SECTORS, self._content[self._ring :]))
        return sum(line.count for line in tally.lines() if line.kind == ENTRY)
