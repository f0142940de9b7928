"""Certificate and key that the agent shows to the broker, and how the next ones take their place without a gap.

The first pair is in `mqtt.cert` and `mqtt.key`. When less than a third of its time is left, the agent makes a new key
on this machine and asks the province for a certificate. Each step below leaves a pair that works, and after a crash the
agent goes on with the step that it had reached:

1. The new key is written to NEXT_KEY. The request is sent again and again, always for this key.
2. The certificate comes. Key and certificate are written to NEXT, in one file, so that they cannot be mixed up.
3. The agent connects with NEXT. If the broker takes it, NEXT is renamed to CURRENT, and the pair before it is not used
   again. If not, the agent goes on with the pair before, and tries NEXT again at its next connection.

Of CURRENT and the pair that the configuration names, the one that was issued later counts. So a certificate that a
person puts there is used at the next connection.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from edge_agent import files, log
from edge_agent.broker_key import FileKey
from edge_agent.config import Config
from protocol import crypto_cpython, uplink
from protocol.errors import FormatError, StorageError, VerificationError

CURRENT: Final = "broker.pem"
NEXT: Final = "broker-next.pem"
NEXT_KEY: Final = "broker-next.key"
RENEW_PART: Final = 3
"""A certificate is renewed when one part in RENEW_PART of its time is left."""


class Pair(NamedTuple):
    """Paths of a certificate and its key. Both may be in one file."""

    cert: str
    key: str


@dataclass(frozen=True)
class _Held:
    pair: Pair
    certificate: x509.Certificate
    key: FileKey

    @property
    def begin(self) -> float:
        return self.certificate.not_valid_before_utc.timestamp()

    @property
    def end(self) -> float:
        return self.certificate.not_valid_after_utc.timestamp()


class BrokerIdentity:
    """The pairs of one agent. `clock` gives epoch seconds."""

    def __init__(self, settings: Config, clock: Callable[[], float] = time.time) -> None:
        self._settings, self._clock = settings, clock
        self._folder = settings.state_dir
        self._named = Pair(settings.mqtt.cert, settings.mqtt.key)
        self._next_rests = False
        """True while the pair before is used, because the broker did not take the next one."""

    @property
    def pair(self) -> Pair:
        """The pair for the next connection. Both paths are empty if the configuration names no certificate."""
        if not self._named.cert:
            return self._named
        following = None if self._next_rests else self._next()
        return self.proven if following is None else following.pair

    @property
    def proven(self) -> Pair:
        """The pair with which the agent has connected before, or the one that the configuration names."""
        held = self._proven()
        return self._named if held is None else held.pair

    def ended(self, pair: Pair, *, worked: bool) -> None:
        """Note that a connection with `pair` has ended, and whether the broker had taken the pair."""
        self._next_rests = pair == self._pair_of(NEXT) and not worked

    @property
    def end(self) -> float | None:
        """When the present certificate ends, in epoch seconds; None if there is none that can be used."""
        held = self._proven()
        return None if held is None else held.end

    def works(self, pair: Pair) -> None:
        """Note that the broker has taken `pair`. From now on, the pair before it is not used any more."""
        if pair != self._pair_of(NEXT):
            if self._next_rests:
                log.event("certificate.untaken", path=str(self._folder / NEXT))
            return
        try:
            files.move(self._folder / NEXT, self._folder / CURRENT)
        except OSError as error:
            # Both pairs are still there. The next connection uses the new pair again.
            log.event("certificate.not_stored", reason=error.strerror or type(error).__name__)
        else:
            log.event("certificate.renewed", until=day(self.end or 0))

    # --- the next certificate ----------------------------------------------------------------------------------------

    def request(self) -> uplink.CertificateRequest | None:
        """Return a request for the next certificate if it is time. Raises StorageError `certificate.not_stored` if the
        new key cannot be written."""
        held = self._proven()
        if held is None or self._settings.province_public_key is None or self._next() is not None:
            return None
        if held.end - self._clock() >= (held.end - held.begin) / RENEW_PART:
            return None
        key = self._next_key(held)
        request = key.request(self._settings.name).public_bytes(Encoding.DER)
        replaces = sha256(held.certificate.public_bytes(Encoding.DER)).digest()
        text = uplink.request_text(self._settings.name, request, replaces)
        return uplink.CertificateRequest(request, replaces, held.key.sign(text))

    def take(self, message: uplink.Certificate) -> bool:
        """Keep the next certificate, for the next connection. Return False if it is here already.

        Raises VerificationError `certificate.signature` if the province did not sign it, `certificate.key` if it is not
        for the key that waits, `certificate.name` if it is for another edge, `certificate.dates` if it has ended or
        ends before the present one; FormatError `certificate.form`; StorageError `certificate.not_stored`.
        """
        name, held = self._settings.name, self._proven()
        province = self._settings.province_public_key
        text = uplink.certificate_text(name, message.certificate)
        if province is None or not crypto_cpython.verify("P-256", province, "SHA-256", text, message.signature):
            raise VerificationError("certificate.signature", "the province did not sign this certificate for this edge")
        certificate = _parsed(message.certificate)
        if held is not None and _point(certificate) == _point(held.certificate):
            return False
        key = self._waiting_key()
        if key is None or _point(certificate) != _encoded(key.public):
            raise VerificationError("certificate.key", "the certificate is not for the key that waits for one")
        if [each.value for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] != [name]:
            raise VerificationError("certificate.name", "the certificate is for another name")
        end = certificate.not_valid_after_utc.timestamp()
        if end <= self._clock() or (held is not None and end <= held.end):
            raise VerificationError("certificate.dates", "the certificate has ended, or ends before the present one")
        if self._next() is not None:
            return False
        self._write(NEXT, key.pem + certificate.public_bytes(Encoding.PEM))
        log.event("certificate.received", until=day(end))
        return True

    # --- files -------------------------------------------------------------------------------------------------------

    def _pair_of(self, name: str) -> Pair:
        path = str(self._folder / name)
        return Pair(path, path)

    def _proven(self) -> _Held | None:
        if not self._named.cert:
            return None
        found = [held for pair in (self._named, self._pair_of(CURRENT)) if (held := _read(pair)) is not None]
        return max(found, key=lambda held: held.begin, default=None)

    def _next(self) -> _Held | None:
        """Return the pair that waits for its first connection. A pair that has ended, or is older, does not count."""
        following, held = _read(self._pair_of(NEXT)), self._proven()
        if following is None or following.end <= self._clock() or (held is not None and following.end <= held.end):
            return None
        return following

    def _waiting_key(self) -> FileKey | None:
        try:
            return FileKey.load((self._folder / NEXT_KEY).read_bytes())
        except (OSError, FormatError):
            return None

    def _next_key(self, held: _Held) -> FileKey:
        """Return the key that waits for a certificate. Make it if there is none, or if it is in use already."""
        key = self._waiting_key()
        if key is None or _encoded(key.public) == _point(held.certificate):
            key = FileKey.make()
            self._write(NEXT_KEY, key.pem)
        return key

    def _write(self, name: str, content: bytes) -> None:
        try:
            files.replace(self._folder / name, content, durable=True)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise StorageError(
                "certificate.not_stored", f"cannot write {self._folder / name}: {reason}. Check state_dir."
            ) from error


def _read(pair: Pair) -> _Held | None:
    """Return a pair whose files are there and belong together, else None."""
    try:
        certificate = x509.load_pem_x509_certificates(Path(pair.cert).read_bytes())[0]
        key = FileKey.load(Path(pair.key).read_bytes())
        return _Held(pair, certificate, key) if _point(certificate) == _encoded(key.public) else None
    except (OSError, ValueError, x509.InvalidVersion, FormatError):
        return None


def _parsed(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion):
        raise FormatError("certificate.form", "no X.509 certificate in DER") from None


def _point(certificate: x509.Certificate) -> bytes:
    """Return the public key of a certificate. Raises FormatError `certificate.form` if it is not on P-256."""
    try:
        public = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        public = None
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
        raise FormatError("certificate.form", "the key of the certificate is not on P-256")
    return _encoded(public)


def _encoded(public: ec.EllipticCurvePublicKey) -> bytes:
    return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def day(seconds: float) -> str:
    """Return the day of a time in epoch seconds, in UTC: 2026-11-30."""
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
