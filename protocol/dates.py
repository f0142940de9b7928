"""Dates as text and as seconds since 1970-01-01T00:00:00Z, without `datetime`, which the lock does not have.

Text forms: RFC 3339 (CBOR tag 0, `tdate` in ISO/IEC 18013-5) and the UTCTime and GeneralizedTime of a certificate
(RFC 5280 section 4.1.2.5).
"""

from protocol.errors import FormatError

_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _invalid() -> FormatError:
    return FormatError("date.form", "not a date in the required form")


def _number(text: str, start: int, length: int) -> int:
    digits = text[start : start + length]
    if len(digits) != length or not digits.isdigit():
        raise _invalid()
    return int(digits)


def _check_ascii(text: str) -> None:
    # isdigit() accepts the digits of every script, and not only those of ASCII.
    try:
        ascii_only = len(text.encode()) == len(text)
    except UnicodeError:
        ascii_only = False  # half of a surrogate pair
    if not ascii_only:
        raise _invalid()


def day(year: int, month: int, day_of_month: int) -> int:
    """Return the days from 1970-01-01 to a date of the Gregorian calendar. Raises FormatError `date.form`."""
    if not 1 <= month <= 12:
        raise _invalid()
    if not 1 <= day_of_month <= _DAYS[month - 1] + (1 if month == 2 and _leap(year) else 0):
        raise _invalid()
    # In a year that begins in March, the leap day is the last day. So one formula gives the number of days before each
    # month.
    shifted = year - (1 if month <= 2 else 0)
    months = (month + 9) % 12
    return (
        shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 + (153 * months + 2) // 5 + day_of_month - 719469
    )


def _seconds(days: int, hour: int, minute: int, second: int) -> int:
    # RFC 3339 allows second 60. A leap second counts as second 0 of the next minute, as in POSIX time.
    if hour > 23 or minute > 59 or second > 60:
        raise _invalid()
    return days * 86400 + hour * 3600 + minute * 60 + second


def from_rfc3339(text: str) -> int:
    """Return the seconds since 1970 of an RFC 3339 date-time, without its fraction. Raises FormatError `date.form`."""
    _check_ascii(text)
    # The text is like "2026-11-23T16:52:01". A fraction may follow. Then comes Z or an offset.
    if len(text) < 20 or text[4] != "-" or text[7] != "-" or text[10] not in "Tt" or text[13] != ":" or text[16] != ":":
        raise _invalid()
    days = day(_number(text, 0, 4), _number(text, 5, 2), _number(text, 8, 2))
    seconds = _seconds(days, _number(text, 11, 2), _number(text, 14, 2), _number(text, 17, 2))
    at = 19
    if text[at] == ".":
        at += 1
        start = at
        while at < len(text) and "0" <= text[at] <= "9":
            at += 1
        if at == start:
            raise _invalid()
    zone = text[at:]
    if zone == "Z" or zone == "z":
        return seconds
    if len(zone) != 6 or zone[0] not in "+-" or zone[3] != ":":
        raise _invalid()
    hours, minutes = _number(zone, 1, 2), _number(zone, 4, 2)
    if hours > 23 or minutes > 59:
        raise _invalid()
    offset = hours * 3600 + minutes * 60
    return seconds - offset if zone[0] == "+" else seconds + offset


def from_full_date(text: str) -> int:
    """Return the days since 1970 of an RFC 3339 full-date, YYYY-MM-DD. Raises FormatError `date.form`."""
    _check_ascii(text)
    if len(text) != 10 or text[4] != "-" or text[7] != "-":
        raise _invalid()
    return day(_number(text, 0, 4), _number(text, 5, 2), _number(text, 8, 2))


def from_asn1(text: str) -> int:
    """Return the seconds since 1970 of a certificate's UTCTime (13 characters) or GeneralizedTime (15). Raises
    FormatError `date.form`, also for the fractions and offsets that DER and RFC 5280 forbid.
    """
    _check_ascii(text)
    if len(text) == 13:
        year = _number(text, 0, 2)
        year += 1900 if year >= 50 else 2000
    elif len(text) == 15:
        year = _number(text, 0, 4)
    else:
        raise _invalid()
    at = len(text) - 11
    if text[-1] != "Z":
        raise _invalid()
    second = _number(text, at + 8, 2)
    if second > 59:
        raise _invalid()
    days = day(year, _number(text, at, 2), _number(text, at + 2, 2))
    return _seconds(days, _number(text, at + 4, 2), _number(text, at + 6, 2), second)
