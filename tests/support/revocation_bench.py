"""A lock's trusted statements, and an issuer of revocation lists, for tests of revocation and of stale lists."""

import random
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware.memory import identity
from firmware.memory.store import Store
from firmware.trust.trusted_statements import TrustedStatements
from protocol import crypto_cpython as crypto
from protocol import statement, trust
from protocol.errors import MooringError
from protocol.mdoc.status import StatusReference
from protocol.revocation_list import RevocationList
from protocol.trust import Issuer, ListEntry, TrustList
from sim import pki, revocation
from sim.province.registry import PROFILES

PROVINCE = crypto.generate("P-256")
NOW = 1_795_000_000
DAY = 86400
Interval = tuple[int, int | None]
URI = "https://iaca.example/status/1"
IDENTIFIERS_URI = "https://iaca.example/identifiers"
DOC_TYPE = "org.iso.18013.5.1.mDL"

IACA = pki.authority("IACA SE", "SE")
OTHER = pki.authority("IACA NO", "NO")
NAMESAKE = pki.authority("IACA SE", "SE")
SIGNER = ec.generate_private_key(ec.SECP256R1())
STRANGER = ec.generate_private_key(ec.SECP256R1())

CRL, STATUS, IDENTIFIERS = 1, 2, 3
"""Numbers of the three revocation lists that the trust list of `trusting` names."""


def cose_key(key: ec.EllipticCurvePrivateKey) -> dict[int, Any]:
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return {1: 2, -1: 1, -2: point[1:33], -3: point[33:]}


def serial_bytes(number: int) -> bytes:
    """Return the content octets of `number` as a DER INTEGER."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


class Document:
    """The members of a verified document that `TrustedStatements.bars` needs."""

    def __init__(self, root: Any, status: Any = None) -> None:
        self.root = root
        self.status = StatusReference(status)


class Bench:
    """The trusted statements of a lock. The methods that deliver a statement return the code of the refusal, or
    None."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(str(folder))
        identity.enrol(crypto, self.store, PROVINCE[1])
        self.trusted = self.reboot()
        self.serial = 0

    def reboot(self) -> TrustedStatements:
        own = identity.load(crypto, self.store)
        assert own is not None
        self.trusted = TrustedStatements(crypto, self.store, own)
        return self.trusted

    def deliver(
        self, kind: str, body: dict[Any, Any], signer: bytes = PROVINCE[0], now: Interval = (NOW, NOW)
    ) -> str | None:
        return self.take(statement.sign(crypto, signer, kind, body), now)

    def take(self, signed: bytes, now: Interval = (NOW, NOW)) -> str | None:
        try:
            self.trusted.accept(statement.parse(signed), now)
        except MooringError as error:
            return error.code
        return None

    def profile(self, version: int = 1, **rules: Any) -> str | None:
        body = dict(PROFILES["CN"])
        return self.deliver("profile", {**body, "version": version, "trust": {**body["trust"], **rules}})

    def trusting(
        self,
        serial: int = 1,
        issued_at: int = NOW,
        entries: list[ListEntry] | None = None,
        issuers: list[Issuer] | None = None,
        **delivery: Any,
    ) -> str | None:
        """Deliver a trust list: IACA with a CRL, a status list and an identifier list, and OTHER without any list."""
        if entries is None:
            entries = [
                ListEntry(CRL, trust.CRL, 0),
                ListEntry(STATUS, trust.STATUS_LIST, 0, URI, cose_key(SIGNER)),
                ListEntry(IDENTIFIERS, trust.IDENTIFIER_LIST, 0, IDENTIFIERS_URI, cose_key(SIGNER)),
            ]
        issuers = issuers or [Issuer(IACA.der, [DOC_TYPE]), Issuer(OTHER.der, [DOC_TYPE])]
        return self.deliver("trust-list", TrustList(serial, issued_at, issuers, entries).body(), **delivery)

    def bring(self, number: int, content: bytes, serial: int | None = None, now: Interval = (NOW, NOW)) -> str | None:
        """Deliver the list `number` under the serial `serial`, or under the next serial if `serial` is None."""
        self.serial += 1
        return self.take(self.signed(number, content, serial or self.serial), now)

    def signed(self, number: int, content: bytes, serial: int) -> bytes:
        return statement.sign(crypto, PROVINCE[0], "revocation-list", RevocationList(serial, number, content).body())

    def asked(self, serial: int = 1, status: Any = None, root: int = 0) -> str | None:
        """Return the code with which the lists refuse a document, or None. `serial` is the number of the DS
        certificate.
        """
        try:
            self.trusted.revocation.check(self.trusted.roots[root], serial_bytes(serial), StatusReference(status))
        except MooringError as error:
            return error.code
        return None

    def fresh(self, latest: int | None, check_in: bool = True, status: Any = None, root: int = 0) -> str | None:
        """Return the code with which stale lists refuse a document at a check-in or a later opening, or None."""
        document: Any = Document(self.trusted.roots[root], status)
        try:
            barred = self.trusted.bars(document, latest)
        except MooringError as error:
            return error.code
        return barred if check_in else None


def crl(*serials: int, issued: int = NOW - 3600, expires: int = NOW + 7 * DAY, **settings: Any) -> bytes:
    return revocation.crl(settings.pop("by", IACA), serials, issued, expires, **settings)


def status(statuses: dict[int, int] | None = None, issued: int = NOW - 3600, **settings: Any) -> bytes:
    key, uri = settings.pop("by", SIGNER), settings.pop("uri", URI)
    return revocation.status_token(key, uri, statuses or {}, issued, **settings)


def a_million_documents() -> tuple[bytes, int, int]:
    """Return a status list for a million documents, and two indexes.

    The first index is that of the last revoked document. The second index is that of a later document that is not
    revoked.
    """
    revoked = random.Random(1).sample(range(999_000), 1000)
    return status(dict.fromkeys(revoked, 1), size=1_000_000), max(revoked), 999_999


def identifiers(*listed: bytes, issued: int = NOW - 3600, uri: str = IDENTIFIERS_URI) -> bytes:
    return revocation.identifier_token(SIGNER, uri, listed, issued)


STATUS_TYPE = {16: "application/statuslist+cwt"}
IDENTIFIER_TYPE = {16: "application/identifierlist+cwt"}
CLAIMS = {2: URI, 4: NOW + DAY, 6: NOW - 60, 65533: {"bits": 1, "lst": revocation.pack({3: 1}, 100)}}


def token(header: dict[Any, Any] | None = None, **changes: Any) -> bytes:
    """Return a status token with changed claims. `_4=...` sets claim 4, and `_4=None` leaves it out."""
    claims = {**CLAIMS, **{int(key[1:]): value for key, value in changes.items()}}
    header = STATUS_TYPE if header is None else header
    return revocation.sign_token(SIGNER, header, {key: value for key, value in claims.items() if value is not None})
