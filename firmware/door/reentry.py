"""Coming back: how a guest who has checked in opens the door again.

    way        what the guest needs                          files
    stay key   the phone that did the check-in               `protocol.stay_key`, `firmware.door.stay_keys`
    PIN        a PIN, typed on the keypad                    `protocol.stay_pin`, `firmware.door.pin_attempts`
    document   the same document again; the lock remembers   `protocol.mdoc.remembered`
               the signatures of its issuer

A stay key or a PIN yields a claim, and the rules of the door judge it like any other claim. The remembered signatures
only make the check of a document faster. The signatures belong to the documents that were shown last, no matter whether
the holders had a booking. So the signatures do not reveal who stays here.

The table shows what the lock keeps for one guest, and which events change it:

    event                                        stay key                 PIN
    check-in (`remember`)                        stored in flash          put into the table
    stay over, cancelled or shortened, or        wiped from flash         left out of the table
      the grant no longer names the guest
      (`refresh`)
    the stay may be over (clock unsure), or it   kept, but not offered    in the table; the rules refuse
      is for another listing (`refresh`)
    reboot                                       read from flash          derived again
    a phone went away during the exchange        not asked for WARY_MS    unchanged

A tap or a PIN is compared only with data that was prepared when stays or the time changed. So a stranger causes the
same work, whether the door has guests or not.
"""

import gc
from hashlib import sha256

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
"""After a phone went away, its holder is expected to tap again within this time."""
_STEP_MS = const(1500)
_TAG = const(4)
_PINS = const(128)  # number of places for PINs, enough for four full stays; guests beyond this number get none


class Reentry:
    """Everything that the lock keeps so that guests can come back.

    A guest is a pair: (grant id, tag of the document shown at the check-in). The pair does not change during the stay,
    even if a newer grant names the guest differently.
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
        self._known = b""  # the summary of the guests whose PINs are in the table
        self._slots = self._fill(b"")
        self._offered: tuple[list[tuple[Guest, bytes]], list[bytes]] = [], []
        self._wary_since: int | None = None
        self.refresh()

    def guests(self) -> "list[tuple[bytes, bytes, bytes]]":
        """All guests who may come back now. Each guest is (grant id, tag, commitment).

        Only the lower end of the clock's interval is checked here. The rules of the door judge each claim again.
        """
        earliest = self._clock.interval()[0]
        return [
            (stay.grant.grant_id, guest.tag[:8], guest.commitment)
            for stay in self._stays.all()
            if earliest <= stay.grant.until
            for guest in [stay.guest(number) for number in stay.present()]
        ]

    def _admissible(self, guests: "list[Guest]") -> "list[Guest]":
        """Select the members of `guests` that the rules of the door would let in.

        The lock must not offer a key that opens nothing, because a phone that answers to a key is not asked for a
        document.
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
        """Wipe the keys and PINs of guests who may not come back, and prepare the comparisons for all other guests.

        Call this when stays or the time have changed, but not while somebody waits. A new platform costs one point
        multiplication. A change of guests costs one HMAC for each guest.
        """
        placement = self._trusted.placement
        platforms = [stay.platform for stay in self._stays.all()]
        for platform in platforms if placement is None else platforms + [placement.platform_key]:
            try:
                self._commitment_keys.of(platform)
            except VerificationError:
                pass  # the placement's platform key is not a point, so no grant can be verified either
        known = self.guests()
        guests = [(grant_id, document) for grant_id, document, _ in known]
        try:
            self._keys.retain(guests)
        except StorageError as error:
            # The wiped keys are gone from RAM and open nothing. The next check-in writes the file again.
            log("reentry.trouble", code=error.code)
        offered = self._keys.of(self._admissible(guests))
        if offered != self._offered[0]:
            self._offered = offered, [key for _, key in offered]
        summary = _summary(known)
        if summary != self._known:
            self._known = b""
            try:
                self._slots = self._fill(b"".join([self._mac(self._pin(*each)) for each in known[-_PINS:]]))
                self._known = summary
            except MemoryError as error:
                log("reentry.trouble", error=type(error).__name__)  # no PIN opens before the next call of this method

    def remember(self, decision: "Decision") -> None:
        """Keep the stay key of a check-in for the next opening.

        The door is open already, so a failure here does not affect this opening. After a failure, the guest only has to
        present the document once more.
        """
        stay, key = decision.stay, decision.claim.stay_key
        gc.collect()
        try:
            # The stay was changed while the heap was full of garbage. Its data are made again, so that all objects that
            # outlive this visit lie together on the heap.
            stay.renew(stay.grant)
            if key is not None and decision.kind == CHECK_IN:
                self._keys.add((stay.grant.grant_id, stay.guest(decision.number).tag[:8]), key)
            self.refresh()
        except (StorageError, MemoryError) as error:
            log("reentry.trouble", error=type(error).__name__)

    # --- by stay key -------------------------------------------------------------------------------------------------

    async def by_key(self, card: "Card") -> "list[ReturningGuest]":
        """Find the guest whose stay key is on the phone behind `card`. Returns a list with one claim, or an empty list
        if no key opens this door.

        Every phone is asked for a stay key, even while no guest has one. Otherwise the question itself would show
        whether the home is occupied. The question costs one command if the phone has no application for stay keys, and
        two commands if it has such an application.

        Raises the TransportError of the card. Some phones break off the exchange when they are asked for a stay key. So
        if the next phone is tapped within WARY_MS after such an error, the lock does not ask this phone for a stay key.
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
        """Find the guest whose PIN is equal to `typed`. Returns a list with one claim.

        Raises RefusedError: `door.unplaced` if the placement, the profile or the trust list is missing; `pin.form` if
        `typed` cannot be a PIN, which does not count as a try; `pin.wait` after too many tries, and then nothing is
        compared; `pin.wrong` if no guest who may come back has this PIN. Raises StorageError if the try cannot be
        charged. A wrong PIN costs one HMAC and one search through a table of fixed length. The number of guests does
        not change this cost.
        """
        self._trusted.in_force()
        if not stay_pin.is_pin(typed):
            raise RefusedError("pin.form", "a PIN has eight digits")
        self._attempts.charge()
        tag = self._mac(typed)
        at = self._slots.find(tag)
        if at >= 0 and _summary(self.guests()) != self._known:
            self.refresh()  # a stay has ended since the last refresh, so the places in the table have changed
            at = self._slots.find(tag)
        while at >= 0:
            known = self.guests()[-_PINS:][at // _TAG : at // _TAG + 1]
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
        """Return the tag of a PIN for the table. The key for all tags is drawn at each boot. No PIN is stored, not even
        in RAM."""
        return self._crypto.hmac_sha256(self._key, pin.encode())[:_TAG]

    def _fill(self, tags: bytes) -> bytes:
        """Make the table, which always has the same length. It begins with `tags`. The bytes that follow `tags` look
        like tags too, but no PIN matches them.
        """
        return (tags + self._mac("") * _PINS)[: _PINS * _TAG]


def _summary(guests: "list[tuple[bytes, bytes, bytes]]") -> bytes:
    """Return a hash of `guests`. The lock keeps the hash instead of the list, which can have hundreds of members."""
    state = sha256()
    for guest in guests:
        for part in guest:
            state.update(part)
    return bytes(state.digest())
