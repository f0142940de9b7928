import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import ndef
from protocol.errors import FormatError, MooringError, TransportError
from protocol.mdoc.handover import Handover
from protocol.mdoc.nfc_engagement import MAX_POLLS, POLL_MS, NfcEngagement, parse_capability_container
from tests.support import vectors

DATA: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data" / "engagement.json").read_text())
STATIC = [bytes.fromhex(raw) for raw in DATA["static_responses"]]
NEGOTIATED = [bytes.fromhex(raw) for raw in DATA["negotiated_responses"]]
REQUEST = bytes.fromhex(DATA["handover_request"])
CC = bytes.fromhex("000f207fff7fff0406e1047fff00ff")
OK = b"\x90\x00"


def engage(responses: list[bytes], request: bytes | None = None) -> tuple[Handover, list[str], list[int]]:
    """Give `responses` to our commands. Returns the handover, the commands, and the wait before each command."""
    engagement = NfcEngagement(request)
    command: bytes | None = engagement.start()
    sent, waits = [], []
    answers = iter(responses)
    while command is not None:
        sent.append(command.hex())
        waits.append(engagement.wait_ms)
        command = engagement.push(next(answers))
    assert engagement.handover is not None
    assert next(answers, None) is None, "not all responses were asked for"
    return engagement.handover, sent, waits


def test_a_static_tag_is_read_with_the_commands_of_the_standard() -> None:
    handover, sent, _ = engage(STATIC)
    assert sent == [
        "00a4040007d276000085010100",
        "00a4000c02e103",
        "00b000000f",
        "00a4000c02e104",
        "00b0000002",
        "00b00002cc",
    ]
    assert handover.request is None and handover.select == STATIC[-1][:-2]
    assert handover.ble is not None and handover.nfc is None


def test_a_negotiating_tag_gets_our_request_and_its_answer_is_the_handover() -> None:
    handover, sent, waits = engage(NEGOTIATED, REQUEST)
    assert sent[6] == "00d600001b0019d1021454731375726e3a6e66633a736e3a68616e646f766572"
    assert sent[9] == "00d60000aa00a8" + REQUEST.hex()
    assert handover.item() == [NEGOTIATED[-1][:-2], REQUEST]
    assert waits[7] == waits[10] == 1  # WT 0 means half a millisecond, and our waits are whole milliseconds


def test_a_negotiating_tag_without_a_request_to_give_it_is_a_clear_refusal() -> None:
    with pytest.raises(TransportError, match=r"nfc\.negotiated"):
        engage(NEGOTIATED)


def test_a_refused_handover_service_ends_the_engagement() -> None:
    refused = [*NEGOTIATED[:8], NEGOTIATED[8].replace(b"Te\x00", b"Te\x01")]
    with pytest.raises(TransportError, match=r"nfc\.service"):
        engage(refused, REQUEST)


@pytest.mark.parametrize(
    "service", [b"", b"\x10", b"\x20\x13urn:nfc:sn:handover\x00\x00\x0f\xff\xff", b"\x10\x03urn\x00\x00\x0f\xff\xff"]
)
def test_a_service_parameter_that_is_not_handover_is_refused(service: bytes) -> None:
    with pytest.raises(MooringError) as caught:
        engage(tag(ndef.encode([ndef.Record(ndef.WELL_KNOWN, b"Tp", b"", service)])), REQUEST)
    assert caught.value.code == "nfc.service"


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_handover_service_is_found_among_others(place: int) -> None:
    own = ndef.parse(NEGOTIATED[5][:-2])[0]
    records = [ndef.Record(ndef.WELL_KNOWN, b"Tp", b"", b"\x10\x0aurn:nfc:sn\x00\x3f\x0f\xff\xff"), own]
    records.append(ndef.Record(ndef.WELL_KNOWN, b"Tp", b"", b"\x20\x01"))
    message = ndef.encode(records[place:] + records[:place])
    length = len(message).to_bytes(2, "big") + OK
    handover, _, waits = engage([*NEGOTIATED[:4], length, message + OK, *NEGOTIATED[6:]], REQUEST)
    assert handover.item() == [NEGOTIATED[-1][:-2], REQUEST] and waits[7] == 1


def test_the_waiting_time_a_tag_asks_for_is_kept_within_bounds() -> None:
    payload = ndef.parse(NEGOTIATED[5][:-2])[0].payload
    for wt, expected in ((0x00, 1), (0x10, 9), (0x3F, 1000)):
        asking = payload[:-4] + bytes((wt,)) + payload[-3:]
        message = ndef.encode([ndef.Record(ndef.WELL_KNOWN, b"Tp", b"", asking)])
        assert engage([*NEGOTIATED[:5], message + OK, *NEGOTIATED[6:]], REQUEST)[2][7] == expected


