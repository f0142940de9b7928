"""Tells in words what codes and values of the data mean. Engineers need the codes themselves, so a view shows both the
words and the code."""

from collections.abc import Mapping

from sim.words import Phrase, phrase

_REASONS: Mapping[str, Phrase] = {
    "clock.unknown": phrase("the lock does not know the time yet"),
    "door.revoked": phrase("the listing takes no new guests"),
    "door.suspended": phrase("the listing takes no new guests"),
    "door.unplaced": phrase("the lock is not ready for guests yet"),
    "grant.early": phrase("the stay has not begun"),
    "grant.full": phrase("all booked places are taken"),
    "grant.guardian": phrase("an adult of the stay must come in first"),
    "grant.none": phrase("no stay here names this document"),
    "grant.over": phrase("the stay is over"),
    "grant.unnamed": phrase("the guest who booked must come in first"),
    "mdoc.digest": phrase("the document was altered"),
    "mdoc.ds_revoked": phrase("the document was revoked"),
    "mdoc.expired": phrase("the document has expired"),
    "mdoc.memory": phrase("the message of the phone is too long for the lock"),
    "mdoc.no_documents": phrase("the phone has no document of a kind that is accepted here"),
    "mdoc.not_yet_valid": phrase("the document is not valid yet"),
    "mdoc.revoked": phrase("the document was revoked"),
    "mdoc.suspended": phrase("the document is suspended"),
    "nfc.gone": phrase("the phone was taken away too early"),
    "pin.form": phrase("the PIN has too few digits, or too many"),
    "pin.wait": phrase("after too many wrong PINs, the lock checks none for a while"),
    "pin.wrong": phrase("nobody who is in has this PIN"),
    "profile.missing": phrase("the document lacks something that the law requires"),
    "session.declined": phrase("the holder or the phone said no"),
}
"""The meanings of those codes of refusals that guests and hosts can meet (docs/door-signals.md)."""
_FAMILIES: Mapping[str, Phrase] = {
    **dict.fromkeys(("nfc", "ble", "apdu", "reader"), phrase("the connection to the phone broke off")),
    **dict.fromkeys(("journal", "store"), phrase("the lock cannot store a record")),
    **dict.fromkeys(("door", "grant", "pin"), phrase("no stay here admits this guest now")),
    **dict.fromkeys(
        ("clock", "trust-list", "crl", "status-list"), phrase("the lock lacks recent news, and takes no new guest")
    ),
    **dict.fromkeys(
        ("ndef", "handover", "engagement", "parts", "session", "cbor"), phrase("the lock did not understand the phone")
    ),
}
"""For each family, the meaning of all its other codes. A family is the part of a code before the point."""


def reason(code: str) -> Phrase:
    """Return why a door stayed shut, for the `code` of a refusal or the name of a defect's type."""
    family, point, _ = code.partition(".")
    if not point:
        return phrase("a defect of the lock")
    return _REASONS.get(code) or _FAMILIES.get(family) or phrase("the document is not accepted")


_VALUES: Mapping[str, Mapping[str, Phrase]] = {
    "sex": {
        # The first four values are codes of ISO/IEC 5218, which mdocs contain.
        "0": phrase("not known"),
        "1": phrase("male"),
        "2": phrase("female"),
        "9": phrase("not applicable"),
        "male": phrase("male"),
        "female": phrase("female"),
    },
    "id_type": {
        "resident-id": phrase("resident e-ID"),
        "driving-licence": phrase("driving licence"),
        "photo-id": phrase("photo ID"),
        "person-identification-data": phrase("EU digital identity (PID)"),
    },
    "method": {
        "mdoc": phrase("with the document"),
        "stay-key": phrase("with the stay key in the phone"),
        "pin": phrase("with a PIN"),
    },
    "verdict": {"ok": phrase("without complaint")},
    "relation": {
        "unstated": phrase("not stated"),
        "parent": phrase("parent"),
        "grandparent": phrase("grandparent"),
        "sibling": phrase("sibling"),
        "relative": phrase("other relative"),
        "guardian": phrase("legal guardian"),
        "companion": phrase("companion"),
    },
    "guardian": {"nobody": phrase("nobody")},
    "age_over_18": {"True": phrase("yes"), "False": phrase("no")},
    "what": {
        "document": phrase("the document was not accepted"),
        "issuer": phrase("the issuer is not trusted here"),
        "expired": phrase("the document has expired"),
        "revoked": phrase("the document was revoked"),
        "stale": phrase("the lists of revoked documents are too old"),
        "stranger": phrase("no stay here names this document"),
        "window": phrase("outside the time of the stay"),
        "places": phrase("all booked places are taken"),
        "guardian": phrase("an adult of the stay must come in first"),
        "placement": phrase("the listing takes no new guests"),
        "clock": phrase("the lock does not know the time yet"),
        "profile": phrase("the document lacks something that the law requires"),
        "pin": phrase("the PIN was wrong"),
        "phone": phrase("the lock did not understand the phone"),
        "storage": phrase("the lock cannot store a record"),
        "other": phrase("another reason"),
        "opened": phrase("opened"),
        "closed": phrase("closed"),
        "forced": phrase("opened by force"),
        "held": phrase("held open too long"),
        "found-open": phrase("was open when the lock started"),
        "power-on": phrase("the power came back"),
        "reset": phrase("restarted"),
        "watchdog": phrase("restarted by the watchdog"),
        "wake": phrase("woke up"),
        "soft": phrase("restarted by software"),
        "known": phrase("the time became known"),
        "doubted": phrase("the time is in doubt"),
        "key": phrase("the key was turned"),
        "obstructed": phrase("something lies on the reader"),
        "fittings": phrase("the settings were changed"),
        "strike": phrase("the strike was moved"),
    },
}
"""Maps the name of an element or a field to the meanings of its values."""


def meaning(name: str, value: str) -> Phrase | None:
    """Return what `value` means in the element or field `name`. Returns None for a value that explains itself, such as
    a name or a number.
    """
    return _VALUES.get(name, {}).get(value)
