"""The rules of the door, which say who may open it and when (see docs/door-rules.md). They are pure functions.

The door calls `decide` as soon as somebody has shown who they are. `check_grant` says which grants the lock may take.
"""

from firmware.memory.stays import MAX_STAYS, VACANT
from protocol import const
from protocol.errors import RefusedError
from protocol.grant import MAX_GUESTS, UNSTATED
from protocol.placement import NAMED, REVOKED, SUSPENDED, WALK_IN
from protocol.record import CHECK_IN, ENTRY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from firmware.door.claims import Claim
    from firmware.memory.stays import Guest, Stay
    from protocol.grant import Grant
    from protocol.placement import Placement
    from protocol.profile import Profile

_REASONS = (
    # The grant does not name this person, and they may not take an unnamed place either.
    "grant.none",
    "grant.over",
    "door.revoked",
    "door.suspended",
    "clock.unknown",
    "trust-list.stale",
    "crl.stale",
    "status-list.stale",
    "mdoc.unlisted",
    "grant.early",
    "grant.unnamed",
    "grant.full",
    "grant.tie",
    "grant.guardian",
)
"""Codes of refusals, in the order of the checks. If several refusals apply, the guest is told the code that comes
latest in this order, because this code is the most specific."""

_TIES = const(2)
"""Number of ties that are looked up for each person who is refused. A minor is named in one stay, or in two consecutive
stays."""


class Decision:
    """An allowed opening.

    `kind` is CHECK_IN or ENTRY. `stay` is the stay under which the guest may open the door. `number` is the guest's
    number, counted from 1. `claim` is the claim that the guest made. A check-in adds `guest` to the stay and registers
    `fields`. `interval` is the clock's interval when the opening was allowed.
    """

    def __init__(
        self,
        kind: int,
        interval: "tuple[int, int | None]",
        stay: "Stay",
        claim: "Claim",
        number: int,
        guest: "Guest | None" = None,
        fields: "dict[str, str] | None" = None,
    ) -> None:
        self.kind = kind
        self.interval = interval
        self.stay = stay
        self.claim = claim
        self.number = number
        self.guest = guest
        self.fields = fields


def decide(
    placement: "Placement",
    profile: "Profile",
    stays: "list[Stay]",
    interval: "tuple[int, int | None]",
    claims: "Sequence[Claim]",
) -> Decision:
    """Judge the person at the door. `claims` are all claims of this one person, who may have shown several documents.

    If several openings are allowed, an entry is preferred to a check-in. A check-in of a named guest is preferred to a
    check-in that takes an unnamed place. Among equal openings, an earlier stay is preferred to a later stay. Raises
    RefusedError with one of _REASONS.
    """
    farthest = 0
    allowed: "list[Any]" = []
    # Every decision judges MAX_STAYS stays, and computes every row of the table for each stay. So the time does not
    # tell how many real stays there are.
    for stay in list(stays) + [VACANT] * (MAX_STAYS - len(stays)):
        for claim in claims:
            known = claim.known(stay)
            row = _judge(placement, stay, interval, claim, known)
            farthest = max(farthest, row if row < len(_REASONS) else 0)
            if row == len(_REASONS):
                rank = 0 if known[0] else 1 if known[2] else 2
                allowed.append((rank, stay.grant.valid_from, stay.grant.grant_id, len(allowed), stay, claim, known))
    for _, _, _, _, stay, claim, (number, commitment, named, _) in sorted(allowed):
        try:
            if commitment is None or number:
                # An entry needs only the floor of the clock. So guests who have checked in can enter even if the time
                # is unknown.
                return Decision(ENTRY, interval, stay, claim, number)
            return _admit(profile, stay, interval, claim, commitment, named)
        except RefusedError as error:
            farthest = max(farthest, _REASONS.index(error.code))
    # Here, every opening in `allowed` was refused. So each was the check-in of a minor, and the minor's tie was looked
    # up. A stranger must cost the same work.
    for claim in list(claims[:1]) * (_TIES - len(allowed)):
        claim.tie(VACANT, VACANT.grant.ties)
    raise RefusedError(_REASONS[farthest], "the rules of the door say no")


