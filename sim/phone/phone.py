"""The guest's phone: its documents, its owner's consent, and one transaction for each tap."""

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from sim.phone import engagement, request, response, stay_key
from sim.phone.applet import Applet, Habits
from sim.phone.ble import BleJob, BleLine
from sim.phone.engagement import BleOffer, Mode, Version
from sim.phone.request import Asked
from sim.phone.response import Authentication, Credential, Tamper
from sim.phone.session import CBOR_ERROR, TERMINATION, HolderSession, SessionError, status_message
from sim.phone.stay_key import StayKeys

Result = Literal[
    "presented",  # The reader got a DeviceResponse.
    "recognized",  # The reader proved that it knows a stay key of this phone, and got this phone's proof.
    "declined",  # The owner said no.
    "unknown-reader",  # The reader could not be verified, so the phone did not answer.
    "no-document",  # The phone has no requested document, or the wallet refuses because one document is missing.
    "unreadable",  # The reader's message could not be decrypted or read.
    "unfinished",  # The contact ended before a request came.
    "unmet",  # The phone did not find the reader over BLE, or found another reader.
]


@dataclass(frozen=True)
class Event:
    """A moment of a tap: seconds since the tap began, name of the event, and facts about the event."""

    seconds: float
    name: str
    facts: Mapping[str, object]


@dataclass(frozen=True)
class TapOutcome:
    """How one tap went, as the phone saw it.

    `reader` is the verified name of the reader. `requests` has the document types of each request. `asked` has the
    elements of the last request, and whether the reader will keep each element. `shared` has the elements that the
    phone gave, as {document type: {namespace: [element]}}. `status` is the last session status received.
    `device_response` and `session_transcript` are the bytes that a recorder on this phone would store. `session_data`
    is the same response as it went over the air, encrypted. `received` and `sent` are bytes of APDUs and of BLE parts.
    `seconds` is the length of the whole contact.
    """

    result: Result
    reader: str | None = None
    requests: Sequence[Sequence[str]] = ()
    asked: Sequence[Asked] = ()
    shared: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    status: int | None = None
    apdus: int = 0
    received: int = 0
    sent: int = 0
    seconds: float = 0.0
    carrier: Literal["nfc", "ble"] = "nfc"
    device_response: bytes = b""
    session_transcript: bytes = b""
    session_data: bytes = b""
    events: Sequence[Event] = ()


class Field(Protocol):
    """The reader's field, from the phone's side. `sim.nfc.virtual_pn532.VirtualPn532` implements it."""

    async def present(self, uid: bytes) -> None:
        """Enter the field, and return once the reader has noticed."""

    async def command(self) -> bytes | None:
        """Return the next command APDU, or None once the reader has let go of the phone."""

    async def respond(self, response: bytes) -> None:
        """Answer the command."""

    async def remove(self) -> None:
        """Leave the field."""


FOREVER = 3600.0
"""Maximum number of seconds that a guest waits at a door."""


