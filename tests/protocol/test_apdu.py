from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import apdu
from protocol.errors import FormatError, MooringError, TransportError


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((0, 0xA4, 0, 0), "00a40000"),
        ((0, 0xB0, 0, 0, b"", 15), "00b000000f"),
        ((0, 0xB0, 0, 0, b"", 256), "00b0000000"),
        ((0, 0xA4, 0, 0x0C, b"\xe1\x03"), "00a4000c02e103"),
        ((0, 0xA4, 4, 0, bytes.fromhex("d2760000850101"), 256), "00a4040007d276000085010100"),
        ((0, 0xB0, 0, 0, b"", 4096, True), "00b00000001000"),
        ((0, 0xC3, 0, 0, b"\xaa", 0, True), "00c30000000001aa"),
        ((0, 0xC3, 0, 0, b"\xaa", 65536, True), "00c30000000001aa0000"),
        ((0, 0xC3, 0, 0, b"", 65536, True), "00c30000000000"),
    ],
)
def test_all_four_cases_have_their_short_and_extended_form(arguments: tuple[Any, ...], expected: str) -> None:
    assert apdu.command(*arguments).hex() == expected


@pytest.mark.parametrize(
    ("data", "le", "extended"), [(256, 0, False), (0, 257, False), (65536, 0, True), (0, 65537, True), (0, -1, False)]
)
def test_what_a_form_cannot_hold_is_refused(data: int, le: int, extended: bool) -> None:
    with pytest.raises(FormatError, match=r"apdu\.range"):
        apdu.command(0, 0, 0, 0, bytes(data), le, extended)


@pytest.mark.parametrize("raw", [b"", b"\x90", bytes(65539)])
def test_a_response_without_a_status_word_or_beyond_the_longest_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError, match=r"apdu\.response"):
        apdu.parse_response(raw)


def test_a_status_word_other_than_9000_is_an_error_that_names_it() -> None:
    assert apdu.expect_ok(b"\x01\x90\x00") == b"\x01"
    with pytest.raises(TransportError, match=r"apdu\.status: status word 6A82"):
        apdu.expect_ok(b"\x6a\x82")


@given(st.binary(max_size=1200), st.integers(1, 255))
def test_chained_commands_carry_all_data_and_only_the_last_has_le(data: bytes, size: int) -> None:
    start = apdu.HEADS
    room = memoryview(bytearray(start) + data + bytes(3))
    commands = [bytes(each) for each in apdu.chain(apdu.ENVELOPE, 0, 0, room, start, start + len(data), 256, size)]
    together = b""
    for command in commands[:-1]:
        assert command[0] == 0x10 and len(command) == 5 + size and command[4] == size
        together += command[5:]
    last = commands[-1]
    assert last[0] == 0x00 and last[-1] == 0x00
    assert together + last[5:-1] == data


@given(st.binary(min_size=1, max_size=1200), st.integers(1, 1300))
def test_extended_commands_carry_all_data_too(data: bytes, size: int) -> None:
    start = apdu.HEADS
    room = memoryview(bytearray(start) + data + bytes(2))
    chained = apdu.chain(apdu.ENVELOPE, 0, 0, room, start, start + len(data), 4096, size, True)
    commands = [bytes(each) for each in chained]
    assert [each[0] for each in commands] == [0x10] * (len(commands) - 1) + [0]
    assert all(each[4] == 0 and int.from_bytes(each[5:7], "big") <= size for each in commands)
    together = b"".join(each[7 : 7 + int.from_bytes(each[5:7], "big")] for each in commands)
    assert together == data and commands[-1][-2:] == b"\x10\x00"
    assert sum(map(len, commands)) == len(data) + 7 * len(commands) + 2


@pytest.mark.parametrize(
    ("le", "size", "extended"), [(0, 255, False), (257, 255, False), (256, 256, False), (1, 0, True)]
)
def test_no_command_is_longer_than_its_form_allows(le: int, size: int, extended: bool) -> None:
    with pytest.raises(FormatError, match=r"apdu\.range"):
        next(apdu.chain(apdu.ENVELOPE, 0, 0, memoryview(bytearray(600)), 7, 500, le, size, extended))


def in_object(data: bytes) -> bytes:
    """Return `data` in a data object 53."""
    room = memoryview(bytearray(4) + data)
    return bytes(room[apdu.wrap_do53(room, 4, len(room)) :])


