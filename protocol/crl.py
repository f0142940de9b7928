"""Certificate revocation lists (RFC 5280 section 5). Only complete and direct lists are read. A direct list is signed
by the CA that issued the certificates in it. An IACA issues such lists (ISO/IEC 18013-5 Annex B.1.5).

Delta CRLs, indirect CRLs and CRLs for only part of the certificates are marked by a critical extension. A list with any
critical extension is refused.
"""

from protocol import const, der, x509
from protocol.errors import FormatError, VerificationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.crypto import Crypto
    from protocol.x509 import Certificate

_AUTHORITY_KEY_IDENTIFIER = const(b"\x55\x1d\x23")
_CRL_NUMBER = const(b"\x55\x1d\x14")


class CRL:
    """A parsed list: `issuer` is a DER name; `this_update` and `next_update` are seconds since 1970."""

    def __init__(self, data: bytes) -> None:
        """Parse DER. Raises FormatError `der.*`, `crl.*`, `x509.validity` for a malformed list. Raises
        VerificationError `crl.critical` for a critical extension."""
        outside = der.Reader(data)
        whole = outside.enter(der.SEQUENCE)
        outside.finish()
        self._tbs = whole.element(der.SEQUENCE)
        algorithm = whole.element(der.SEQUENCE)
        self._signature, unused = whole.bits()
        whole.finish()
        self._hash = x509.hash_of(algorithm)
        self._authority_key_identifier: "bytes | None" = None
        tbs = der.Reader(self._tbs).enter(der.SEQUENCE)
        if unused or tbs.peek() != der.INTEGER or tbs.unsigned() != 1:
            raise FormatError("crl.version", "not a version 2 CRL")
        if tbs.element(der.SEQUENCE) != algorithm:
            raise FormatError("crl.algorithm", "the two algorithm fields differ")
        self.issuer = tbs.element(der.SEQUENCE)
        self.this_update = x509.read_time(tbs)
        if tbs.peek() not in (der.UTC_TIME, der.GENERALIZED_TIME):
            raise FormatError("crl.next_update", "nextUpdate is missing")
        self.next_update = x509.read_time(tbs)
        if self.next_update < self.this_update:
            raise FormatError("crl.next_update", "nextUpdate lies before thisUpdate")
        self._entries: "der.Reader | None" = None
        if tbs.peek() == der.SEQUENCE:
            self._entries = tbs.enter(der.SEQUENCE)
            # All entries are read once here, so an unreadable entry is refused before anything relies on the list.
            self.serials()
        if tbs.peek() != 0xA0:
            raise FormatError("crl.extensions", "a version 2 CRL has extensions")
        extensions = tbs.enter(0xA0)
        self._read_extensions(extensions.enter(der.SEQUENCE))
        extensions.finish()
        tbs.finish()

    def _read_extensions(self, extensions: der.Reader) -> None:
        while extensions:
            identifier, critical, content = _extension(extensions)
            value = der.Reader(content)
            if identifier == _AUTHORITY_KEY_IDENTIFIER:
                authority = value.enter(der.SEQUENCE)
                if authority.peek() == 0x80:
                    self._authority_key_identifier = authority.content(0x80)
            # The CRL number is not used, because the serial of the province's statement tells which list is the newest.
            elif critical and identifier != _CRL_NUMBER:
                raise VerificationError("crl.critical", "a critical extension: a delta, indirect or partial CRL")

    def serials(self) -> "list[bytes]":
        """Return the serial numbers of the certificates that are revoked or on hold, as `der.Reader.serial` returns
        them."""
        found = []
        if self._entries is not None:
            entries = der.Reader(self._entries.data, self._entries.at, self._entries.end)
            while entries:
                entry = entries.enter(der.SEQUENCE)
                found.append(entry.serial())
                x509.read_time(entry)
                if entry:
                    extensions = entry.enter(der.SEQUENCE)
                    while extensions:
                        if _extension(extensions)[1]:
                            raise VerificationError("crl.critical", "a critical extension of an entry")
                entry.finish()
        return found

    def verify(self, crypto: "Crypto", issuer: "Certificate") -> None:
        """Check that `issuer` issued and signed this list.

        Raises VerificationError `crl.issuer` if the list names another issuer or another key, or if `issuer` may not
        sign CRLs; `crl.signature` if the signature is wrong.
        """
        wanted, offered = self._authority_key_identifier, issuer.subject_key_identifier
        named = x509.same_name(self.issuer, issuer.subject)
        if not named or (wanted is not None and offered is not None and wanted != offered):
            raise VerificationError("crl.issuer", "the CRL of another issuer")
        if issuer.key_usage is None or not issuer.key_usage & x509.CRL_SIGN:
            raise VerificationError("crl.issuer", "the issuer may not sign CRLs")
        if not issuer.signed(crypto, self._hash, self._tbs, self._signature):
            raise VerificationError("crl.signature", "the CRL's signature is not good")


def _extension(extensions: der.Reader) -> "tuple[bytes, bool, bytes]":
    """Return (object identifier, critical, content) of the next extension."""
    extension = extensions.enter(der.SEQUENCE)
    identifier = extension.content(der.OBJECT_IDENTIFIER)
    critical = extension.peek() == der.BOOLEAN and extension.boolean()
    content = extension.content(der.OCTET_STRING)
    extension.finish()
    return identifier, critical, content
