"""Scenarios of guests who come back without showing the ID again, and of somebody who guesses PINs."""

from dataclasses import replace

from firmware.door.pin_attempts import FREE
from protocol.record import CHECK_IN, ENTRY
from sim.board import flash
from sim.exposure import Search
from sim.platform import Booking
from sim.scenarios.story import Script, story
from sim.site import Site
from sim.visitors import Visitor


def _told(site: Site, booking: Booking, visitor: Visitor) -> str:
    """Return the PIN that the platform tells a guest. The search at the end of the scenario also looks for this PIN."""
    pin = site.platform.pin(booking, visitor.booking_name())
    site.secret_digits.append(pin)
    return pin


@story(
    "pin-after-checkin",
    "After the first tap a guest comes back by PIN and by the phone's stay key, until the stay is cancelled.",
)
async def _pin_after_checkin(script: Script) -> None:
    site, door = script.site, script.door
    guest, companion = site.visitor(), site.visitor()
    app = guest.phone.install_stay_keys()
    booking = await door.bookings.book(guest, companion)
    pin, other = _told(site, booking, guest), _told(site, booking, companion)
    script.refused(await door.enter(pin + "#"), "before the check-in the PIN does not open", "pin.wrong")
    first = await door.tap(guest)
    script.promise("the guest checks in by ID", first.opened and first.outcome.result == "presented")
    script.let_in(await door.enter(pin + "#"), "the PIN opens now")
    script.refused(await door.enter(other + "#"), "the companion's PIN does not open yet", "pin.wrong")
    key = await door.tap(guest)
    script.promise(
        "the phone opens by its stay key, in {commands:command} and without showing the ID",
        key.opened and key.outcome.result == "recognized" and key.outcome.apdus == 2,
        commands=key.outcome.apdus,
    )
    door.pass_ticks(600_000)  # without this, the third entry within ten minutes would be counted and recorded later
    without = replace(guest, phone=replace(guest.phone, stay_keys=None))
    again = await door.tap(without)
    recalled = next((line.facts["recalled"] for line in again.console if line.event == "mdoc.verified"), "0")
    script.promise(
        "the same ID again opens by the short path: {signatures:signature} need not be verified",
        again.opened and int(recalled) == 2,
        signatures=int(recalled),
    )
    await door.settle(4)
    methods = [(item.kind, item.method, item.guest) for item in site.province.registrations()]
    script.promise(
        "the province knows how each opening was done, and by whom",
        methods == [(CHECK_IN, "mdoc", 1), (ENTRY, "pin", 1), (ENTRY, "stay-key", 1), (ENTRY, "mdoc", 1)],
    )
    await door.bookings.send(site.platform.cancel(booking))
    script.refused(await door.enter(pin + "#"), "when the stay is cancelled, its PIN no longer opens", "pin.wrong")
    script.refused(await door.tap(guest), "its stay key does not open either, and the ID is refused", "grant.none")
    keys = Search((), app.keys)
    elsewhere = [
        path
        for path in keys.files(site.folder, "province", flash.content)
        if path != str(door.image.relative_to(site.folder))
    ]
    script.promise("the stay key was only on the phone and in the lock's flash", elsewhere == [])


@story("pin-guessing", "Someone types many PINs and cuts the power in between. The guest still gets in by phone.")
async def _pin_guessing(script: Script) -> None:
    site, door = script.site, script.door
    guest = site.visitor()
    booking = await door.bookings.book(guest)
    pin = _told(site, booking, guest)
    script.let_in(await door.tap(guest), "the guest checks in")
    for digits in ("1", "1234567", "123456789"):
        script.refused(
            await door.enter(digits + "#"),
            "no PIN has {digits:digit}",
            "pin.form",
            digits=len(digits),
        )
    for number in range(FREE):
        guess = f"{(int(pin) + 1 + number) % 10**8:08}"
        script.refused(await door.enter(guess + "#"), "guess {number} is wrong", "pin.wrong", number=number + 1)
    script.refused(await door.enter("00000000#"), "then no PIN is checked for a while", "pin.wait")
    script.refused(await door.enter(pin + "#"), "even the right PIN does not open", "pin.wait")
    for number in range(2):
        await door.lock.kill()
        await door.boot()
        tap = await door.enter(pin + "#")
        script.refused(tap, "power cut {number} does not end the wait", "pin.wait", number=number + 1)
    script.let_in(await door.tap(guest), "the guest's ID opens all the same")
    await door.settle(2)
    script.promise("the strike moved for the guest alone", door.findings.openings() == 2)
