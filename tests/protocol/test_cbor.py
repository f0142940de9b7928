"""Claims about strict CBOR, compared with `cbor2`. Both runtimes must refuse the same bytes."""

import itertools
import math
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import cbor
from protocol.errors import FormatError
from tests.support.on_lock import run_on_lock

KEYS = st.integers(-(2**64), 2**64 - 1) | st.text(max_size=8) | st.binary(max_size=8)
LEAVES = KEYS | st.booleans() | st.none()
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


def plain(item: Any) -> Any:
    """Convert a result of `cbor2` or `protocol.cbor` to plain types that can be compared."""
    if isinstance(item, cbor2.CBORTag):
        return ("tag", item.tag, plain(item.value))
    if isinstance(item, cbor.Encoded):
        return ("tag", 24, item.content)
    if isinstance(item, cbor.Tag):
        return ("tag", item.number, plain(item.value))
    if isinstance(item, (list, tuple)):
        return [plain(each) for each in item]
    if isinstance(item, dict) or hasattr(item, "items"):
        return {key: plain(value) for key, value in item.items()}
    if item is cbor2.undefined:
        return None
    if isinstance(item, float) and math.isnan(item):
        return "NaN"
    return item


@given(VALUES)
def test_what_is_written_reads_back_here_and_in_cbor2(value: Any) -> None:
    data = cbor.encode(value)
    assert cbor.decode(data) == value
    assert plain(cbor2.loads(data)) == value


SMALL = st.integers(-cbor.LARGEST, cbor.LARGEST)
OWN = st.recursive(
    SMALL | st.text(max_size=8) | st.binary(max_size=8) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SMALL | st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(OWN)
def test_what_is_written_with_numbers_in_bounds_reads_back_in_our_own_formats(value: Any) -> None:
    assert cbor.decode_deterministic(cbor.encode(value)) == value


@given(st.integers(cbor.LARGEST + 1, 2**64 - 1) | st.integers(-(2**64), -cbor.LARGEST - 1))
def test_our_own_formats_have_no_number_beyond_the_bound(number: int) -> None:
    for value in (number, [1, [number]], {"a": number}, {number: 1}):
        assert cbor.decode(cbor.encode(value)) == value
        with pytest.raises(FormatError) as refusal:
            cbor.decode_deterministic(cbor.encode(value))
        assert refusal.value.code == "cbor.range"


@given(VALUES)
def test_what_cbor2_writes_is_read(value: Any) -> None:
    assert cbor.decode(cbor2.dumps(value)) == value


@given(st.binary(max_size=60))
def test_whatever_is_accepted_means_the_same_to_cbor2(data: bytes) -> None:
    try:
        item = cbor.decode(data)
    except FormatError:
        return
    if any(byte >> 5 == 6 for byte in data):
        return  # cbor2 decodes many tags to special types.
    assert plain(cbor2.loads(data)) == plain(item)


@given(st.recursive(st.binary(max_size=3), lambda inner: st.tuples(st.binary(max_size=2), inner).map(b"".join)))
def test_arbitrary_bytes_are_refused_in_order(data: bytes) -> None:
    try:
        cbor.decode(data)
    except FormatError as refusal:
        assert refusal.code.startswith("cbor.")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("", "cbor.truncated"),
        ("18", "cbor.truncated"),
        ("1b00000000", "cbor.truncated"),
        ("4201", "cbor.truncated"),
        ("8201", "cbor.truncated"),
        ("a101", "cbor.truncated"),
        ("c1", "cbor.truncated"),
        ("d8184201", "cbor.truncated"),
        ("fa00", "cbor.truncated"),
        ("5b8000000000000000", "cbor.truncated"),
        ("9bffffffffffffffff", "cbor.truncated"),
        ("bb8000000000000000", "cbor.truncated"),
        ("0000", "cbor.trailing"),
        ("9fff", "cbor.indefinite"),
        ("bfff", "cbor.indefinite"),
        ("5f4101ff", "cbor.indefinite"),
        ("7fff", "cbor.indefinite"),
        ("ff", "cbor.indefinite"),
        ("1c", "cbor.reserved"),
        ("fc", "cbor.reserved"),
        ("f8", "cbor.truncated"),
        ("f820", "cbor.simple"),
        ("e0", "cbor.simple"),
        ("a201010102", "cbor.duplicate"),
        ("a20101180102", "cbor.duplicate"),
        ("a18001", "cbor.key"),
        ("a1f401", "cbor.key"),
        ("a1f601", "cbor.key"),
        ("a1f9000001", "cbor.key"),
        ("d81801", "cbor.tag24"),
        ("81" * 17 + "01", "cbor.depth"),
        ("c1" * 17 + "01", "cbor.depth"),
        ("81" * 5000, "cbor.depth"),
        ("61ff", "cbor.utf8"),
        ("62c080", "cbor.utf8"),
        ("63e08080", "cbor.utf8"),
        ("64f0808080", "cbor.utf8"),
        ("63eda080", "cbor.utf8"),
        ("64f4908080", "cbor.utf8"),
        ("64f5808080", "cbor.utf8"),
        ("61c3", "cbor.utf8"),
        ("6180", "cbor.utf8"),
    ],
)
def test_what_a_lock_should_not_have_to_survive_is_refused(data: str, code: str) -> None:
    with pytest.raises(FormatError) as refusal:
        cbor.decode(bytes.fromhex(data))
    assert refusal.value.code == code


