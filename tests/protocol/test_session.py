import json
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from protocol import cbor, cose
from protocol import crypto_cpython as crypto
from protocol.errors import FormatError, MooringError, TransportError, VerificationError
from protocol.mdoc import session
from protocol.mdoc.engagement import DeviceEngagement, parse_device_engagement
from protocol.mdoc.handover import parse_handover_select
from protocol.mdoc.session import ReaderSession, parse_session_data, session_transcript
from sim.phone.engagement import device_engagement
from sim.phone.session import HolderSession
from tests.support import vectors

DATA: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data" / "engagement.json").read_text())
S: dict[str, str] = DATA["session"]
SELECT = b"the handover select"


def pair(curve: ec.EllipticCurve | None = None) -> tuple[ReaderSession, HolderSession]:
    """Return our reader's session and an independent holder's session, before the first message."""
    key = ec.generate_private_key(curve or ec.SECP256R1())
    said = device_engagement(key.public_key())
    parsed = parse_device_engagement(said)
    private, public = crypto.generate(parsed.curve)
    return ReaderSession(crypto, private, public, parsed, [SELECT, None]), HolderSession(key, said, SELECT)


def ask(reader: ReaderSession, request: bytes, size: int = 8192) -> bytes:
    """Return the reader's message with `request`, made in `size` bytes of memory."""
    room = memoryview(bytearray(size))
    start, end = reader.request(cbor.Raw(request), room)
    assert start >= session.HEADS and not any(room[: session.HEADS])
    return bytes(room[start:end])


def test_transcript_and_keys_are_those_of_the_published_session() -> None:
    handover = parse_handover_select(bytes.fromhex(S["handover_select"]))
    transcript = session_transcript(handover.engagement.tagged, bytes.fromhex(S["e_reader_key_bytes"]), handover.item())
    assert transcript.hex() == S["session_transcript"]
    shared = crypto.ecdh("P-256", bytes.fromhex(S["e_reader_private"]), handover.engagement.public)
    assert shared.hex() == S["Zab"]
    assert session.salt(crypto, transcript).hex() == S["salt"]
    assert [key.hex() for key in session.session_keys(crypto, shared, session.salt(crypto, transcript))] == [
        S["SKReader"],
        S["SKDevice"],
    ]


def test_a_reader_session_makes_the_published_transcript_from_its_own_key() -> None:
    handover = parse_handover_select(bytes.fromhex(S["handover_select"]))
    private = bytes.fromhex(S["e_reader_private"])
    own = ReaderSession(crypto, private, crypto.public("P-256", private), handover.engagement, handover.item())
    assert own.transcript.hex() == S["session_transcript"]


@vectors.needed
def test_the_session_of_annex_d_is_spoken_as_it_stands() -> None:
    annex = {name: bytes.fromhex(value) for name, value in vectors.load("annex_d/annex_d.json").items()}
    private = annex["ephemeral_reader_key_d"]
    # This transcript has an NFC handover. Elsewhere in annex D, the DeviceEngagement is from a QR code.
    said, _, handover = cbor2.loads(cbor2.loads(annex["session_transcript_bytes"]).value)
    parsed = parse_device_engagement(said.value)
    own = ReaderSession(crypto, private, crypto.public("P-256", private), parsed, handover)
    assert cbor.wrap(own.transcript).raw == annex["session_transcript_bytes"]
    # The annex does not have our deterministic order, but the members are identical.
    assert cbor2.loads(ask(own, annex["device_request"])) == cbor2.loads(annex["session_establishment"])
    assert own.open(annex["session_data"]) == (annex["device_response"], None)
    assert own.close() == annex["session_termination"]


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_messages_pass_both_ways_with_an_independent_holder(curve: ec.EllipticCurve) -> None:
    reader, holder = pair(curve)
    assert holder.open(ask(reader, b"request")) == (b"request", None)
    assert reader.transcript == holder.transcript
    assert reader.open(holder.seal(b"first")) == (b"first", None)
    assert holder.open(ask(reader, b"again")) == (b"again", None)
    assert reader.open(holder.seal(b"second", 20)) == (b"second", 20)
    assert holder.open(reader.close()) == (None, 20)


def test_a_message_that_comes_twice_does_not_decrypt() -> None:
    reader, holder = pair()
    holder.open(ask(reader, b"request"))
    message = holder.seal(b"first")
    reader.open(message)
    with pytest.raises(VerificationError, match=r"session\.encryption") as caught:
        reader.open(message)
    assert session.error_status(caught.value) == session.ENCRYPTION_ERROR


def test_a_message_with_a_flipped_bit_does_not_decrypt() -> None:
    reader, holder = pair()
    holder.open(ask(reader, b"request"))
    content = cbor2.loads(holder.seal(b"first"))["data"]
    with pytest.raises(VerificationError, match=r"session\.encryption"):
        reader.open(cbor2.dumps({"data": content[:-1] + bytes((content[-1] ^ 1,))}))