def _judge(
    placement: "Placement",
    stay: "Stay",
    interval: "tuple[int, int | None]",
    claim: "Claim",
    known: "tuple[int, bytes | None, bool, bool]",
) -> int:
    """Return the index of the first code of _REASONS that applies to `claim`, or len(_REASONS) if no code applies."""
    # Every row is computed, without a branch, so that the time does not tell which row applies.
    (earliest, latest), grant, (number, commitment, named, again) = interval, stay.grant, known
    new, companion, present, names = number == 0, not named, stay.occupancy(0)[1], len(grant.commitments)
    late = earliest if latest is None else latest
    takes = (placement.admits != NAMED) & (names < grant.guests) & ((placement.admits == WALK_IN) | (names > 0))
    nobody = (commitment is None) | (companion & (not takes))
    free = grant.guests - present
    spare = grant.guests - names - stay.unnamed()  # companions never take the place of a named guest
    full = (free <= 0) | (companion & (spare <= 0)) | (stay.joined() >= MAX_GUESTS)
    refused = [
        (grant.listing != placement.listing) | (new & nobody) | ((not new) & (not stay.belongs(number))),
        (earliest > grant.until) | (late > grant.until),
        new & (placement.status == REVOKED),
        new & (placement.status == SUSPENDED),
        new & (latest is None),
        new & (claim.barred == _REASONS[5]),
        new & (claim.barred == _REASONS[6]),
        new & (claim.barred == _REASONS[7]),
        new & (claim.barred == _REASONS[8]),
        new & (earliest < grant.valid_from),
        new & companion & (names > 0) & (present == stay.unnamed()),
        new & (again | full),
        False,
        False,
        True,
    ]
    return refused.index(True)


def _admit(
    profile: "Profile",
    stay: "Stay",
    interval: "tuple[int, int | None]",
    claim: "Claim",
    commitment: bytes,
    named: bool,
) -> Decision:
    """Return the check-in. Raises RefusedError for a minor: `grant.guardian` if no adult who could answer for the minor
    has checked in; `grant.tie` if the minor's tie in the grant is invalid.
    """
    fields = dict(claim.fields)
    minor = "birth_date" in fields and profile.is_minor(fields["birth_date"], interval[0])
    if minor:
        fields.update(profile.of_minor(*_guardian(profile, stay, claim.tie(stay, commitment))))
    guest = claim.guest(stay, commitment, named, not minor)
    return Decision(CHECK_IN, interval, stay, claim, stay.joined() + 1, guest, fields)


def _guardian(profile: "Profile", stay: "Stay", tie: "tuple[int, str]") -> "tuple[int | None, str]":
    """Find the adult who answers for a minor. Returns (the adult's number or None, relation). If the grant ties the
    minor to an adult who has checked in, this adult answers. Otherwise the first adult who checked in answers. Raises
    RefusedError `grant.guardian` if no adult has checked in and the profile requires an adult."""
    adults = [number for number in stay.present() if stay.guest(number).adult]
    place, relation = tie
    if place:
        tied = stay.number(stay.grant.commitments[place - 1])
        if tied in adults:
            return tied, relation
    if adults:
        return adults[0], UNSTATED
    if profile.minors.adult_first:
        raise RefusedError("grant.guardian", "the guest is a minor, and no adult of the stay has checked in")
    return None, UNSTATED


def check_grant(placement: "Placement", stay: "Stay | None", grant: "Grant") -> None:
    """Check whether the lock may take this verified grant. `stay` is the known stay with the same grant id, or None.

    `Stays` checks serials and room. Raises RefusedError: `grant.listing` if the grant is for another listing;
    `door.revoked` if the listing is revoked and the grant would add a stay or make a stay longer.
    """
    if grant.listing != placement.listing:
        raise RefusedError("grant.listing", "the grant is for another listing")
    if placement.status == REVOKED and not grant.cancelled and (stay is None or grant.until > stay.grant.until):
        raise RefusedError("door.revoked", "a revoked listing takes no new stay and no extension of a stay")