class Transaction:
    """One contact, with a fresh key, a fresh engagement and at most one session. `process` takes the APDUs."""

    def __init__(self, phone: "Phone", follow: "Callable[[TapOutcome], None] | None" = None) -> None:
        self._phone = phone
        self._follow = follow
        self._began = time.monotonic()
        key = ec.generate_private_key(phone.curve)
        said = engagement.device_engagement(key.public_key(), phone.version)
        self._e_device_key_bytes = engagement.e_device_key_bytes(key.public_key())
        own_uuid = None if phone.negotiates else uuid.uuid4()
        self.ble = BleOffer(phone.ble_modes, own_uuid) if phone.ble_modes else None
        """The offer for BLE. An offer without a UUID later gets the UUID that the reader sends."""
        select = engagement.handover_select(
            said, phone.habits.max_command, phone.habits.max_response, phone.nfc, self.ble
        )
        self._session = HolderSession(key, said, select)
        self._select = select
        if phone.negotiates:
            first = engagement.SERVICE_PARAMETER
            self._applet = Applet(first, self._on_message, phone.habits, self._negotiate, select, phone.stay_keys)
        else:
            self._applet = Applet(select, self._on_message, phone.habits, stay_keys=phone.stay_keys)
        self._outcome = TapOutcome("unfinished")
        self._events: list[Event] = []
        self.thinking = 0.0
        """How many seconds the owner needs before the latest answer may be sent. The caller waits this long, and then
        sets the number to 0.
        """
        self.owner_asked = False
        self._note("tap")

    def process(self, command: bytes) -> bytes:
        """Process `command`, and return the response APDU."""
        engaged = self._applet.engaged
        answer = self._applet.process(command)
        if stay_key.answered(command) and self._phone.stay_keys is not None and self._phone.stay_keys.recognized:
            self._outcome = replace(self._outcome, result="recognized")
            self._note("recognized")
        if self._applet.engaged and not engaged:
            self._note("engaged", apdus=self._outcome.apdus + 1)
        before = self._outcome
        self._outcome = replace(
            before,
            apdus=before.apdus + 1,
            received=before.received + len(command),
            sent=before.sent + len(answer),
        )
        return answer

    def outcome(self) -> TapOutcome:
        """Return the outcome so far."""
        return replace(self._outcome, session_transcript=self._session.transcript, events=tuple(self._events))

    def end(self, *, patience_lost: bool) -> TapOutcome:
        """End the contact. Returns its outcome."""
        self._note("removed", apdus=self._outcome.apdus, patience_lost=patience_lost)
        self._outcome = replace(self._outcome, seconds=time.monotonic() - self._began)
        return self.outcome()

    @property
    def engaged(self) -> bool:
        """Has the reader read the whole handover?"""
        return self._applet.engaged

    @property
    def asked(self) -> bool:
        """Has the reader opened a session?"""
        return bool(self._session.transcript)

    def ble_job(self) -> BleJob:
        """Return the session that the phone's Bluetooth must begin after a handover to BLE."""
        assert self.ble is not None and self.ble.uuid is not None
        return BleJob(self.ble.mode, self.ble.uuid, self._e_device_key_bytes)

    def take(self, message: bytes) -> bytes | None:
        """Process a session message that came over BLE. Returns the answer."""
        self._outcome = replace(self._outcome, carrier="ble")
        return self._on_message(message)

    def unmet(self, why: str) -> None:
        """Write into the outcome that the BLE connection to the reader failed."""
        self._note("unmet", why=why)
        self._outcome = replace(self._outcome, result="unmet", carrier="ble")

    def moved(self, received: int, sent: int) -> None:
        """Add the bytes of BLE parts to the outcome."""
        before = self._outcome
        self._outcome = replace(before, received=before.received + received, sent=before.sent + sent)

    def _negotiate(self, message: bytes) -> bytes | None:
        """Answer one message of the Tag NDEF Exchange Protocol.

        The reader first selects the service, and then writes the Handover Request.
        """
        if message == engagement.SERVICE_SELECT:
            return engagement.SERVICE_GRANTED
        self._session.negotiated(message)
        if self.ble is not None and self.ble.uuid is None:
            self.ble = replace(self.ble, uuid=engagement.requested_uuid(message))
        return self._select

    def _note(self, name: str, **facts: object) -> None:
        event = Event(time.monotonic() - self._began, name, facts)
        self._events.append(event)
        self._phone.on_event(event)
        if self._follow is not None:
            self._follow(self.outcome())

    def _on_message(self, message: bytes) -> bytes | None:
        try:
            plaintext, status = self._session.open(message)
        except SessionError as error:
            self._outcome = replace(self._outcome, result="unreadable")
            return status_message(error.status)
        if status is not None:
            self._outcome = replace(self._outcome, status=status)
            self._note("ended", status=status)
            if self._phone.habits.hangs_up:
                self.thinking = FOREVER
        return None if plaintext is None else self._answer(plaintext)

    def _answer(self, plaintext: bytes) -> bytes:
        phone = self._phone
        try:
            asked = request.read(plaintext, self._session.transcript, phone.reader_roots)
        except request.RequestError:
            self._outcome = replace(self._outcome, result="unreadable")
            return status_message(CBOR_ERROR)
        reader = asked[0].reader if asked and all(item.reader == asked[0].reader for item in asked) else None
        types = [item.doc_type for item in asked]
        self._outcome = replace(self._outcome, reader=reader, asked=asked, requests=(*self._outcome.requests, types))
        self._note("asked", reader=reader, documents=len(asked))
        if reader is None:
            return self._refuse("unknown-reader")
        wanted = [(own, item.elements) for item in asked for own in phone.credentials if own.doc_type == item.doc_type]
        shared = {own.doc_type: response.available(own, elements) for own, elements in wanted}
        wallet = phone.habits.wallet
        if wallet in ("throws", "silent") and set(types) != {own.doc_type for own, _ in wanted}:
            self.thinking = FOREVER if wallet == "silent" else 0.0
            return self._refuse("no-document")
        closing = TERMINATION if wallet == "closes" else None
        if not any(shared.values()):
            self._outcome = replace(self._outcome, result="no-document")
            self._note("refused", why="no-document")
            return self._session.seal(response.build([], self._session, phone.authentication), closing)
        self.thinking, self.owner_asked = phone.consent_seconds, True
        if not phone.consent(asked):
            return self._refuse("declined")
        answer = phone.replay or response.build(wanted, self._session, phone.authentication, phone.tamper)
        self._outcome = replace(self._outcome, result="presented", shared=shared, device_response=answer)
        self._note("presented", bytes=len(answer))
        if phone.stay_keys is not None:
            phone.stay_keys.add(self._session.stay_key)
        message = self._session.seal(answer, closing)
        if phone.tamper == "session-data":
            message = response.corrupt(message)
        self._outcome = replace(self._outcome, session_data=message)
        return message

    def _refuse(self, result: Result) -> bytes:
        self._outcome = replace(self._outcome, result=result)
        self._note("refused", why=result)
        return status_message(TERMINATION)