def test_a_message_from_another_session_does_not_decrypt() -> None:
    reader, holder = pair()
    stranger_reader, stranger = pair()
    holder.open(ask(reader, b"request"))
    stranger.open(ask(stranger_reader, b"request"))
    with pytest.raises(VerificationError, match=r"session\.encryption"):
        reader.open(stranger.seal(b"first"))


def test_the_readers_own_message_sent_back_does_not_decrypt() -> None:
    reader, _ = pair()
    mirrored = cbor2.loads(ask(reader, b"request"))["data"]
    with pytest.raises(VerificationError, match=r"session\.encryption"):
        reader.open(cbor2.dumps({"data": mirrored}))


def test_a_closed_session_neither_seals_nor_opens() -> None:
    reader, holder = pair()
    holder.open(ask(reader, b"request"))
    message = holder.seal(b"late")
    reader.close()
    for use in (lambda: reader.open(message), lambda: ask(reader, b"more")):
        with pytest.raises(TransportError, match=r"session\.state"):
            use()


def test_a_session_is_established_by_its_first_request_and_by_no_other() -> None:
    reader, _ = pair()
    said = [cbor2.loads(ask(reader, b"request")) for _ in range(3)]
    assert [sorted(message) for message in said] == [["data", "eReaderKey"], ["data"], ["data"]]
    assert len({message["data"] for message in said}) == 3, "each under an IV of its own"


@pytest.mark.parametrize("size", [0, 7, 8, 239, 240, 3500])
def test_a_request_fills_its_memory_to_the_last_byte_and_no_longer_one_is_cut_off(size: int) -> None:
    request = bytes(size)
    length = len(ask(pair()[0], request))
    data = session.HEADS * 2 + size + 16
    after = len(cbor.encode("eReaderKey")) + 4 + 75
    assert cbor2.loads(ask(pair()[0], request, data + after))["data"]
    assert length <= data + after - session.HEADS
    for room in (data + after - 1, data - 17, 0):
        with pytest.raises(FormatError, match=r"cbor\.memory"):
            ask(pair()[0], request, room)


def test_a_device_key_that_is_no_point_is_refused() -> None:
    key = {1: 2, -1: 1, -2: bytes(31) + b"\x05", -3: bytes(32)}
    parsed = parse_device_engagement(cbor2.dumps({0: "1.0", 1: [1, cbor2.CBORTag(24, cbor2.dumps(key))]}))
    private, public = crypto.generate("P-256")
    with pytest.raises(VerificationError, match=r"crypto\.key"):
        ReaderSession(crypto, private, public, parsed, None)


def test_the_readers_key_goes_out_as_a_cose_key_on_the_holders_curve() -> None:
    reader, _ = pair(ec.SECP384R1())
    key = cbor.decode(ask(reader, b""))["eReaderKey"]
    assert cose.parse_key(key.decode())[0] == "P-384"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"", "cbor.truncated"),
        (cbor2.dumps([]), "session.form"),
        (cbor2.dumps({}), "session.form"),
        (cbor2.dumps({"data": None}), "session.form"),
        (cbor2.dumps({"data": "text"}), "session.form"),
        (cbor2.dumps({"data": bytes(15)}), "session.form"),
        (cbor2.dumps({"status": -1}), "session.form"),
        (cbor2.dumps({"status": True}), "session.form"),
        (cbor2.dumps({"status": "20"}), "session.form"),
        (cbor2.dumps({"status": 20}) + b"\x00", "cbor.trailing"),
        (bytes.fromhex("a2667374617475731466737461747573 14"), "cbor.duplicate"),
    ],
)
def test_session_data_out_of_form_is_refused_with_the_status_for_cbor(message: bytes, code: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_session_data(message)
    assert caught.value.code == code
    assert session.error_status(caught.value) == session.CBOR_ERROR


def test_session_data_with_unknown_members_is_read() -> None:
    assert parse_session_data(cbor2.dumps({"status": 20, "later": 1})) == (None, 20)


def _engagement() -> DeviceEngagement:
    return parse_device_engagement(bytes.fromhex(S["device_engagement_nfc"]))


@given(st.one_of(st.binary(max_size=60), st.dictionaries(st.text(max_size=6), st.binary(max_size=40)).map(cbor2.dumps)))
def test_no_bytes_make_a_session_fail_otherwise_than_by_our_errors(message: bytes) -> None:
    private = bytes.fromhex(S["e_reader_private"])
    own = ReaderSession(crypto, private, crypto.public("P-256", private), _engagement(), None)
    with pytest.raises(MooringError):
        own.open(message)
