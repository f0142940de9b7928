"""Trust list: which IACAs a lock trusts, for which document types and when, and which lists judge what they issued.

`statement.cddl` has the form. A list (a CRL, a status list, an identifier list) comes apart from this, in a statement
of its own (`revocation_list`), because it changes daily and the issuers do not; what must sign it stands here.
"""

from protocol import cose, statement
from protocol.errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KIND = "trust-list"

CRL = 1
STATUS_LIST = 2
IDENTIFIER_LIST = 3
LIST_KINDS = (CRL, STATUS_LIST, IDENTIFIER_LIST)

MAX_ISSUERS = 32
MAX_LISTS = 8
"""Lists a lock keeps; with its extract each takes up to 20 KB of flash."""


class Issuer:
    """A trusted IACA: its `certificate` (DER), the `doc_types` it may vouch for, and the time in which it is trusted,
    `trusted_from` to `trusted_until` in seconds since 1970, None where that end is open."""

    def __init__(
        self,
        certificate: bytes,
        doc_types: "list[str]",
        trusted_from: "int | None" = None,
        trusted_until: "int | None" = None,
    ) -> None:
        self.certificate = certificate
        self.doc_types = doc_types
        self.trusted_from = trusted_from
        self.trusted_until = trusted_until

    def items(self) -> "dict[int, Any]":
        """As a member of the statement's body."""
        return {1: self.certificate, 2: list(self.doc_types), 3: self.trusted_from, 4: self.trusted_until}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Issuer) and self.items() == other.items()

    def __hash__(self) -> int:
        return hash(self.certificate)


class ListEntry:
    """A list that the lock should hold.

    `number` (1 to MAX_LISTS) names it in statements; `kind` is one of LIST_KINDS; `issuer` the index of an issuer: the
    list judges what that one's key signed, under whatever entry it is trusted; `uri` is what a token's `sub`, and the
    reference in an MSO, must say; `key` is the EC2 COSE_Key that must have signed a token. A CRL has neither: its IACA
    signs it.
    """

    def __init__(self, number: int, kind: int, issuer: int, uri: str = "", key: "dict[Any, Any] | None" = None) -> None:
        self.number = number
        self.kind = kind
        self.issuer = issuer
        self.uri = uri
        self.key = key

    def items(self) -> "dict[int, Any]":
        """As a member of the statement's body."""
        return {1: self.number, 2: self.kind, 3: self.issuer, 4: self.uri, 5: self.key}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ListEntry) and self.items() == other.items()

    def __hash__(self) -> int:
        return hash(self.number)


class TrustList:
    """`issuers` and the `lists` that judge them; `issued_at` in seconds since 1970."""

    def __init__(
        self, serial: int, issued_at: int, issuers: "list[Issuer]", lists: "list[ListEntry] | None" = None
    ) -> None:
        self.serial = serial
        self.issued_at = issued_at
        self.issuers = issuers
        self.lists = lists or []

    def doc_types(self) -> "list[str]":
        """Every document type that some issuer may issue, sorted."""
        return sorted({doc_type for issuer in self.issuers for doc_type in issuer.doc_types})

    @staticmethod
    def parse(body: "dict[Any, Any]") -> "TrustList":
        """The trust list in an opened statement's body. Raises FormatError `trust-list.form`."""
        statement.check(KIND, body, _RULES)
        issuers = [Issuer(entry[1], entry[2], entry[3], entry[4]) for entry in body[4]]
        lists = [ListEntry(entry[1], entry[2], entry[3], entry[4], entry[5]) for entry in body[5]]
        numbers = {entry.number for entry in lists}
        if len(numbers) != len(lists) or not all(entry.issuer < len(issuers) for entry in lists):
            raise FormatError("trust-list.form", "two lists of one number, or a list of no issuer")
        return TrustList(body[2], body[3], issuers, lists)

    def body(self) -> "dict[Any, Any]":
        """Body for `statement.sign`. Raises FormatError `trust-list.form`."""
        issuers = [issuer.items() for issuer in self.issuers]
        lists = [entry.items() for entry in self.lists]
        body = {1: 1, 2: self.serial, 3: self.issued_at, 4: issuers, 5: lists}
        TrustList.parse(body)
        return body


def _is_issuers(value: "Any") -> bool:
    return isinstance(value, list) and 0 < len(value) <= MAX_ISSUERS and all(_is_issuer(entry) for entry in value)


def _is_issuer(entry: "Any") -> bool:
    if not isinstance(entry, dict) or set(entry) != {1, 2, 3, 4}:
        return False
    certificate, doc_types = entry[1], entry[2]
    if not isinstance(certificate, bytes) or not 0 < len(certificate) <= 4096:
        return False
    if not (_is_time(entry[3]) and _is_time(entry[4])):
        return False
    if not isinstance(doc_types, list) or not 0 < len(doc_types) <= 16:
        return False
    return all(statement.is_label(name) for name in doc_types) and len(set(doc_types)) == len(doc_types)


def _is_time(value: "Any") -> bool:
    return value is None or statement.is_uint(value)


def _is_lists(value: "Any") -> bool:
    return isinstance(value, list) and len(value) <= MAX_LISTS and all(_is_list(entry) for entry in value)


def _is_list(entry: "Any") -> bool:
    if not isinstance(entry, dict) or set(entry) != {1, 2, 3, 4, 5}:
        return False
    number, kind, uri, key = entry[1], entry[2], entry[4], entry[5]
    if not (statement.is_positive(number) and number <= MAX_LISTS and statement.is_uint(entry[3])):
        return False
    if not statement.is_positive(kind) or kind not in LIST_KINDS or not isinstance(uri, str):
        return False
    if kind == CRL:
        return uri == "" and key is None
    return 0 < len(uri) <= 255 and _is_key(key)


def _is_key(key: "Any") -> bool:
    if not isinstance(key, dict) or set(key) != {1, -1, -2, -3}:
        return False
    try:
        cose.parse_key(key)
    except FormatError:
        return False
    return True


_RULES = {1: statement.is_version_1, 2: statement.is_positive, 3: statement.is_uint, 4: _is_issuers, 5: _is_lists}
