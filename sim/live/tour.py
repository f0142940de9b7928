"""The story that the page plays from beginning to end. It is the story of the demo, at a site with two doors."""

import asyncio

from protocol.record import CHECK_IN
from sim import issuer
from sim.door import Door
from sim.scenarios.story import Script, Story
from sim.shown import paused, signals
from sim.site import Plan
from sim.words import phrase


async def _tour(script: Script) -> None:
    site = script.site
    front, back = site.doors
    guest, stranger, cheat = site.visitor(issuer.MDL), site.visitor(issuer.MDL), site.visitor(issuer.MDL)
    later = [site.visitor(issuer.RESIDENT_ID, "mac"), site.visitor(issuer.MDL)]
    stay = await front.bookings.book(guest, cheat, *later)
    await back.bookings.share(stay)

    script.let_in(await front.tap(guest), "the booked guest's tap opened the door")
    await front.settle(1)
    script.promise("the province holds the registration", len(site.province.registrations(CHECK_IN)) == 1)
    script.promise("the lock trimmed its journal on the receipt", front.findings.receipted() == 1)

    cheat.phone.alter("element-value")
    begun = len(front.bus.history)
    script.refused(await front.tap(stranger), "a stranger without a grant stayed outside", "grant.none")
    await _answered(front, begun)
    begun = len(front.bus.history)
    script.refused(await front.tap(cheat), "a tampered credential stayed outside", "mdoc.digest")
    await _answered(front, begun)
    script.promise("neither moved the strike nor was registered", front.findings.openings() == 1)

    await asyncio.to_thread(site.broker.stop)
    for visitor in later:
        script.let_in(await back.tap(visitor), "without a network the door opened to {guest}", guest=visitor.name)
    await site.until("the edge agent holds both", lambda: len(site.edges[1].events("record.stored")) >= 2)
    script.promise("the province could not know yet", back.findings.recorded() == 0)
    await asyncio.to_thread(site.broker.start)
    await back.settle(2)
    script.promise("after the outage both are registered, each exactly once", back.findings.recorded() == 2)
    for door in site.doors:
        await door.drain()
    unbroken = all(door.findings.unbroken() for door in site.doors)
    script.promise("no record is missing between the first and the last", unbroken)


async def _answered(door: Door, begun: int) -> None:
    """Wait until the door has shown the whole answer to a refused tap. At the end of this answer, the tone is over and
    the light stays out.
    """
    history = door.bus.history
    await door.until("the answer", lambda: bool(signals(history[begun:])) and paused(history))


TOUR = Story(
    "tour",
    phrase("A check-in, two who are not let in, and an outage that heals, at two doors of one listing.").text,
    _tour,
    Plan(doors=2, edges=((1,), (2,))),
)