def tag(message: bytes, cc: bytes = CC, piece: int = 255) -> list[bytes]:
    """Return the responses of a tag with `message`. The message is read in pieces."""
    pieces = [message[at : at + piece] + OK for at in range(0, len(message), piece)]
    return [OK, OK, cc + OK, OK, len(message).to_bytes(2, "big") + OK, *pieces]


SELECT = STATIC[-1][:-2]


@pytest.mark.parametrize("most", [15, 16, 59, 200, 254, 255, 256, 0x7FFF])
def test_the_file_is_read_in_pieces_of_at_most_mle_and_255(most: int) -> None:
    cc = CC[:3] + most.to_bytes(2, "big") + CC[5:]
    piece = min(most, 255)
    handover, sent, _ = engage(tag(SELECT, cc, piece))
    assert handover.select == SELECT
    assert all(int(command[8:10], 16) <= piece for command in sent[5:])


def test_a_tag_that_sends_less_or_more_than_asked_is_read_all_the_same() -> None:
    less = [*tag(SELECT)[:5], SELECT[:10] + OK, SELECT[10:11] + OK, SELECT[11:] + OK]
    assert engage(less)[0].select == SELECT
    assert engage([*tag(SELECT)[:5], SELECT + bytes(40) + OK])[0].select == SELECT


def test_an_empty_file_is_looked_at_again_after_a_pause() -> None:
    responses = tag(SELECT)
    handover, _, waits = engage(responses[:4] + [b"\x00\x00" + OK] * 3 + responses[4:])
    assert handover.select == SELECT and waits[5:8] == [POLL_MS] * 3


def test_a_file_that_stays_empty_ends_the_engagement() -> None:
    with pytest.raises(TransportError, match=r"nfc\.empty"):
        engage([*tag(SELECT)[:4], *[b"\x00\x00" + OK] * MAX_POLLS])


def test_a_card_without_the_ndef_application_is_no_mdoc() -> None:
    with pytest.raises(TransportError, match=r"nfc\.not_mdoc"):
        engage([b"\x6a\x82"])


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
def test_an_error_status_at_any_later_step_ends_the_engagement(step: int) -> None:
    responses = tag(SELECT)
    with pytest.raises(TransportError, match=r"apdu\.status"):
        engage([*responses[:step], b"\x6a\x82"])


@pytest.mark.parametrize(
    ("responses", "code"),
    [
        ([*tag(SELECT)[:4], b"\x00" + OK], "nfc.tag"),
        ([*tag(SELECT)[:4], b"\x7f\xff" + OK], "nfc.tag"),
        ([*tag(SELECT, CC[:11] + b"\x00\x20" + CC[13:])[:4], b"\x00\xcc" + OK], "nfc.tag"),
        ([*tag(SELECT)[:5], OK], "nfc.tag"),
    ],
)
def test_a_file_that_does_not_fit_its_length_is_refused(responses: list[bytes], code: str) -> None:
    with pytest.raises(MooringError) as caught:
        engage(responses)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "cc",
    [
        b"",
        CC[:14],
        b"\x00\x0e" + CC[2:],
        CC[:2] + b"\x10" + CC[3:],
        CC[:3] + b"\x00\x0e" + CC[5:],
        CC[:5] + b"\x00\x00" + CC[7:],
        CC[:7] + b"\x05" + CC[8:],
        CC[:8] + b"\x08" + CC[9:],
        CC[:9] + b"\xe1\x03" + CC[11:],
        CC[:13] + b"\x80" + CC[14:],
    ],
)
def test_a_capability_container_out_of_form_is_refused(cc: bytes) -> None:
    parse_capability_container(CC)
    with pytest.raises(FormatError, match=r"nfc\.capability_container"):
        parse_capability_container(cc)


