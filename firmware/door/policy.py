"""Who may open, when: the rules of the door as pure functions over what the lock knows (table in docs/door-rules.md).

The door asks `decide` once somebody has shown who they are; `check_grant` says what may come in as a grant.
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
    # Nobody whom the grant names or who may take a place that it does not name.
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
"""In the order of the checks. Of several refusals the one that came farthest is given: it tells most."""

_TIES = const(2)
"""Ties that are looked up for whoever is refused: a minor is named in one stay, or in two that follow on each other."""


class Decision:
    """An allowed opening: `kind` CHECK_IN or ENTRY, under `stay`, by the guest of that `number` (from 1), who made
    `claim`. A check-in adds `guest` to the stay and registers `fields`. `interval` is the time at which it was allowed.
    """

    def __init__(
        self,
        kind: int,
        stay: "Stay",
        claim: "Claim",
        number: int,
        guest: "Guest | None" = None,
        fields: "dict[str, str] | None" = None,
    ) -> None:
        self.interval: tuple[int, int | None] = (0, None)
        self.kind = kind
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
    """Judge who stands at the door. `claims` are of one person: more than one if they showed more than one document.

    An entry comes before a check-in, a check-in by name before one at an unnamed place, an earlier stay before a later
    one. Raises RefusedError with one of _REASONS.
    """
    farthest = 0
    allowed: "list[Any]" = []
    # As many as there can be, and each row of the table for each of them: the time it takes does not tell of any.
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
                # A running stay works against the floor alone: who has checked in is never locked out by the clock.
                decision = Decision(ENTRY, stay, claim, number)
            else:
                decision = _admit(profile, stay, interval[0], claim, commitment, named)
        except RefusedError as error:
            farthest = max(farthest, _REASONS.index(error.code))
            continue
        decision.interval = interval
        return decision
    # Each of `allowed` was a minor whose tie was looked up. Who is not expected does not get away with less.
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
    """The first of _REASONS that keeps out whoever made `claim`, as an index; their number if none does."""
    # Every row is looked at, without a branch.
    (earliest, latest), grant, (number, commitment, named, again) = interval, stay.grant, known
    new, companion, present, names = number == 0, not named, stay.occupancy(0)[1], len(grant.commitments)
    late = earliest if latest is None else latest
    takes = (placement.admits != NAMED) & (names < grant.guests) & ((placement.admits == WALK_IN) | (names > 0))
    nobody = (commitment is None) | (companion & (not takes))
    free = grant.guests - present
    spare = grant.guests - names - stay.unnamed()  # those who are not named never take the place of one who is
    full = (free <= 0) | (companion & (spare <= 0)) | (len(stay.guests) >= MAX_GUESTS)
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


def _admit(profile: "Profile", stay: "Stay", earliest: int, claim: "Claim", commitment: bytes, named: bool) -> Decision:
    """Raises RefusedError for a minor whom nobody answers for."""
    fields = dict(claim.fields)
    minor = "birth_date" in fields and profile.is_minor(fields["birth_date"], earliest)
    if minor:
        fields.update(profile.of_minor(*_guardian(profile, stay, claim.tie(stay, commitment))))
    guest = claim.guest(stay, commitment, named, not minor)
    return Decision(CHECK_IN, stay, claim, len(stay.guests) + 1, guest, fields)


def _guardian(profile: "Profile", stay: "Stay", tie: "tuple[int, str]") -> "tuple[int | None, str]":
    """The adult who answers for a minor, and the relation: whom the grant ties them to, or else the first who is in."""
    adults = [number for number in stay.present() if stay.guests[number - 1].adult]
    place, relation = tie
    if place:
        tied = stay.number(stay.grant.commitments[place - 1])
        if tied in adults:
            return tied, relation
    if adults:
        return adults[0], UNSTATED
    if profile.adult_first:
        raise RefusedError("grant.guardian", "a minor, and no adult of the stay has checked in")
    return None, UNSTATED


def check_grant(placement: "Placement", held: "Stay | None", grant: "Grant") -> None:
    """May this verified grant be taken, given the stay `held` under its id, if any? The rest is bookkeeping, in Stays.

    Raises RefusedError: `grant.listing` for another listing; `door.revoked` when the listing is revoked and the grant
    would make a stay that was not granted before, or a longer one.
    """
    if grant.listing != placement.listing:
        raise RefusedError("grant.listing", "the grant is for another listing")
    if placement.status == REVOKED and not grant.cancelled and (held is None or grant.until > held.grant.until):
        raise RefusedError("door.revoked", "a revoked listing takes no new stays and no longer ones")
