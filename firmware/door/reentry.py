"""Coming back: how a guest who has checked in opens the door again.

    way        what the guest needs                          files
    stay key   the phone that did the check-in               `protocol.stay_key`, `firmware.door.stay_keys`
    PIN        a PIN, typed on the keypad                    `protocol.stay_pin`, `firmware.door.pin_attempts`
    document   the same document again; the lock remembers   `protocol.mdoc.remembered`
               the signatures of its issuer

Stay key and PIN yield a claim like any other, and the rules of the door judge it. The remembered signatures only make a
check of the document faster. They belong to the documents shown last, booked or not, so they do not tell who stays.

What the lock keeps of one guest, and when that changes:

    event                                        stay key                 PIN
    check-in (`remember`)                        stored in flash          put into the table
    stay over, cancelled or shortened, or        wiped from flash         left out of the table
      the grant no longer names the guest
      (`refresh`)
    the stay may be over (clock unsure), or it   kept, but not offered    in the table; the rules refuse
      is for another listing (`refresh`)
    reboot                                       read from flash          derived again
    a phone went away during the exchange        not asked for WARY_MS    unchanged

Everything that a tap or a PIN is compared with is prepared before, when stays or the time change. So a stranger costs
the door the same work whether it has guests or none.
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
    from firmware.trust.trusted_statements import TrustedStatements
    from protocol.crypto import Crypto

    Guest = tuple[bytes, bytes]

WARY_MS = 5000
"""Somebody whose phone went away taps again within this time."""
_STEP_MS = const(1500)
_TAG = const(4)
_PINS = const(128)  # places in the table of PINs: four full stays. If there are more guests, the latest have a place.


class Reentry:
    """What the lock keeps so that guests can come back. It is ready once it is built.

    A guest is (grant id, tag of the document that checked in). Both stay the same for the whole stay, even if a newer
    grant names the guest differently.
    """

    def __init__(
        self,
        crypto: "Crypto",
        store: "Store",
        clock: "Clock",
        trusted: "TrustedStatements",
        stays: "Stays",
        commitment_keys: "CommitmentKeys",
    ) -> None:
        self._crypto = crypto
        self._clock = clock
        self._trusted = trusted
        self._stays = stays
        self._commitment_keys = commitment_keys
        self._keys = StayKeys(store)
        self._attempts = PinAttempts(store)
        self.issuers = RememberedSignatures(crypto)
        self._key = crypto.random(32)
        self._known: list[tuple[bytes, bytes, bytes]] = []
        self._slots = self._fill(b"")
        self._offered: tuple[list[tuple[Guest, bytes]], list[bytes]] = [], []
        self._wary_since: int | None = None
        self.refresh()

    def guests(self) -> "list[tuple[bytes, bytes, bytes]]":
        """Everyone who may come back now: grant id, tag and commitment.

        Only the lower end of the clock's interval is asked. The rules of the door judge again.
        """
        earliest = self._clock.interval()[0]
        return [
            (stay.grant.grant_id, guest.tag[:8], guest.commitment)
            for stay in self._stays.all()
            if earliest <= stay.grant.until
            for guest in [stay.guests[number - 1] for number in stay.present()]
        ]

    def _admissible(self, guests: "list[Guest]") -> "list[Guest]":
        """Those of `guests` whom the rules would let in.

        The lock offers no key that opens nothing: a phone that answers to a key is not asked for a document.
        """
        placement = self._trusted.placement
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
        """Wipe what belongs to guests who may not come back, and prepare what the others are compared with.

        Call this when stays or the time have changed, and not while somebody waits: a new platform costs one point
        multiplication, and a change of guests one HMAC for each guest.
        """
        placement = self._trusted.placement
        platforms = [stay.platform for stay in self._stays.all()]
        for platform in platforms if placement is None else platforms + [placement.platform_key]:
            try:
                self._commitment_keys.of(platform)
            except VerificationError:
                pass  # the placement's platform key is not a point, so no grant can verify either
        known = self.guests()
        guests = [(grant_id, document) for grant_id, document, _ in known]
        try:
            self._keys.retain(guests)
        except StorageError as error:
            # The keys are gone from RAM and open nothing; the next check-in writes the file again.
            log("reentry.trouble", code=error.code)
        offered = self._keys.of(self._admissible(guests))
        if offered != self._offered[0]:
            self._offered = offered, [key for _, key in offered]
        if known != self._known:
            self._known = []
            try:
                self._slots = self._fill(b"".join([self._mac(self._pin(*each)) for each in known[-_PINS:]]))
                self._known = known
            except MemoryError as error:
                log("reentry.trouble", error=type(error).__name__)  # until the next call no PIN opens

    def remember(self, decision: "Decision") -> None:
        """Keep the stay key of a check-in for the next opening.

        The door is open already, so a failure here does not matter to this opening. It costs the guest one more
        presentation of the document.
        """
        stay, key = decision.stay, decision.claim.stay_key
        try:
            if key is not None and decision.kind == CHECK_IN:
                self._keys.add((stay.grant.grant_id, stay.guests[decision.number - 1].tag[:8]), key)
            self.refresh()
        except (StorageError, MemoryError) as error:
            log("reentry.trouble", error=type(error).__name__)

    # --- by stay key -------------------------------------------------------------------------------------------------

    async def by_key(self, card: "Card") -> "list[ReturningGuest]":
        """The guest whose stay key is on the phone behind `card`, as a list of one claim; empty if no key opens here.

        Every phone is asked, also while no guest has a key. Otherwise the question would tell an occupied home from an
        empty one. It costs one command with a phone that has no such application, and two otherwise.

        Raises TransportError of the card. A tap within WARY_MS of that is not asked: the phone may be one that breaks
        off when it is asked for a stay key.
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
        guests, keys = self._offered
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
        return [] if found is None else [ReturningGuest("stay-key", guests[found][0])]

    # --- by PIN ------------------------------------------------------------------------------------------------------

    async def by_pin(self, typed: str) -> "list[ReturningGuest]":
        """The guest whose PIN was `typed`, as a list of one claim.

        Raises RefusedError: `door.unplaced`; `pin.form` for what cannot be a PIN, which is not counted as a try;
        `pin.wait` after too many tries, when nothing is compared; `pin.wrong`. Raises StorageError if the try cannot be
        charged. A wrong PIN costs one HMAC and one search through a table of fixed length, whoever is in.
        """
        self._trusted.in_force()
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
        raise RefusedError("pin.wrong", "no guest who may come back has this PIN")

    def _pin(self, grant_id: bytes, _document: bytes, commitment: bytes) -> str:
        stay = self._stays.get(grant_id)
        assert stay is not None
        return stay_pin.stay_pin(self._crypto, self._commitment_keys.of(stay.platform), grant_id, commitment)

    def _mac(self, pin: str) -> bytes:
        """What stands for a PIN in the table. Its key is drawn at each boot. No PIN is stored, not even in RAM."""
        return self._crypto.hmac_sha256(self._key, pin.encode())[:_TAG]

    def _fill(self, tags: bytes) -> bytes:
        """The table, always of one length: `tags`, then places that no PIN leads to and that look the same."""
        return (tags + self._mac("") * _PINS)[: _PINS * _TAG]
