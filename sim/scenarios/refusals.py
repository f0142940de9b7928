"""Scenarios of people who are not let in, each for a different reason."""

from dataclasses import replace
from typing import get_args

from sim import pki
from sim.bookings import DAY
from sim.phone.response import Tamper
from sim.scenarios.story import Script, story


@story(
    "stranger",
    "A valid document of someone without a booking here; then a document from an issuer that is not trusted.",
)
async def _stranger(script: Script) -> None:
    site, door = script.site, script.door
    expected = site.visitor()
    await door.bookings.book(expected)
    script.refused(await door.tap(site.visitor()), "a stranger with a good document is refused", "grant.none")
    forger = pki.document_signer(pki.authority("TEST IACA SE", "SE"))
    double = site.visitor(signer=forger)
    double.pretend_to_be(expected.person)
    script.refused(
        await door.tap(double),
        "a document by an issuer of the same name is refused",
        "mdoc.chain_key_identifier",
        "mdoc.chain_signature",
    )
    script.promise("the strike never moved", door.findings.openings() == 0)
    script.promise("nothing was registered", door.findings.recorded() == 0 and door.findings.journaled() == 0)


_CODES = {
    "element-value": ("mdoc.digest",),
    "extra-element": ("mdoc.unknown_digest", "mdoc.digest"),
    "doc-type": ("mdoc.doctype", "mdoc.doctype_not_accepted"),
    "issuer-signature": ("mdoc.issuer_signature",),
    "device-signature": ("mdoc.device_signature",),
    "session-data": ("session.encryption",),
}


@story("tampered", "A booked guest's phone alters the signed data, in every possible way, and then is honest.")
async def _tampered(script: Script) -> None:
    site, door = script.site, script.door
    guest = site.visitor()
    await door.bookings.book(guest)
    for kind in get_args(Tamper):
        guest.phone.alter(kind)
        script.refused(await door.tap(guest), "a response with a tampered {kind} is refused", *_CODES[kind], kind=kind)
    script.promise("the strike never moved", door.findings.openings() == 0)
    guest.phone.alter(None)
    script.let_in(await door.tap(guest), "the same phone, honest again, opens the door")
    await door.settle(1)


@story("expired", "A guest presents a document that expired yesterday.", offset=3 * DAY)
async def _expired(script: Script) -> None:
    site, door = script.site, script.door
    guest = site.visitor(days_valid=2)
    await door.bookings.book(guest)
    script.refused(await door.tap(guest), "an expired document is refused", "mdoc.expired")
    script.promise("the strike never moved", door.findings.openings() == 0)
    script.promise("nothing was registered", door.findings.recorded() == 0)


@story("replayed", "Someone records a guest's response from the air and presents it in a tap of their own.")
async def _replayed(script: Script) -> None:
    site, door = script.site, script.door
    guest = site.visitor()
    await door.bookings.book(guest)
    honest = await door.tap(guest)
    script.let_in(honest, "the guest is let in")
    thief = replace(guest, phone=replace(guest.phone, replay=honest.outcome.device_response))
    script.refused(await door.tap(thief), "the recording is refused", "mdoc.device_signature")
    await door.settle(1)
    script.promise("the strike moved once, for the guest", door.findings.openings() == 1)
    script.promise("one registration, not two", door.findings.recorded() == 1)