def test_the_number_of_items_is_bounded_and_not_only_the_number_of_bytes() -> None:
    assert len(cbor.decode(b"\x99\x07\xff" + b"\xa0" * 2047)) == 2047
    with pytest.raises(FormatError) as refusal:
        cbor.decode(b"\x99\x08\x00" + b"\xa0" * 2048)
    assert refusal.value.code == "cbor.items"


def test_sixteen_levels_are_read() -> None:
    assert cbor.decode(b"\x81" * 16 + b"\x01")


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("1817", 23),
        ("190001", 1),
        ("b900010102", {1: 2}),
        ("98020102", [1, 2]),
        ("5a0000000101", b"\x01"),
    ],
)
def test_lengths_that_real_wallets_write_too_long_are_read_but_not_in_our_own_formats(data: str, value: Any) -> None:
    assert cbor.decode(bytes.fromhex(data)) == value
    with pytest.raises(FormatError) as refusal:
        cbor.decode_deterministic(bytes.fromhex(data))
    assert refusal.value.code == "cbor.deterministic"


@pytest.mark.parametrize("data", ["a202010101", "f7", "a26161010102"])
def test_another_order_of_keys_or_another_null_is_not_deterministic(data: str) -> None:
    assert cbor.decode(bytes.fromhex(data)) is None or isinstance(cbor.decode(bytes.fromhex(data)), dict)
    with pytest.raises(FormatError) as refusal:
        cbor.decode_deterministic(bytes.fromhex(data))
    assert refusal.value.code == "cbor.deterministic"


HEADS = [
    0x00,
    0x01,
    0x17,
    0x18,
    0x19,
    0x20,
    0x38,
    0x41,
    0x58,
    0x61,
    0x78,
    0x80,
    0x82,
    0x98,
    0xA1,
    0xA2,
    0xB8,
    0xC1,
    0xF6,
]


@given(st.lists(st.sampled_from(HEADS), max_size=10).map(bytes) | OWN.map(cbor.encode))
def test_our_own_formats_take_exactly_what_is_written_for_the_same_item(data: bytes) -> None:
    try:
        item = cbor.decode(data)
    except FormatError as refusal:
        with pytest.raises(FormatError):
            cbor.decode_deterministic(data)
        assert refusal.code != "cbor.deterministic"
        return
    if cbor.encode(item) == data:
        assert cbor.decode_deterministic(data) == item
    else:
        with pytest.raises(FormatError) as strict:
            cbor.decode_deterministic(data)
        assert strict.value.code == "cbor.deterministic"


@pytest.mark.parametrize("data", ["f7", "f93c00", "fa3f800000", "d818580101", "d900184101", "b900010101"])
def test_our_own_formats_have_no_float_no_other_null_and_no_long_head(data: str) -> None:
    with pytest.raises(FormatError) as refusal:
        cbor.decode_deterministic(bytes.fromhex(data))
    assert refusal.value.code == "cbor.deterministic"


@pytest.mark.parametrize("bits", [0x0000, 0x8000, 0x0001, 0x03FF, 0x0400, 0x3C00, 0x7BFF, 0x7C00, 0xFC00, 0x7E00])
def test_half_precision_is_read_as_cbor2_reads_it(bits: int) -> None:
    data = b"\xf9" + bits.to_bytes(2, "big")
    assert plain(cbor.decode(data)) == plain(cbor2.loads(data))


