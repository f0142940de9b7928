"""What a refusal tells: the guest by a light and a tone, the province by a reason class that names nobody."""

from protocol.errors import MooringError, StorageError, TransportError

# What a code begins with, the signal, the reason class (`protocol.record.EVENTS[REFUSAL]`). The first that fits counts.
_ROWS = (
    # Of the stay: ask the host or the platform.
    ("door.", "refused_stay", "placement"),
    ("grant.none", "refused_stay", "stranger"),
    ("grant.full", "refused_stay", "places"),
    ("grant.unnamed", "refused_stay", "places"),
    ("grant.guardian", "refused_stay", "guardian"),
    ("grant.tie", "refused_stay", "guardian"),
    ("grant.", "refused_stay", "window"),
    ("pin.wait", "busy", "pin"),
    ("pin.", "refused_stay", "pin"),
    ("clock.", "refused_stay", "clock"),
    ("trust-list.", "refused_stay", "stale"),
    ("crl.", "refused_stay", "stale"),
    ("status-list.", "refused_stay", "stale"),
    # Of the phone: look at it, and tap again. No document has been read yet.
    ("nfc.", "refused_phone", "phone"),
    ("apdu.", "refused_phone", "phone"),
    ("ndef.", "refused_phone", "phone"),
    ("handover.", "refused_phone", "phone"),
    ("engagement.", "refused_phone", "phone"),
    ("ble.", "refused_phone", "phone"),
    ("parts.", "refused_phone", "phone"),
    ("reader.", "refused_phone", "phone"),
    ("session.", "refused_phone", "phone"),
    ("cbor.", "refused_phone", "phone"),
    # Of the document: use another.
    ("mdoc.chain_", "refused_document", "issuer"),
    ("mdoc.ds_", "refused_document", "issuer"),
    ("mdoc.untrusted", "refused_document", "issuer"),
    ("mdoc.root_", "refused_document", "issuer"),
    ("mdoc.issuer_", "refused_document", "issuer"),
    ("mdoc.expired", "refused_document", "expired"),
    ("mdoc.not_yet_valid", "refused_document", "expired"),
    ("mdoc.revoked", "refused_document", "revoked"),
    ("mdoc.", "refused_document", "document"),
    ("profile.", "refused_document", "profile"),
)


def meaning(error: Exception) -> "tuple[str, str | None]":
    """(signal, reason class) of what ended a visit; no class for a phone that went away, which was not refused.

    How often red sounds tells a guest where to turn: to the host, to another document, to the phone.
    """
    if not isinstance(error, MooringError):
        return "fault", None  # a defect, or memory exhausted by a hostile phone
    code = error.code
    if code.endswith(".memory"):
        return "fault", "other"
    if isinstance(error, TransportError):
        return "again", None
    if isinstance(error, StorageError):
        return "fault", "storage"
    for beginning, signal, reason in _ROWS:
        if code.startswith(beginning):
            return signal, reason
    return "refused_document", "other"
