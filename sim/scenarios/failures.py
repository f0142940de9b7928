"""What breaks around the door, and what must hold all the same."""

import asyncio

from protocol.errors import TransportError
from protocol.record import CHECK_IN
from sim.board import flash
from sim.scenarios.story import Script, story
from sim.visitors import Visitor
from sim.world import LOCK_ADDRESS, World


@story(
    "network-outage", "The broker is down, then the Bluetooth too: guests get in, and later nothing is lost or twice."
)
async def _network_outage(script: Script) -> None:
    world = script.world
    first, second, third = world.visitor(), world.visitor(), world.visitor()
    await world.book(first, second, third)
    await asyncio.to_thread(world.broker.stop)
    tap = await world.tap(first)
    script.promise("without a broker the first guest gets in", tap.opened)
    world.air.set_in_range(LOCK_ADDRESS, False)
    tap = await world.tap(second)
    script.promise("without broker and Bluetooth the second guest gets in", tap.opened)
    script.promise("the province knows of neither yet", world.recorded() == 0)
    script.promise("the lock keeps both records", world.journaled() == 2 and world.receipted() == 0)
    await world.stop_edge()
    await world.start_edge()
    world.air.set_in_range(LOCK_ADDRESS, True)
    await asyncio.to_thread(world.broker.start)
    tap = await world.tap(third)
    script.promise("the third guest gets in", tap.opened)
    await world.settle(3)
    registrations = world.province.registrations(CHECK_IN)
    script.promise("after the outage the province holds all three, each once", len(registrations) == 3)
    script.promise("in the order they happened", [item.guest for item in registrations] == [1, 2, 3])


@story(
    "power-cut", "The lock loses its power in the middle of writing to flash, again and again, while guests check in."
)
async def _power_cut(script: Script) -> None:
    world = script.world
    guests = [world.visitor() for _ in range(3)]
    await world.book(*guests)
    image = world.folder / "flash.img"
    await world.lock.kill()
    await world.boot()
    quiet = flash.operations(image).total
    for number, guest in enumerate(guests):
        # Beyond what booting takes, the next operations are the tap's own, or those of the events around it.
        cut = quiet + 1 + world.random.randrange(3)
        mode = world.random.choice(("clean", "torn"))
        await world.lock.kill()
        opened = await _tap_until_cut(world, guest, f"{cut}:torn" if mode == "torn" else str(cut))
        await world.boot()
        await world.drain()
        script.promise(
            f"cut {number + 1} ({mode}, flash operation {cut}): an opening has its record",
            world.recorded() >= world.openings(),
        )
        if not opened:
            again = await world.tap(guest)
            script.promise(
                f"the guest taps again and gets in ({'opened' if again.opened else again.refusal})", again.opened
            )
    await world.drain()
    check_ins = world.province.registrations(CHECK_IN)
    script.promise("each guest is registered exactly once", sorted(item.guest or 0 for item in check_ins) == [1, 2, 3])
    script.promise("no counter is missing or used twice", world.unbroken())


async def _tap_until_cut(world: World, guest: Visitor, cut: str) -> bool:
    """Boot with a power cut to come, and tap; the power is gone when this returns. True if the strike moved."""
    before = world.openings()
    try:
        await world.boot({"MOORING_POWER_CUT": cut})
        await world.tap(guest)
    except TransportError as error:
        if error.code != "lock.ended":  # a cut while booting is as good as any other
            raise
    if not world.lock.ended:
        await world.lock.kill()  # it got past the cut: take the power away while the door stands open
    return world.openings() > before