def test_a_tag_24_item_keeps_its_exact_bytes() -> None:
    data = bytes.fromhex("d8185a00000003820102")
    item = cbor.decode(data)
    assert isinstance(item, cbor.Encoded)
    assert item.raw == data
    assert item.content == bytes.fromhex("820102")
    assert item.decode() == [1, 2]
    assert cbor.encode([item]) == b"\x81" + data


def test_bytes_after_the_item_inside_a_tag_24_are_refused() -> None:
    with pytest.raises(FormatError) as refusal:
        cbor.wrap(b"\x01\x02").decode()
    assert refusal.value.code == "cbor.trailing"


def test_a_bytearray_is_read_as_bytes_are() -> None:
    item = cbor.decode(bytearray(bytes.fromhex("8341016161d8184100")))
    assert item == [b"\x01", "a", cbor.wrap(b"\x00")]
    assert type(item[0]) is bytes
    assert type(item[2].raw) is bytes


def test_a_memoryview_is_read_in_place_but_short_byte_strings_and_keys_are_copied() -> None:
    content = [b"s" * 255, b"l" * 256, cbor.wrap(b"\x00"), {b"k" * 300: 1}]
    memory = bytearray(cbor.encode(content))
    item = cbor.decode(memoryview(memory))
    assert item == content
    assert [type(each) for each in item[:2]] == [bytes, memoryview]
    assert type(item[2].raw) is memoryview and item[2].decode() == 0
    memory[:] = bytes(len(memory))
    assert item[0] == b"s" * 255 and bytes(item[1]) == bytes(256) and item[3] == {b"k" * 300: 1}


@pytest.mark.parametrize("value", [2**64, -(2**64) - 1, 1.5, object(), {1, 2}])
def test_what_has_no_form_is_not_written(value: Any) -> None:
    with pytest.raises(FormatError):
        cbor.encode(value)


def test_a_lone_surrogate_is_not_written() -> None:
    with pytest.raises(FormatError) as refusal:
        cbor.encode("\ud800")
    assert refusal.value.code == "cbor.utf8"


ON_LOCK = """
from protocol import cbor
from protocol.errors import FormatError
def judge(data):
    try:
        item = cbor.decode(data)
    except FormatError as error:
        return error.code
    try:
        return cbor.encode(item).hex()
    except FormatError as error:
        return "read, not written: " + error.code
answer([judge(bytes.fromhex(data)) for data in given])
"""


def judge(data: bytes) -> str:
    try:
        item = cbor.decode(data)
    except FormatError as error:
        return error.code
    try:
        return cbor.encode(item).hex()
    except FormatError as error:
        return "read, not written: " + error.code


def test_both_runtimes_refuse_the_same_text() -> None:
    edges = (
        0x00,
        0x41,
        0x7F,
        0x80,
        0x8F,
        0x90,
        0x9F,
        0xA0,
        0xBF,
        0xC0,
        0xC2,
        0xDF,
        0xE0,
        0xE1,
        0xED,
        0xEF,
        0xF0,
        0xF4,
        0xF5,
        0xFF,
    )
    texts = [bytes(each) for length in (1, 2, 3) for each in itertools.product(edges, repeat=length)]
    leads, tails = (0xE0, 0xED, 0xF0, 0xF1, 0xF4, 0xF5, 0xF8), (0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF)
    texts += [bytes(each) for each in itertools.product(leads, tails, tails, tails)]
    # The lock's heap has room for 800 texts at a time, with their answers.
    for start in range(0, len(texts), 800):
        data = [bytes([0x60 + len(text)]) + text for text in texts[start : start + 800]]
        here = [judge(each) for each in data]
        assert run_on_lock(ON_LOCK, [each.hex() for each in data]) == here


def test_both_runtimes_refuse_the_same_bytes_and_read_the_rest_alike() -> None:
    heads = [
        bytes([initial]) + rest
        for initial in range(256)
        for rest in (b"", b"\x00", b"\x01\x02\x03\x04\x05\x06\x07\x08\x09")
    ]
    nested = [bytes([0x82, initial]) + bytes(range(1, 10)) for initial in range(256)]
    for data in (heads[:400], heads[400:], nested):  # All answers of one run are on the lock's heap.
        assert run_on_lock(ON_LOCK, [each.hex() for each in data]) == [judge(each) for each in data]
