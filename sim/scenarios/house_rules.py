"""Who may stay, and for how long: families, parties, and what platform and province decide meanwhile."""

from protocol import placement
from protocol.record import CHECK_IN, ENTRY
from sim.province.stays import doubles, guardian_of, stays
from sim.scenarios.story import Script, story


@story(
    "couple-and-child", "A child taps before the parents, then after one, then after both; later it comes back alone."
)
async def _couple_and_child(script: Script) -> None:
    world = script.world
    father, mother, child = world.visitor(), world.visitor(), world.visitor(child=True)
    alone = world.visitor(child=True)
    await world.book(father, mother, child, ties={3: (2, "parent")})
    await world.book(alone)
    script.refused(await world.tap(child), "the child does not check in before an adult", "grant.guardian")
    script.refused(await world.tap(alone), "nor does a child whose booking has no adult", "grant.guardian")
    script.let_in(await world.tap(mother), "the mother checks in")
    script.let_in(await world.tap(mother), "and comes back")
    await world.settle(2)
    [stay] = stays(world.province.store)
    script.promise(
        "three may sleep here, one has registered, two openings: the province can see that",
        (stay.booked, stay.checked_in, stay.openings) == (3, 1, 2),
    )
    script.let_in(await world.tap(child), "now the child checks in")
    script.refused(await world.tap(alone), "an adult of another stay is no guardian", "grant.guardian")
    script.let_in(await world.tap(father), "the father checks in")
    script.let_in(await world.tap(child), "the child comes back alone")
    await world.settle(5)
    [registered] = [item for item in world.province.registrations(CHECK_IN) if "guardian" in item.fields]
    script.promise(
        "the child's registration, and no other, names a guardian, and the relation that was booked",
        registered.fields["id_number"] == child.person.document_number and registered.fields["relation"] == "parent",
    )
    adult = guardian_of(world.province.store, registered)
    script.promise(
        "the province knows who the guardian is; the lock knew a number",
        adult is not None and adult.fields["id_number"] == mother.person.document_number,
    )
    [stay] = stays(world.province.store)
    script.promise("all three are in", (stay.booked, stay.checked_in, stay.openings) == (3, 3, 5))


@story("overbooked", "A booking for two that names one: who comes along, who comes too many, and who comes too early.")
async def _overbooked(script: Script) -> None:
    world = script.world
    guest, companion, third = world.visitor(), world.visitor(), world.visitor()
    booking = await world.book(guest, places=2)
    script.refused(await world.tap(companion), "by default a listing admits guests by name only", "grant.none")
    await world.declare(placement.UNNAMED)
    script.refused(await world.tap(companion), "a companion does not come in before the guest", "grant.unnamed")
    script.let_in(await world.tap(guest), "the guest checks in")
    script.let_in(await world.tap(companion), "the companion checks in")
    script.refused(await world.tap(third), "a third finds the places taken", "grant.full")
    script.let_in(await world.tap(companion), "the companion comes back")
    script.refused(await world.tap(third), "and the third is still one too many", "grant.full")
    changed = world.platform.change(booking, guests=[third.booking_name()])
    await world.send(changed)
    script.refused(
        await world.tap(guest),
        "the platform put the third in the guest's place: the guest is out",
        "grant.none",
    )
    script.let_in(await world.tap(third), "and the third checks in")
    await world.declare(placement.NAMED)
    script.let_in(await world.tap(companion), "the listing admits by name again: the companion who is in stays in")
    await world.settle(5)
    [stay] = stays(world.province.store)
    script.promise("never more than two", (stay.booked, stay.checked_in, stay.openings) == (2, 2, 5))
    numbers = [item.guest for item in world.province.registrations(CHECK_IN)]
    script.promise("each registration has a number of its own", numbers == [1, 2, 3])
    script.promise("nobody is at two listings at once", doubles(world.province.store) == [])


@story("suspended-listing", "The province suspends a listing, lets it go on, and revokes it, while a stay is running.")
async def _suspended_listing(script: Script) -> None:
    world = script.world
    inside, expected, later = world.visitor(), world.visitor(), world.visitor()
    booking = await world.book(inside, expected)
    active = world.province.statements_for(world.lock_id)[0]
    script.let_in(await world.tap(inside), "one of two guests checks in")
    await world.set_status(placement.SUSPENDED)
    script.refused(await world.tap(expected), "suspended: the other does not", "door.suspended")
    script.let_in(await world.tap(inside), "the running stay is honoured")
    code = await world.bring(active)
    script.promise(f"a courier cannot bring the old placement back ({code})", code == "placement.serial")
    script.refused(await world.tap(expected), "so it changes nothing", "door.suspended")
    after = await world.book(later)
    script.promise("grants are still taken", after.serial == 1)
    await world.set_status(placement.ACTIVE)
    script.let_in(await world.tap(expected), "active again: the other checks in")
    await world.set_status(placement.REVOKED)
    script.refused(await world.tap(later), "revoked: nobody new", "door.revoked")
    script.let_in(await world.tap(inside), "and the running stay is honoured to its end")
    code = await world.bring(world.platform.grant(world.platform.change(booking, until=booking.until + 3600)))
    script.promise(f"but not made longer ({code})", code == "door.revoked")
    await world.lock.kill()
    await world.boot()
    script.let_in(await world.tap(expected), "a power cut changes nothing of that")
    script.refused(await world.tap(later), "nor of this", "door.revoked")
    await world.send(world.platform.cancel(booking))
    script.refused(await world.tap(inside), "a cancellation is taken all the same", "grant.none")
    await world.settle(5)
    kinds = [item.kind for item in world.province.registrations()]
    script.promise("two check-ins, three entries", sorted(kinds) == [CHECK_IN, CHECK_IN, ENTRY, ENTRY, ENTRY])


@story(
    "cancelled-stay", "One stay is cancelled, another shortened; a courier who kept the older grants brings them back."
)
async def _cancelled_stay(script: Script) -> None:
    world = script.world
    guest, other = world.visitor(), world.visitor()
    first = await world.book(guest)
    second = await world.book(other)
    script.let_in(await world.tap(guest), "the guest checks in")
    script.let_in(await world.tap(other), "so does the guest of another stay")
    await world.send(world.platform.cancel(first))
    script.refused(await world.tap(guest), "the stay is cancelled: its guest is out", "grant.none")
    code = await world.bring(world.platform.grant(first))
    script.promise(f"a courier brings the grant from before ({code})", code == "grant.serial")
    script.refused(await world.tap(guest), "in vain", "grant.none")
    shorter = world.platform.change(second, until=world.now() - 600)
    await world.send(shorter)
    script.refused(await world.tap(other), "the other stay is shortened, and over", "grant.over")
    code = await world.bring(world.platform.grant(second))
    script.promise(f"the longer grant does not come back ({code})", code == "grant.serial")
    await world.lock.kill()
    await world.boot()
    for kept, who, why in ((first, guest, "grant.none"), (second, other, "grant.over")):
        code = await world.bring(world.platform.grant(kept))
        script.promise(f"nor does that of {who.name} after a power cut ({code})", code == "grant.serial")
        script.refused(await world.tap(who), f"{who.name} stays outside", why)
    anew = await world.book(guest)
    script.promise("a new booking of the same guest is another stay", anew.grant_id != first.grant_id)
    script.let_in(await world.tap(guest), "who checks in again")
    await world.settle(3)
    script.promise("three check-ins under three stays", len(stays(world.province.store)) == 3)
