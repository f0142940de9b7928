"""Placements, grants, stays and claims in the form in which the door's rules get them, without signatures."""

from firmware.memory.stays import Guest, Stay
from protocol.grant import NO_TIE, Grant
from protocol.placement import Placement
from protocol.profile import Profile
from sim.province.registry import PROFILES

BEGIN, END = 1_795_000_000, 1_795_172_800
INSIDE = (BEGIN + 1000, BEGIN + 1010)
LISTING = "HZ-1"
ADULT, CHILD = "1990-03-07", "2015-06-01"

CN = Profile.parse(PROFILES["CN"])

_POINT = b"\x04" + bytes(64)
PLATFORM = _POINT


def who(name: str) -> bytes:
    """Return the commitment of the person with that name."""
    return name.encode().ljust(32, b".")


class Somebody:
    """A claim by somebody who shows a document.

    If `born` is None, the claim is made without a document. Such a claim is enough for an entry, but not for a
    check-in. `person` is the name of the person. This name is only needed if the document shows a different name.
    """

    method = "mdoc"
    stay_key: bytes | None = None

    def __init__(
        self,
        name: str,
        born: str | None = ADULT,
        tie: tuple[int, str] = NO_TIE,
        barred: str | None = None,
        person: str | None = None,
    ) -> None:
        self._name = name
        self._tie = tie
        self._person = person or name
        self.barred = barred
        self.fields = {} if born is None else {"birth_date": born}

    def known(self, stay: Stay) -> tuple[int, bytes | None, bool, bool]:
        number, commitment, named, again = stay.known([who(self._name)] * 3 + [who("as " + self._person)])
        return number, commitment if self.fields else None, named, again

    def guest(self, stay: Stay, commitment: bytes, named: bool, adult: bool) -> Guest:
        return guest(self._name, named, adult)

    def tie(self, stay: Stay, commitment: bytes) -> tuple[int, str]:
        return self._tie


def guest(name: str, named: bool, adult: bool) -> Guest:
    """Return a guest with that name who has checked in."""
    return Guest.of(who(name), named, adult, who(name)[:8] * 3 + who("as " + name)[:8] + bytes(4))


def placement(status: str = "active", listing: str = LISTING, admits: str = "named") -> Placement:
    return Placement(1, bytes(16), listing, status, _POINT, _POINT, "CN", "302", [b"certificate"], admits, 1)


def grant(
    *names: str,
    places: int | None = None,
    grant_id: bytes = b"G" * 16,
    serial: int = 1,
    listing: str = LISTING,
    valid_from: int = BEGIN,
    until: int = END,
    horizon: int | None = None,
    cancelled: bool = False,
) -> Grant:
    named = [who(name) for name in names]
    return Grant(
        grant_id,
        serial,
        listing,
        valid_from,
        until,
        places or max(1, len(names)),
        named,
        cancelled,
        horizon or until,
        bytes(2 * len(names)),
    )


def stay(of: Grant, *guests: tuple[str, str] | str) -> Stay:
    """Return a stay in which `guests` have checked in. Adults are given by name, others as (name, birth date)."""
    inside = []
    for each in guests:
        name, born = (each, ADULT) if isinstance(each, str) else each
        inside.append(guest(name, who(name) in of.commitments, born == ADULT))
    return Stay(of, PLATFORM, b"".join([each.pack() for each in inside]), len(inside))