def collect(responses: list[bytes], limit: int = 1000, le: int = 256) -> tuple[bytes, list[str]]:
    data = bytearray()
    collector = apdu.Collector(data, limit, le)
    asked: list[str] = []
    for response in responses:
        data += response[:-2]
        command = collector.push(response[-2:])
        if command is None:
            return bytes(data), asked
        asked.append(command.hex())
    raise AssertionError("the collector wants more than there is")


def test_61xx_asks_for_xx_bytes_and_6100_for_as_many_as_possible() -> None:
    data, asked = collect([b"ab\x61\x00", b"cd\x61\x02", b"ef\x90\x00"])
    assert data == b"abcdef"
    assert asked == ["00c0000000", "00c0000002"]


def test_6100_in_extended_form_asks_for_the_largest_response_agreed() -> None:
    assert collect([b"\x61\x00", b"ab\x90\x00"], le=4096)[1] == ["00c00000001000"]


def test_a_first_answer_may_hold_nothing_but_the_promise_of_bytes() -> None:
    assert collect([b"\x61\x02", b"ab\x90\x00"])[0] == b"ab"


def test_a_holder_that_ignores_le_is_heard_out() -> None:
    assert collect([b"\x61\x02", b"abcdefgh\x90\x00"])[0] == b"abcdefgh"


def test_6cxx_to_a_get_response_repeats_it_once_with_the_right_length() -> None:
    assert collect([b"\x61\x09", b"\x6c\x02", b"ab\x90\x00"]) == (b"ab", ["00c0000009", "00c0000002"])
    with pytest.raises(TransportError, match=r"apdu\.status"):
        collect([b"\x61\x09", b"\x6c\x02", b"\x6c\x02"])
    with pytest.raises(TransportError, match=r"apdu\.status"):
        collect([b"\x6c\x02"])


def test_announced_bytes_that_never_come_end_the_exchange() -> None:
    with pytest.raises(TransportError, match=r"apdu\.stalled"):
        collect([b"\x61\x02", b"\x61\x02"])


def test_a_response_beyond_the_limit_ends_the_exchange_before_it_is_whole() -> None:
    with pytest.raises(TransportError, match=r"apdu\.too_long"):
        collect([bytes(600) + b"\x61\x00", bytes(401) + b"\x61\x00"])


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 9000, 65535])
def test_data_object_53_round_trips_at_every_width_of_length(size: int) -> None:
    data = bytes(size)
    assert bytes(apdu.unwrap_do53(memoryview(in_object(data)))) == data


def test_data_object_53_takes_lengths_that_ber_allows() -> None:
    for raw in ("5302abcd", "538102abcd", "53820002abcd", "5383000002abcd"):
        assert bytes(apdu.unwrap_do53(memoryview(bytes.fromhex(raw)))) == b"\xab\xcd"


@pytest.mark.parametrize(
    "raw", ["", "53", "5401aa", "5302aa", "5301aabb", "5380aa0000", "538400000001aa", "5381", "538200", "53ff"]
)
def test_data_object_53_with_a_wrong_tag_or_length_is_refused(raw: str) -> None:
    with pytest.raises(FormatError, match=r"apdu\.do53"):
        apdu.unwrap_do53(memoryview(bytes.fromhex(raw)))


def test_a_message_too_long_for_a_data_object_is_refused() -> None:
    with pytest.raises(FormatError, match=r"apdu\.range"):
        in_object(bytes(65536))


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_no_response_makes_the_collector_fail_otherwise_than_by_its_own_errors(responses: list[bytes]) -> None:
    data = bytearray()
    collector = apdu.Collector(data, 100)
    try:
        for response in responses:
            data += response[:-2]
            if collector.push(response[-2:]) is None:
                break
    except MooringError:
        pass
    assert len(data) <= 100 + 40, "the answer that exceeds the limit is the last"


@given(st.one_of(st.binary(max_size=20), st.binary(max_size=20).map(lambda tail: b"\x53" + tail)))
def test_no_bytes_make_a_data_object_fail_otherwise_than_by_its_own_errors(raw: bytes) -> None:
    try:
        content = bytes(apdu.unwrap_do53(memoryview(raw)))
    except FormatError:
        return
    assert raw.endswith(content)
