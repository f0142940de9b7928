"""Trust list: which IACAs a lock trusts, for which document types and when, and which revocation lists apply.

`statement.cddl` has the form. A revocation list (a CRL, a status list or an identifier list) has a separate statement
(`revocation_list`). The reason is that a revocation list changes daily and the list of issuers does not. The trust list
names the key that must have signed the revocation list.
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

MAX_ISSUERS = 32
MAX_LISTS = 8
"""Maximum number of revocation lists that a lock keeps. Each list and its extract together need at most 20 KB of
flash."""


def _is_key(key: "Any") -> bool:
    if not isinstance(key, dict) or set(key) != {1, -1, -2, -3}:
        return False
    try:
        cose.parse_key(key)
    except FormatError:
        return False
    return True


class Issuer(statement.Form):
    """A trusted IACA: its `certificate` (DER) and the `doc_types` that it may vouch for. The IACA is trusted from
    `trusted_from` until `trusted_until`, both in seconds since 1970. Either time may be None, which means no limit."""

    CODE = "trust-list.form"
    VERSION = 0

    certificate: bytes = statement.field(1, statement.is_bytes, 1, 4096)
    doc_types: "list[str]" = statement.field(2, statement.is_list, 1, 16, statement.is_label)
    trusted_from: "int | None" = statement.field(3, statement.is_optional, statement.is_uint, default=None)
    trusted_until: "int | None" = statement.field(4, statement.is_optional, statement.is_uint, default=None)

    def check(self) -> None:
        """Check that each document type occurs only once. Raises FormatError `trust-list.form`."""
        if len(set(self.doc_types)) != len(self.doc_types):
            raise FormatError(self.CODE, "a document type twice")


class ListEntry(statement.Form):
    """A revocation list that the lock should hold.

    `number` (1 to MAX_LISTS) names the list in statements. `kind` is CRL, STATUS_LIST or IDENTIFIER_LIST. `issuer` is
    the index of an issuer. The list covers everything that the key of this issuer signed, even under another entry with
    the same key. `uri` must be equal to the `sub` of a token and to the reference in an MSO. `key` is the EC2 COSE_Key
    that must have signed a token. A CRL has neither `uri` nor `key`. Its IACA signs it.
    """

    CODE = "trust-list.form"
    VERSION = 0

    number: int = statement.field(1, statement.is_positive, MAX_LISTS)
    kind: int = statement.field(2, statement.is_positive, IDENTIFIER_LIST)
    issuer: int = statement.field(3, statement.is_uint, MAX_ISSUERS)
    uri: str = statement.field(4, statement.is_text, 255, default="")
    key: "dict[Any, Any] | None" = statement.field(5, statement.is_optional, _is_key, default=None)

    def check(self) -> None:
        """Check that a token has `uri` and `key`, and that a CRL has neither. Raises FormatError `trust-list.form`."""
        if (self.uri != "", self.key is not None) != (self.kind != CRL, self.kind != CRL):
            raise FormatError(self.CODE, "uri and key do not fit the kind of list")


class TrustList(statement.Form):
    """The trusted `issuers`, and the revocation `lists` for their certificates and documents. `issued_at` is in seconds
    since 1970."""

    CODE = "trust-list.form"

    serial: int = statement.field(2, statement.is_positive)
    issued_at: int = statement.field(3, statement.is_uint)
    issuers: "list[Issuer]" = statement.field(4, statement.is_list, 1, MAX_ISSUERS, Issuer)
    lists: "list[ListEntry]" = statement.field(5, statement.is_list, 0, MAX_LISTS, ListEntry, default=())

    def check(self) -> None:
        """Check that no two lists have the same number, and that each list has an issuer. Raises FormatError
        `trust-list.form`."""
        numbers = {entry.number for entry in self.lists}
        if len(numbers) != len(self.lists) or not all(entry.issuer < len(self.issuers) for entry in self.lists):
            raise FormatError(self.CODE, "two lists have the same number, or a list has no issuer")

    def doc_types(self) -> "list[str]":
        """Return all document types that the issuers may vouch for, sorted."""
        return sorted({doc_type for issuer in self.issuers for doc_type in issuer.doc_types})
