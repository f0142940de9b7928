"""Coming back: ways for a guest who has checked in to open without showing the ID, or with the ID by the short path.

    stay key   the phone that did the check-in: `protocol.stay_key`, `firmware.door.stay_keys`
    PIN        typed on the keypad: `protocol.stay_pin`, `firmware.door.pin_attempts`
    document   the same one again: its issuer's signatures are remembered, `protocol.mdoc.remembered`

Each yields a claim like any other, which the rules of the door then judge. Keys and PINs die with the stay: whoever may
not come back any more (the stay ended, was cancelled or shortened, or the grant names them no more) is forgotten. The
signatures are of whoever tapped last, booked or not, and say nothing of who is in.

What is looked for at a tap or at the keypad is made ready before, when stays or the time change: whoever is no guest
then costs the door the same work, whether it has guests or none.
"""

from firmware.door.claims import ReturningGuest
from firmware.door.pin_attempts import PinAttempts
from firmware.door.stay_keys import StayKeys
from firmware.hardware import ticks
from firmware.hardware.console import log
from protocol import apdu, const, cose, stay_key, stay_pin
from protocol.errors import FormatError, RefusedError, StorageError, TransportError, VerificationError
from protocol.mdoc.remembered import RememberedSignatures
from protocol.record import CHECK_IN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.door.claims import CommitmentKeys
    from firmware.door.policy import Decision
    from firmware.memory.clock import Clock
    from firmware.memory.stays import Stays
    from firmware.memory.store import Store
    from firmware.nfc import Card
    from firmware.trust.trusted_statements import Standing
    from protocol.crypto import Crypto

    Guest = tuple[bytes, bytes]

WARY_MS = 5000
"""How soon somebody taps again whose phone went away."""
_STEP_MS = const(1500)
_TAG = const(4)
_PINS = const(128)  # guests whose PINs are looked for: four stays of the most guests; the latest, should there be more


