"""Checks registrations: does the record of a lock have everything that the lock's profile wants? The province makes
this check, and expects signs of life at the rate that is stated here.

A lock never loads this module.
"""

from protocol import record
from protocol.errors import VerificationError
from protocol.profile import GUARDIAN, NOBODY, is_canonical, is_date

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from protocol.profile import Document, Profile

LIFE_SECONDS = 21600
"""Length of a period in seconds. Period number n begins at n * LIFE_SECONDS since 1970-01-01 UTC. In each period, a
lock makes one sign of life, at a moment that only this lock can compute (record.cddl)."""


def check(profile: "Profile", body: "dict[Any, Any]") -> None:
    """Check the opened body of a record against the profile.

    Raises VerificationError `profile.id` if the record was made under another profile. For a check-in, the check also
    raises `profile.time` if the latest time is unknown, `profile.document` for an unknown id_type, `profile.missing` if
    a required field is missing, `profile.extra` for a field that may not be collected, `profile.value` for a value that
    is not canonical, `profile.guardian` for a minor without an adult if an adult must check in first.
    """
    if body[record.PROFILE_ID] != profile.id:
        raise VerificationError("profile.id", "made under another profile")
    if body[record.KIND] != record.CHECK_IN:
        return
    if body[record.LATEST] is None:
        raise VerificationError("profile.time", "a check-in whose latest time is unknown")
    fields = body[record.FIELDS]
    document = _of_id_type(profile, fields.get("id_type"))
    minor = "birth_date" in fields and is_date(fields["birth_date"])
    minor = minor and profile.is_minor(fields["birth_date"], body[record.EARLIEST])
    of_minor = profile.minors.fields if minor else []
    for name in profile.required[document.holder] + of_minor:
        if not fields.get(name):
            raise VerificationError("profile.missing", name + " is missing")
    for name, text in fields.items():
        if name != "id_type" and name not in document.fields.body() and name not in of_minor:
            raise VerificationError("profile.extra", "a field that this document does not register")
        if not is_canonical(name, text):
            raise VerificationError("profile.value", name + " is not in canonical form")
    if minor and profile.minors.adult_first and fields.get(GUARDIAN) == NOBODY:
        raise VerificationError("profile.guardian", "a minor without an adult")


def _of_id_type(profile: "Profile", id_type: "str | None") -> "Document":
    for document in profile.documents.values():
        if document.id_type == id_type:
            return document
    raise VerificationError("profile.document", "an id_type that this profile does not know")
