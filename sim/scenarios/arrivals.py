"""Scenarios of guests who arrive for a booked stay."""

from protocol.record import CHECK_IN
from sim import issuer
from sim.scenarios.story import Script, story


@story("first-checkin", "A booked guest taps: the door opens, and the province holds the registration.")
async def _first_checkin(script: Script) -> None:
    site, door = script.site, script.door
    guest = site.visitor()
    await door.bookings.book(guest)
    tap = await door.tap(guest)
    script.let_in(tap, "the door opened")
    await door.settle(1)
    registrations = site.province.registrations()
    script.promise("the province holds one record, a check-in", [r.kind for r in registrations] == [CHECK_IN])
    fields = registrations[0].fields
    script.promise("it names the guest", fields["id_number"] == guest.person.document_number)
    script.promise("the phone shared no portrait", all("portrait" not in ids for ids in _shared(tap.outcome.shared)))
    script.promise("the lock knows that the province has it", door.findings.receipted() == 1)


@story("two-guests", "Two guests of one stay, with different documents and different device authentication.")
async def _two_guests(script: Script) -> None:
    site, door = script.site, script.door
    first = site.visitor(issuer.MDL, "signature")
    second = site.visitor(issuer.RESIDENT_ID, "mac")
    await door.bookings.book(first, second)
    for guest in (first, second):
        script.let_in(await door.tap(guest), "the door opened for the guest with {document}", document=guest.doc_type)
    await door.settle(2)
    registrations = site.province.registrations(CHECK_IN)
    numbers = {registration.fields["id_number"] for registration in registrations}
    script.promise(
        "both are registered, each once",
        len(registrations) == 2 and numbers == {first.person.document_number, second.person.document_number},
    )
    script.promise("under one stay", len({registration.grant_id for registration in registrations}) == 1)


def _shared(shared: object) -> list[list[str]]:
    assert isinstance(shared, dict)
    return [list(names) for name_spaces in shared.values() for names in name_spaces.values()]
