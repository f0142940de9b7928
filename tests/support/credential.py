"""An issuer and a phone for tests, made with `cryptography` and `cbor2`. Both can do every step wrongly on request.

Issuer and phone share no code with the verifier. So a mistake stays hidden only if two libraries make the same mistake.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID, ObjectIdentifier

from protocol import der

MDL = "org.iso.18013.5.1.mDL"
MDL_NAME_SPACE = "org.iso.18013.5.1"
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
SIGNED = NOW - timedelta(days=30)
DOCUMENT_SIGNER = ObjectIdentifier("1.0.18013.5.1.2")

CURVES: dict[str, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
    "brainpoolP256r1": ec.BrainpoolP256R1(),
}
SIZES = {"P-256": 32, "P-384": 48, "P-521": 66, "brainpoolP256r1": 32}
ALGORITHMS = {"P-256": -7, "P-384": -35, "P-521": -36, "brainpoolP256r1": -7}
HASHES: dict[str, hashes.HashAlgorithm] = {
    "P-256": hashes.SHA256(),
    "P-384": hashes.SHA384(),
    "P-521": hashes.SHA512(),
    "brainpoolP256r1": hashes.SHA256(),
}

Change = Callable[[Any], None]


def unchanged(_: Any) -> None:
    """A change function that changes nothing."""


@cache
def _generated(name: str, curve: str) -> ec.EllipticCurvePrivateKey:
    del name  # The name only distinguishes cached keys.
    return ec.generate_private_key(CURVES[curve])


def key(name: str, curve: str = "P-256") -> ec.EllipticCurvePrivateKey:
    """Return the private key of the party `name`. The key is made once per run."""
    return _generated(name, curve)


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def name(common_name: str, country: str | None = "UT", state: str | None = None) -> x509.Name:
    attributes = [] if country is None else [x509.NameAttribute(NameOID.COUNTRY_NAME, country, _validate=False)]
    if state is not None:
        attributes.append(x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, state))
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def other_writing(common_name: str) -> x509.Name:
    """Return `name` with the country as IA5String and the common name as PrintableString."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "UT", _type=_ASN1Type.IA5String, _validate=False),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name, _type=_ASN1Type.PrintableString),
        ]
    )


def key_usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=not digital_signature,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


ONLY_END_ENTITIES = x509.BasicConstraints(ca=True, path_length=0)


@dataclass(frozen=True)
class Authority:
    """The owner of one certificate in the path, with everything that the certificate says. `None` leaves a part out."""

    subject: x509.Name
    curve: str = "P-256"
    not_before: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    not_after: datetime = datetime(2027, 1, 1, tzinfo=UTC)
    usage: x509.KeyUsage | None = field(default_factory=lambda: key_usage(key_cert_sign=True))
    constraints: x509.BasicConstraints | None = ONLY_END_ENTITIES
    purposes: tuple[ObjectIdentifier, ...] = ()
    subject_key_identifier: bytes | None = b"subject key identifier"
    authority_key_identifier: bytes | None = None
    extra: tuple[tuple[x509.ExtensionType, bool], ...] = ()
    key_name: str | None = None
    hash_algorithm: hashes.HashAlgorithm | None = None

    def key(self) -> ec.EllipticCurvePrivateKey:
        return key(self.key_name or self.subject.rfc4514_string(), self.curve)

    def certificate(self, issuer: "Authority", issuer_name: x509.Name | None = None) -> bytes:
        """Return the certificate as DER, signed by `issuer`. `issuer_name` replaces the issuer's name in the
        certificate.
        """
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.subject)
            .issuer_name(issuer_name or issuer.subject)
            .public_key(self.key().public_key())
            .serial_number(1234567)
            .not_valid_before(self.not_before)
            .not_valid_after(self.not_after)
        )
        if self.constraints is not None:
            builder = builder.add_extension(self.constraints, critical=True)
        if self.usage is not None:
            builder = builder.add_extension(self.usage, critical=True)
        if self.purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(self.purposes), critical=True)
        if self.subject_key_identifier is not None:
            builder = builder.add_extension(x509.SubjectKeyIdentifier(self.subject_key_identifier), critical=False)
        if self.authority_key_identifier is not None:
            identifier = x509.AuthorityKeyIdentifier(self.authority_key_identifier, None, None)
            builder = builder.add_extension(identifier, critical=False)
        for extension, critical in self.extra:
            builder = builder.add_extension(extension, critical=critical)
        algorithm: Any = issuer.hash_algorithm or HASHES[issuer.curve]
        return builder.sign(issuer.key(), algorithm, ecdsa_deterministic=True).public_bytes(Encoding.DER)


