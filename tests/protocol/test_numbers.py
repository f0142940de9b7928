"""Lock, edge and province refuse every number beyond 2^53 - 1."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import cbor, cose, link, link_initiator, link_session, listing_code, record, statement, uplink
from protocol import crypto_cpython as crypto
from protocol.cbor import LARGEST
from protocol.errors import MooringError
from protocol.fittings import Fittings
from tests.support import link_verdicts
from tests.support.statements import BODIES, FORMS, PARSERS

PRIVATE, POINT = crypto.generate("P-256")
ID16, ID32 = bytes(range(16)), bytes(range(32))
BEYOND = (LARGEST + 1, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1, -LARGEST - 1, -(2**63), -(2**64))

OCCUPANCY = [2, 1, 1, 1_800_086_400]
OPENING = {2: 1_800_000_000, 3: 1_800_000_100, 4: "LC-1", 5: ID16, 6: 1, 7: "CN", 9: "mdoc", 12: OCCUPANCY}
RECORD_BODIES = {
    "check-in": {**OPENING, 1: record.CHECK_IN, 8: {"name": "A"}},
    "entry": {**OPENING, 1: record.ENTRY, 11: 3},
    "event": {1: record.BOOT, 2: 1_800_000_000, 3: None, 4: "LC-1", 7: "CN", 10: "reset", 11: 1},
}


def _record() -> bytes:
    payload = cbor.encode([1, ID16, 7, ID32, cbor.encode([b"", {}, b"sealed"])])
    return record.sign(crypto, PRIVATE, payload)


def _read(kind: str) -> Callable[[bytes], Any]:
    return lambda data: PARSERS[kind](statement.parse(data).read(kind))


def _body_of_record(data: bytes) -> Any:
    return record.check_body(cbor.decode_deterministic(data))


MESSAGES: dict[str, tuple[bytes, Callable[[bytes], Any]]] = {
    "hello": (link.Hello(ID16, 8, 5, {"placement": 3, "trust-list": 1}, ID16, POINT).encode(), link.parse),
    "result": (link.result("time", None), link.parse),
    "want": (link.want(1024), link.parse),
    "pull": (link.pull(7, 16), link.parse),
    "offer": (link.offer(ID32, 4000), link.parse),
    "open": (link_initiator.Initiator(crypto, (PRIVATE, POINT)).open(), link_session.parse_open),
    "batch": (uplink.Batch(bytes(8), [b"r"]).encode(), uplink.parse_up),
    "time-request": (uplink.TimeRequest(ID16, ID16).encode(), uplink.parse_up),
    "lock-seen": (uplink.LockSeen(ID16, POINT, {"placement": 3}).encode(), uplink.parse_up),
    "pass-request": (uplink.PassRequest(POINT, 7).encode(), uplink.parse_up),
    "passes": (uplink.Passes([b"p"]).encode(), uplink.parse_passes),
    "command": (uplink.Command(ID16, [b"s"]).encode(), uplink.parse_command),
    "record": (_record(), record.parse),
    **{kind: (cbor.encode(body), _body_of_record) for kind, body in RECORD_BODIES.items()},
    **{kind: (statement.sign(crypto, PRIVATE, kind, BODIES[kind]), _read(kind)) for kind in BODIES},
}

Change = Callable[[Any], Any]


def _inside(outer: Change, put: Change) -> Change:
    return lambda other: outer(put(other))


def _at(item: list[Any], at: int) -> Change:
    return lambda inner: [*item[:at], inner, *item[at + 1 :]]


def _under(item: dict[Any, Any], key: Any) -> Change:
    return lambda inner: {**item, key: inner}


def _places(item: Any) -> Iterator[tuple[int, Change]]:
    """Yield each number in `item`, and each number in CBOR in the byte strings of `item`. Each number comes with a
    function that replaces this number.
    """
    if isinstance(item, bool):
        return
    if isinstance(item, int):
        yield item, lambda other: other
    elif isinstance(item, list):
        for at, inner in enumerate(item):
            for number, put in _places(inner):
                yield number, _inside(_at(item, at), put)
    elif isinstance(item, dict):
        for key, inner in item.items():
            for number, put in _places(inner):
                yield number, _inside(_under(item, key), put)
    elif isinstance(item, bytes) and len(item) > 16:
        try:
            inside = cbor.decode(item)
        except MooringError:
            return
        for number, put in _places(inside):
            yield number, _inside(cbor.encode, put)


def _numbers(value: Any) -> Iterator[int]:
    if isinstance(value, int):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _numbers(key)
            yield from _numbers(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _numbers(inner)
    elif hasattr(value, "__dict__") and not isinstance(value, cose.Message):
        yield from _numbers(vars(value))


def _changed(name: str, at: int, other: int) -> bytes:
    _, put = list(_places(cbor.decode(MESSAGES[name][0])))[at]
    return cbor.encode(put(other))


PLACES = [(name, at) for name in MESSAGES for at in range(len(list(_places(cbor.decode(MESSAGES[name][0])))))]


def test_the_samples_are_good_and_hold_numbers() -> None:
    for name, (data, parse) in MESSAGES.items():
        parse(data)
        assert (name, 0) in PLACES, name
    assert set(FORMS) < set(MESSAGES)


@pytest.mark.parametrize("name", MESSAGES)
def test_a_number_beyond_the_bound_is_refused_wherever_it_stands(name: str) -> None:
    for at in [at for other, at in PLACES if other == name]:
        for beyond in BEYOND:
            with pytest.raises(MooringError):
                MESSAGES[name][1](_changed(name, at, beyond))


@given(st.sampled_from(PLACES), st.integers(-(2**64), 2**64 - 1) | st.integers(LARGEST - 3, LARGEST + 3))
def test_no_parser_returns_a_number_beyond_the_bound(place: tuple[str, int], number: int) -> None:
    try:
        parsed = MESSAGES[place[0]][1](_changed(*place, number))
    except MooringError:
        return
    assert all(abs(found) <= LARGEST for found in _numbers(parsed))


def test_the_largest_number_itself_is_read() -> None:
    assert link.parse(link.pull(LARGEST, 1)) == (link.PULL, LARGEST, 1)
    assert uplink.parse_up(uplink.PassRequest(POINT, LARGEST).encode()).issued_at == LARGEST  # type: ignore[union-attr]


def test_the_lock_refuses_the_same_numbers() -> None:
    messages = [_changed(name, at, beyond) for name, at in PLACES if name in ("hello", "pull") for beyond in BEYOND]
    messages += [link.pull(LARGEST, 1), link.pull(LARGEST + 1, 1)]
    verdicts = link_verdicts.on_lock(messages)
    assert verdicts == ["cbor.range"] * (len(messages) - 2) + [str(link.PULL), "cbor.range"]


def test_what_an_installer_or_a_phone_reads_has_no_larger_numbers_either() -> None:
    sample = json.loads(Fittings().encode())
    for number, put in _places(sample):
        for beyond in BEYOND:
            with pytest.raises(MooringError):
                Fittings.parse(json.dumps(put(beyond)).encode())
        assert abs(number) <= LARGEST
    assert listing_code.ListingCode("A", "B", 1, "HTTPS://A.EXAMPLE/", LARGEST).body()
    with pytest.raises(MooringError):
        listing_code.ListingCode("A", "B", 1, "HTTPS://A.EXAMPLE/", LARGEST + 1).body()
