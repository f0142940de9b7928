"""Scenarios of sites with more than one door."""

from protocol.record import CHECK_IN, ENTRY
from sim.edge import Edge
from sim.province.stays import doubles, stays
from sim.scenarios.story import Script, story


def _carried(edge: Edge) -> set[str]:
    """Return the ids, in hex, of the locks whose records this edge agent has stored."""
    return {facts["lock"] for _, facts in edge.events("record.stored")}


@story(
    "two-doors",
    "One listing, two doors, two edge agents: guests of one stay check in at each door; one agent carries for both.",
    doors=2,
    edges=((1,), (2,)),
)
async def _two_doors(script: Script) -> None:
    site = script.site
    front, back = site.doors
    first, second = site.edges
    guest, companion, stranger = site.visitor(), site.visitor(), site.visitor()
    stay = await front.bookings.book(guest, companion)
    script.refused(await back.tap(guest), "a door without the stay's grant stays shut", "grant.none")
    await back.bookings.share(stay)
    script.let_in(await front.tap(guest), "the guest checks in at the front door")
    script.let_in(await back.tap(guest), "the back door checks the same guest in for itself")
    script.refused(await front.tap(stranger), "a stranger is refused at the front door", "grant.none")
    script.refused(await back.tap(stranger), "a stranger is refused at the back door", "grant.none")
    for door in site.doors:
        await door.settle(1)
        await door.drain()
    locks = {front.lock_id.hex()}, {back.lock_id.hex()}
    script.promise("each agent carried the records of its own lock", (_carried(first), _carried(second)) == locks)

    await first.stop()
    script.let_in(await front.tap(companion), "without the front door's agent, the companion checks in there")
    await second.stop()
    second.serve([front.address, back.address])
    await second.start()
    script.let_in(await back.tap(companion), "the companion checks in at the back door")
    script.let_in(await front.tap(guest), "the guest comes back by the front door")
    await front.settle(3)
    await back.settle(2)
    script.promise(
        "the other agent, configured for both doors, carries for both", _carried(second) == set.union(*locks)
    )
    await first.start()
    script.let_in(await back.tap(guest), "with both agents back, the guest comes back by the back door")
    await back.settle(3)
    for door in site.doors:
        await door.drain()

    openings = site.province.registrations()
    script.promise(
        "each door registered both guests once, and one entry",
        all(
            sorted((item.kind, item.guest) for item in openings if item.lock_id == door.lock_id)
            == [(CHECK_IN, 1), (CHECK_IN, 2), (ENTRY, 1)]
            for door in site.doors
        ),
    )
    script.promise("all openings belong to one stay", {item.grant_id for item in openings} == {stay.grant_id})
    held = [(each.booked, each.checked_in, each.openings) for each in stays(site.province.store)]
    script.promise("the province sees both doors of the stay", held == [(2, 2, 3), (2, 2, 3)])
    script.promise("nobody is at two listings at once", doubles(site.province.store) == [])
    unbroken = all(door.findings.unbroken() for door in site.doors)
    script.promise("no counter of either lock is missing or used twice", unbroken)
