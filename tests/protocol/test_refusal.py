"""Claims about the content of refusals. Nobody can change this content."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import cbor, statement
from protocol import crypto_cpython as crypto
from protocol.errors import FormatError, MooringError, VerificationError
from protocol.refusal import EQUIVOCATION, KIND, MAX_ENTRIES, SIGNATURE, Refusal

LOCK = bytes(range(16))
NOW = 1_800_000_000
PRIVATE, PUBLIC = crypto.generate("P-256")
MOST = 2**53 - 1


def signed(records: Any, private: bytes = PRIVATE) -> bytes:
    return statement.sign(crypto, private, KIND, Refusal(LOCK, NOW, records).body())


def read(data: bytes) -> Refusal:
    return Refusal.parse(statement.open(crypto, data, KIND, PUBLIC))


def test_a_refusal_names_each_record_by_counter_and_payload_hash_and_says_why() -> None:
    records = [(3, b"a" * 32, EQUIVOCATION), (3, b"b" * 32, SIGNATURE), (MOST, bytes(32), "anything.else_1-x")]
    form = read(signed(records))
    assert (form.lock_id, form.time, form.records) == (LOCK, NOW, records)


def test_a_courier_cannot_make_a_refusal() -> None:
    with pytest.raises(VerificationError) as caught:
        read(signed([(1, bytes(32), SIGNATURE)], crypto.generate("P-256")[0]))
    assert caught.value.code == "cose.signature"


def test_the_longest_refusal_is_no_longer_than_any_statement_and_one_record_more_is_none() -> None:
    entry = (b"\xff" * 32, "x" * 64)
    records = [(MOST - MAX_ENTRIES + number, *entry) for number in range(1, MAX_ENTRIES + 1)]
    assert read(signed(records)).records == records
    with pytest.raises(FormatError, match=r"refusal\.form"):
        signed([(1, *entry), *records])


@pytest.mark.parametrize(
    "records",
    [
        [],
        {},
        None,
        [LOCK],
        [[0, bytes(32), "code"]],
        [[-1, bytes(32), "code"]],
        [[True, bytes(32), "code"]],
        [[1.5, bytes(32), "code"]],
        [[MOST + 1, bytes(32), "code"]],
        [[2**64 - 1, bytes(32), "code"]],
        [[1, bytes(31), "code"]],
        [[1, "x" * 32, "code"]],
        [[1, bytes(32), "Li Lei"]],
        [[1, bytes(32), ""]],
        [[1, bytes(32), "x" * 65]],
        [[1, bytes(32)]],
        [[1, bytes(32), "code", 1]],
        [[2, bytes(32), "code"], [1, bytes(32), "code"]],
        [[1, b"b" * 32, "code"], [1, b"a" * 32, "code"]],
        [[1, bytes(32), "code"], [1, bytes(32), "code"]],
        [[1, bytes(32), "code"], [1, bytes(32), "other"]],
    ],
)
def test_a_refusal_of_another_form_is_refused(records: Any) -> None:
    with pytest.raises(FormatError) as caught:
        Refusal.parse({1: 1, 2: LOCK, 3: NOW, 4: records})
    assert caught.value.code == "refusal.form"


@pytest.mark.parametrize("change", [{1: 2}, {2: LOCK[1:]}, {3: 0}, {3: MOST + 1}, {5: 1}, {4: ...}])
def test_a_member_too_many_of_another_type_or_missing_is_refused(change: dict[int, Any]) -> None:
    body = {**Refusal(LOCK, NOW, [(1, bytes(32), "code")]).body(), **change}
    body = {key: value for key, value in body.items() if value is not ...}
    with pytest.raises(FormatError, match=r"refusal\.form"):
        Refusal.parse(body)


scalars = st.none() | st.booleans() | st.integers(-5, 2**64) | st.binary(max_size=33) | st.text(max_size=5)


@settings(max_examples=50)
@given(st.dictionaries(st.integers(1, 5), scalars | st.lists(st.lists(scalars, max_size=4), max_size=4), max_size=5))
def test_any_body_is_read_or_refused_in_order(body: dict[Any, Any]) -> None:
    try:
        form = Refusal.parse(cbor.decode(cbor.encode(body)))
    except MooringError as error:
        assert error.code in ("refusal.form", "cbor.range", "cbor.int")
    else:
        assert form.body() == body