def _always(_: Sequence[Asked]) -> bool:
    return True


def _unheard(_: Event) -> None:
    return None


@dataclass
class Phone:
    """A phone with documents on it.

    `credentials` are the documents on the phone. `reader_roots` are the reader authorities that the phone trusts. The
    phone answers no other reader. `authentication` chooses deviceSignature or deviceMac. `curve` is the curve of the
    phone's session keys. `consent` gives the owner's answer, and the owner needs `consent_seconds` to answer. If
    `agrees` is given, the phone waits for this event before it answers. `tamper` is the change that a dishonest owner's
    software makes. `replay` is a recorded DeviceResponse that the phone presents instead of an honest one. `nfc` and
    `ble_modes` say which ways of retrieval the phone offers. If `negotiates` is true, the phone makes a negotiated
    handover. `version` is the version of the phone's engagement. `stay_keys` are the keys in the phone's stay-key app,
    or None without this app. `radio` is the phone's Bluetooth, and is needed with `ble_modes`. `on_event` is called
    with each moment of a tap.
    """

    credentials: Sequence[Credential]
    reader_roots: Sequence[x509.Certificate]
    authentication: Authentication = "signature"
    curve: ec.EllipticCurve = field(default_factory=ec.SECP256R1)
    consent: Callable[[Sequence[Asked]], bool] = _always
    consent_seconds: float = 0.0
    agrees: asyncio.Event | None = None
    tamper: Tamper | None = None
    replay: bytes | None = None
    habits: Habits = field(default_factory=Habits)
    nfc: bool = True
    ble_modes: frozenset[Mode] = frozenset()
    negotiates: bool = False
    version: Version = "1.0"
    stay_keys: StayKeys | None = None
    radio: BleLine | None = None
    on_event: Callable[[Event], None] = _unheard

    def alter(self, what: Tamper | None) -> None:
        """Change every later answer as `what` says. If `what` is None, be honest again."""
        self.tamper = what

    def behave(self, habits: Habits) -> None:
        """Have other habits from the next tap on."""
        self.habits = habits

    def hand_over(self, negotiated: bool) -> None:
        """From the next tap on, make a negotiated handover if `negotiated` is true, and otherwise a static handover."""
        self.negotiates = negotiated

    def offer_ble_alone(self, mode: Mode, radio: BleLine) -> None:
        """Offer retrieval over BLE by `radio`, in the mode `mode`. Offer no retrieval over NFC."""
        self.nfc, self.ble_modes, self.radio = False, frozenset({mode}), radio

    def offer_nothing(self) -> None:
        """Offer no way of retrieval."""
        self.nfc, self.ble_modes = False, frozenset()

    def wait_for_owner(self) -> asyncio.Event:
        """Wait before each answer until the owner agrees. The owner agrees by setting the event."""
        self.agrees = asyncio.Event()
        return self.agrees

    def decline(self) -> None:
        """Let the owner decline from now on."""
        self.consent = lambda _: False

    def install_stay_keys(self) -> StayKeys:
        """Install the stay-key app. Return its keys."""
        self.stay_keys = StayKeys()
        return self.stay_keys

    def touch(self, follow: Callable[[TapOutcome], None] | None = None) -> Transaction:
        """Begin a contact, for a caller that exchanges the APDUs itself. `follow` is explained at `tap`."""
        return Transaction(self, follow)

    async def tap(
        self,
        reader: Field,
        tear_off_after: int | None = None,
        patience: float = 30.0,
        follow: Callable[[TapOutcome], None] | None = None,
    ) -> TapOutcome:
        """Hold the phone to `reader` until the reader lets go. The owner gives up after `patience` seconds.

        After a handover to BLE, the phone is taken away from the reader, and the session goes on over `radio`.

        If `tear_off_after` is given, the phone answers this many commands. At the next command, the phone is taken
        away. `follow` is called with the outcome so far, at each moment of the tap.
        """
        transaction = self.touch(follow)
        patience_lost = False
        try:
            async with asyncio.timeout(patience):
                await reader.present(b"\x08\x00\x00\x01")
                while (command := await reader.command()) is not None:
                    if tear_off_after is not None and transaction.outcome().apdus >= tear_off_after:
                        break
                    answer = transaction.process(command)
                    await self._think(transaction)
                    await reader.respond(answer)
        except TimeoutError:
            patience_lost = True
        finally:
            await reader.remove()
        if transaction.engaged and not transaction.asked and transaction.ble is not None and not patience_lost:
            await self.go_on(transaction, patience)
        return transaction.end(patience_lost=patience_lost)

    async def _think(self, transaction: Transaction) -> None:
        if transaction.thinking:
            await asyncio.sleep(transaction.thinking)
            transaction.thinking = 0.0
        if transaction.owner_asked and self.agrees is not None:
            await self.agrees.wait()

    async def go_on(self, transaction: Transaction, patience: float = 30.0) -> None:
        """Continue the transaction over BLE to its end."""
        assert self.radio is not None and transaction.ble is not None
        if transaction.ble.uuid is None:
            transaction.unmet("no-uuid")
            return
        line = self.radio
        try:
            async with asyncio.timeout(patience):
                await line.open(transaction.ble_job())
                while (message := await line.receive()) is not None:
                    answer = transaction.take(message)
                    await self._think(transaction)
                    if answer is not None:
                        await line.send(answer)
                    elif transaction.outcome().status is not None:
                        break
        except ConnectionError as error:
            transaction.unmet(str(error))
        except TimeoutError:
            transaction.unmet("patience")
        finally:
            await line.close()
            transaction.moved(*line.moved)
