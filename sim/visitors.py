"""People who come to the door. Each has a phone with a document from an issuer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sim import issuer, pki, sm_issuer
from sim.people import Person
from sim.phone.phone import Phone
from sim.phone.response import Authentication, Credential
from sim.platform import Guest
from sim.sm2 import PrivateKey


@dataclass
class Visitor:
    """A person with a phone that has a document from an issuer."""

    person: Person
    phone: Phone
    doc_type: str

    def pretend_to_be(self, person: Person) -> None:
        """Take the name of `person` from now on. The document on the phone stays the same."""
        self.person = person

    @property
    def name(self) -> str:
        """The person's full name."""
        return self.person.name

    def booking_name(self) -> Guest:
        """Return the data that the platform has about this person."""
        return Guest(self.person.document_number, self.person.birth_date)


def with_document(
    person: Person,
    reader_root: pki.Identity,
    signer: pki.Identity,
    authentication: Authentication,
    days_valid: int,
    revocation: Mapping[str, Any] | None,
) -> Visitor:
    """Make `person` a visitor. pymdoccbor issues the document today, for a key that only the person's phone has.

    `revocation` is the member of the document's MSO that says where the document's status is published.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    issued = issuer.issue(
        person.doc_type,
        person.document(),
        public,
        signer,
        valid_until=datetime.now(UTC).date() + timedelta(days=days_valid),
        revocation=None if revocation is None else dict(revocation),
    )
    return _visitor(person, reader_root, Credential(person.doc_type, issued, key), authentication)


def with_national_document(person: Person, reader_root: pki.Identity, signer: sm_issuer.Identity) -> Visitor:
    """Make `person` a visitor with a document of the SM suite, issued today for a key on the SM2 curve."""
    key = PrivateKey.generate()
    issued = sm_issuer.issue(person.doc_type, person.document(), key.public, signer)
    return _visitor(person, reader_root, Credential(person.doc_type, issued, key), "signature")


def _visitor(
    person: Person, reader_root: pki.Identity, credential: Credential, authentication: Authentication
) -> Visitor:
    phone = Phone([credential], [reader_root.certificate], authentication=authentication)
    return Visitor(person, phone, person.doc_type)
