"""Scenarios about who may stay and for how long: families, groups, and decisions of platform and province."""

from protocol import placement
from protocol.record import CHECK_IN, ENTRY
from sim.province.stays import doubles, guardian_of, stays
from sim.scenarios.story import Script, story


@story(
    "couple-and-child", "A child taps before the parents, then after one, then after both; later it comes back alone."
)
async def _couple_and_child(script: Script) -> None:
    site, door = script.site, script.door
    father, mother, child = site.visitor(), site.visitor(), site.visitor(child=True)
    alone = site.visitor(child=True)
    await door.bookings.book(father, mother, child, ties={3: (2, "parent")})
    await door.bookings.book(alone)
    script.refused(await door.tap(child), "the child does not check in before an adult", "grant.guardian")
    script.refused(
        await door.tap(alone), "a child whose booking has no adult does not check in either", "grant.guardian"
    )
    script.let_in(await door.tap(mother), "the mother checks in")
    script.let_in(await door.tap(mother), "the mother comes back")
    await door.settle(2)
    [stay] = stays(site.province.store)
    script.promise(
        "the province sees: three may sleep here, one has registered, the door opened twice",
        (stay.booked, stay.checked_in, stay.openings) == (3, 1, 2),
    )
    script.let_in(await door.tap(child), "now the child checks in")
    script.refused(await door.tap(alone), "an adult of another stay is no guardian", "grant.guardian")
    script.let_in(await door.tap(father), "the father checks in")
    script.let_in(await door.tap(child), "the child comes back alone")
    await door.settle(5)
    [registered] = [item for item in site.province.registrations(CHECK_IN) if "guardian" in item.fields]
    script.promise(
        "the child's registration, and no other, names a guardian, and the relation that was booked",
        registered.fields["id_number"] == child.person.document_number and registered.fields["relation"] == "parent",
    )
    adult = guardian_of(site.province.store, registered)
    script.promise(
        "the province knows who the guardian is; the lock knew a number",
        adult is not None and adult.fields["id_number"] == mother.person.document_number,
    )
    [stay] = stays(site.province.store)
    script.promise("all three are in", (stay.booked, stay.checked_in, stay.openings) == (3, 3, 5))


@story(
    "overbooked",
    "A booking for two that names one guest: a companion comes too early, then in time; a third is one too many.",
)
async def _overbooked(script: Script) -> None:
    site, door = script.site, script.door
    guest, companion, third = site.visitor(), site.visitor(), site.visitor()
    booking = await door.bookings.book(guest, places=2)
    script.refused(await door.tap(companion), "by default a listing admits guests by name only", "grant.none")
    await door.bookings.declare(placement.UNNAMED)
    script.refused(await door.tap(companion), "a companion does not come in before the guest", "grant.unnamed")
    script.let_in(await door.tap(guest), "the guest checks in")
    script.let_in(await door.tap(companion), "the companion checks in")
    script.refused(await door.tap(third), "a third finds all places taken", "grant.full")
    script.let_in(await door.tap(companion), "the companion comes back")
    script.refused(await door.tap(third), "and the third is still one too many", "grant.full")
    changed = site.platform.change(booking, guests=[third.booking_name()])
    await door.bookings.send(changed)
    script.refused(
        await door.tap(guest),
        "the platform gives the guest's place to the third: the guest is refused",
        "grant.none",
    )
    script.let_in(await door.tap(third), "now the third checks in")
    await door.bookings.declare(placement.NAMED)
    script.let_in(
        await door.tap(companion), "the listing admits by name again, and the registered companion still gets in"
    )
    await door.settle(5)
    [stay] = stays(site.province.store)
    script.promise("never more than two", (stay.booked, stay.checked_in, stay.openings) == (2, 2, 5))
    numbers = [item.guest for item in site.province.registrations(CHECK_IN)]
    script.promise("each registration has a number of its own", numbers == [1, 2, 3])
    script.promise("nobody is at two listings at once", doubles(site.province.store) == [])


