"""The certificates that edges show to the broker: the first one, the following ones, and the end of all of them.

An edge signs its request for the next certificate with the key of its present one, and names the present one. Only the
edge's last certificate can be followed by another one. So a stolen older key gets nothing, and neither does a request
that is sent again later. As long as the edge has not used its new certificate, the same new key gets the same answer.

The broker is told by three files: the authority of these certificates, the list of revoked ones (CRL), and an access
list. The broker must read them again after each change.
"""

import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protocol import crypto_cpython as crypto
from protocol import uplink
from protocol.errors import ConfigError
from sim.province.keys import Keys
from sim.province.store import Store

CERTIFICATE_SECONDS = 90 * 86400
"""Lifetime of a certificate. An edge asks for the next one when a third of this time is left, so it can be without a
network for 29 days. After that a person has to enrol it again."""
LIST_SECONDS = 3650 * 86400
"""Lifetime of the list of revoked certificates. It is long, because a broker refuses everybody once its list has ended.
"""
EARLY_SECONDS = 300
"""A certificate is valid from this long ago, because the broker's clock may be behind."""

AUTHORITY, REVOKED, ACCESS = "edges.ca.pem", "edges.crl.pem", "edges.acl"
"""The files for the broker."""
_KEY = "edges.key"

_ACCESS = """\
# Made by the province. Users are the names in the certificates (use_identity_as_username true).
user {province}
topic read mooring/1/+/up
topic read mooring/1/+/state
topic write mooring/1/+/receipt
topic write mooring/1/+/cmd
topic write mooring/1/+/pass
{denied}
pattern write mooring/1/%u/up
pattern write mooring/1/%u/state
pattern read mooring/1/%u/receipt
pattern read mooring/1/%u/cmd
pattern read mooring/1/%u/pass
"""

_log = logging.getLogger("mooring.province")


