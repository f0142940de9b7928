"""Coming back: ways for a guest who has checked in to open without showing the ID, or with the ID by the short path.

    stay key   the phone that did the check-in: `protocol.stay_key`, `firmware.stay_keys`
    PIN        typed on the keypad: `protocol.stay_pin`, `firmware.pin_attempts`
    document   the same one again: its issuer's signatures are remembered, `protocol.mdoc.remembered`

Each yields a claim like any other, which the rules of the door then judge. All of it dies with the stay: whoever may
not come back any more (the stay ended, was cancelled or shortened, or the grant names them no more) is forgotten.
"""

from firmware import ticks
from firmware.claims import ReturningGuest
from firmware.console import log
from firmware.pin_attempts import PinAttempts
from firmware.stay_keys import StayKeys
from protocol import apdu, const, cose, stay_key, stay_pin
from protocol.errors import FormatError, RefusedError, StorageError, TransportError
from protocol.mdoc.remembered import RememberedSignatures
from protocol.record import CHECK_IN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.lock import Lock
    from firmware.nfc import Card
    from firmware.policy import Decision
    from firmware.store import Store

    Guest = tuple[bytes, bytes]

WARY_MS = 5000
"""How soon somebody taps again whose phone went away."""
_STEP_MS = const(1500)


class Reentry:
    """What `lock` knows of its guests for when they come back. A guest is (grant id, commitment)."""

    def __init__(self, lock: "Lock", store: "Store") -> None:
        self._lock = lock
        self._keys = StayKeys(store)
        self._attempts = PinAttempts(store)
        self.issuers = RememberedSignatures(lock.crypto)
        self._wary_since: int | None = None

    def guests(self) -> "list[Guest]":
        """Everyone who may come back now, as far as the clock's lower end can tell; the rules judge again."""
        earliest = self._lock.clock.interval()[0]
        return [
            (stay.grant.grant_id, stay.guests[number - 1].commitment)
            for stay in self._lock.stays.all()
            if earliest <= stay.grant.until
            for number in stay.present()
        ]

    def _admissible(self) -> "list[Guest]":
        """Those of `guests` whom the rules would let in: a key that opens nothing must not stand before a document."""
        placement, _ = self._lock.papers()
        _, latest = self._lock.clock.interval()
        over = [
            stay.grant.grant_id
            for stay in self._lock.stays.all()
            if stay.grant.listing != placement.listing or (latest is not None and latest > stay.grant.until)
        ]
        return [guest for guest in self.guests() if guest[0] not in over]

    def forget(self) -> None:
        """Wipe what is kept of guests who may not come back. Call when stays or the time have changed."""
        guests = self.guests()
        self.issuers.retain(guests)
        try:
            self._keys.retain(guests)
        except StorageError as error:
            log("reentry.trouble", code=error.code)  # they open nothing all the same; the next check-in writes anew

    def remember(self, decision: "Decision") -> None:
        """Keep what an opening by document leaves for the next one. The door is open already: what cannot be kept now
        costs the guest another look at their phone, and is no fault of this opening."""
        traces = decision.claim.traces
        if traces is None:
            return
        stay = decision.stay
        guest = (stay.grant.grant_id, stay.guests[decision.number - 1].commitment)
        try:
            self.issuers.keep(guest, traces.issuers)
            if decision.kind == CHECK_IN:
                self._keys.add(guest, traces.stay_key)
        except (StorageError, MemoryError) as error:
            log("reentry.trouble", error=type(error).__name__)

    # --- by stay key -------------------------------------------------------------------------------------------------

    async def by_key(self, card: "Card") -> "list[ReturningGuest]":
        """The guest whose stay key the phone behind `card` proves to hold; none if it holds none that opens here.

        Every phone is asked, also while nobody has a key: otherwise the question would tell an occupied home from an
        empty one. Costs one command with a phone that has no such application, two otherwise. Raises TransportError of
        the card; one that comes soon after is not asked, should it be a phone that cannot bear it.
        """
        held = self._keys.of(self._admissible())
        wary, self._wary_since = self._wary_since, None
        if wary is not None and ticks.age(wary) < WARY_MS:
            return []
        try:
            return await self._exchange(card, held)
        except TransportError:
            self._wary_since = ticks.now()
            raise

    async def _exchange(self, card: "Card", held: "list[tuple[Guest, bytes]]") -> "list[ReturningGuest]":
        try:
            selected = apdu.parse_response(await card.transceive(stay_key.select(), _STEP_MS))
            if selected.status != apdu.OK:
                return []
            exchange = stay_key.Exchange(self._lock.crypto, [key for _, key in held], selected.data)
            answered = apdu.parse_response(await card.transceive(exchange.command, _STEP_MS))
            found = exchange.judge(answered.data) if answered.status == apdu.OK else None
        except FormatError as error:
            log("stay-key.passed", code=error.code)
            return []
        log("stay-key.tried", known=int(found is not None))
        return [] if found is None else [ReturningGuest("stay-key", held[found][0])]

    # --- by PIN ------------------------------------------------------------------------------------------------------

    async def by_pin(self, typed: str) -> "list[ReturningGuest]":
        """The guest whose PIN was `typed`.

        Raises RefusedError `pin.form` for what can be nobody's, which is not counted; `pin.wait` while nothing is
        compared; `pin.wrong`. StorageError when the try cannot be charged. Which guests there are shows in the time it
        takes, what was right of a wrong PIN does not.
        """
        lock = self._lock
        lock.papers()
        if not stay_pin.is_pin(typed):
            raise RefusedError("pin.form", "a PIN has eight digits")
        self._attempts.charge()
        shown, found = typed.encode(), None
        for guest in self.guests():
            if cose.same(shown, self._pin(guest).encode()):
                found = guest
        if found is None:
            raise RefusedError("pin.wrong", "nobody's PIN who is in")
        self._attempts.right()
        return [ReturningGuest("pin", found)]

    def _pin(self, guest: "Guest") -> str:
        stay = self._lock.stays.held(guest[0])
        assert stay is not None
        return stay_pin.stay_pin(self._lock.crypto, self._lock.commitment_key(stay.platform), guest[0], guest[1])