IACA = Authority(name("Utopia IACA"), not_after=datetime(2035, 1, 1, tzinfo=UTC))
INTERMEDIATE = Authority(
    name("Utopia intermediate"),
    subject_key_identifier=b"intermediate",
    authority_key_identifier=b"subject key identifier",
)
DS = Authority(
    name("Utopia DS"),
    usage=key_usage(digital_signature=True),
    constraints=None,
    purposes=(DOCUMENT_SIGNER,),
    subject_key_identifier=b"document signer",
    authority_key_identifier=b"subject key identifier",
)


def signed_anew(data: bytes, old: bytes, new: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """Replace `old` by `new` in the certificate or CRL `data`. Return the result, signed again with `key` on P-256.

    `new` has the same length as `old`. This makes certificates and CRLs that no library would write.
    """
    whole = der.Reader(data).enter(der.SEQUENCE)
    tbs, algorithm = whole.element(der.SEQUENCE), whole.element(der.SEQUENCE)
    assert len(old) == len(new) and tbs.count(old) == 1
    tbs = tbs.replace(old, new)
    signature = key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    content = tbs + algorithm + bytes((der.BIT_STRING, len(signature) + 1, 0)) + signature
    size = len(content)
    return b"\x30" + (bytes((0x81, size)) if size < 256 else b"\x82" + size.to_bytes(2, "big")) + content


@dataclass(frozen=True)
class Credential:
    """One document, from issuing to presentation. Each `change_*` function edits a part before it is signed or sent."""

    iaca: Authority = IACA
    intermediates: tuple[Authority, ...] = ()
    """Intermediate certificates in the order of the path, from the IACA down to the DS certificate."""
    ds: Authority = DS
    ds_certificate: bytes | None = None
    issuer_key: ec.EllipticCurvePrivateKey | None = None
    doc_type: str = MDL
    elements: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            MDL_NAME_SPACE: {
                "family_name": "Mustermann",
                "given_name": "Erika",
                "birth_date": cbor2.CBORTag(1004, "1984-08-12"),
                "document_number": "T22000129",
                "issuing_country": "UT",
            }
        }
    )
    digest_algorithm: str = "SHA-256"
    curve: str = "P-256"
    signed: datetime = SIGNED
    valid_from: datetime = SIGNED
    valid_until: datetime = NOW + timedelta(days=60)
    method: str = "deviceSignature"
    device_elements: dict[str, dict[str, Any]] = field(default_factory=dict)
    device_key: ec.EllipticCurvePrivateKey | None = None
    authenticated_doc_type: str | None = None
    change_item: Change = unchanged
    change_mso: Change = unchanged
    change_issuer_protected: Change = unchanged
    change_issuer_auth: Change = unchanged
    change_device_protected: Change = unchanged
    change_device_message: Change = unchanged
    change_document: Change = unchanged

    def x5chain(self) -> list[bytes]:
        path = [self.iaca, *self.intermediates]
        chain = [path[position].certificate(path[position - 1]) for position in range(1, len(path))]
        chain.append(self.ds_certificate or self.ds.certificate(path[-1]))
        return chain[::-1]

    def document(self, transcript: bytes) -> dict[str, Any]:
        """Return the Document as the phone presents it in the session of `transcript`."""
        name_spaces: dict[str, list[cbor2.CBORTag]] = {}
        digests: dict[str, dict[int, bytes]] = {}
        number = 0
        for name_space, values in self.elements.items():
            name_spaces[name_space], digests[name_space] = [], {}
            for identifier, value in values.items():
                salt = hashlib.sha256(identifier.encode()).digest()
                item = {"digestID": number, "random": salt, "elementIdentifier": identifier, "elementValue": value}
                self.change_item(item)
                tagged = cbor2.CBORTag(24, cbor2.dumps(item))
                algorithm = self.digest_algorithm.replace("-", "").lower()
                digests[name_space][item.get("digestID", number)] = hashlib.new(algorithm, cbor2.dumps(tagged)).digest()
                name_spaces[name_space].append(tagged)
                number += 1
        document = {
            "docType": self.doc_type,
            "issuerSigned": {"nameSpaces": name_spaces, "issuerAuth": self._issuer_auth(digests)},
            "deviceSigned": self._device_signed(transcript),
        }
        self.change_document(document)
        return document

    def _issuer_auth(self, digests: dict[str, dict[int, bytes]]) -> list[Any]:
        numbers = key("device", self.curve).public_key().public_numbers()
        size = SIZES[self.curve]
        device_key = {
            1: 2,
            -1: {"P-256": 1, "P-384": 2, "P-521": 3, "brainpoolP256r1": 256}[self.curve],
            -2: numbers.x.to_bytes(size, "big"),
            -3: numbers.y.to_bytes(size, "big"),
        }
        mso: dict[str, Any] = {
            "version": "1.0",
            "digestAlgorithm": self.digest_algorithm,
            "valueDigests": digests,
            "deviceKeyInfo": {"deviceKey": device_key},
            "docType": self.doc_type,
            "validityInfo": {
                "signed": tdate(self.signed),
                "validFrom": tdate(self.valid_from),
                "validUntil": tdate(self.valid_until),
            },
        }
        self.change_mso(mso)
        payload = cbor2.dumps(cbor2.CBORTag(24, cbor2.dumps(mso)))
        protected: dict[Any, Any] = {1: ALGORITHMS[self.ds.curve]}
        self.change_issuer_protected(protected)
        protected_bytes = cbor2.dumps(protected)
        chain = self.x5chain()
        message = [protected_bytes, {33: chain[0] if len(chain) == 1 else chain}, payload, b""]
        message[3] = ecdsa(
            self.issuer_key or self.ds.key(),
            cbor2.dumps(["Signature1", protected_bytes, b"", payload]),
            SIZES[self.ds.curve],
            HASHES[self.ds.curve],
        )
        self.change_issuer_auth(message)
        return message

    def _device_signed(self, transcript: bytes) -> dict[str, Any]:
        tagged = cbor2.CBORTag(24, cbor2.dumps(self.device_elements))
        doc_type = self.authenticated_doc_type or self.doc_type
        authentication = ["DeviceAuthentication", cbor2.loads(transcript), doc_type, tagged]
        content = cbor2.dumps(cbor2.CBORTag(24, cbor2.dumps(authentication)))
        device_key = self.device_key or key("device", self.curve)
        signs = self.method == "deviceSignature"
        protected: dict[Any, Any] = {1: ALGORITHMS[self.curve] if signs else 5}
        self.change_device_protected(protected)
        protected_bytes = cbor2.dumps(protected)
        message: list[Any] = [protected_bytes, {}, None, b""]
        if signs:
            structure = cbor2.dumps(["Signature1", protected_bytes, b"", content])
            message[3] = ecdsa(device_key, structure, SIZES[self.curve], HASHES[self.curve])
        else:
            secret = device_key.exchange(ec.ECDH(), key("reader", self.curve).public_key())
            salt = hashlib.sha256(cbor2.dumps(cbor2.CBORTag(24, transcript))).digest()
            mac_key = HKDF(hashes.SHA256(), 32, salt, b"EMacKey").derive(secret)
            message[3] = hmac.digest(mac_key, cbor2.dumps(["MAC0", protected_bytes, b"", content]), "sha256")
        self.change_device_message(message)
        return {"nameSpaces": tagged, "deviceAuth": {self.method: message}}


