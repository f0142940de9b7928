"""Scenarios of failures around the door, with the promises that must hold in spite of them."""

import asyncio

from protocol.fittings import Fittings
from protocol.record import CHECK_IN, ENTRY, REFUSAL
from sim.door import Door
from sim.nfc.faults import Faults
from sim.scenarios.story import Script, story
from sim.site import Site
from sim.visitors import Visitor


@story(
    "network-outage", "The broker is down, then Bluetooth too: guests get in, and later no record is missing or twice."
)
async def _network_outage(script: Script) -> None:
    site, door, edge = script.site, script.door, script.edge
    first, second, third = site.visitor(), site.visitor(), site.visitor()
    await door.bookings.book(first, second, third)
    await asyncio.to_thread(site.broker.stop)
    script.let_in(await door.tap(first), "without a broker the first guest gets in")
    site.air.set_in_range(door.address, False)
    script.let_in(await door.tap(second), "without broker and Bluetooth the second guest gets in")
    script.promise("the province knows of neither yet", door.findings.recorded() == 0)
    script.promise("the lock keeps both records", door.findings.journaled() == 2 and door.findings.receipted() == 0)
    await edge.stop()
    await edge.start()
    site.air.set_in_range(door.address, True)
    await asyncio.to_thread(site.broker.start)
    script.let_in(await door.tap(third), "the third guest gets in")
    await door.settle(3)
    registrations = site.province.registrations(CHECK_IN)
    script.promise("after the outage the province holds all three, each once", len(registrations) == 3)
    script.promise("in the order they happened", [item.guest for item in registrations] == [1, 2, 3])


@story(
    "journal-full",
    "No edge agent comes until the journal is full: new guests wait, registered guests get in, and all is reported.",
    fittings=Fittings(inputs=("contact",)),
    board={
        "MOORING_JOURNAL_SECTORS": "7"
    },  # five sectors are for records, so the journal is full after about thirty openings, not hundreds
)
async def _journal_full(script: Script) -> None:
    site, door = script.site, script.door
    guests = [site.visitor() for _ in range(3)]
    late = site.visitor()
    await door.bookings.book(*guests, late)
    checked_in = [(await door.tap(guest)).opened for guest in guests]
    script.promise("{guests:guest} check in", all(checked_in), guests=len(guests))
    await door.drain()
    site.air.set_in_range(door.address, False)
    opened, counted, coming, last = len(guests), 0, [*guests, *guests], late
    while counted < 3:
        if not coming:
            if opened == 3 * len(guests):
                script.refused(await door.tap(late), "nobody new checks in", "journal.full")
            await door.lock.kill()  # after a boot, two more entries of each guest are recorded before any is counted
            await door.lock.start()
            coming = [*guests, *guests]
        last = last if counted else coming.pop()
        tap = await door.tap(last)
        if not tap.opened:
            break
        opened += 1
        counted += any(line.event == "entry.counted" for line in tap.console)
    script.promise(
        "registered guests always get in: {opened:time}, and {counted} of those were counted",
        counted == 3,
        opened=opened,
        counted=counted,
    )
    await door.lock.kill()  # the counted entries survive the power cut
    await door.lock.start()
    site.air.set_in_range(door.address, True)
    await site.until("the province knows of all", lambda: _openings(site) == opened)
    await door.drain()
    together = [item.count for item in site.province.registrations(ENTRY) if item.count > 1]
    script.promise("the three counted entries came as one record", together == [3])
    await door.switch("contact", 1)  # an alarm is recorded at once, together with all waiting events
    await site.until("the refusal at the province", lambda: bool(site.province.events(REFUSAL)))
    script.promise("the refusal was recorded, without the guest", _refused(site) == [("storage", 1)])
    script.let_in(await door.tap(late), "now the late guest checks in")
    await door.drain()
    script.promise("each is registered once", len(site.province.registrations(CHECK_IN)) == len(guests) + 1)
    script.promise("no counter is missing or used twice", door.findings.unbroken())


def _openings(site: Site) -> int:
    return sum(item.count for item in site.province.registrations())


def _refused(site: Site) -> list[tuple[str, int]]:
    return [(item.what, item.count) for item in site.province.events(REFUSAL)]


@story(
    "reader-fault",
    "The NFC chip stops answering: the lock says so, stays shut, keeps running, and serves a guest when it is back.",
)
async def _reader_fault(script: Script) -> None:
    site, door = script.site, script.door
    guest = site.visitor()
    await door.bookings.book(guest)
    before = len(door.lock.console)
    door.reader.go_wrong(Faults(deaf_after=1, deaf_wakes=5))
    trouble = await door.lock.wait_for("reader.trouble", since=before)
    code = trouble.facts["code"]
    script.promise("the lock notices by itself ({code})", code.startswith("nfc."), code=code)
    script.promise(
        "it keeps running, and the strike has not moved", not door.lock.ended and door.findings.openings() == 0
    )
    script.promise("the link to the edge goes on", await _asks_and_gets(door, site.visitor()))
    script.let_in(await door.tap(guest), "when the chip answers again, the guest gets in")
    await door.settle(1)


async def _asks_and_gets(door: Door, visitor: Visitor) -> bool:
    """Book a stay for `visitor` now. Returns whether the grant still reaches the lock."""
    before = len(door.lock.console)
    await door.bookings.book(visitor)
    return any(line.event == "statement.taken" for line in door.lock.console[before:])
