"""The people of the page's own site: three guests of one stay, a stranger without a stay, and a guest with an altered
document.
"""

from dataclasses import dataclass
from typing import Literal

from sim import issuer
from sim.platform import Booking
from sim.site import Site
from sim.visitors import Visitor

Kind = Literal["guest", "stranger", "tampered", "child"]


@dataclass(frozen=True)
class Guest:
    """Somebody who can come to a door of the page's own site. `pin` is "" for people without a stay."""

    id: str
    kind: Kind
    visitor: Visitor
    pin: str = ""


async def arrive(site: Site) -> list[Guest]:
    """Invent the people, and book one stay for the guests at every door of the site."""
    first, second = site.visitor(issuer.MDL), site.visitor(issuer.RESIDENT_ID, "mac")
    child = site.visitor(issuer.RESIDENT_ID, child=True)
    cheat, stranger = site.visitor(issuer.MDL), site.visitor(issuer.MDL)
    first.phone.install_stay_keys()
    cheat.phone.alter("element-value")
    front, *others = site.doors
    booking = await front.bookings.book(first, second, child, cheat, ties={3: (2, "parent")})
    for door in others:
        await door.bookings.share(booking)
    return [
        Guest("guest-1", "guest", first, _pin(site, booking, first)),
        Guest("guest-2", "guest", second, _pin(site, booking, second)),
        Guest("child-1", "child", child, _pin(site, booking, child)),
        Guest("stranger", "stranger", stranger),
        Guest("tampered", "tampered", cheat),
    ]


def _pin(site: Site, booking: Booking, visitor: Visitor) -> str:
    pin = site.platform.pin(booking, visitor.booking_name())
    site.secret_digits.append(pin)
    return pin
