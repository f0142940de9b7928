"""The phone in a guest's hand: its documents, its owner's consent, and one transaction for each tap."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from sim.phone import engagement, request, response
from sim.phone.applet import Applet, Habits
from sim.phone.request import Asked
from sim.phone.response import Authentication, Credential, Tamper
from sim.phone.session import CBOR_ERROR, TERMINATION, HolderSession, SessionError, status_message

Result = Literal[
    "presented",  # the reader got a DeviceResponse
    "declined",  # the owner said no
    "unknown-reader",  # the reader could not be verified, so the phone did not answer
    "no-document",  # nothing of what was asked for is on this phone
    "unreadable",  # the reader's message could not be decrypted or read
    "unfinished",  # the contact ended before a request came
]


@dataclass(frozen=True)
class Event:
    """A moment of a tap: seconds since the tap began, what happened, and in what numbers."""

    seconds: float
    name: str
    facts: Mapping[str, object]


@dataclass(frozen=True)
class TapOutcome:
    """How one tap went, as the phone saw it.

    `reader` is the verified name of who asked; `asked` the elements asked for and whether they will be kept; `shared`
    what was given, {document type: {namespace: [element]}}; `status` the last session status received;
    `device_response` and `session_transcript` what a recorder on this phone would hold. `received` and `sent` count
    APDU bytes, `seconds` is the length of the whole contact.
    """

    result: Result
    reader: str | None = None
    asked: Sequence[Asked] = ()
    shared: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    status: int | None = None
    apdus: int = 0
    received: int = 0
    sent: int = 0
    seconds: float = 0.0
    device_response: bytes = b""
    session_transcript: bytes = b""
    events: Sequence[Event] = ()


class Field(Protocol):
    """The reader's field, as a phone feels it. `sim.phone.bridge.Bridge` is one."""

    async def present(self, uid: bytes) -> None:
        """Be noticed."""

    async def command(self) -> bytes | None:
        """The next command APDU; None once the reader has let go."""

    async def respond(self, response: bytes) -> None:
        """Answer it."""

    async def remove(self) -> None:
        """Be taken away."""


class Transaction:
    """One contact: a fresh key, a fresh engagement, at most one session. `process` takes the APDUs."""

    def __init__(self, phone: "Phone") -> None:
        self._phone = phone
        self._began = time.monotonic()
        key = ec.generate_private_key(phone.curve)
        said = engagement.device_engagement(key.public_key())
        select = engagement.handover_select(said, phone.habits.max_command, phone.habits.max_response)
        self._session = HolderSession(key, said, select)
        self._applet = Applet(select, self._on_message, phone.habits)
        self._outcome = TapOutcome("unfinished")
        self._events: list[Event] = []
        self.thinking = 0.0
        """Seconds the owner takes before the answer just given may go out; the caller waits and clears it."""
        self._note("tap")

    def process(self, command: bytes) -> bytes:
        """The response APDU to `command`."""
        engaged = self._applet.engaged
        answer = self._applet.process(command)
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
        """How it stands."""
        return replace(self._outcome, session_transcript=self._session.transcript, events=tuple(self._events))

    def end(self, *, patience_lost: bool) -> TapOutcome:
        """The contact is over: its outcome."""
        self._note("removed", apdus=self._outcome.apdus, patience_lost=patience_lost)
        self._outcome = replace(self._outcome, seconds=time.monotonic() - self._began)
        return self.outcome()

    def _note(self, name: str, **facts: object) -> None:
        event = Event(time.monotonic() - self._began, name, facts)
        self._events.append(event)
        self._phone.on_event(event)

    def _on_message(self, message: bytes) -> bytes | None:
        try:
            plaintext, status = self._session.open(message)
        except SessionError as error:
            self._outcome = replace(self._outcome, result="unreadable")
            return status_message(error.status)
        if status is not None:
            self._outcome = replace(self._outcome, status=status)
            self._note("ended", status=status)
        return None if plaintext is None else self._answer(plaintext)

    def _answer(self, plaintext: bytes) -> bytes:
        phone = self._phone
        try:
            asked = request.read(plaintext, self._session.transcript, phone.reader_roots)
        except request.RequestError:
            self._outcome = replace(self._outcome, result="unreadable")
            return status_message(CBOR_ERROR)
        reader = asked[0].reader if asked and all(item.reader == asked[0].reader for item in asked) else None
        self._outcome = replace(self._outcome, reader=reader, asked=asked)
        self._note("asked", reader=reader, documents=len(asked))
        if reader is None:
            return self._refuse("unknown-reader")
        wanted = [(own, item.elements) for item in asked for own in phone.credentials if own.doc_type == item.doc_type]
        shared = {own.doc_type: response.available(own, elements) for own, elements in wanted}
        if not any(shared.values()):
            return self._refuse("no-document")
        self.thinking = phone.consent_seconds
        if not phone.consent(asked):
            return self._refuse("declined")
        answer = phone.replay or response.build(wanted, self._session, phone.authentication, phone.tamper)
        self._outcome = replace(self._outcome, result="presented", shared=shared, device_response=answer)
        self._note("presented", bytes=len(answer))
        message = self._session.seal(answer)
        return response.corrupt(message) if phone.tamper == "session-data" else message

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

    credentials: what it holds. reader_roots: the reader authorities it knows; it answers nobody else.
    authentication: deviceSignature or deviceMac. curve: of its session keys (P-256 unless given). consent: the owner's
    answer to being asked; consent_seconds how long that takes. tamper: what a dishonest owner's software changes.
    replay: a recorded DeviceResponse to present instead of an honest one. habits: see `Habits`. on_event: hears of
    each moment of a tap.
    """

    credentials: Sequence[Credential]
    reader_roots: Sequence[x509.Certificate]
    authentication: Authentication = "signature"
    curve: ec.EllipticCurve = field(default_factory=ec.SECP256R1)
    consent: Callable[[Sequence[Asked]], bool] = _always
    consent_seconds: float = 0.0
    tamper: Tamper | None = None
    replay: bytes | None = None
    habits: Habits = field(default_factory=Habits)
    on_event: Callable[[Event], None] = _unheard

    def touch(self) -> Transaction:
        """A new contact, for a caller that moves the APDUs itself."""
        return Transaction(self)

    async def tap(self, reader: Field, tear_off_after: int | None = None, patience: float = 30.0) -> TapOutcome:
        """Hold the phone to `reader` until the reader lets go; the owner gives up after `patience` seconds.

        `tear_off_after`: the phone is taken away instead of giving its answer to the command after so many.
        """
        transaction = self.touch()
        patience_lost = False
        try:
            async with asyncio.timeout(patience):
                await reader.present(b"\x08\x00\x00\x01")
                while (command := await reader.command()) is not None:
                    if tear_off_after is not None and transaction.outcome().apdus >= tear_off_after:
                        break
                    answer = transaction.process(command)
                    if transaction.thinking:
                        await asyncio.sleep(transaction.thinking)
                        transaction.thinking = 0.0
                    await reader.respond(answer)
        except TimeoutError:
            patience_lost = True
        finally:
            await reader.remove()
        return transaction.end(patience_lost=patience_lost)
