"""The messages between lock and edge. Each message is read as it was written, and other bytes are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import VERSION, cbor, link, uplink
from protocol.cbor import LARGEST
from protocol.errors import FormatError
from protocol.link_session import TAG_BYTES
from protocol.statement import MAX_BYTES as LONGEST_STATEMENT
from tests.support import link_verdicts

KINDS = (link.HELLO, link.RECORD, link.RESULT, link.WANT, link.PULL, link.DELIVER, link.OFFER, link.PIECE)
PUBLIC = b"\x04" + bytes(64)
HELLO = link.Hello(bytes(16), 8, 5, {"placement": 3, "trust-list": 1}, bytes(16), PUBLIC)


def hello_with(index: int, value: object) -> bytes:
    items = cbor.decode(HELLO.encode())
    items[index] = value
    return cbor.encode(items)


def test_a_hello_tells_the_version_of_the_lock_s_software() -> None:
    told = link.parse(HELLO.encode())[1].software
    assert told == VERSION and link.parse(hello_with(8, "9.9.9rc1"))[1].software == "9.9.9rc1"


def test_each_message_is_read_as_it_was_written() -> None:
    kind, hello = link.parse(HELLO.encode())
    assert (kind, vars(hello)) == (link.HELLO, vars(HELLO))
    assert link.parse(link.Hello(bytes(16), 1, 0, {}, None, PUBLIC).encode())[1].time_nonce is None
    assert link.parse(link.record(b"r")) == (link.RECORD, b"r")
    assert link.parse(link.result("time", None)) == (link.RESULT, "time", None)
    assert link.parse(link.result("time", "time.nonce")) == (link.RESULT, "time", "time.nonce")
    assert link.parse(link.pull(1, 0)) == (link.PULL, 1, 0)
    assert link.parse(link.pull(LARGEST, link.CREDIT_LIMIT)) == (link.PULL, LARGEST, link.CREDIT_LIMIT)
    assert link.parse(link.result("?", "link.digest")) == (link.RESULT, "?", "link.digest")
    assert link.parse(link.deliver(b"s" * link.PIECE_BYTES)) == (link.DELIVER, b"s" * link.PIECE_BYTES)
    assert link.parse(link.offer(bytes(32), LONGEST_STATEMENT)) == (link.OFFER, bytes(32), LONGEST_STATEMENT)
    assert link.parse(link.want(0)) == (link.WANT, 0)
    assert link.parse(link.piece(b"p")) == (link.PIECE, b"p")


def test_a_hello_repeats_another_that_says_the_same_but_for_the_next_counter() -> None:
    assert HELLO.repeats(link.Hello(bytes(16), 9, 5, {"placement": 3, "trust-list": 1}, bytes(16), PUBLIC))
    assert not HELLO.repeats(None)
    for other in (
        link.Hello(b"\x01" * 16, 8, 5, HELLO.held, bytes(16), PUBLIC),
        link.Hello(bytes(16), 8, 6, HELLO.held, bytes(16), PUBLIC),
        link.Hello(bytes(16), 8, 5, {"placement": 4, "trust-list": 1}, bytes(16), PUBLIC),
        link.Hello(bytes(16), 8, 5, HELLO.held, None, PUBLIC),
        link.Hello(bytes(16), 8, 5, HELLO.held, bytes(16), b"\x04" + b"\x01" * 64),
    ):
        assert not HELLO.repeats(other)


def test_the_longest_message_down_fits_the_room_that_a_lock_has_for_it() -> None:
    longest = max(len(link.piece(bytes(link.PIECE_BYTES))), len(link.deliver(bytes(link.PIECE_BYTES))))
    assert longest + TAG_BYTES <= link.DOWN_LIMIT


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"", "cbor.truncated"),
        (link.pull(1, 1) + b"\x00", "cbor.trailing"),
        (b"\x83\x18\x10\x01\x01", "cbor.deterministic"),
        (bytes(link.MESSAGE_LIMIT + 1), "link.too_long"),
        (cbor.encode([]), "link.form"),
        (cbor.encode({}), "link.form"),
        (cbor.encode([True, 1]), "link.form"),
        (cbor.encode([3.5 > 3, b""]), "link.form"),
        (cbor.encode([99]), "link.type"),
        (hello_with(8, "0.3.0RC1"), "link.form"),
        (cbor.encode([link.PULL, 0, 1]), "link.form"),
        (cbor.encode([link.PULL, 1]), "link.form"),
        (cbor.encode([link.PULL, 1, link.CREDIT_LIMIT + 1]), "link.form"),
        (cbor.encode([link.PULL, 1, -1]), "link.form"),
        (cbor.encode([link.PULL, 1, 1, 1]), "link.form"),
        (cbor.encode([link.RECORD, b""]), "link.form"),
        (cbor.encode([link.RECORD, "text"]), "link.form"),
        (cbor.encode([link.DELIVER]), "link.form"),
        (cbor.encode([link.DELIVER, bytes(link.PIECE_BYTES + 1)]), "link.form"),
        (cbor.encode([link.PIECE, bytes(link.PIECE_BYTES + 1)]), "link.form"),
        (cbor.encode([link.PIECE, b""]), "link.form"),
        (cbor.encode([link.OFFER, bytes(31), 2000]), "link.form"),
        (cbor.encode([link.OFFER, bytes(32), link.PIECE_BYTES]), "link.form"),
        (cbor.encode([link.OFFER, bytes(32), LONGEST_STATEMENT + 1]), "link.form"),
        (cbor.encode([link.OFFER, bytes(32)]), "link.form"),
        (cbor.encode([link.WANT, LONGEST_STATEMENT]), "link.form"),
        (cbor.encode([link.WANT, -1]), "link.form"),
        (cbor.encode([link.WANT]), "link.form"),
        (cbor.encode([link.RESULT, "", None]), "link.form"),
        (cbor.encode([link.RESULT, "time", 0]), "link.form"),
        (cbor.encode([link.RESULT, "x" * 65, None]), "link.form"),
        (cbor.encode([link.RESULT, "?", "?"]), "link.form"),
        (cbor.encode([link.RESULT, "grant", "a\nb"]), "link.form"),
        (cbor.encode([link.PULL, LARGEST + 1, 1]), "cbor.range"),
        (cbor.encode([link.HELLO]), "link.version"),
        (hello_with(1, 1), "link.version"),
        (hello_with(1, True), "link.version"),
        (hello_with(2, bytes(15)), "link.form"),
        (hello_with(3, 0), "link.form"),
        (hello_with(4, 8), "link.form"),
        (hello_with(5, {"placement": -1}), "link.form"),
        (hello_with(5, {1: 1}), "link.form"),
        (hello_with(3, LARGEST + 1), "cbor.range"),
        (hello_with(3, 2**63 + 1), "cbor.range"),
        (hello_with(5, {"placement": LARGEST + 1}), "cbor.range"),
        (hello_with(5, {"Placement": 1}), "link.form"),
        (hello_with(5, {"": 1}), "link.form"),
        (hello_with(5, {"x" * 65: 1}), "link.form"),
        (hello_with(5, {"grant\u00e9": 1}), "link.form"),
        (hello_with(5, {f"kind{n}": n for n in range(33)}), "link.form"),
        (hello_with(6, bytes(15)), "link.form"),
        (hello_with(7, bytes(65)), "link.form"),
        (hello_with(8, "0.2.0\n"), "link.form"),
        (hello_with(8, ""), "link.form"),
        (cbor.encode(cbor.decode(HELLO.encode())[:-1]), "link.form"),
        (cbor.encode([*cbor.decode(HELLO.encode()), 1]), "link.form"),
    ],
)
def test_what_link_cddl_does_not_define_is_refused(message: bytes, code: str) -> None:
    with pytest.raises(FormatError) as refused:
        link.parse(message)
    assert refused.value.code == code


_names = st.from_regex(r"[a-z0-9._-]{1,64}", fullmatch=True) | st.text(max_size=70)
_helds = st.dictionaries(_names, st.integers(0, LARGEST) | st.integers(-1, 2**64 - 1), max_size=34)


@given(_helds)
def test_whatever_a_lock_says_that_it_holds_the_uplink_carries_or_the_link_refuses(held: dict[str, int]) -> None:
    try:
        _, hello = link.parse(link.Hello(bytes(16), 1, 0, held, None, PUBLIC).encode())
    except FormatError:
        return
    seen = uplink.parse_up(uplink.LockSeen(hello.lock_id, hello.identity_public, hello.held).encode())
    assert vars(seen)["held"] == held


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_parse_or_be_refused(message: bytes) -> None:
    try:
        parsed = link.parse(message)
    except FormatError:
        return
    assert parsed[0] in KINDS


_ITEMS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=70) | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(st.sampled_from(KINDS), st.lists(_ITEMS, max_size=8))
def test_a_parsed_message_has_one_form_only(kind: int, rest: list[object]) -> None:
    message = cbor.encode([kind, *rest])
    try:
        parsed = link.parse(message)
    except FormatError:
        return
    writers = {2: link.record, 3: link.result, 4: link.want, 16: link.pull, 17: link.deliver}
    writers |= {18: link.offer, 19: link.piece}
    again = parsed[1].encode() if kind == 1 else writers[kind](*parsed[1:])  # type: ignore[operator]  # both are of one kind
    assert again == message


def test_the_lock_reads_and_refuses_the_same_bytes() -> None:
    good = [HELLO.encode(), link.record(b"r" * 700), link.result("grant", "grant.window"), link.pull(7, 16)]
    good += [link.offer(bytes(32), 4000), link.want(1024), link.piece(b"p" * 99)]
    messages = good + [m[:-1] for m in good] + [m + b"\x00" for m in good]
    messages += [bytes(b ^ (1 if i == at else 0) for i, b in enumerate(m)) for m in good for at in range(0, 30, 3)]
    assert link_verdicts.on_lock(messages) == link_verdicts.here(messages)


# --- advertising -----------------------------------------------------------------------------------------------------


def test_an_advertisement_fills_31_bytes_and_names_the_service() -> None:
    advertised = link.advertisement(bytes(range(16)), b"\xaa\xbb")
    assert len(advertised) == 31
    assert advertised[5:21][::-1].hex() == link.SERVICE.replace("-", "")
    assert advertised[21:] == bytes((9, 0xFF, 0xFF, 0xFF)) + bytes(range(4)) + b"\xaa\xbb"
