"""Claims about dates, compared with `datetime`."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import dates
from protocol.errors import FormatError
from tests.support.on_lock import run_on_lock

MOMENTS = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30))
OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59)


@given(MOMENTS, OFFSETS)
def test_rfc_3339_means_what_datetime_says(moment: datetime, minutes: int) -> None:
    local = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    expected = (local - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    assert dates.from_rfc3339(local.isoformat()) == expected


@given(st.dates())
def test_days_are_counted_as_datetime_counts_them(when: date) -> None:
    assert dates.from_full_date(when.isoformat()) == (when - date(1970, 1, 1)).days


@given(st.datetimes(min_value=datetime(1950, 1, 1), max_value=datetime(2049, 12, 31)))
def test_certificate_times_mean_what_datetime_says(moment: datetime) -> None:
    expected = int(moment.replace(microsecond=0, tzinfo=UTC).timestamp())
    assert dates.from_asn1(moment.strftime("%y%m%d%H%M%SZ")) == expected
    assert dates.from_asn1(f"{moment.year:04}" + moment.strftime("%m%d%H%M%SZ")) == expected


@given(st.text(max_size=30) | st.from_regex(r"[0-9T:.Zz+-]{19,30}", fullmatch=True))
def test_any_other_text_is_refused_in_order(text: str) -> None:
    for read in (dates.from_rfc3339, dates.from_full_date, dates.from_asn1):
        try:
            read(text)
        except FormatError as refusal:
            assert refusal.code == "date.form"


GOOD = [
    "2026-11-23T16:52:01Z",
    "2026-11-23t16:52:01z",
    "2026-11-23T16:52:01.5Z",
    "2026-11-23T16:52:01.999999999Z",
    "2026-11-23T17:52:01+01:00",
    "2026-11-23T06:22:01.0-10:30",
]


@pytest.mark.parametrize("text", GOOD)
def test_fractions_offsets_and_lower_case_are_read(text: str) -> None:
    assert dates.from_rfc3339(text) == int(datetime(2026, 11, 23, 16, 52, 1, tzinfo=UTC).timestamp())


def test_a_leap_second_is_the_first_second_of_the_next_minute() -> None:
    assert dates.from_rfc3339("2016-12-31T23:59:60Z") == dates.from_rfc3339("2017-01-01T00:00:00Z")


BAD = [
    "",
    "2026-11-23",
    "2026-11-23T16:52:01",
    "2026-11-23T16:52Z",
    "2026-11-23 16:52:01Z",
    "2026-11-23T16:52:01.Z",
    "2026-11-23T16:52:01ZZ",
    "2026-11-23T16:52:01Z+00:00",
    "2026-11-23T16:52:01+0100",
    "2026-11-23T16:52:01+24:00",
    "2026-11-23T16:52:01+01:60",
    "2026-11-23T24:00:00Z",
    "2026-11-23T16:60:01Z",
    "2026-11-23T16:52:61Z",
    "2026-13-01T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "2026-11-00T00:00:00Z",
    "2026-11-31T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "1900-02-29T00:00:00Z",
    "+026-11-23T16:52:01Z",
    "2026-1 -23T16:52:01Z",
    "٢٠٢٦-11-23T16:52:01Z",
]


@pytest.mark.parametrize("text", BAD)
def test_a_text_that_is_no_date_time_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        dates.from_rfc3339(text)


@pytest.mark.parametrize(
    "text", ["", "2611231652Z", "261123165201", "261123165260Z", "20261123165201.5Z", "2611231652+0100"]
)
def test_a_certificate_time_that_der_forbids_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        dates.from_asn1(text)


def test_two_digit_years_turn_at_1950() -> None:
    assert dates.from_asn1("500101000000Z") == dates.from_rfc3339("1950-01-01T00:00:00Z")
    assert dates.from_asn1("491231235959Z") == dates.from_rfc3339("2049-12-31T23:59:59Z")


def test_the_lock_reads_the_same_dates() -> None:
    source = """
from protocol import dates
from protocol.errors import FormatError
def read(text):
    try:
        return dates.from_rfc3339(text)
    except FormatError as error:
        return error.code
answer([read(text) for text in given])
"""
    assert run_on_lock(source, GOOD + BAD) == [1795452721] * len(GOOD) + ["date.form"] * len(BAD)