def tdate(moment: datetime) -> cbor2.CBORTag:
    return cbor2.CBORTag(0, moment.strftime("%Y-%m-%dT%H:%M:%SZ"))


def ecdsa(private: ec.EllipticCurvePrivateKey, data: bytes, size: int, algorithm: hashes.HashAlgorithm) -> bytes:
    # Signatures are deterministic. So the lock's memory of signatures recognises a document that was made twice.
    r, s = decode_dss_signature(private.sign(data, ec.ECDSA(algorithm, deterministic_signing=True)))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def session_transcript(curve: str = "P-256", nonce: bytes = b"handover select") -> bytes:
    """Return a SessionTranscript. The reader key in the transcript is the key named "reader" on the curve `curve`."""
    numbers = key("reader", curve).public_key().public_numbers()
    size = SIZES[curve]
    reader_key = cbor2.dumps(
        {
            1: 2,
            -1: 1 if curve == "P-256" else 2,
            -2: numbers.x.to_bytes(size, "big"),
            -3: numbers.y.to_bytes(size, "big"),
        }
    )
    engagement = cbor2.dumps({0: "1.0", 1: [1, cbor2.CBORTag(24, b"\xa0")]})
    return cbor2.dumps([cbor2.CBORTag(24, engagement), cbor2.CBORTag(24, reader_key), [nonce, None]])


@dataclass(frozen=True)
class Case:
    """The arguments for the verifier."""

    device_response: bytes
    session_transcript: bytes
    roots: list[tuple[bytes, list[str] | None]]
    now: tuple[int, int | None] = (seconds(NOW), seconds(NOW))
    e_reader_private: bytes | None = None
    doc_types: list[str] | None = None


def present(
    *credentials: Credential,
    change_response: Change = unchanged,
    session: bytes | None = None,
    roots: list[tuple[bytes, list[str] | None]] | None = None,
    **settings: Any,
) -> Case:
    """Return a test case: one response that contains `credentials`.

    If `session` is given, the verifier uses it as the transcript. The phone's transcript is then a different one.
    """
    chosen = credentials or (Credential(),)
    curve = chosen[0].curve
    transcript = session_transcript(curve)
    response = {"version": "1.0", "documents": [each.document(transcript) for each in chosen], "status": 0}
    change_response(response)
    private = key("reader", curve).private_numbers().private_value.to_bytes(SIZES[curve], "big")
    if roots is None:
        roots = [(each.iaca.certificate(each.iaca), None) for each in chosen]
    return Case(cbor2.dumps(response), session or transcript, roots, **{"e_reader_private": private, **settings})
