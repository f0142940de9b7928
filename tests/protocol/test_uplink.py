"""The messages between edge and province."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import cbor, uplink
from protocol.errors import FormatError

LOCK = bytes(range(16))
KEY = b"\x04" + bytes(64)

lock_ids = st.binary(min_size=16, max_size=16)
codes = st.from_regex(r"[a-z0-9._-]{1,64}", fullmatch=True)
blobs = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5)
ups = st.one_of(
    st.builds(uplink.Batch, st.binary(min_size=8, max_size=8), blobs),
    st.builds(uplink.TimeRequest, lock_ids, lock_ids),
    st.builds(uplink.PassRequest, st.just(KEY), st.integers(0, (1 << 53) - 1)),
    st.builds(
        uplink.CertificateRequest,
        st.binary(min_size=1, max_size=40),
        st.binary(min_size=32, max_size=32),
        st.binary(min_size=64, max_size=64),
    ),
    st.builds(
        uplink.LockSeen, lock_ids, st.just(KEY), st.dictionaries(codes, st.integers(0, (1 << 53) - 1), max_size=5)
    ),
)


@given(ups)
def test_what_goes_up_is_read_as_it_was_written(message: Any) -> None:
    again = uplink.parse_up(message.encode())
    assert type(again) is type(message)
    assert vars(again) == vars(message)


@given(blobs)
def test_receipts_are_read_as_they_were_written(statements: list[bytes]) -> None:
    assert uplink.parse_receipts(uplink.Receipts(statements).encode()).statements == statements


@given(lock_ids, blobs)
def test_commands_are_read_as_they_were_written(lock_id: bytes, statements: list[bytes]) -> None:
    again = uplink.parse_command(uplink.Command(lock_id, statements).encode())
    assert (again.lock_id, again.statements) == (lock_id, statements)


@given(blobs)
def test_passes_are_read_as_they_were_written(statements: list[bytes]) -> None:
    assert uplink.parse_passes(uplink.Passes(statements).encode()).statements == statements


@given(st.binary(min_size=1, max_size=40), st.binary(min_size=64, max_size=64))
def test_a_certificate_is_read_as_it_was_written(certificate: bytes, signature: bytes) -> None:
    again = uplink.parse_pass(uplink.Certificate(certificate, signature).encode())
    assert isinstance(again, uplink.Certificate)
    assert (again.certificate, again.signature) == (certificate, signature)
    assert isinstance(uplink.parse_pass(uplink.Passes([b"p"]).encode()), uplink.Passes)


@pytest.mark.parametrize(
    "items",
    [
        [2, b"c"],
        [2, b"c", bytes(63)],
        [2, b"", bytes(64)],
        [2, bytes(2049), bytes(64)],
        [2, "c", bytes(64)],
        [3, [b"p"]],
    ],
)
def test_what_is_no_message_on_pass_is_refused(items: list[Any]) -> None:
    with pytest.raises(FormatError, match=r"uplink\.form"):
        uplink.parse_pass(cbor.encode(items))


@pytest.mark.parametrize(
    "message",
    [
        [1, []],
        [1],
        [2, [b"p"]],
        [1, [b"p"], 0],
        [1, b"p"],
        [1, [b""]],
        [1, ["p"]],
        [1, [b"p"] * (uplink.MAX_PASSES + 1)],
    ],
)
def test_what_holds_no_passes_is_refused(message: list[Any]) -> None:
    with pytest.raises(FormatError) as refused:
        uplink.parse_passes(cbor.encode(message))
    assert refused.value.code == "uplink.form"


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_a_format_error(data: bytes) -> None:
    for parse in (
        uplink.parse_up,
        uplink.parse_receipts,
        uplink.parse_command,
        uplink.parse_passes,
        uplink.parse_state,
    ):
        try:
            parse(data)
        except FormatError:
            continue


@given(ups, st.data())
def test_a_damaged_message_is_read_or_refused_with_a_format_error(message: Any, data: st.DataObject) -> None:
    raw = bytearray(message.encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    for damaged in (bytes(raw), bytes(raw[: data.draw(st.integers(0, len(raw)))])):
        try:
            uplink.parse_up(damaged)
        except FormatError:
            continue


scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.binary(max_size=70) | st.text(max_size=5)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.integers(0, 5) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.lists(trees, max_size=5))
def test_any_well_formed_cbor_is_read_or_refused_with_a_format_error(items: list[Any]) -> None:
    for parse in (uplink.parse_up, uplink.parse_receipts, uplink.parse_command):
        try:
            parse(cbor.encode(items))
        except FormatError:
            continue


@pytest.mark.parametrize(
    "items",
    [
        [],
        {},
        1,
        [True, bytes(8), [b"r"]],
        [5, bytes(8), [b"r"]],
        [4, KEY],
        [4, KEY[1:], 0],
        [4, b"\x02" + bytes(64), 0],
        [4, KEY, -1],
        [4, KEY, True],
        [1, bytes(7), [b"r"]],
        [1, bytes(8), []],
        [1, bytes(8), [b""]],
        [1, bytes(8), ["r"]],
        [1, bytes(8), [b"r"] * (uplink.MAX_RECORDS + 1)],
        [1, bytes(8), [bytes(uplink.MAX_BYTES + 1)]],
        [1, bytes(8), [b"r"], None],
        [2, LOCK, bytes(15)],
        [2, bytes(17), bytes(16)],
        [3, LOCK, KEY],
        [3, LOCK, b"\x02" + bytes(64), {}],
        [3, LOCK, KEY, {"grant": -1}],
        [3, LOCK, KEY, {"grant": False}],
        [3, LOCK, KEY, {1: 1}],
        [3, LOCK, KEY, {"grant\n": 1}],
        [3, LOCK, KEY, {f"kind{n}": n for n in range(33)}],
        [5, b"r", bytes(31), bytes(64)],
        [5, b"r", bytes(32), bytes(63)],
        [5, b"", bytes(32), bytes(64)],
        [5, bytes(uplink.MAX_CERTIFICATE + 1), bytes(32), bytes(64)],
    ],
)
def test_a_message_of_the_wrong_form_is_refused(items: Any) -> None:
    with pytest.raises(FormatError):
        uplink.parse_up(cbor.encode(items))


@pytest.mark.parametrize(
    "items",
    [
        [1],
        [1, []],
        [1, [b""]],
        [1, ["r"]],
        [1, b"r"],
        [2, [b"r"]],
        [1, [b"r"], []],
        [1, [b"r"], [[LOCK, 1, bytes(32), "x"]]],
    ],
)
def test_receipts_of_the_wrong_form_are_refused_and_so_is_a_refusal_that_is_no_statement(items: Any) -> None:
    with pytest.raises(FormatError):
        uplink.parse_receipts(cbor.encode(items))


def test_trailing_bytes_and_longer_encodings_are_refused() -> None:
    good = uplink.TimeRequest(LOCK, LOCK).encode()
    for bad in (good + b"\0", b"\x83\x18\x02" + good[2:], good[:-1], b"\x81" * 5000, b"\x9b" + b"\xff" * 8):
        with pytest.raises(FormatError):
            uplink.parse_up(bad)


def test_a_message_beyond_the_limit_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(FormatError) as refusal:
        uplink.parse_up(bytes(uplink.MAX_MESSAGE + 1))
    assert refusal.value.code == "uplink.too_long"
    with pytest.raises(FormatError) as refusal:
        uplink.Batch(bytes(8), [bytes(8192)] * 17).encode()
    assert refusal.value.code == "uplink.too_long"


@given(st.lists(st.integers(1, uplink.MAX_BYTES), max_size=60), st.integers(1, 20))
def test_statements_in_any_number_and_of_any_size_go_into_messages_that_can_be_read_in_order(
    sizes: list[int], times: int
) -> None:
    statements = [bytes(size) for size in sizes * times]
    groups = uplink.in_messages(statements)
    assert [signed for group in groups for signed in group] == statements
    for group in groups:
        assert uplink.parse_command(uplink.Command(LOCK, group).encode()).statements == group
        assert uplink.parse_receipts(uplink.Receipts(group).encode()).statements == group


def test_topics_carry_the_edges_name_and_nothing_else() -> None:
    assert uplink.topic("edge-7", uplink.UP) == "mooring/1/edge-7/up"
    assert uplink.edge_of("mooring/1/edge-7/cmd") == ("edge-7", "cmd")


@pytest.mark.parametrize("name", ["", "Edge", "a/b", "+", "#", "a" * 33, "é", "a b"])
def test_a_name_that_could_reach_another_topic_is_refused(name: str) -> None:
    with pytest.raises(FormatError):
        uplink.topic(name, uplink.UP)
    with pytest.raises(FormatError):
        uplink.edge_of(f"mooring/1/{name}/up")


@pytest.mark.parametrize("topic", ["", "mooring/1/", "mooring/2/e/up", "mooring/1/e/down", "mooring/1/e/up/x", "x"])
def test_a_foreign_topic_is_refused(topic: str) -> None:
    with pytest.raises(FormatError):
        uplink.edge_of(topic)


def test_state_is_json_and_is_read_back() -> None:
    assert uplink.state(True, "0.1.0") == b'{"state":"online","version":"0.1.0"}'
    assert uplink.parse_state(uplink.state(False, "1.2+x")) == (False, "1.2+x")
    with pytest.raises(FormatError):
        uplink.state(True, 'a"b')


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"state":"on","version":"1"}', b'{"state":"online"}', b"\xff", b"[" * 256, b" " * 257]
)
def test_a_state_of_the_wrong_form_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        uplink.parse_state(data)
