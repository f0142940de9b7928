"""Steps of the door machine for guests who come back by PIN or by stay key, with the expected outcome."""

import asyncio
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from protocol import crypto_cpython as crypto
from protocol import record
from protocol.errors import MooringError
from sim.phone.stay_key import StayKeys
from sim.platform import Guest
from tests.support import tap
from tests.support.door_bench import PLATFORM
from tests.support.door_model import BORN, Opening, Stay

if TYPE_CHECKING:
    from tests.support.door_bench import Bench
    from tests.support.door_model import Model

NAMES = sorted(BORN)


class ReturningSteps:
    """Part of the door machine. `fresh` is the stay key from the last presentation.

    `keys` maps (grant id, name) to a stay key that must open the door. `lost` holds the stay keys that must no longer
    open the door.
    """

    bench: "Bench"
    model: "Model"
    bookings: list[Any]
    openings: int

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[tuple[bytes, str], bytes] = {}
        self.lost: dict[tuple[bytes, str], bytes] = {}
        self.fresh = b""

    def stay_key(self) -> bytes:
        """Return a new stay key, as if a presentation had made it."""
        self.fresh = crypto.random(32)
        return self.fresh

    def checked_in(self, opening: Opening) -> None:
        """Somebody has checked in by the last presentation, so keep the stay key of this presentation. This key must
        open the door from now on.
        """
        self.keys[(opening.stay.booking.grant_id, opening.name)] = self.fresh

    def _may_return(self, grant_id: bytes, name: str) -> Stay | None:
        stay = self.model.stays.get(grant_id)
        if stay is None or name not in stay.inside or self.bench.lock.clock.interval()[0] > stay.booking.until:
            return None
        return stay

    def _returns(self, stay: Stay, name: str, claims: Any, method: str) -> None:
        if self.bench.lock.journal.free_sectors() < 6:
            self.bench.receipt(self.bench.now)
        expected = self.model._judge(stay, name, self.bench.lock.clock.interval())
        outcome = self.bench.serve(claims)
        if isinstance(expected, str):
            assert outcome == "grant." + expected
            return
        assert isinstance(outcome, dict) and not expected.check_in, (outcome, expected)
        self.model.opened(expected, 0)
        self.openings += 1
        told = (outcome[record.KIND], outcome[record.METHOD], outcome[record.GUEST], outcome[record.GRANT_ID])
        assert told == (record.ENTRY, method, expected.number, stay.booking.grant_id)

    @precondition(lambda self: self.bookings)
    @rule(at=st.integers(0, 3), name=st.sampled_from(NAMES))
    def somebody_types_the_pin_that_the_platform_told(self, at: int, name: str) -> None:
        booking = self.bookings[at % len(self.bookings)]
        attempts = self.bench.lock.reentry._attempts
        self.bench.wait(-(-attempts.wait_ms() // 1000))
        stay = self._may_return(booking.grant_id, name)
        # Nobody knows the PIN of a person who is not named. Such a PIN would depend on all that the document shows.
        known = Guest(name, BORN[name], id_type="driving-licence", country="SE")
        held = self.model.stays.get(booking.grant_id)
        for guest in [] if held is None else held.booking.guests:
            known = guest if guest.document_number == name else known
        try:
            arrival = self.bench.lock.reentry.by_pin(PLATFORM.pin(booking, known))
            claims: Any = asyncio.run(arrival)
        except MooringError as error:
            claims = error
        if stay is None:
            assert self.bench.serve(claims) == "pin.wrong"
        else:
            self._returns(stay, name, claims, "pin")

    @precondition(lambda self: self.keys or self.lost)
    @rule(data=st.data())
    def a_phone_shows_a_key_of_the_past_or_the_present(self, data: st.DataObject) -> None:
        grant_id, name = data.draw(st.sampled_from(sorted({*self.keys, *self.lost})))
        live = self.keys.get((grant_id, name))
        app = StayKeys()
        app.add(live or self.lost[(grant_id, name)])
        _, card = tap.touch(tap.phone(stay_keys=app))
        claims = asyncio.run(self.bench.lock.reentry.by_key(card))
        stay = self._may_return(grant_id, name)
        latest = self.bench.lock.clock.interval()[1]
        # While the stay may be over, the lock keeps the key but does not offer it. So the guest must show an ID.
        if live is None or stay is None or (latest is not None and latest > stay.booking.until):
            assert claims == [] and not app.recognized
        else:
            assert app.recognized
            self._returns(stay, name, claims, "stay-key")

    @invariant()
    def keys_die_with_the_stay(self) -> None:
        self.bench.lock.tick()
        for whose in [each for each in self.keys if self._may_return(*each) is None]:
            self.lost[whose] = self.keys.pop(whose)
        held = {entry[1] for entry in self.bench.lock.reentry._keys._keys}
        assert held == set(self.keys.values())
