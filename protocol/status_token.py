"""Status lists and identifier lists, in which an issuer states which of its documents are revoked.

Both kinds of list are CWTs (RFC 8392) in a COSE_Sign1. A Token Status List (draft-ietf-oauth-status-list, claim 65533)
has one to eight bits for each document. This list is ordered by index and compressed. An identifier list (ISO/IEC
18013-5 second edition, clause 12.3.6, claim 65530) names the revoked documents. `status_token.cddl` has the forms. The
statement around a token bounds its length. When a status list is inflated, only its entries that are not zero are kept
(`protocol.inflate`).
"""

from protocol import cbor, const, cose
from protocol.errors import FormatError, VerificationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from protocol.crypto import Crypto

STATUS_TYPE = "application/statuslist+cwt"
IDENTIFIER_TYPE = "application/identifierlist+cwt"

# Numbers of claims. They are in the IANA registry of CWT claims. The two specifications above define the last three.
_SUBJECT = const(2)
_EXPIRES = const(4)
_NOT_BEFORE = const(5)
_ISSUED = const(6)
_IDENTIFIER_LIST = const(65530)
_STATUS_LIST = const(65533)

MAX_INFLATED = 1 << 20
"""Maximum size of an inflated status list, in bytes. This size is enough for eight million documents with one bit each.
"""

VALID = 0
INVALID = 1
SUSPENDED = 2


class StatusToken:
    """A parsed token, not yet verified.

    `uri` is its `sub`. `issued`, `expires` and `not_before` are seconds since 1970; `not_before` may be None. A status
    list has `bits` (1, 2, 4 or 8 for each document) and `compressed` (zlib). In an identifier list, `bits` is 0, and
    `identifiers` maps each revoked identifier to its entry.
    """

    def __init__(self, data: bytes) -> None:
        """Raises FormatError `cbor.*`, `cose.form`, `status-list.form` for a malformed token. Raises VerificationError
        `cose.crit` for a critical header."""
        message = cose.parse(cbor.decode(data))
        self._message: "cose.Message | None" = message
        claims = cbor.decode(message.payload or b"")
        kind = message.protected.get(cose.TYP)
        if not isinstance(claims, dict) or kind not in (STATUS_TYPE, IDENTIFIER_TYPE):
            raise _form("not a token of a known type")
        self.uri: str = _member(claims, _SUBJECT, str)
        self.issued: int = _time(claims, _ISSUED)
        # The draft only recommends this claim. The second edition of ISO/IEC 18013-5 requires this claim.
        self.expires: int = _time(claims, _EXPIRES)
        self.not_before: "int | None" = _time(claims, _NOT_BEFORE) if _NOT_BEFORE in claims else None
        self.bits = 0
        self.compressed = b""
        self.identifiers: "dict[Any, Any]" = {}
        if kind == STATUS_TYPE:
            status_list = _member(claims, _STATUS_LIST, dict)
            self.bits = _member(status_list, "bits", int)
            self.compressed = _member(status_list, "lst", bytes)
            if self.bits not in (1, 2, 4, 8):
                raise _form("entries have 1, 2, 4 or 8 bits")
        else:
            self.identifiers = _member(_member(claims, _IDENTIFIER_LIST, dict), "identifiers", dict)
            if _STATUS_LIST in claims or not all(isinstance(identifier, bytes) for identifier in self.identifiers):
                raise _form("not an identifier list")

    def verify(self, crypto: "Crypto", key: "tuple[str, bytes]", uri: str) -> None:
        """Check that this is the list of `uri` and that `key` (curve, public) signed it. Call this only once, because
        it frees the signed bytes.

        Raises VerificationError `status-list.uri` for another URI, `status-list.signature` for a wrong signature.
        """
        message, self._message = self._message, None
        if self.uri != uri or message is None:
            raise VerificationError("status-list.uri", "the list of another URI")
        try:
            cose.verify_sign1(crypto, message, key)
        except VerificationError:
            raise VerificationError("status-list.signature", "not signed with the key that the trust list names")


def entry_at(index: int, bits: int) -> "tuple[int, int]":
    """Return (byte, shift) of entry `index` in an inflated list with `bits` bits for each entry
    (draft-ietf-oauth-status-list section 4.1)."""
    per_byte = 8 // bits
    return index // per_byte, index % per_byte * bits


def _form(what: str) -> FormatError:
    return FormatError("status-list.form", what)


def _member(item: "dict[Any, Any]", key: "Any", kind: "Any") -> "Any":
    value = item.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _form("claim or member " + str(key) + " is missing or of the wrong type")
    return value


def _time(claims: "dict[Any, Any]", key: int) -> int:
    # NumericDate (RFC 8392 section 2) may have a fraction.
    value = claims.get(key)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= cbor.LARGEST:
        raise _form("claim " + str(key) + " is missing or no time")
    return int(value)
