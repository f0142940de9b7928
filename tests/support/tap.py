"""A reader and a phone in the process of the test, with their certificates. There is no reader chip."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware.mdoc_reader.reader import Presentation, Reading
from protocol import crypto_cpython as crypto
from protocol.errors import TransportError
from sim import issuer, pki
from sim.phone.phone import Phone, Transaction
from sim.phone.response import Credential

T = TypeVar("T")

ITEMS = {
    issuer.MDL: {"org.iso.18013.5.1": ["birth_date", "document_number", "family_name", "given_name"]},
    issuer.RESIDENT_ID: {issuer.RESIDENT_ID: ["birth_date", "document_number", "name"]},
}


@cache
def iaca(doc_type: str) -> pki.Identity:
    return pki.authority("IACA", issuer.COUNTRY[doc_type])


@cache
def reader_root() -> pki.Identity:
    return pki.authority("reader root")


@cache
def reader_key() -> tuple[bytes, bytes]:
    return crypto.generate("P-256")


@cache
def reader_chain() -> tuple[bytes, ...]:
    return (pki.reader_certificate(reader_root(), reader_key()[1]),)


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@cache
def credential(doc_type: str = issuer.MDL, portrait: int = 0) -> Credential:
    """Return a credential made by pymdoccbor. `portrait` is the size of the document's portrait. The value 0 keeps the
    usual portrait.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    changes = {"portrait": bytes(portrait)} if portrait else {}
    data = issuer.specimen(doc_type, **changes)
    return Credential(doc_type, issuer.issue(doc_type, data, point(key), pki.document_signer(iaca(doc_type))), key)


def phone(*credentials: Credential, **settings: Any) -> Phone:
    """Return a phone that trusts our reader root. By default, the phone holds a driving licence."""
    roots: list[x509.Certificate] = settings.pop("reader_roots", [reader_root().certificate])
    return Phone(credentials or [credential()], roots, **settings)


def sunk(response: bytes, sink: Any) -> bytes:
    """Return what `firmware.nfc.Card.transceive` returns for `response`: with a sink, only the status word."""
    if sink is None:
        return response
    sink.extend(memoryview(response)[:-2])
    return response[-2:]


class DirectCard:
    """A `firmware.nfc.Card` that passes APDUs directly to a phone or a function. `exchanges` lists all APDUs."""

    def __init__(
        self,
        process: Callable[[bytes], bytes],
        gone_after: int | None = None,
        max_command: int = 4096,
        max_response: int = 4096,
    ) -> None:
        self._process = process
        self._gone_after = gone_after
        self.max_command = max_command
        self.max_response = max_response
        self.exchanges: list[tuple[bytes, bytes]] = []
        self.released = False

    async def transceive(self, command: bytes | memoryview, timeout_ms: int = 1000, sink: Any = None) -> bytes:
        if self._gone_after is not None and len(self.exchanges) >= self._gone_after:
            raise TransportError("nfc.gone", "the card is gone")
        sent = bytes(command)  # the reader writes its next command into the same memory
        response = self._process(sent)
        self.exchanges.append((sent, response))
        return sunk(response, sink)

    def pass_over(self) -> None:
        pass

    async def release(self) -> None:
        self.released = True


Items = dict[str, dict[str, list[str]]]


async def read_mdoc(card: Any, *requests: Items, **settings: Any) -> Presentation:
    """Make `requests` in one session, end the session, and return the answer to the last request.

    `settings` are passed on to `Reading`.
    """
    *before, last = requests
    reading = Reading(card, crypto, **{"on_phase": lambda event, **facts: None, **settings})
    try:
        for items in before:
            await reading.ask(items, reader_key()[0], list(reader_chain()), False)
        answer = await reading.ask(last, reader_key()[0], list(reader_chain()))
        answer.device_response = bytes(answer.device_response)  # the reading wipes its buffer
        return answer
    finally:
        await reading.close()
        if reading.farewell is not None:
            await reading.farewell


def touch(phone: Phone, **limits: Any) -> tuple[Transaction, DirectCard]:
    """Return a new contact with `phone`, and the card that the reader gets."""
    transaction = phone.touch()
    return transaction, DirectCard(transaction.process, **limits)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` until it ends, and return its result."""
    return asyncio.run(work)