class Reentry:
    """What `lock` knows of its guests for when they come back. A guest is (grant id, tag of the document that checked
    in): the same for the whole stay, however a newer grant names them."""

    def __init__(
        self,
        crypto: "Crypto",
        store: "Store",
        clock: "Clock",
        standing: "Standing",
        stays: "Stays",
        commitment_keys: "CommitmentKeys",
    ) -> None:
        self._crypto = crypto
        self._clock = clock
        self._standing = standing
        self._stays = stays
        self._commitment_keys = commitment_keys
        self._keys = StayKeys(store)
        self._attempts = PinAttempts(store)
        self.issuers = RememberedSignatures(crypto)
        self._key = crypto.random(32)
        self._known: list[tuple[bytes, bytes, bytes]] = []
        self._slots = self._fill(b"")
        self._held: tuple[list[tuple[Guest, bytes]], list[bytes]] = [], []
        self._wary_since: int | None = None
        self.refresh()

    def guests(self) -> "list[tuple[bytes, bytes, bytes]]":
        """Everyone who may come back now, as far as the clock's lower end can tell: a guest and their commitment. The
        rules judge again."""
        earliest = self._clock.interval()[0]
        return [
            (stay.grant.grant_id, guest.tag[:8], guest.commitment)
            for stay in self._stays.all()
            if earliest <= stay.grant.until
            for guest in [stay.guests[number - 1] for number in stay.present()]
        ]

    def _admissible(self, guests: "list[Guest]") -> "list[Guest]":
        """Those of `guests` whom the rules would let in: a key that opens nothing must not stand before a document."""
        placement = self._standing.placement
        _, latest = self._clock.interval()
        over = [
            stay.grant.grant_id
            for stay in self._stays.all()
            if placement is None
            or stay.grant.listing != placement.listing
            or (latest is not None and latest > stay.grant.until)
        ]
        return [guest for guest in guests if guest[0] not in over]

    def refresh(self) -> None:
        """Wipe what is kept of guests who may not come back, and make ready what is looked for of the others. Call when
        stays or the time have changed, and not while somebody waits: a platform costs a multiplication once, and a new
        guest an HMAC for each."""
        placement = self._standing.placement
        platforms = [stay.platform for stay in self._stays.all()]
        for platform in platforms if placement is None else platforms + [placement.platform_key]:
            try:
                self._commitment_keys.of(platform)
            except VerificationError:
                pass  # a placement that names no point: then there is no grant either
        known = self.guests()
        guests = [(grant_id, document) for grant_id, document, _ in known]
        try:
            self._keys.retain(guests)
        except StorageError as error:
            log("reentry.trouble", code=error.code)  # they open nothing all the same; the next check-in writes anew
        held = self._keys.of(self._admissible(guests))
        if held != self._held[0]:
            self._held = held, [key for _, key in held]
        if known != self._known:
            self._known = []
            try:
                self._slots = self._fill(b"".join([self._mac(self._pin(*each)) for each in known[-_PINS:]]))
                self._known = known
            except MemoryError as error:
                log("reentry.trouble", error=type(error).__name__)  # nobody's PIN opens until the next look

    def remember(self, decision: "Decision") -> None:
        """Keep what a check-in leaves for the next opening. The door is open already: what cannot be kept now costs the
        guest another look at their phone, and is no fault of this opening."""
        stay, key = decision.stay, decision.claim.stay_key
        try:
            if key is not None and decision.kind == CHECK_IN:
                self._keys.add((stay.grant.grant_id, stay.guests[decision.number - 1].tag[:8]), key)
            self.refresh()
        except (StorageError, MemoryError) as error:
            log("reentry.trouble", error=type(error).__name__)

    # --- by stay key -------------------------------------------------------------------------------------------------

    async def by_key(self, card: "Card") -> "list[ReturningGuest]":
        """The guest whose stay key the phone behind `card` proves to hold; none if it holds none that opens here.

        Every phone is asked, also while nobody has a key: otherwise the question would tell an occupied home from an
        empty one. Costs one command with a phone that has no such application, two otherwise. Raises TransportError of
        the card; one that comes soon after is not asked, should it be a phone that cannot bear it.
        """
        wary, self._wary_since = self._wary_since, None
        if wary is not None and ticks.age(wary) < WARY_MS:
            return []
        try:
            return await self._exchange(card)
        except TransportError:
            self._wary_since = ticks.now()
            raise

    async def _exchange(self, card: "Card") -> "list[ReturningGuest]":
        held, keys = self._held
        try:
            selected = apdu.parse_response(await card.transceive(stay_key.select(), _STEP_MS))
            if selected.status != apdu.OK:
                return []
            exchange = stay_key.Exchange(self._crypto, keys, selected.data)
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
        compared; `pin.wrong`. StorageError when the try cannot be charged. A wrong PIN costs one HMAC and one look
        through a table of one length, whoever is in.
        """
        self._standing.in_force()
        if not stay_pin.is_pin(typed):
            raise RefusedError("pin.form", "a PIN has eight digits")
        self._attempts.charge()
        tag = self._mac(typed)
        at = self._slots.find(tag)
        while at >= 0:
            known = self._known[-_PINS:][at // _TAG : at // _TAG + 1]
            if known and cose.same(typed.encode(), self._pin(*known[0]).encode()):
                self._attempts.right()
                return [ReturningGuest("pin", known[0][:2])]
            at = self._slots.find(tag, at + 1)
        raise RefusedError("pin.wrong", "nobody's PIN who is in")

    def _pin(self, grant_id: bytes, _document: bytes, commitment: bytes) -> str:
        stay = self._stays.held(grant_id)
        assert stay is not None
        return stay_pin.stay_pin(self._crypto, self._commitment_keys.of(stay.platform), grant_id, commitment)

    def _mac(self, pin: str) -> bytes:
        """What stands for a PIN in the table, under a key of this boot's: no PIN is at rest, not even here."""
        return self._crypto.hmac_sha256(self._key, pin.encode())[:_TAG]

    def _fill(self, tags: bytes) -> bytes:
        """A table of one length. What fills it up is like tags."""
        return (tags + self._mac("") * _PINS)[: _PINS * _TAG]
