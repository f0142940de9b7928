"""In these tests, a lock in service loses its journal, but keeps its files. The tests use the real interpreter, an edge
and a province.
"""

import asyncio
from pathlib import Path

from protocol.record import CHECK_IN, ENTRY
from protocol.refusal import EQUIVOCATION
from sim.board import layout
from sim.door import Door
from sim.site import build
from sim.visitors import Visitor


def erase_journal(image: Path) -> None:
    """Erase the journal's partition, which has the tally too."""
    content = bytearray(image.read_bytes())
    offset, size = next((row[3], row[4]) for row in layout.PARTITIONS if row[0] == "journal")
    assert content[offset : offset + size].count(layout.ERASED) < size
    content[offset : offset + size] = bytes([layout.ERASED]) * size
    image.write_bytes(content)


async def opening(door: Door, guest: Visitor) -> int:
    """Let a guest in. Return the kind of the opening, as the lock reports it."""
    tap = await door.tap(guest)
    assert tap.opened
    return next(int(line.facts["kind"]) for line in tap.console if line.event == "tap.opened")


def test_a_lock_whose_journal_was_erased_knows_old_and_new_guests_also_after_the_next_boot(tmp_path: Path) -> None:
    async def story() -> None:
        async with build(tmp_path) as site:
            door = site.doors[0]
            ann, ben = site.visitor(), site.visitor()
            await door.bookings.book(ann)
            assert [await opening(door, ann) for _ in range(3)] == [CHECK_IN, ENTRY, ENTRY]
            await door.drain()
            await door.bookings.book(ben)  # now the stays in flash know all records so far
            counted = door.findings.next_counter()
            await door.lock.kill()
            erase_journal(door.image)
            await door.boot()
            assert door.findings.next_counter() < counted
            assert await opening(door, ann) == ENTRY
            assert await opening(door, ben) == CHECK_IN
            await door.lock.kill()
            await door.boot()
            assert [await opening(door, guest) for guest in (ann, ben)] == [ENTRY, ENTRY]
            refused = site.edges[0].events  # the province has other records with these counters
            await site.until("the edge sets a record aside", lambda: bool(refused("record.refused")))
            assert {facts["code"] for _, facts in refused("record.refused")} == {EQUIVOCATION}

    asyncio.run(story())
