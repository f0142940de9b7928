"""Scenarios of power cuts while the lock writes or the door is open, and of faults that make the lock restart."""

import asyncio

from firmware.boards import esp32_c6_devkitc_1 as pins
from protocol.errors import TransportError
from protocol.fittings import Fittings
from protocol.record import BOOT, CHECK_IN, DOOR
from sim.board import flash
from sim.door import Door
from sim.scenarios.story import Script, story
from sim.visitors import Visitor

_SUPPLY_SANK = {"MOORING_RESET_CAUSE": "2"}
_BY_THE_WATCHDOG = {"MOORING_RESET_CAUSE": "3"}


@story(
    "power-cut", "The lock loses its power in the middle of writing to flash, again and again, while guests check in."
)
async def _power_cut(script: Script) -> None:
    site, door = script.site, script.door
    guests = [site.visitor() for _ in range(2)]
    await door.bookings.book(*guests)
    image = door.image
    await door.lock.kill()
    await door.boot()
    quiet = flash.operations(image).total
    for number, guest in enumerate(guests):
        # The operations after those of the boot belong to the tap, or to events just before or after the tap.
        cut = quiet + 1 + site.random.randrange(3)
        mode = site.random.choice(("clean", "torn"))
        await door.lock.kill()
        opened = await _tap_until_cut(door, guest, f"{cut}:torn" if mode == "torn" else str(cut))
        await door.boot()
        await door.drain()
        script.promise(
            "cut {number} ({mode}, flash operation {operation}): an opening has its record",
            door.findings.recorded() >= door.findings.openings(),
            number=number + 1,
            mode=mode,
            operation=cut,
        )
        if not opened:
            script.let_in(
                await door.tap(guest), "after cut {number} the guest taps again and gets in", number=number + 1
            )
    await door.drain()
    check_ins = site.province.registrations(CHECK_IN)
    script.promise("each guest is registered exactly once", sorted(item.guest or 0 for item in check_ins) == [1, 2])
    script.promise("no counter is missing or used twice", door.findings.unbroken())


async def _tap_until_cut(door: Door, guest: Visitor, cut: str) -> bool:
    """Boot with a planned power cut, and tap. Afterwards the power is off. Returns whether the strike opened."""
    before = door.findings.openings()
    try:
        await door.boot({"MOORING_POWER_CUT": cut})
        await door.tap(guest)
    except TransportError as error:
        if error.code != "lock.ended":  # the cut may also come during the boot
            raise
    if not door.lock.ended:
        await door.lock.kill()  # if the planned cut did not happen, take the power away while the door is open
    return door.findings.openings() > before


@story(
    "power-cut-everywhere",
    "The power is cut at each flash operation of a boot, an opening and its receipt in turn. The guest comes back.",
)
async def _power_cut_everywhere(script: Script) -> None:
    site, door, edge = script.site, script.door, script.edge
    guest = site.visitor()
    await door.bookings.book(guest)
    script.let_in(await door.tap(guest), "the guest checks in")
    await door.settle(1)
    cuts, through = 0, False
    while not through:
        # Restart the edge agent too. Otherwise the agent would wait longer each time that the lock disappears.
        await door.lock.kill()
        await edge.stop()
        await edge.start()
        before = door.findings.openings()
        # Clean and torn cuts alternate. With the next seed, each operation is cut in the other mode.
        mode = ":torn" if (cuts + script.seed) % 2 else ""
        through = await _live_until(door, guest, f"{cuts + 1}{mode}")
        cuts += not through
        if door.findings.openings() > before:
            await door.lock.kill()  # if the power is still on, cut it while the door is open
            await door.bus.wait_for(pins.STRIKE, 0)
    script.promise("the power was cut at each of {cuts:operation}, until none was left", cuts >= 5, cuts=cuts)
    await edge.stop()
    await edge.start()
    await door.boot()
    script.let_in(await door.tap(guest), "after all that the guest gets in")
    await door.drain()
    records = site.province.registrations()
    script.promise("no opening is without its record", sum(item.count for item in records) >= door.findings.openings())
    script.promise("the guest is registered once", len(site.province.registrations(CHECK_IN)) == 1)
    script.promise("no counter is missing or used twice", door.findings.unbroken())


