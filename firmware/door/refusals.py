"""The signal and the reason class of each refusal. The guest sees a light and hears a tone. The province gets a reason
class, which names nobody."""

from protocol import const
from protocol.errors import MooringError, StorageError, TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# Each row has the beginning of a code, the signal, and the reason class (`protocol.record.EVENTS[REFUSAL]`). The first
# row that fits a code is used. The table is one text, because tuples would take eight times as much of the heap.
_TABLE = const(
    # Refusals because of the stay. The guest should ask the host or the platform.
    "door. refused_stay placement\n"
    "grant.none refused_stay stranger\n"
    "grant.full refused_stay places\n"
    "grant.unnamed refused_stay places\n"
    "grant.guardian refused_stay guardian\n"
    "grant.tie refused_stay guardian\n"
    "grant. refused_stay window\n"
    "pin.wait busy pin\n"
    "pin. refused_stay pin\n"
    "clock. refused_stay clock\n"
    "trust-list. refused_stay stale\n"
    "crl. refused_stay stale\n"
    "status-list. refused_stay stale\n"
    # Refusals because of the phone. The guest should look at the phone and tap again. No document has been read yet.
    "nfc. refused_phone phone\n"
    "apdu. refused_phone phone\n"
    "ndef. refused_phone phone\n"
    "handover. refused_phone phone\n"
    "engagement. refused_phone phone\n"
    "ble. refused_phone phone\n"
    "parts. refused_phone phone\n"
    "reader. refused_phone phone\n"
    "session. refused_phone phone\n"
    "cbor. refused_phone phone\n"
    # Refusals because of the document. The guest should use another document.
    "mdoc.chain_ refused_document issuer\n"
    "mdoc.ds_ refused_document issuer\n"
    "mdoc.untrusted refused_document issuer\n"
    "mdoc.root_ refused_document issuer\n"
    "mdoc.issuer_ refused_document issuer\n"
    "mdoc.expired refused_document expired\n"
    "mdoc.not_yet_valid refused_document expired\n"
    "mdoc.revoked refused_document revoked\n"
    "mdoc. refused_document document\n"
    "profile. refused_document profile\n"
)


def rows() -> "Iterator[list[str]]":
    """Each row of the table: beginning of a code, signal, reason class."""
    for row in _TABLE.strip().split("\n"):
        yield row.split()


def meaning(error: Exception) -> "tuple[str, str | None]":
    """Return (signal, reason class) for the error that ended a visit. The class is None if the phone went away, because
    that is not a refusal.

    The number of tones with a red light tells the guest what to do: ask the host, use another document, or look at the
    phone.
    """
    if not isinstance(error, MooringError):
        return "fault", None  # a defect, or a hostile phone that used up the memory
    code = error.code
    if code.endswith(".memory"):
        return "fault", "other"
    if isinstance(error, TransportError):
        return "again", None
    if isinstance(error, StorageError):
        return "fault", "storage"
    for beginning, signal, reason in rows():
        if code.startswith(beginning):
            return signal, reason
    return "refused_document", "other"