class Certificates:
    """Signs the certificates of edges. The authority's key is in the province's folder. It is made when it is first
    needed."""

    def __init__(self, store: Store, keys: Keys, clock: Callable[[], float]) -> None:
        self._store, self._keys, self._clock = store, keys, clock
        self._authority: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None

    def first(self, pem: bytes) -> tuple[str, bytes]:
        """Sign the first certificate for the edge that a request (PEM) names. Return edge and certificate (PEM).

        All earlier certificates of this edge are revoked, because this is another machine or another key. Raises
        ConfigError `edge.request` for a bad request, and `edge.name` for an edge that is not admitted.
        """
        try:
            request, edge, public = _read(x509.load_pem_x509_csr, pem)
        except ValueError as error:
            raise ConfigError("edge.request", f"this is no request of an edge: {error}. Make one with enroll") from None
        with self._store.transaction():
            if self._store.edge(edge) is None:
                raise ConfigError("edge.name", f"no edge {edge!r} is admitted here. Admit it first, with run --admit")
            last = self._store.last_certificate(edge)
            if last is None or last[1] != public:
                self._store.revoke_certificates(edge, int(self._clock()))
                der = self._sign(edge, request, b"")
            else:
                der = last[3]
        return edge, x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)

    def renew(self, edge: str, message: uplink.CertificateRequest) -> bytes | None:
        """Return the message with the next certificate, or None if the edge has no right to one."""
        with self._store.transaction():
            reason, der = self._renewed(edge, message)
        if der is None:
            _log.warning("edge %s asks for a certificate: %s", edge, reason)
            return None
        signature = crypto.sign(self._keys.signing_private, uplink.certificate_text(edge, der))
        return uplink.Certificate(der, signature).encode()

    def _renewed(self, edge: str, message: uplink.CertificateRequest) -> tuple[str, bytes | None]:
        """Return the next certificate (DER), or None and the reason."""
        present, last = self._store.certificate(message.replaces), self._store.last_certificate(edge)
        if self._store.edge(edge) is None or present is None or last is None:
            return "it is not admitted, or its present certificate is not known or revoked", None
        certificate = x509.load_der_x509_certificate(present)
        if certificate.not_valid_after_utc.timestamp() < self._clock():
            return "its present certificate has ended", None
        text = uplink.request_text(edge, message.request, message.replaces)
        if not crypto.verify("P-256", _point(certificate.public_key()), "SHA-256", text, message.signature):
            return "the request is not signed by the present key", None
        try:
            request, name, public = _read(x509.load_der_x509_csr, message.request)
        except ValueError as error:
            return str(error), None
        if name != edge or _name(certificate.subject) != edge:
            return "the request or the present certificate names another edge", None
        digest, last_public, replaces, last_der = last
        if message.replaces == digest and public != last_public:
            return "", self._sign(edge, request, message.replaces)
        if message.replaces == replaces and public == last_public:
            return "", last_der
        return "another certificate has followed the present one already, or the key is not new", None

    def revoke(self, edge: str) -> None:
        """Revoke all certificates of an edge."""
        with self._store.transaction():
            self._store.revoke_certificates(edge, int(self._clock()))

    def write_broker_files(self, folder: Path, province: str) -> None:
        """Write the files for the broker into `folder`. `province` is the province's own user there.

        Raises ConfigError `province.user` if an edge could have this name, and with it the province's rights.
        """
        if uplink.is_edge_name(province):
            raise ConfigError("province.user", f"an edge could be called {province}. Choose a user with a dot in it")
        authority, key = self._load()
        now = int(self._clock())
        builder = x509.CertificateRevocationListBuilder().issuer_name(authority.subject)
        builder = builder.last_update(_moment(now)).next_update(_moment(now + LIST_SECONDS))
        for der, at in self._store.revoked_certificates(now):
            serial = x509.load_der_x509_certificate(der).serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(_moment(at)).build()
            builder = builder.add_revoked_certificate(entry)
        denied = "".join(f"user {edge}\ntopic deny mooring/1/{edge}/#\n" for edge in self._store.revoked_edges())
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / AUTHORITY, authority.public_bytes(Encoding.PEM), 0o644)
        _write(folder / REVOKED, builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM), 0o644)
        # Mosquitto 2 accepts an access list from its own user or root only, and warns if others can read it.
        _write(folder / ACCESS, _ACCESS.format(province=province, denied=denied).encode(), 0o600)

    def _sign(self, edge: str, request: x509.CertificateSigningRequest, replaces: bytes) -> bytes:
        authority, key = self._load()
        now = int(self._clock())
        until = now + CERTIFICATE_SECONDS
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, edge)]))
            .issuer_name(authority.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_moment(now - EARLY_SECONDS))
            .not_valid_after(_moment(until))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        der = certificate.public_bytes(Encoding.DER)
        public = _point(request.public_key())
        self._store.put_certificate(edge, sha256(der).digest(), public, replaces, der, until)
        return der

    def _load(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        """Return certificate and key of the authority. They are one file, so that one cannot be lost without the
        other. Raises ConfigError `province.keys`."""
        if self._authority is None:
            path = self._store.folder / _KEY
            if not path.exists():
                _write(path, _new_authority(int(self._clock())), 0o600)
            pem = path.read_bytes()
            try:
                certificate, key = x509.load_pem_x509_certificate(pem), load_pem_private_key(pem, None)
            except ValueError:
                raise ConfigError("province.keys", f"{path} has no key of an authority. Restore it") from None
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            self._authority = certificate, key
        return self._authority


def _new_authority(now: int) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Mooring edges")])
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_moment(now - EARLY_SECONDS))
        .not_valid_after(_moment(now + LIST_SECONDS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + certificate.public_bytes(Encoding.PEM)


def _read(
    load: Callable[[bytes], x509.CertificateSigningRequest], data: bytes
) -> tuple[x509.CertificateSigningRequest, str, bytes]:
    """Return a request, which `load` reads from `data`, with the name and the public key in it. Raises ValueError."""
    try:
        request = load(data)
        if not request.is_signature_valid:
            raise ValueError("its signature is wrong")
        return request, _name(request.subject), _point(request.public_key())
    except (UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise ValueError(f"its version, key or signature is of an unknown kind ({error})") from None


def _name(subject: x509.Name) -> str:
    """Return the edge that a subject names. Raises ValueError."""
    names = [str(each.value) for each in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if len(names) != 1 or not uplink.is_edge_name(names[0]):
        raise ValueError("its subject is no name of an edge")
    return names[0]


def _point(public: object) -> bytes:
    """Return a public key as a 65-byte point. Raises ValueError."""
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
        raise ValueError("its key is not on P-256")
    return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Replace a file as a whole."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
