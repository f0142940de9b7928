"""The power goes away: while something is written, while the door stands open, at every operation of the flash."""

from firmware import pins
from protocol.errors import TransportError
from protocol.record import CHECK_IN
from sim.board import flash
from sim.scenarios.story import Script, story
from sim.visitors import Visitor
from sim.world import World


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


@story(
    "power-cut-everywhere",
    "The power goes at each flash operation of a boot, an opening and its receipt in turn; the guest comes back.",
)
async def _power_cut_everywhere(script: Script) -> None:
    world = script.world
    guest = world.visitor()
    await world.book(guest)
    script.promise("the guest checks in", (await world.tap(guest)).opened)
    await world.settle(1)
    cuts, through = 0, False
    while not through:
        # The edge agent is on the same circuit. It would also wait longer and longer for a lock that always goes away.
        await world.lock.kill()
        await world.stop_edge()
        await world.start_edge()
        before = world.openings()
        # By turns clean and torn, and the other way round with the next seed.
        mode = ":torn" if (cuts + script.seed) % 2 else ""
        through = await _live_until(world, guest, f"{cuts + 1}{mode}")
        cuts += not through
        if world.openings() > before:
            await world.lock.kill()  # the power goes while the door stands open, if it has not gone yet
            await world.bus.wait_for(pins.STRIKE, 0)
    script.promise(f"the power was cut at each of {cuts} operations, and then there was none left", cuts >= 5)
    await world.stop_edge()
    await world.start_edge()
    await world.boot()
    script.promise("after all that the guest gets in", (await world.tap(guest)).opened)
    await world.drain()
    records = world.province.registrations()
    script.promise("no opening is without its record", sum(item.count for item in records) >= world.openings())
    script.promise("the guest is registered once", len(world.province.registrations(CHECK_IN)) == 1)
    script.promise("no counter is missing or used twice", world.unbroken())


async def _live_until(world: World, guest: Visitor, cut: str) -> bool:
    """Boot, let the guest in, and wait for the receipt, with a power cut to come; True if it did not."""
    try:
        before = len(world.lock.console)
        await world.lock.start({"MOORING_POWER_CUT": cut})
        await world.lock.wait_for("lock.ready", since=before)
        await world.tap(guest)  # a registered guest waits for no courier and no time
        await world.lock.wait_for("statement.taken", since=before, where=lambda line: line.facts["kind"] == "time")
        await world.until("a receipt or a cut", lambda: world.lock.ended or world.drained())
    except TransportError as error:
        if error.code != "lock.ended" and not world.lock.ended:
            raise
    return not world.lock.ended
