"""What breaks around the door, and what must hold all the same."""

import asyncio

from protocol.fittings import Fittings
from protocol.record import CHECK_IN, ENTRY, REFUSAL
from sim.nfc.faults import Faults
from sim.scenarios.story import Script, story
from sim.world import LOCK_ADDRESS, World


@story(
    "network-outage", "The broker is down, then the Bluetooth too: guests get in, and later nothing is lost or twice."
)
async def _network_outage(script: Script) -> None:
    world = script.world
    first, second, third = world.visitor(), world.visitor(), world.visitor()
    await world.book(first, second, third)
    await asyncio.to_thread(world.broker.stop)
    script.let_in(await world.tap(first), "without a broker the first guest gets in")
    world.air.set_in_range(LOCK_ADDRESS, False)
    script.let_in(await world.tap(second), "without broker and Bluetooth the second guest gets in")
    script.promise("the province knows of neither yet", world.recorded() == 0)
    script.promise("the lock keeps both records", world.journaled() == 2 and world.receipted() == 0)
    await world.stop_edge()
    await world.start_edge()
    world.air.set_in_range(LOCK_ADDRESS, True)
    await asyncio.to_thread(world.broker.start)
    script.let_in(await world.tap(third), "the third guest gets in")
    await world.settle(3)
    registrations = world.province.registrations(CHECK_IN)
    script.promise("after the outage the province holds all three, each once", len(registrations) == 3)
    script.promise("in the order they happened", [item.guest for item in registrations] == [1, 2, 3])


@story(
    "journal-full",
    "No courier comes until the journal is full: nobody new checks in, whoever is registered gets in, and all is told.",
    fittings=Fittings(inputs=("contact",)),
    board={"MOORING_JOURNAL_SECTORS": "7"},  # five for records: full after thirty openings and not after hundreds
)
async def _journal_full(script: Script) -> None:
    world = script.world
    guests = [world.visitor() for _ in range(3)]
    late = world.visitor()
    await world.book(*guests, late)
    checked_in = [(await world.tap(guest)).opened for guest in guests]
    script.promise(f"{len(guests)} guests check in", all(checked_in))
    await world.drain()
    world.air.set_in_range(LOCK_ADDRESS, False)
    opened, counted, coming, last = len(guests), 0, [*guests, *guests], late
    while counted < 3:
        if not coming:
            if opened == 3 * len(guests):
                script.refused(await world.tap(late), "nobody new checks in", "journal.full")
            await world.lock.kill()  # from now on two entries of each are recorded again, not counted
            await world.lock.start()
            coming = [*guests, *guests]
        last = last if counted else coming.pop()
        tap = await world.tap(last)
        if not tap.opened:
            break
        opened += 1
        counted += any(line.event == "entry.counted" for line in tap.console)
    script.promise(f"who is registered always gets in: {opened} times, of which {counted} were counted", counted == 3)
    await world.lock.kill()  # what was counted survives this
    await world.lock.start()
    world.air.set_in_range(LOCK_ADDRESS, True)
    await world.until("the province knows of all", lambda: _openings(world) == opened)
    await world.drain()
    together = [item.count for item in world.province.registrations(ENTRY) if item.count > 1]
    script.promise("the entries that were counted came as one record of three", together == [3])
    await world.switch("contact", 1)  # an alarm, which does not wait for more of its like and takes all else along
    await world.until("the refusal at the province", lambda: bool(world.province.events(REFUSAL)))
    script.promise("the refusal was recorded, and nothing of whom", _refused(world) == [("storage", 1)])
    script.let_in(await world.tap(late), "now the late guest checks in")
    await world.drain()
    script.promise("each is registered once", len(world.province.registrations(CHECK_IN)) == len(guests) + 1)
    script.promise("no counter is missing or used twice", world.unbroken())


def _openings(world: World) -> int:
    return sum(item.count for item in world.province.registrations())


def _refused(world: World) -> list[tuple[str, int]]:
    return [(item.what, item.count) for item in world.province.events(REFUSAL)]


@story(
    "reader-fault",
    "The NFC chip goes deaf in the night: the lock says so, stays shut and alive, and serves a guest when it is back.",
)
async def _reader_fault(script: Script) -> None:
    world = script.world
    guest = world.visitor()
    await world.book(guest)
    before = len(world.lock.console)
    world.reader.go_wrong(Faults(deaf_after=1, deaf_wakes=5))
    trouble = await world.lock.wait_for("reader.trouble", since=before)
    script.promise(f"the lock notices by itself ({trouble.facts['code']})", trouble.facts["code"].startswith("nfc."))
    script.promise("it lives on, and the strike has not moved", not world.lock.ended and world.openings() == 0)
    script.promise("the link to the edge goes on", await _asks_and_gets(world))
    script.let_in(await world.tap(guest), "when the chip hears again the guest gets in")
    await world.settle(1)


async def _asks_and_gets(world: World) -> bool:
    """Does a grant still reach the lock?"""
    before = len(world.lock.console)
    await world.book(world.visitor())
    return any(line.event == "statement.taken" for line in world.lock.console[before:])