@story("suspended-listing", "The province suspends a listing, lets it go on, and revokes it, while a stay is running.")
async def _suspended_listing(script: Script) -> None:
    site, door = script.site, script.door
    inside, expected, later = site.visitor(), site.visitor(), site.visitor()
    booking = await door.bookings.book(inside, expected)
    active = site.province.statements_for(door.lock_id)[0]
    script.let_in(await door.tap(inside), "one of two guests checks in")
    await door.bookings.set_status(placement.SUSPENDED)
    script.refused(await door.tap(expected), "while it is suspended, the other does not check in", "door.suspended")
    script.let_in(await door.tap(inside), "the running stay is honoured")
    code = await door.bookings.bring(active)
    script.promise("a courier cannot bring the old placement back ({code})", code == "placement.serial", code=code)
    script.refused(await door.tap(expected), "the old placement changes nothing", "door.suspended")
    after = await door.bookings.book(later)
    script.promise("grants are still taken", after.serial == 1)
    await door.bookings.set_status(placement.ACTIVE)
    script.let_in(await door.tap(expected), "when it is active again, the other checks in")
    await door.bookings.set_status(placement.REVOKED)
    script.refused(await door.tap(later), "when it is revoked, nobody new checks in", "door.revoked")
    script.let_in(await door.tap(inside), "the running stay is honoured to its end")
    code = await door.bookings.bring(site.platform.grant(site.platform.change(booking, until=booking.until + 3600)))
    script.promise("the stay cannot be made longer ({code})", code == "door.revoked", code=code)
    await door.lock.kill()
    await door.boot()
    script.let_in(await door.tap(expected), "a power cut changes nothing of that")
    script.refused(await door.tap(later), "nor do new guests check in after it", "door.revoked")
    await door.bookings.send(site.platform.cancel(booking))
    script.refused(await door.tap(inside), "a cancellation still works", "grant.none")
    await door.settle(5)
    kinds = [item.kind for item in site.province.registrations()]
    script.promise("two check-ins, three entries", sorted(kinds) == [CHECK_IN, CHECK_IN, ENTRY, ENTRY, ENTRY])


@story(
    "cancelled-stay", "One stay is cancelled, another shortened. A courier kept the older grants and brings them back."
)
async def _cancelled_stay(script: Script) -> None:
    site, door = script.site, script.door
    guest, other = site.visitor(), site.visitor()
    first = await door.bookings.book(guest)
    second = await door.bookings.book(other)
    script.let_in(await door.tap(guest), "the guest checks in")
    script.let_in(await door.tap(other), "so does the guest of another stay")
    await door.bookings.send(site.platform.cancel(first))
    script.refused(await door.tap(guest), "the stay is cancelled, and its guest is refused", "grant.none")
    code = await door.bookings.bring(site.platform.grant(first))
    script.promise("a courier brings the older grant ({code})", code == "grant.serial", code=code)
    script.refused(await door.tap(guest), "the older grant changes nothing", "grant.none")
    shorter = site.platform.change(second, until=site.now() - 600)
    await door.bookings.send(shorter)
    script.refused(await door.tap(other), "the other stay is shortened, and so it is over", "grant.over")
    code = await door.bookings.bring(site.platform.grant(second))
    script.promise("the longer grant does not come back ({code})", code == "grant.serial", code=code)
    await door.lock.kill()
    await door.boot()
    for kept, who, why in ((first, guest, "grant.none"), (second, other, "grant.over")):
        code = await door.bookings.bring(site.platform.grant(kept))
        script.promise(
            "the grant of {guest} does not come back after a power cut ({code})",
            code == "grant.serial",
            guest=who.name,
            code=code,
        )
        script.refused(await door.tap(who), "{guest} stays outside", why, guest=who.name)
    anew = await door.bookings.book(guest)
    script.promise("a new booking of the same guest is another stay", anew.grant_id != first.grant_id)
    script.let_in(await door.tap(guest), "the guest checks in again")
    await door.settle(3)
    script.promise("three check-ins under three stays", len(stays(site.province.store)) == 3)
