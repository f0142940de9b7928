"""Who may open, when: the rules of the door as pure functions over what the lock knows (table in docs/door-rules.md).

The door asks `decide` once somebody has shown who they are; `check_grant` says what may come in as a grant.
"""

from firmware.stays import Guest
from protocol.errors import RefusedError
from protocol.grant import MAX_GUESTS, UNSTATED
from protocol.placement import ACTIVE, NAMED, REVOKED, WALK_IN
from protocol.record import CHECK_IN, ENTRY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from firmware.claims import Claim
    from firmware.stays import Stay
    from protocol.grant import Grant
    from protocol.placement import Placement
    from protocol.profile import Profile

_REASONS = (
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
    best: tuple[int, Decision] | None = None
    reason = RefusedError("grant.none", "no grant names this guest")
    for stay in sorted(stays, key=lambda stay: (stay.grant.valid_from, stay.grant.grant_id)):
        for claim in claims:
            try:
                decision = _judge(placement, profile, stay, interval, claim)
            except RefusedError as error:
                if _REASONS.index(error.code) > _REASONS.index(reason.code):
                    reason = error
                continue
            rank = 0 if decision.guest is None else 1 if decision.guest.named else 2
            if best is None or rank < best[0]:
                best = (rank, decision)
    if best is None:
        raise reason
    best[1].interval = interval
    return best[1]


def _judge(
    placement: "Placement",
    profile: "Profile",
    stay: "Stay",
    interval: "tuple[int, int | None]",
    claim: "Claim",
) -> Decision:
    earliest, latest = interval
    grant = stay.grant
    if grant.listing != placement.listing:
        raise RefusedError("grant.none", "the grant is for another listing")
    number = claim.guest_of(stay)
    commitment = claim.commitment(stay)
    if number is None:
        if commitment is None or not (commitment in grant.commitments or _takes_unnamed(placement, grant)):
            raise RefusedError("grant.none", "no grant names this guest")
    elif not stay.belongs(number):
        raise RefusedError("grant.none", "the grant names this guest no more")
    if earliest > grant.until or (latest is not None and latest > grant.until):
        raise RefusedError("grant.over", "the stay has ended, or may have")
    if number is not None:
        # A running stay works against the floor alone; a guest already registered is never locked out by the clock.
        return Decision(ENTRY, stay, claim, number)
    assert commitment is not None
    if placement.status != ACTIVE:
        raise RefusedError("door." + placement.status, "the listing admits nobody new; running stays are honoured")
    if latest is None:
        raise RefusedError("clock.unknown", "new check-ins wait for a signed time")
    if claim.barred is not None:
        raise RefusedError(claim.barred, "whether the document is revoked cannot be said well enough to check in")
    if earliest < grant.valid_from:
        raise RefusedError("grant.early", "the stay has not begun, or may not have")
    named = commitment in grant.commitments
    _check_place(placement, stay, named)
    minor = "birth_date" in claim.fields and profile.is_minor(claim.fields["birth_date"], earliest)
    fields = dict(claim.fields)
    if minor:
        fields.update(profile.of_minor(*_guardian(profile, stay, claim)))
    return Decision(CHECK_IN, stay, claim, len(stay.guests) + 1, Guest(commitment, named, not minor), fields)


def _takes_unnamed(placement: "Placement", grant: "Grant") -> bool:
    """May anybody come in under this grant whom it does not name?"""
    if placement.admits == NAMED or len(grant.commitments) >= grant.guests:
        return False
    return placement.admits == WALK_IN or len(grant.commitments) > 0


def _check_place(placement: "Placement", stay: "Stay", named: bool) -> None:
    """Is there a place for one more? Those who are not named never take the place of one who is."""
    grant, present = stay.grant, stay.present()
    if not named and grant.commitments and len(present) == stay.unnamed():
        raise RefusedError("grant.unnamed", "companions come in after the first guest whom the grant names")
    free = grant.guests - len(present)
    if not named:
        free = min(free, grant.guests - len(grant.commitments) - stay.unnamed())
    if free <= 0 or len(stay.guests) >= MAX_GUESTS:
        raise RefusedError("grant.full", "as many guests as booked have checked in")


def _guardian(profile: "Profile", stay: "Stay", claim: "Claim") -> "tuple[int | None, str]":
    """The adult who answers for a minor, and the relation: whom the grant ties them to, or else the first who is in."""
    adults = [number for number in stay.present() if stay.guests[number - 1].adult]
    place, relation = claim.tie(stay)
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