async def _live_until(door: Door, guest: Visitor, cut: str) -> bool:
    """Boot with a planned power cut, let the guest in, and wait for the receipt.

    Returns True if the planned cut did not happen.
    """
    try:
        before = len(door.lock.console)
        await door.lock.start({"MOORING_POWER_CUT": cut})
        await door.lock.wait_for("lock.ready", since=before)
        await door.tap(guest)  # a registered guest need not wait for an edge agent or for the time
        await door.lock.wait_for("statement.taken", since=before, where=lambda line: line.facts["kind"] == "time")
        await door.until("a receipt or a cut", lambda: door.lock.ended or door.findings.drained())
    except TransportError as error:
        if error.code != "lock.ended" and not door.lock.ended:
            raise
    return not door.lock.ended


@story(
    "stuck-loop",
    "The firmware hangs as it opens the door, then one of its tasks crashes, then its boot: the door stays shut.",
)
async def _stuck_loop(script: Script) -> None:
    site, door = script.site, script.door
    guest = site.visitor()
    await door.bookings.book(guest)
    await door.lock.kill()
    await door.boot({"MOORING_FAULT": "stuck-open"})
    tapping = asyncio.create_task(door.tap(guest))
    await door.bus.wait_for(pins.STRIKE, 1)
    await door.bus.wait_for(pins.STRIKE, 0)
    script.promise("the pulse of a lock that hangs was ended by its timer", not door.lock.ended)
    script.let_in(await tapping, "the guest of that pulse was let in")
    script.promise("then the watchdog restarted the lock", door.bus.expired == 1)
    for fault in ("crashed-task", "crashed-boot"):
        opened = door.findings.openings()
        await door.lock.start({**_BY_THE_WATCHDOG, "MOORING_FAULT": fault})
        await door.lock.wait_ended()
        script.promise("a lock with a {fault} stops, shut", door.bus.values[pins.STRIKE] == 0, fault=fault)
        script.promise("a lock with a {fault} opens to nobody", door.findings.openings() == opened, fault=fault)
    await door.boot(_BY_THE_WATCHDOG)
    script.let_in(await door.tap(guest), "without the fault, it lets the guest in")
    await door.settle(2)
    await door.drain()
    script.promise("the guest is registered once", len(site.province.registrations(CHECK_IN)) == 1)
    script.promise("no counter is missing or used twice", door.findings.unbroken())


@story(
    "brown-out",
    "The supply fails after each boot: the lock writes little, does not open, and reports it in one record.",
    fittings=Fittings(inputs=("contact",)),
)
async def _brown_out(script: Script) -> None:
    site, door = script.site, script.door
    guest = site.visitor()
    await door.bookings.book(guest)
    script.let_in(await door.tap(guest), "the guest checks in")
    await door.settle(1)
    boots, counter = 6, door.findings.next_counter()
    for _ in range(boots):
        await door.lock.kill()
        before = len(door.lock.console)
        await door.lock.start(_SUPPLY_SANK)
        await door.lock.wait_for("lock.ready", since=before)
    script.promise("the strike did not move", door.findings.openings() == 1)
    script.promise("none of those short boots made a record", door.findings.next_counter() == counter)
    await door.lock.kill()
    await door.boot(_SUPPLY_SANK)
    script.let_in(await door.tap(guest), "when the supply holds, the guest gets in")
    await door.switch("contact", 1)  # this event is recorded together with all waiting events
    await site.until("the door's opening at the province", lambda: bool(site.province.events(DOOR)))
    told = [(item.what, item.count) for item in site.province.events(BOOT)]
    script.promise(
        "one record tells of all {boots:boot}",
        told == [("power-on", 1), ("reset", boots + 1)],
        boots=boots + 1,
    )
    await door.drain()
    script.promise("no counter is missing or used twice", door.findings.unbroken())
