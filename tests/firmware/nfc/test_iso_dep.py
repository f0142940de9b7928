"""ISO-DEP on the host with a small model of a card. The channel to the card loses and damages blocks on request."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.nfc import iso_dep
from firmware.nfc.iso_dep import Ats, IsoDep, activate, exchange
from protocol.errors import FormatError, TransportError
from tests.support import pn532_scene as scene

LIMIT = 4098


class Picc:
    """The card's side of ISO/IEC 14443-4:2018, 7.6. `answer` computes a response.

    `delays` holds the WTXMs with which the card asks for more time before each response.
    """

    def __init__(self, piece: int = 61, delays: tuple[int, ...] = ()) -> None:
        self.taken: list[bytes] = []
        self._piece, self._delays = piece, delays
        self._number, self._last = 1, b""
        self._incoming, self._outgoing, self._pleas = b"", b"", []  # type: tuple[bytes, bytes, list[int]]

    @staticmethod
    def answer(command: bytes) -> bytes:
        return bytes(value ^ 0xFF for value in command) * 2 + b"\x90\x00"

    def push(self, block: bytes) -> bytes:
        if block[0] >> 6 == 0:
            self._number ^= 1
            self._incoming += block[1:]
            if block[0] & 0x10:
                self._last = bytes((0xA2 | self._number,))
            else:
                self.taken.append(self._incoming)
                self._outgoing, self._incoming = self.answer(self._incoming), b""
                self._pleas = list(self._delays)
                self._speak()
        elif block[0] >> 6 == 3:
            self._speak()
        elif block[0] & 1 != self._number:
            if block[0] & 0x10:
                return bytes((0xA2 | self._number,))
            self._number ^= 1
            self._speak()
        return self._last

    def _speak(self) -> None:
        if self._pleas:
            self._last = bytes((0xF2, self._pleas.pop(0)))
            return
        piece, self._outgoing = self._outgoing[: self._piece], self._outgoing[self._piece :]
        self._last = bytes((0x02 | self._number | (0x10 if self._outgoing else 0),)) + piece


FINE, LOST_OUT, LOST_BACK, DAMAGED = range(4)


def converse(reader: IsoDep, card: Picc, command: bytes, fates: list[int]) -> tuple[bytes, int]:
    """Send `command`. Return the response and the number of blocks sent. `fates` says what happens to each block."""
    block: bytes | None = reader.start(command)
    blocks = 0
    while block is not None:
        blocks += 1
        fate = fates.pop() if fates else FINE
        answer = None if fate == LOST_OUT else card.push(block)
        block = reader.push({FINE: answer, DAMAGED: b""}.get(fate))
    return reader.response, blocks


COMMANDS = st.lists(st.binary(min_size=1, max_size=700), min_size=1, max_size=4)
FATES = st.lists(st.sampled_from([FINE, FINE, FINE, LOST_OUT, LOST_BACK, DAMAGED]), max_size=120)


@given(
    COMMANDS, FATES, st.sampled_from([16, 24, 64, 256]), st.integers(1, 253), st.lists(st.integers(1, 59), max_size=3)
)
def test_over_a_lossy_channel_each_command_arrives_exactly_once_or_the_card_is_gone(
    commands: list[bytes], fates: list[int], fsc: int, piece: int, delays: list[int]
) -> None:
    reader, card = IsoDep(fsc, LIMIT), Picc(piece, tuple(delays))
    troubled = any(fates)
    done: list[bytes] = []
    try:
        for command in commands:
            response, _ = converse(reader, card, command, fates)
            assert response == card.answer(command)
            done.append(command)
    except TransportError as error:
        assert error.code == "nfc.gone"
    # The last command may have arrived although the reader does not know this. No command arrived twice or in part.
    assert card.taken in (commands[: len(done)], commands[: len(done) + 1])
    assert len(done) == len(commands) or troubled


@given(COMMANDS, st.sampled_from([16, 256]), st.integers(1, 253))
def test_over_a_good_channel_nothing_is_asked_for_twice(commands: list[bytes], fsc: int, piece: int) -> None:
    reader, card = IsoDep(fsc, LIMIT), Picc(piece)
    for command in commands:
        response, blocks = converse(reader, card, command, [])
        assert response == card.answer(command)
        assert blocks == -(-len(command) // (fsc - 3)) + -(-len(response) // piece) - 1
    assert card.taken == commands


@given(st.lists(st.none() | st.binary(max_size=300), max_size=60))
def test_whatever_a_card_sends_ends_as_a_response_or_a_transport_error(answers: list[bytes | None]) -> None:
    reader = IsoDep(64, 500)
    block: bytes | None = reader.start(b"command" * 20)
    try:
        for answer in answers:
            assert block is not None and 1 <= len(block) <= 62
            block = reader.push(answer)
            if block is None:
                assert len(reader.response) <= 500
                return
    except TransportError as error:
        assert error.code in ("nfc.gone", "nfc.too_long")


def test_silence_is_given_up_sooner_than_damage() -> None:
    for answer, times in ((None, iso_dep.SILENCES), (b"", iso_dep.FAILURES)):
        reader = IsoDep(64, LIMIT)
        assert reader.start(b"c") == b"\x02c"
        for _ in range(times - 1):
            assert reader.push(answer) == b"\xb2"  # R(NAK), rule 4
        with pytest.raises(TransportError, match=r"nfc\.gone"):
            reader.push(answer)


def test_an_i_block_is_repeated_only_when_the_card_says_that_it_never_came() -> None:
    reader = IsoDep(64, LIMIT)
    assert reader.start(b"c") == b"\x02c"
    assert reader.push(b"\xa3") == b"\xb2"  # No R(NAK) was sent yet, so this could be a new I-block.
    assert reader.push(b"\xa3") == b"\x02c"  # rule 6
    assert reader.push(b"\x02r") is None and reader.response == b"r"
    assert reader.start(b"d") == b"\x03d"


def test_a_chaining_card_is_asked_again_by_acknowledging_again() -> None:
    reader = IsoDep(64, LIMIT)
    reader.start(b"c")
    assert reader.push(b"\x12one") == b"\xa3"
    assert reader.push(None) == b"\xa3"  # Rule 5.
    assert reader.push(b"\x12one") == b"\xa3"  # The block number shows that the block is a repetition.
    assert reader.push(b"\x03two") is None and reader.response == b"onetwo"


@pytest.mark.parametrize(
    "block",
    ["0aff", "06ff", "22ff", "b2", "a2ff", "c2", "f2", "f200", "f23c", "e201", "03ff", "ff", "02" + "00" * 254],
    ids=[
        "cid",
        "nad",
        "rfu",
        "nak",
        "long-ack",
        "deselect",
        "bare-wtx",
        "wtx-0",
        "wtx-60",
        "s",
        "old",
        "?",
        "too-long",
    ],
)
def test_blocks_that_break_the_rules_are_asked_for_again(block: str) -> None:
    reader = IsoDep(64, LIMIT)
    reader.start(b"c")
    assert reader.push(bytes.fromhex(block)) == b"\xb2"


def test_more_time_is_granted_for_the_next_block_alone() -> None:
    reader = IsoDep(64, LIMIT)
    reader.start(b"c")
    assert (reader.push(b"\xf2\x3b"), reader.multiplier) == (b"\xf2\x3b", 59)
    assert (reader.push(b"\xf2\xc2"), reader.multiplier) == (b"\xf2\x02", 2)  # bits 8 and 7 are the power level
    assert (reader.push(None), reader.multiplier) == (b"\xb2", 1)


def test_a_card_that_chains_nothing_for_ever_is_gone() -> None:
    reader = IsoDep(64, LIMIT)
    reader.start(b"c")
    with pytest.raises(TransportError, match=r"nfc\.gone"):
        for number in range(100):
            reader.push(bytes((0x12 | number & 1,)))


def test_a_response_beyond_the_limit_is_cut_off() -> None:
    reader = IsoDep(64, 100)
    reader.start(b"c")
    reader.push(b"\x12" + bytes(60))
    with pytest.raises(TransportError, match=r"nfc\.too_long"):
        reader.push(b"\x13" + bytes(60))


# --- activation -------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=24))
def test_an_answer_to_select_is_understood_or_refused(raw: bytes) -> None:
    try:
        ats = Ats(raw)
    except FormatError as error:
        assert error.code == "nfc.ats"
    else:
        assert 16 <= ats.fsc <= 256 and 1 <= ats.fwt_ms <= 4950 and 0 <= ats.guard_ms <= 4950 and ats.rates[0] == 106


@pytest.mark.parametrize(
    ("raw", "fsc", "fwt_ms", "guard_ms", "rates"),
    [
        ("01", 32, 5, 0, [106]),
        ("0578807002", 256, 39, 0, [106]),
        ("0675b7a102ff", 64, 310, 1, [106, 212, 424]),
        ("0678f7f00203", 256, 5, 0, [106, 212, 424]),  # FWI 15 is reserved.
        ("020d", 256, 5, 0, [106]),  # Sizes above 8 are reserved too.
        ("0478338e00", 256, 78, 4950, [106, 212, 424]),
    ],
)
def test_an_answer_to_select_says_sizes_and_times(
    raw: str, fsc: int, fwt_ms: int, guard_ms: int, rates: list[int]
) -> None:
    data = bytearray.fromhex(raw)
    data[0] = len(data)
    ats = Ats(bytes(data))
    assert (ats.fsc, ats.fwt_ms, ats.guard_ms, ats.rates) == (fsc, fwt_ms, guard_ms, rates)


class Air:
    """A channel that returns the given answers, and stores what was sent. Without an answer, the whole wait passes."""

    def __init__(self, *answers: bytes | None) -> None:
        self.sent: list[tuple[bytes, int, int]] = []
        self._answers = list(answers)

    async def __call__(self, block: bytes, wait_ms: int, limit_ms: int) -> bytes | None:
        self.sent.append((block, wait_ms, limit_ms))
        answer = self._answers.pop(0) if self._answers else None
        await asyncio.sleep((min(wait_ms, limit_ms) if answer is None else 1) / 1000)
        return answer


def test_a_faster_rate_is_agreed_on_only_when_both_want_it() -> None:
    set_to: list[int] = []

    async def set_rate(rate: int) -> None:
        set_to.append(rate)

    fast = bytes.fromhex("0578338002")
    for ats, most, wanted in (
        (fast, 106, 106),
        (fast, 424, 424),
        (fast, 212, 212),
        (bytes.fromhex("0578808002"), 424, 106),
    ):
        air = Air(ats, b"\xd0")
        scene.run(activate(air, LIMIT, most, set_rate))
        assert (set_to.pop() if set_to else 106) == wanted
        assert [block for block, _, _ in air.sent][1:] == {106: [], 212: [b"\xd0\x11\x05"], 424: [b"\xd0\x11\x0a"]}[
            wanted
        ]


@pytest.mark.parametrize(
    ("answers", "code"), [((None,), "nfc.gone"), ((b"",), "nfc.gone"), ((b"\x05\x78",), "nfc.ats")]
)
def test_a_card_that_does_not_answer_to_select_is_not_activated(answers: tuple[bytes | None], code: str) -> None:
    with pytest.raises((TransportError, FormatError)) as caught:
        scene.run(activate(Air(*answers), LIMIT))
    assert caught.value.code == code


def test_a_card_that_did_not_agree_to_a_rate_is_selected_anew() -> None:
    with pytest.raises(TransportError, match=r"nfc\.gone"):
        scene.run(activate(Air(bytes.fromhex("0578338002"), None), LIMIT, 424, lambda rate: asyncio.sleep(0)))


# --- time -------------------------------------------------------------------------------------------------------------


def test_the_whole_exchange_is_bounded_however_often_a_card_asks_for_more_time() -> None:
    air = Air(*[b"\xf2\x01"] * 100000)

    async def story() -> float:
        with pytest.raises(TransportError, match=r"nfc\.timeout"):
            await exchange(IsoDep(64, LIMIT), 78, b"c", air, 1500)
        return scene.now()

    assert scene.run(story()) == pytest.approx(1.5, abs=0.01)


def test_a_card_may_take_the_time_it_was_granted_and_no_longer_than_the_caller_has() -> None:
    async def story() -> None:
        air = Air(b"\xf2\x0a", b"\x02r")
        assert await exchange(IsoDep(64, LIMIT), 78, b"c", air, 1500) == b"r"
        assert [(wait, limit) for _, wait, limit in air.sent] == [(78, 1500), (780, 1499)]
        long = Air(b"\xf2\x3b", None)
        with pytest.raises(TransportError, match=r"nfc\.timeout"):
            await exchange(IsoDep(64, LIMIT), 4950, b"c", long, 700)
        assert [(wait, limit) for _, wait, limit in long.sent] == [(4950, 700), (4950, 699)]

    scene.run(story())


def test_a_card_that_went_away_is_gone_after_a_few_waiting_times() -> None:
    async def story() -> float:
        with pytest.raises(TransportError, match=r"nfc\.gone"):
            await exchange(IsoDep(64, LIMIT), 78, b"c", Air(), 5000)
        return scene.now()

    assert scene.run(story()) == pytest.approx(0.312, abs=0.01)
