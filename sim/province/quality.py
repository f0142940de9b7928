"""Quality of what was registered: a verdict on each committed record, for officers to read.

Never a rule of the door, and never a reason not to commit: a guest with a flawed document still slept there.
"""

from typing import Any

from protocol import dates, record
from protocol.errors import MooringError, VerificationError
from protocol.naming import is_resident
from protocol.profile import Profile

GOOD = "ok"
RESIDENT_ID = "resident-id"
_MARKS = {1: "registration.person", 2: "registration.name"}

# GB 11643-1999: weights 2^(18-i) mod 11 of the digits, and the check character by the sum modulo 11.
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK_CHARACTERS = "10X98765432"


def verdict(profile: Profile | None, body: dict[Any, Any]) -> str:
    """GOOD, or the code of the first thing that is wrong with an opened body: `profile.*`, `resident-id.*`,
    `registration.*`."""
    try:
        if profile is None:
            raise VerificationError("profile.id", "no such profile here")
        profile.check_record(body)
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
        raise VerificationError("registration.birth-date", "born after the check-in")


def _check_who(body: dict[Any, Any]) -> None:
    """Raises VerificationError `registration.number` for a resident's number on another document; `registration.person`
    and `registration.name` where the lock could not tell whether this is one of those who are in (record.MARK)."""
    fields = body[record.FIELDS]
    if fields.get("id_type") != RESIDENT_ID and is_resident(fields.get("id_number", "")):
        raise VerificationError("registration.number", "a resident's number on a document that is none of theirs")
    if record.MARK in body:
        raise VerificationError(_MARKS[body[record.MARK]], "it cannot be told whether this guest is in already")


def check_digit(number: str) -> str:
    """Last character of an 18-character citizen identification number (GB 11643-1999), from its first 17 digits."""
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], _WEIGHTS, strict=True))
    return _CHECK_CHARACTERS[total % 11]


def check_resident_id(fields: dict[str, str]) -> None:
    """Check a resident's `id_number` in itself, and against `birth_date` and `sex` where they are registered.

    Raises VerificationError: `resident-id.form`, `resident-id.check-digit`, `resident-id.birth-date`,
    `resident-id.sex`.
    """
    number = fields.get("id_number", "")
    if len(number) != 18 or not (number[:17].isascii() and number[:17].isdigit()):
        raise VerificationError("resident-id.form", "not 17 digits and a check character")
    if check_digit(number) != number[17]:
        raise VerificationError("resident-id.check-digit", "the check character does not fit")
    if "birth_date" in fields and number[6:14] != fields["birth_date"].replace("-", ""):
        raise VerificationError("resident-id.birth-date", "the number tells another birth date")
    if "sex" in fields and fields["sex"] != ("male" if int(number[16]) % 2 else "female"):
        raise VerificationError("resident-id.sex", "the number tells another sex")
