"""Every kind of statement is accepted only from its signer, and only in the one form of this kind."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import cbor, cose, statement
from protocol import crypto_cpython as crypto
from protocol.errors import FormatError, MooringError, VerificationError
from protocol.placement import lock_id
from tests.support.on_lock import run_on_lock
from tests.support.statements import BODIES, FORMS, KEY, KEYS, PARSERS, POINT

ALL = pytest.mark.parametrize("kind", statement.KINDS)


def signed(kind: str) -> bytes:
    return statement.sign(crypto, KEYS.signing_private, kind, BODIES[kind])


def opened(data: bytes, kind: str) -> dict[Any, Any]:
    return statement.open(crypto, data, kind, KEYS.signing_public)


@ALL
def test_a_statement_is_taken_from_its_signer(kind: str) -> None:
    body = opened(signed(kind), kind)
    assert body == BODIES[kind]
    PARSERS[kind](body)


@pytest.mark.parametrize("kind", sorted(FORMS))
def test_a_form_survives_the_way_through_bytes(kind: str) -> None:
    form = PARSERS[kind](opened(signed(kind), kind))
    assert type(form) is type(FORMS[kind]) and form.body() == FORMS[kind].body()


@ALL
def test_a_statement_of_one_kind_never_passes_as_another(kind: str) -> None:
    for other in statement.KINDS:
        if other != kind:
            with pytest.raises(VerificationError) as caught:
                opened(signed(kind), other)
            assert caught.value.code == "statement.kind"


@ALL
def test_a_kind_rewritten_in_the_header_breaks_the_signature(kind: str) -> None:
    protected, unprotected, payload, signature = cbor.decode(signed(kind))
    for other in statement.KINDS:
        if other != kind:
            header = cbor.encode({cose.ALG: cose.ES256, cose.TYP: "mooring/" + other})
            with pytest.raises(VerificationError) as caught:
                opened(cbor.encode([header, unprotected, payload, signature]), other)
            assert caught.value.code == "cose.signature"
    assert protected


@ALL
def test_another_key_is_rejected(kind: str) -> None:
    with pytest.raises(VerificationError) as caught:
        statement.open(crypto, signed(kind), kind, KEYS.sealing_public)
    assert caught.value.code == "cose.signature"


@ALL
def test_every_altered_byte_is_rejected(kind: str) -> None:
    good = signed(kind)
    for at in range(0, len(good), max(1, len(good) // 60)):
        with pytest.raises(MooringError):
            opened(good[:at] + bytes((good[at] ^ 0x10,)) + good[at + 1 :], kind)


@ALL
def test_trailing_and_missing_bytes_are_rejected(kind: str) -> None:
    for data in (signed(kind) + b"\x00", signed(kind)[:-1], b"", b"\xd2" + signed(kind)):
        with pytest.raises(FormatError):
            opened(data, kind)


def test_an_encoding_that_is_not_deterministic_is_rejected() -> None:
    protected, unprotected, payload, signature = cbor.decode(signed("time"))
    longer = (
        b"\x84" + b"\x58" + bytes((len(protected),)) + protected
    )  # This head has two bytes, but one byte is enough for this length.
    longer += cbor.encode(unprotected) + cbor.encode(payload) + cbor.encode(signature)
    assert cbor.decode(longer) == [protected, unprotected, payload, signature]
    with pytest.raises(FormatError) as caught:
        opened(longer, "time")
    assert caught.value.code == "cbor.deterministic"


def test_a_signed_body_that_is_not_deterministic_is_rejected() -> None:
    body = b"\xa1\x18\x01\x01"  # This is {1: 1}, but the key takes two bytes.
    data = cbor.encode(cose.sign1(crypto, KEYS.signing_private, body, {cose.TYP: "mooring/time"}))
    with pytest.raises(FormatError) as caught:
        opened(data, "time")
    assert caught.value.code == "cbor.deterministic"


@pytest.mark.parametrize(
    ("protected", "unprotected"),
    [
        ({cose.TYP: "mooring/time", 4: b"key"}, {}),
        ({cose.TYP: "mooring/time"}, {4: b"key"}),
        ({cose.TYP: "mooring/horoscope"}, {}),
        ({cose.TYP: "time"}, {}),
        ({cose.TYP: 7}, {}),
        ({}, {cose.TYP: "mooring/time"}),
    ],
)
def test_other_headers_are_rejected_even_when_signed(protected: dict[Any, Any], unprotected: dict[Any, Any]) -> None:
    payload = cbor.encode(BODIES["time"])
    data = cbor.encode(cose.sign1(crypto, KEYS.signing_private, payload, protected, unprotected))
    with pytest.raises(FormatError) as caught:
        opened(data, "time")
    assert caught.value.code == "statement.form"


@pytest.mark.parametrize("kind", sorted(FORMS))
def test_a_body_with_a_member_too_few_or_too_many_is_rejected(kind: str) -> None:
    body = BODIES[kind]
    for key in body:
        with pytest.raises(FormatError) as caught:
            PARSERS[kind]({k: v for k, v in body.items() if k != key})
        assert caught.value.code == kind + ".form"
    with pytest.raises(FormatError) as caught:
        PARSERS[kind]({**body, 99: 0})
    assert caught.value.code == kind + ".form"


@pytest.mark.parametrize("kind", sorted(FORMS))
@pytest.mark.parametrize("wrong", [None, -1, 2**64 - 1, "", "x" * 9000, b"", [], {}, {"a": 1, 2: 2}, [None], 1.5])
def test_a_member_of_the_wrong_type_or_range_is_rejected(kind: str, wrong: Any) -> None:
    # A grant may name nobody, and a trust list may name no revocation lists.
    allowed = {("grant", 8, "[]"), ("trust-list", 5, "[]")}
    for key in BODIES[kind]:
        if (kind, key, str(wrong)) not in allowed:
            with pytest.raises(FormatError) as caught:
                PARSERS[kind]({**BODIES[kind], key: wrong})
            assert caught.value.code == kind + ".form"


@pytest.mark.parametrize(
    ("kind", "key", "wrong"),
    [
        ("placement", 1, 2),
        ("placement", 1, True),
        ("placement", 2, 0),
        ("placement", 5, "paused"),
        ("placement", 6, b"\x02" + bytes(64)),
        ("placement", 9, "12\n01"),
        ("placement", 10, [b"\x30"] * 5),
        ("trust-list", 4, [{1: b"\x30", 2: [], 3: None, 4: None}]),
        ("trust-list", 4, [{1: b"\x30", 2: ["a", "a"], 3: None, 4: None}]),
        ("trust-list", 4, [{1: b"\x30", 2: ["a"], 3: -1, 4: None}]),
        ("trust-list", 4, [{1: b"\x30", 2: ["a"], 3: None, 4: "never"}]),
        ("trust-list", 4, [{1: b"\x30", 2: ["a"]}]),
        ("trust-list", 4, [{1: b"\x30", 2: ["a"], 3: None, 4: None}] * 33),
        ("trust-list", 5, None),
        ("trust-list", 5, [{1: 1, 2: 1, 3: 2, 4: "", 5: None}]),
        ("trust-list", 5, [{1: 1, 2: 1, 3: 0, 4: "", 5: None}] * 2),
        ("trust-list", 5, [{1: 9, 2: 1, 3: 0, 4: "", 5: None}]),
        ("trust-list", 5, [{1: 0, 2: 1, 3: 0, 4: "", 5: None}]),
        ("trust-list", 5, [{1: 1, 2: 4, 3: 0, 4: "", 5: None}]),
        ("trust-list", 5, [{1: 1, 2: True, 3: 0, 4: "", 5: None}]),
        ("trust-list", 5, [{1: 1, 2: 1, 3: 0, 4: "https://x", 5: None}]),
        ("trust-list", 5, [{1: 1, 2: 1, 3: 0, 4: "", 5: KEY}]),
        ("trust-list", 5, [{1: 1, 2: 2, 3: 0, 4: "", 5: KEY}]),
        ("trust-list", 5, [{1: 1, 2: 2, 3: 0, 4: "https://x", 5: None}]),
        ("trust-list", 5, [{1: 1, 2: 2, 3: 0, 4: "https://x", 5: {**KEY, -1: 9}}]),
        ("trust-list", 5, [{1: 1, 2: 2, 3: 0, 4: "https://x", 5: {**KEY, -2: bytes(31)}}]),
        ("trust-list", 5, [{1: 1, 2: 2, 3: 0, 4: "https://x", 5: {**KEY, -4: bytes(32)}}]),
        ("trust-list", 5, [{1: 1, 2: 2, 3: 0, 4: "u" * 256, 5: KEY}]),
        ("trust-list", 5, [{1: 1, 2: 2, 3: 0, 4: b"uri", 5: KEY}]),
        ("revocation-list", 3, 0),
        ("revocation-list", 3, 9),
        ("revocation-list", 4, b""),
        ("revocation-list", 4, bytes(4097)),
        ("revocation-list", 4, "text"),
        ("time", 3, 0),
    ],
)
def test_a_body_beyond_its_rules_is_rejected(kind: str, key: int, wrong: Any) -> None:
    with pytest.raises(FormatError) as caught:
        PARSERS[kind]({**BODIES[kind], key: wrong})
    assert caught.value.code == kind + ".form"


def test_nobody_can_sign_a_kind_that_does_not_exist_or_a_statement_too_long_for_a_lock() -> None:
    with pytest.raises(FormatError):
        statement.sign(crypto, KEYS.signing_private, "horoscope", {})
    with pytest.raises(FormatError):
        statement.sign(crypto, KEYS.signing_private, "profile", {"id": "x" * 9000})


@ALL
def test_the_kind_can_be_told_without_a_key_for_routing(kind: str) -> None:
    assert statement.parse(signed(kind)).kind == kind


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_in_order(data: bytes) -> None:
    with pytest.raises(MooringError):
        opened(data, "time")
    with pytest.raises(MooringError):
        statement.parse(data)


def test_the_lock_takes_and_rejects_the_same_statements() -> None:
    good = {kind: signed(kind).hex() for kind in statement.KINDS}
    forged = {k: statement.sign(crypto, KEYS.sealing_private, k, BODIES[k]).hex() for k in statement.KINDS}
    answer = run_on_lock(
        """
