"""Trust list: which IACA roots a lock trusts, and for which document types (statement.cddl)."""

from protocol import statement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KIND = "trust-list"


def _is_issuers(value: "Any") -> bool:
    if not isinstance(value, list) or not 0 < len(value) <= 32:
        return False
    return all(_is_issuer(entry) for entry in value)


def _is_issuer(entry: "Any") -> bool:
    if not isinstance(entry, dict) or set(entry) != {1, 2}:
        return False
    certificate, doc_types = entry[1], entry[2]
    if not isinstance(certificate, bytes) or not 0 < len(certificate) <= 4096:
        return False
    if not isinstance(doc_types, list) or not 0 < len(doc_types) <= 16:
        return False
    return all(statement.is_label(name) for name in doc_types) and len(set(doc_types)) == len(doc_types)


_RULES = {1: statement.is_version_1, 2: statement.is_positive, 3: statement.is_uint, 4: _is_issuers}


class TrustList:
    """`issuers`: (IACA certificate DER, [docType, ...]) each; `issued_at` in epoch seconds."""

    def __init__(self, serial: int, issued_at: int, issuers: "list[tuple[bytes, list[str]]]") -> None:
        self.serial = serial
        self.issued_at = issued_at
        self.issuers = issuers

    def doc_types(self) -> "list[str]":
        """Every document type that some issuer may issue, sorted."""
        return sorted({doc_type for _, doc_types in self.issuers for doc_type in doc_types})

    @staticmethod
    def parse(body: "dict[Any, Any]") -> "TrustList":
        """The trust list in an opened statement's body. Raises FormatError `trust-list.form`."""
        statement.check(KIND, body, _RULES)
        return TrustList(body[2], body[3], [(entry[1], entry[2]) for entry in body[4]])

    def body(self) -> "dict[Any, Any]":
        """Body for `statement.sign`. Raises FormatError `trust-list.form`."""
        issuers = [{1: certificate, 2: list(doc_types)} for certificate, doc_types in self.issuers]
        return statement.check(KIND, {1: 1, 2: self.serial, 3: self.issued_at, 4: issuers}, _RULES)
