import ndef as ndeflib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import ndef
from protocol.errors import FormatError, MooringError
from protocol.ndef import Record

RECORDS = st.builds(
    Record,
    st.sampled_from([ndef.WELL_KNOWN, ndef.MIME, ndef.EXTERNAL]),
    st.binary(min_size=1, max_size=20),
    st.binary(max_size=8),
    st.binary(max_size=400),
)


@given(st.lists(RECORDS, min_size=1, max_size=5))
def test_what_is_written_reads_back(records: list[Record]) -> None:
    assert ndef.parse(ndef.encode(records)) == records


def test_an_independent_library_reads_what_we_write_and_we_read_what_it_writes() -> None:
    records = [
        Record(ndef.EXTERNAL, b"example.org:thing", b"a", b"x" * 300),
        Record(ndef.MIME, b"application/octet-stream", b"", b"y" * 255),
        Record(ndef.WELL_KNOWN, b"Zz", b"b", b""),
    ]
    message = ndef.encode(records)
    theirs = list(ndeflib.message_decoder(message, known_types={}))
    assert [record.name for record in theirs] == ["a", "", "b"]
    assert [len(record.data) for record in theirs] == [300, 255, 0]
    assert b"".join(ndeflib.message_encoder(theirs)) == message


def message(*records: str) -> bytes:
    return bytes.fromhex("".join(records))


ONE = "d10101545a"  # begin, end, short; type "T", payload "Z"


def test_long_and_short_payload_lengths_mean_the_same() -> None:
    assert ndef.parse(message(ONE)) == ndef.parse(message("c10100000001545a")) == [Record(1, b"T", b"", b"Z")]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("", "ndef.truncated"),
        ("d1", "ndef.truncated"),
        ("d101", "ndef.truncated"),
        ("d1010154", "ndef.truncated"),
        ("c1010000", "ndef.truncated"),
        ("c101ffffffff545a", "ndef.truncated"),
        ("d9010101545a", "ndef.truncated"),
        (ONE + "00", "ndef.trailing"),
        ("910101545a" + ONE, "ndef.form"),
        ("510101545a", "ndef.form"),
        ("910101545a" + "110101545a", "ndef.truncated"),
        ("f10101545a", "ndef.chunked"),
        ("d600015a", "ndef.chunked"),
        ("d70101545a", "ndef.form"),
        ("d50101545a", "ndef.form"),
        ("d100015a", "ndef.form"),
        ("d0010054", "ndef.form"),
        ("d000015a", "ndef.form"),
    ],
)
def test_a_message_out_of_form_is_refused(raw: str, code: str) -> None:
    with pytest.raises(FormatError) as caught:
        ndef.parse(bytes.fromhex(raw))
    assert caught.value.code == code


def test_messages_with_too_many_records_or_bytes_are_refused() -> None:
    many = [Record(ndef.WELL_KNOWN, b"T", b"", b"")] * ndef.MAX_RECORDS
    assert len(ndef.parse(ndef.encode(many))) == ndef.MAX_RECORDS
    with pytest.raises(FormatError, match=r"ndef\.limit"):
        ndef.parse(ndef.encode([*many, many[0]]))
    with pytest.raises(FormatError, match=r"ndef\.limit"):
        ndef.parse(ndef.encode([Record(ndef.WELL_KNOWN, b"T", b"", bytes(ndef.MAX_MESSAGE))]))
    with pytest.raises(FormatError, match=r"ndef\.limit"):
        ndef.encode([Record(ndef.WELL_KNOWN, bytes(256), b"", b"")])


def test_records_are_found_by_type_wherever_they_stand_and_external_types_whatever_their_case() -> None:
    records = [Record(ndef.MIME, b"a/b", b"", b"1"), Record(ndef.EXTERNAL, b"Example.org:X", b"", b"2")]
    found = ndef.find(records, ndef.EXTERNAL, b"example.org:x")
    assert found is not None and found.payload == b"2"
    assert ndef.find(records, ndef.WELL_KNOWN, b"a/b") is None
    assert ndef.find([Record(ndef.WELL_KNOWN, b"hs", b"", b"")], ndef.WELL_KNOWN, b"Hs") is None


def test_two_records_of_a_kind_that_may_appear_once_are_ambiguous() -> None:
    with pytest.raises(FormatError, match=r"ndef\.ambiguous"):
        ndef.find([Record(ndef.MIME, b"a/b", b"", b"1")] * 2, ndef.MIME, b"a/b")


@given(st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(lambda tail: b"\xd1\x01" + tail)))
def test_no_bytes_make_the_parser_fail_otherwise_than_by_its_own_errors(raw: bytes) -> None:
    try:
        ndef.parse(raw)
    except MooringError as error:
        assert error.code.startswith("ndef.")
