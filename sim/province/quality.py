"""The quality of registrations: a verdict on each committed record, for officers.

The verdict never decides whether a door opens or a record is committed. A guest with a flawed document has still slept
in the room.
"""

from typing import Any

from protocol import dates, record, registration
from protocol.errors import MooringError, VerificationError
from protocol.naming import is_resident
from protocol.profile import Profile

GOOD = "ok"
RESIDENT_ID = "resident-id"
_MARKS = {1: "registration.person", 2: "registration.name"}

# GB 11643-1999: the weights of the digits are 2^(18-i) mod 11. The sum modulo 11 gives the check character.
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK_CHARACTERS = "10X98765432"


def verdict(profile: Profile | None, body: dict[Any, Any]) -> str:
    """Return GOOD, or the code of the first error in an opened body.

    Such a code is one of `profile.*`, `resident-id.*` or `registration.*`.
    """
    try:
        if profile is None:
            raise VerificationError("profile.id", "the profile is not known here")
        registration.check(profile, body)
        if body[record.KIND] == record.CHECK_IN:
            _check_birth_date(body)
            _check_who(body)
            if body[record.FIELDS].get("id_type") == RESIDENT_ID:
                check_resident_id(body[record.FIELDS])
    except MooringError as error:
        return error.code
    return GOOD


def _check_birth_date(body: dict[Any, Any]) -> None:
    born = body[record.FIELDS].get("birth_date")
    if born is not None and dates.from_full_date(born) * 86400 > body[record.LATEST]:
        raise VerificationError("registration.birth-date", "the guest was born after the check-in")


def _check_who(body: dict[Any, Any]) -> None:
    """Check the kind of number, and whether the lock knew the guest.

    Raises VerificationError `registration.number` if a document other than a resident ID has a resident's number.
    Raises VerificationError `registration.person` or `registration.name` if the lock could not tell whether this guest
    has checked in already (record.MARK).
    """
    fields = body[record.FIELDS]
    if fields.get("id_type") != RESIDENT_ID and is_resident(fields.get("id_number", "")):
        raise VerificationError("registration.number", "a resident's number is on a document of another type")
    if record.MARK in body:
        raise VerificationError(_MARKS[body[record.MARK]], "this guest may have checked in already")


def check_digit(number: str) -> str:
    """Compute the last character of a citizen identification number (GB 11643-1999) from its first 17 digits."""
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], _WEIGHTS, strict=True))
    return _CHECK_CHARACTERS[total % 11]


def check_resident_id(fields: dict[str, str]) -> None:
    """Check a resident's `id_number`, and compare it with `birth_date` and `sex` if they are registered.

    Raises VerificationError. The code is `resident-id.form` if the number is not 17 digits and one more character. The
    code is `resident-id.check-digit` if the last character is wrong, `resident-id.birth-date` if the number contains
    another birth date, and `resident-id.sex` if the number contains another sex.
    """
    number = fields.get("id_number", "")
    if len(number) != 18 or not (number[:17].isascii() and number[:17].isdigit()):
        raise VerificationError("resident-id.form", "the number is not 17 digits and a check character")
    if check_digit(number) != number[17]:
        raise VerificationError("resident-id.check-digit", "the check character is wrong")
    if "birth_date" in fields and number[6:14] != fields["birth_date"].replace("-", ""):
        raise VerificationError("resident-id.birth-date", "the number contains another birth date")
    if "sex" in fields and fields["sex"] != ("male" if int(number[16]) % 2 else "female"):
        raise VerificationError("resident-id.sex", "the number contains another sex")
