"""Who may open, when: the rules of the door as one pure function over what the lock knows.

The door asks after the mdoc has been verified. Either a Decision comes back or a RefusedError with the reason class.
"""

from protocol.errors import RefusedError
from protocol.record import CHECK_IN, ENTRY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware.stays import Stay
    from protocol.grant import Grant
    from protocol.placement import Placement


class Decision:
    """An allowed opening: `kind` CHECK_IN or ENTRY, under `stay`, by its guest `number` (from 1)."""

    def __init__(self, kind: int, stay: "Stay", number: int) -> None:
        self.kind = kind
        self.stay = stay
        self.number = number


def decide(
    placement: "Placement | None",
    stays: "list[Stay]",
    interval: "tuple[int, int | None]",
    guest_number: "Callable[[Grant], int | None]",
) -> Decision:
    """Judge a verified guest. `guest_number` says which guest of a grant this is, or None.

    Raises RefusedError: `door.unplaced`, `door.revoked`, `door.suspended`, `clock.unknown`, `grant.none`,
    `grant.early`, `grant.over`, `grant.full`.
    """
    if placement is None:
        raise RefusedError("door.unplaced", "no placement binds this lock to a listing")
    reason = RefusedError("grant.none", "no grant names this guest")
    for stay in stays:
        if stay.grant.cancelled or stay.grant.listing != placement.listing:
            continue
        number = guest_number(stay.grant)
        if number is None:
            continue
        try:
            return Decision(_kind(placement.status, stay, interval, number), stay, number)
        except RefusedError as error:
            reason = error
    raise reason


def _kind(status: str, stay: "Stay", interval: "tuple[int, int | None]", number: int) -> int:
    earliest, latest = interval
    grant = stay.grant
    registered = number in stay.checked_in
    if status != "active" and not registered:
        raise RefusedError("door." + status, "the listing code admits nobody new; running stays are honoured")
    if earliest > grant.until or (latest is not None and latest > grant.until):
        raise RefusedError("grant.over", "the stay has ended, or may have")
    if registered:
        # A running stay works against the floor alone; a guest already registered is never locked out by the clock.
        return ENTRY
    if latest is None:
        raise RefusedError("clock.unknown", "new check-ins wait for a signed time")
    if earliest < grant.valid_from:
        raise RefusedError("grant.early", "the stay has not begun, or may not have")
    if len(stay.checked_in) >= grant.guests:
        raise RefusedError("grant.full", "as many guests as booked have checked in")
    return CHECK_IN
