"""Placements, grants, stays and claims as the rules of the door see them, without a signature in sight."""

from firmware.claims import Traces
from firmware.stays import Guest, Stay
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
    """The commitment of somebody."""
    return name.encode().ljust(32, b".")


class Somebody:
    """A claim by one who shows a document, or none (`born` None): then only as a guest who has checked in before."""

    method = "mdoc"
    traces: Traces | None = None

    def __init__(
        self, name: str, born: str | None = ADULT, tie: tuple[int, str] = NO_TIE, barred: str | None = None
    ) -> None:
        self._name = name
        self._tie = tie
        self.barred = barred
        self.fields = {} if born is None else {"birth_date": born}

    def guest_of(self, stay: Stay) -> int | None:
        return stay.number(who(self._name))

    def commitment(self, stay: Stay) -> bytes | None:
        return who(self._name) if self.fields else None

    def tie(self, stay: Stay) -> tuple[int, str]:
        return self._tie


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
    """A stay in which these have checked in: adults by name, others as (name, birth date)."""
    inside = []
    for each in guests:
        name, born = (each, ADULT) if isinstance(each, str) else each
        inside.append(Guest(who(name), who(name) in of.commitments, born == ADULT))
    return Stay(of, PLATFORM, inside, len(inside))