import firmware.crypto as crypto
from protocol import statement
from protocol.edge_pass import EdgePass
from protocol.errors import MooringError
from protocol.grant import Grant
from protocol.listing_code import ListingCode
from protocol.placement import Placement
from protocol.profile import Profile
from protocol.receipt import Receipt
from protocol.refusal import Refusal
from protocol.revocation_list import RevocationList
from protocol.signed_time import SignedTime
from protocol.trust import TrustList
forms = {"placement": Placement, "trust-list": TrustList, "profile": Profile, "time": SignedTime, "receipt": Receipt,
         "grant": Grant, "edge-pass": EdgePass, "revocation-list": RevocationList, "listing-code": ListingCode,
         "refusal": Refusal}
key = bytes.fromhex(given["key"])
def code(data, kind):
    try:
        forms[kind].parse(statement.open(crypto, data, kind, key))
    except MooringError as error:
        return error.code
    return None
good = {kind: bytes.fromhex(data) for kind, data in given["good"].items()}
answer({
    "good": [code(data, kind) for kind, data in good.items()],
    "forged": [code(bytes.fromhex(data), kind) for kind, data in given["forged"].items()],
    "crossed": [code(data, "receipt" if kind != "receipt" else "time") for kind, data in good.items()],
    "trailing": [code(data + b"\\0", kind) for kind, data in good.items()],
})
""",
        {"key": KEYS.signing_public.hex(), "good": good, "forged": forged},
    )
    assert answer == {
        "good": [None] * len(good),
        "forged": ["cose.signature"] * len(good),
        "crossed": ["statement.kind"] * len(good),
        "trailing": ["cbor.trailing"] * len(good),
    }


def test_a_lock_id_is_the_front_of_the_hash_of_its_key() -> None:
    assert lock_id(crypto, POINT) == crypto.digest("SHA-256", POINT)[:16]


def test_a_forms_members_are_those_that_it_declares_and_no_tuple_that_an_interpreter_adds() -> None:
    class Two(statement.Form):
        __static_attributes__ = ()  # as of CPython 3.13
        CODE = "two.form"
        first: int = statement.field(2, statement.is_uint)
        second: int = statement.field(3, statement.is_uint)

    assert Two(7, 8).body() == Two(7, second=8).body() == {1: 1, 2: 7, 3: 8}
    assert Two.parse({1: 1, 2: 7, 3: 8}).second == 8
    surplus: list[tuple[list[int], dict[str, int]]] = [([7, 8, 9], {}), ([7, 8], {"third": 9}), ([7, 8], {"second": 9})]
    for values, named in surplus:
        with pytest.raises(TypeError):
            Two(*values, **named)


def test_a_body_is_checked_without_building_its_form_again() -> None:
    built: list[int] = []

    class Small(statement.Form):
        CODE = "small.form"
        only: int = statement.field(2, statement.is_uint)

        def __init__(self, only: int) -> None:
            built.append(only)
            super().__init__(only)

        def check(self) -> None:
            if self.only == 7:
                raise FormatError(self.CODE, "seven")

    assert Small(5).body() == {1: 1, 2: 5} and built == [5]
    for bad in (7, -1):
        with pytest.raises(FormatError, match=r"small\.form"):
            Small(bad).body()
    assert built == [5, 7, -1]
