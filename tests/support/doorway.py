"""A whole door on CPython, with the lock's real memory and rules. Phones are simulated, and each output keeps a list of
its use.
"""

import asyncio
import gc
import random
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from firmware.door.door import Door
from firmware.lock import Lock
from firmware.memory.store import Store
from protocol import cbor, record
from protocol.errors import StorageError
from protocol.trust import Issuer, TrustList
from sim import issuer, pki
from sim.people import Person
from sim.phone.phone import Phone, Transaction
from sim.phone.response import Credential
from sim.phone.stay_key import StayKeys
from sim.platform import Booking, Guest, Platform
from sim.province.registry import PROFILES
from tests.support import chip_ticks, tap
from tests.support.counting import CountingCrypto
from tests.support.placed_lock import LISTING, PlacedLock
from tests.support.tap import DirectCard

DAY = 86400


class Outputs:
    """Replaces the strike and the signals. `done` lists, in order, the commands that the strike and the signals have
    received.
    """

    def __init__(self) -> None:
        self.done: list[str] = []

    def open(self) -> None:
        self.done.append("open")

    def show(self, name: str, after_ms: int = 0, sound: bool = True) -> None:
        self.done.append("show " + name)

    def answer(self, name: str) -> None:
        self.done.append("answer " + name)

    def aside(self, name: str) -> None:
        self.done.append("aside " + name)


class CountingStore(Store):
    """A store that keeps a list of the names of all written files. If the name of a file is in `worn`, every write of
    this file fails.
    """

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.written: list[str] = []
        self.worn: set[str] = set()

    def write_parts(self, name: str, parts: Iterable[bytes | bytearray]) -> None:
        if name in self.worn:
            raise StorageError("store.write", name)
        super().write_parts(name, parts)
        self.written.append(name)


class Doorway(PlacedLock):
    """A door that has a placement, trusts one issuer and knows the time.

    `run` lets time pass. `reboot` cuts the power and boots again. From the next boot on,
    `mdoc_ble` is the radio for phones.
    """

    store: CountingStore

    def __init__(
        self,
        folder: Path,
        monkeypatch: Any,
        primitives: Any = None,
        certify: Callable[[pki.Identity, bytes], bytes] = pki.reader_certificate,
    ) -> None:
        self.true_ms = int(time.time() + 120) * 1000
        self._booted_ms = self.true_ms
        chip_ticks.stand_in(monkeypatch, lambda: self.true_ms - self._booted_ms)
        # A collection would take a tenth of a second in the large heap of a test run. Only the lock needs collections.
        monkeypatch.setattr(gc, "collect", lambda: 0)
        self.mdoc_ble: Any = None
        self._chance = random.Random(1)
        self.platform = Platform()
        self.outputs = Outputs()
        super().__init__(CountingStore(str(folder)), 32, self.platform.public, primitives or CountingCrypto(), certify)
        self.trust(tap.iaca(issuer.MDL).der)
        self.take("profile", PROFILES["CN"])

    # --- what the province and the platform do -----------------------------------------------------------------------

    def bring(self, signed: bytes) -> None:
        """Deliver a signed statement. The lock must take it."""
        kind, code = self.lock.deliver(signed)
        assert code is None, (kind, code)

    def trust(self, *roots: bytes, doc_type: str = issuer.MDL) -> None:
        body = TrustList(next(self._serials), self.now, [Issuer(root, [doc_type]) for root in roots]).body()
        self.take("trust-list", body)

    def trust_all(self) -> None:
        """Trust an issuer for each document type of the profile."""
        issuers = [Issuer(iaca(doc_type).der, [doc_type]) for (doc_type,) in PROFILES["CN"]["requests"]]
        self.take("trust-list", TrustList(next(self._serials), self.now, issuers).body())

    def book(
        self, *guests: "Visitor", ends: int = 2 * DAY, places: int | None = None, listing: str = LISTING
    ) -> Booking:
        named = [guest.named for guest in guests]
        public = self.lock.identity.public
        booking = self.platform.book(public, listing, self.now - 3600, self.now + ends, named, places)
        self.bring(self.platform.grant(booking))
        return booking

    # --- what happens at the door ------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        return self.true_ms // 1000

    def run(self, seconds: int) -> None:
        """Let `seconds` pass, divided among twenty turns of the main loop."""
        for _ in range(20):
            self.true_ms += seconds * 50
            self.lock.tick()

    def reboot(self, dark_seconds: int = 0, told: bool = True) -> Lock:
        self.true_ms += dark_seconds * 1000
        self._booted_ms = self.true_ms
        super().reboot()
        outputs: Any = self.outputs
        self.door = Door(self.lock, outputs, outputs, lambda: None, self.mdoc_ble)
        if told:
            self.tell_time(self.now)
        return self.lock

    def visitor(self, doc_type: str = issuer.MDL, signer: pki.Identity | None = None) -> "Visitor":
        """Return a person with a new document. `signer` signs the document; without it, a new document signer does."""
        return Visitor(Person.invent(self._chance, doc_type), signer or pki.document_signer(iaca(doc_type)))

    def tap(self, phone: Phone) -> Transaction:
        """Hold `phone` to the reader, let the door serve it, and return the transaction."""
        transaction, card = tap.touch(phone)
        self.present(card)
        return transaction

    def present(self, card: DirectCard) -> None:
        """Bring `card` to the reader, and let the door serve it."""
        self.card = card
        self._serve(self.door.tap(card))

    def enter(self, typed: str) -> None:
        self._serve(self.door.enter(typed))

    def _serve(self, work: Any) -> None:
        self.outputs.done.clear()
        asyncio.run(work)

    def opened(self) -> bool:
        """Return whether the last visit moved the strike."""
        return "open" in self.outputs.done

    def methods(self) -> list[str]:
        """Return the method of each recorded opening."""
        return [body[record.METHOD] for body in self.bodies() if body[record.KIND] in record.OPENINGS]


def iaca(doc_type: str) -> pki.Identity:
    """Return the issuer of this document type. All spellings of the photo ID's type have the same issuer."""
    return tap.iaca(issuer.PHOTO_ID if is_photo_id(doc_type) else doc_type)


def is_photo_id(doc_type: str) -> bool:
    return doc_type.lower() == issuer.PHOTO_ID


def document(person: Person) -> dict[str, dict[str, Any]]:
    """Return the data of the document of `person`.

    A photo ID gets the elements that the profile asks for, because the specimen of the photo ID is from an older draft.
    """
    if not is_photo_id(person.doc_type):
        return person.document()
    shown = ("family_name", "given_name", "birth_date", "sex", "document_number")
    return {"org.iso.23220.1": {"nationality": person.country, **{name: getattr(person, name) for name in shown}}}


class Visitor:
    """A person with one document, on two phones. `phone` has an app for stay keys, and `plain_phone` has none."""

    def __init__(self, person: Person, signer: pki.Identity) -> None:
        self.person = person
        self.named = Guest(person.document_number, person.birth_date)
        key = ec.generate_private_key(ec.SECP256R1())
        issued = issuer.issue(person.doc_type, document(person), tap.point(key), signer)
        self.credential = Credential(person.doc_type, issued, key)
        self.keys = StayKeys()
        self.phone = tap.phone(self.credential, stay_keys=self.keys)
        self.plain_phone = tap.phone(self.credential)


def stored_keys(doorway: Doorway) -> list[Any]:
    """Return the entries in the file of stay keys."""
    raw = doorway.store.read("stay-keys")
    found: list[Any] = [] if raw is None else cbor.decode(raw)
    return found