class WritableTag:
    """A Type 4 Tag that negotiates, takes at most `most` bytes in a command, and has a file of `size` bytes."""

    def __init__(self, most: int, size: int = 0x7FFF) -> None:
        self.cc = CC[:5] + most.to_bytes(2, "big") + CC[7:11] + size.to_bytes(2, "big") + CC[13:]
        self.most = most
        self.size = size
        self.selected = b""
        self.file = self._filled(NEGOTIATED[5][:-2])
        self.written: list[bytes] = []
        """The complete messages that were written, in order."""
        self.lengths: list[int] = []
        """NLEN after each write command."""

    def _filled(self, message: bytes) -> bytearray:
        return bytearray(len(message).to_bytes(2, "big") + message + bytes(512))

    def answer(self, command: bytes) -> bytes:
        offset = command[2] << 8 | command[3]
        if command[1] == 0xA4:
            self.selected = command[5 : 5 + command[4]]
            return OK
        content = self.cc if self.selected == b"\xe1\x03" else bytes(self.file)
        if command[1] == 0xB0:
            return content[offset : offset + command[4]] + OK
        data = command[5:]
        assert command[1] == 0xD6 and command[4] == len(data)
        if len(data) > self.most or offset + len(data) > self.size:
            return b"\x67\x00"
        self.file[offset : offset + len(data)] = data
        length = int.from_bytes(self.file[:2], "big")
        self.lengths.append(length)
        if length:
            self.written.append(bytes(self.file[2 : 2 + length]))
            last = len(self.written) > 1
            self.file = self._filled(NEGOTIATED[-1][:-2] if last else NEGOTIATED[8][:-2])
        return OK


def negotiate(tag: WritableTag, request: bytes) -> Handover:
    engagement = NfcEngagement(request)
    command: bytes | None = engagement.start()
    while command is not None:
        command = engagement.push(tag.answer(command))
    assert engagement.handover is not None
    return engagement.handover


LONG = ndef.encode([*ndef.parse(REQUEST), ndef.Record(ndef.MIME, b"x/padding", b"", bytes(431))])


@pytest.mark.parametrize("request_", [REQUEST, LONG], ids=["request", "long"])
@pytest.mark.parametrize("most", [2, 13, 26, 27, 52, 169, 170, 255, 256, 0xFFFF])
def test_what_is_longer_than_mlc_is_written_in_pieces_and_never_seen_in_half(most: int, request_: bytes) -> None:
    tag = WritableTag(most)
    assert negotiate(tag, request_).item() == [NEGOTIATED[-1][:-2], request_]
    assert tag.written == [ndef.encode([ndef.Record(1, b"Ts", b"", b"\x13urn:nfc:sn:handover")]), request_]
    # NLEN is 0 until the last command of each message.
    assert [length for length in tag.lengths if length] == [25, len(request_)]
    if most >= 255:
        assert len(tag.lengths) == 1 + (1 if request_ == REQUEST else 1 + -(-len(LONG) // 255) + 1)


def test_a_tag_that_cannot_hold_what_we_write_is_refused() -> None:
    room = 2 + len(NEGOTIATED[-1][:-2])
    assert len(REQUEST) + 2 < room < len(LONG) + 2
    assert negotiate(WritableTag(52, room), REQUEST).request == REQUEST
    for tag, request_ in ((WritableTag(1), REQUEST), (WritableTag(52, room), LONG)):
        with pytest.raises(FormatError, match=r"nfc\.capability_container"):
            negotiate(tag, request_)


@pytest.mark.parametrize("step", range(6, 17))
def test_a_tag_that_refuses_a_piece_ends_the_engagement(step: int) -> None:
    tag = WritableTag(52)
    engagement = NfcEngagement(REQUEST)
    command: bytes | None = engagement.start()
    with pytest.raises(TransportError, match=r"apdu\.status"):
        for place in range(step + 1):
            assert command is not None
            command = engagement.push(b"\x6a\x84" if place == step else tag.answer(command))


@vectors.needed
def test_all_published_exchanges_are_followed_to_their_end() -> None:
    transcripts = vectors.load("nfc/handover_transcripts.json")["transcripts"]
    followed = 0
    for transcript in transcripts.values():
        responses = transcript.get("rapdus") or [
            one["R"]["data"] + one["R"]["sw"] for one in transcript.get("exchange", ()) if "R" in one
        ]
        if responses:
            assert engage([bytes.fromhex(raw) for raw in responses], REQUEST)[0].engagement.curve == "P-256"
            followed += 1
    assert followed == 4


@given(st.lists(st.one_of(st.binary(max_size=30).map(lambda data: data + OK), st.binary(max_size=4)), max_size=8))
def test_no_responses_make_the_engagement_fail_otherwise_than_by_our_errors(responses: list[bytes]) -> None:
    engagement = NfcEngagement(REQUEST)
    engagement.start()
    for position, response in enumerate(responses):
        known = STATIC[position] if position < 3 else response
        try:
            if engagement.push(known) is None:
                return
        except MooringError:
            return
