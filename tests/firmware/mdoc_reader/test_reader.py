"""The reader reads documents from an independent holder. They are connected directly."""

import time
from collections.abc import Callable
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.mdoc_reader import reader
from firmware.mdoc_reader.reader import Presentation
from protocol import crypto_cpython as crypto
from protocol.errors import FormatError, MooringError, RefusedError, TransportError, VerificationError
from protocol.mdoc import response
from protocol.mdoc.verifier import VerifiedDocument, verify
from sim import issuer
from sim.phone.applet import Habits
from sim.phone.phone import Phone, TapOutcome
from sim.phone.stay_key import StayKeys
from tests.support import tap

MDL_ITEMS = {issuer.MDL: tap.ITEMS[issuer.MDL]}


def read(
    phone: Phone, items: dict[str, dict[str, list[str]]] = MDL_ITEMS, **limits: Any
) -> tuple[Presentation, TapOutcome]:
    transaction, card = tap.touch(phone, **limits)
    presentation = tap.run(tap.read_mdoc(card, items))
    return presentation, transaction.outcome()


def verified(presentation: Presentation, doc_type: str = issuer.MDL) -> list[VerifiedDocument]:
    now = int(time.time())
    return verify(
        crypto,
        presentation.device_response,
        presentation.session_transcript,
        [tap.iaca(doc_type).der],
        now=(now, now),
        e_reader_private=presentation.e_reader_private,
    )


# A deviceMac needs a session key on the curve of the device key. The session key is on P-256 here.
@pytest.mark.parametrize(
    ("authentication", "curve"),
    [("signature", ec.SECP256R1()), ("mac", ec.SECP256R1()), ("signature", ec.SECP384R1())],
)
def test_a_presentation_is_read_and_verifies(authentication: str, curve: ec.EllipticCurve) -> None:
    presentation, outcome = read(tap.phone(authentication=authentication, curve=curve))
    (document,) = verified(presentation)
    assert document.doc_type == issuer.MDL
    assert sorted(document.elements["org.iso.18013.5.1"]) == MDL_ITEMS[issuer.MDL]["org.iso.18013.5.1"]
    assert outcome.result == "presented" and outcome.reader == "TEST door" and outcome.status == 20
    assert presentation.session_transcript == outcome.session_transcript
    assert presentation.device_response == outcome.device_response


@pytest.mark.parametrize("negotiates", [False, True], ids=["static", "negotiated"])
def test_an_engagement_with_elements_of_a_later_version_is_read_and_kept_as_it_came(negotiates: bool) -> None:
    """Apple wallets send such elements. The transcript covers these elements, so a reader that drops an element
    decrypts nothing.
    """
    presentation, outcome = read(tap.phone(version="1.1", negotiates=negotiates))
    assert len(verified(presentation)) == 1 and outcome.result == "presented"
    said = cbor2.loads(cbor2.loads(presentation.session_transcript)[0].value)
    assert list(said) == [5, 6, 0, 1] and said[0] == "1.1"
    assert presentation.session_transcript == outcome.session_transcript


@pytest.mark.parametrize("most", [2, 13, 52, 100])
def test_a_phone_that_takes_little_in_one_command_is_negotiated_with_in_pieces(most: int) -> None:
    presentation, outcome = read(tap.phone(negotiates=True, habits=Habits(max_write=most)))
    assert len(verified(presentation)) == 1 and outcome.result == "presented"
    assert presentation.session_transcript == outcome.session_transcript


@pytest.mark.parametrize("doc_type", [issuer.MDL, issuer.PHOTO_ID, issuer.PID, issuer.RESIDENT_ID])
def test_every_document_type_that_the_issuer_issues_is_read(doc_type: str) -> None:
    specimen = issuer.specimen(doc_type)
    items = {doc_type: {name_space: sorted(set(elements) - {"portrait"}) for name_space, elements in specimen.items()}}
    (document,) = verified(read(tap.phone(tap.credential(doc_type)), items)[0], doc_type)
    shown = {name_space: sorted(elements) for name_space, elements in document.elements.items()}
    assert shown == items[doc_type]


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_phone_and_lock_each_have_the_sessions_stay_key_and_nobody_said_it(curve: ec.EllipticCurve) -> None:
    phone = tap.phone(curve=curve, stay_keys=StayKeys())
    transaction, card = tap.touch(phone)
    first = tap.run(tap.read_mdoc(card, MDL_ITEMS))
    assert transaction.outcome().result == "presented"
    assert phone.stay_keys is not None and phone.stay_keys.keys == [first.stay_key]
    said = b"".join(command + response for command, response in card.exchanges)
    assert all(first.stay_key[at : at + 8] not in said for at in range(0, 32, 8))
    assert read(phone)[0].stay_key != first.stay_key


def test_only_what_was_asked_for_leaves_the_phone() -> None:
    presentation, outcome = read(tap.phone(), {issuer.MDL: {"org.iso.18013.5.1": ["birth_date"]}})
    assert outcome.shared == {issuer.MDL: {"org.iso.18013.5.1": ["birth_date"]}}
    assert b"Lindqvist" not in presentation.device_response


HABITS = {
    "short commands and responses": Habits(max_command=255, max_response=256),
    "answers of a hundred bytes": Habits(max_command=255, max_response=256, chunk=100),
    "answers of one byte": Habits(max_command=255, max_response=256, chunk=1),
    "a smallest tag": Habits(max_read=15),
    "le ignored, short": Habits(max_command=255, max_response=256, chunk=700, ignore_le=True),
    "le ignored, everything at once": Habits(max_command=255, max_response=256, chunk=60000, ignore_le=True),
    "extended commands, short responses": Habits(max_command=512, max_response=256),
    "short commands, long responses on offer": Habits(max_command=255, max_response=65536),
    "a file that is empty at first": Habits(empty_polls=2),
}


@pytest.mark.parametrize("habits", HABITS.values(), ids=HABITS.keys())
def test_holders_with_their_own_habits_are_read(habits: Habits) -> None:
    assert len(verified(read(tap.phone(habits=habits))[0])) == 1


@pytest.mark.parametrize("limits", [(255, 256), (300, 1000), (4096, 4096)])
def test_readers_with_short_and_with_extended_commands_read_nine_kilobytes(limits: tuple[int, int]) -> None:
    phone = tap.phone(tap.credential(issuer.MDL, portrait=7500))
    items = {issuer.MDL: {"org.iso.18013.5.1": ["portrait", "family_name"]}}
    presentation, _ = read(phone, items, max_command=limits[0], max_response=limits[1])
    assert len(presentation.device_response) > 9000
    assert len(verified(presentation)[0].elements["org.iso.18013.5.1"]["portrait"]) == 7500


def test_no_command_is_longer_than_holder_and_reader_allow() -> None:
    transaction, card = tap.touch(tap.phone(habits=Habits(max_command=400, max_response=700)), max_command=300)
    tap.run(tap.read_mdoc(card, MDL_ITEMS))
    envelopes = [command for command, _ in card.exchanges if command[1] == 0xC3]
    assert [(command[0], len(command) - 7) for command in envelopes[:2]] == [(0x10, 300), (0x10, 300)]
    assert envelopes[2][0] == 0x00 and len(envelopes[2]) < 300
    assert max(len(response) - 2 for _, response in card.exchanges) <= 700
    assert transaction.outcome().result == "presented"


def failing(phone: Phone, **limits: Any) -> tuple[MooringError, TapOutcome]:
    transaction, card = tap.touch(phone, **limits)
    with pytest.raises(MooringError) as caught:
        tap.run(tap.read_mdoc(card, MDL_ITEMS))
    return caught.value, transaction.outcome()


def test_a_holder_who_says_no_ends_the_read_as_declined() -> None:
    error, outcome = failing(tap.phone(consent=lambda asked: False))
    assert isinstance(error, RefusedError) and error.code == "session.declined"
    assert outcome.result == "declined" and outcome.reader == "TEST door" and not outcome.device_response


def test_a_holder_that_does_not_know_the_reader_tells_it_nothing() -> None:
    error, outcome = failing(tap.phone(reader_roots=[]))
    assert error.code == "session.declined" and outcome.result == "unknown-reader"


def test_a_holder_without_the_document_shows_none() -> None:
    presentation, outcome = read(tap.phone(tap.credential(issuer.PID)))
    assert outcome.result == "no-document" and not outcome.shared
    assert response.parse(presentation.device_response).documents == []


@pytest.mark.parametrize("wallet", ["throws", "silent"])
def test_a_holder_that_cannot_bear_to_be_asked_for_what_it_lacks_ends_the_session(wallet: Any) -> None:
    error, outcome = failing(tap.phone(tap.credential(issuer.PID), habits=Habits(wallet=wallet)))
    assert error.code == "session.declined" and outcome.result == "no-document"


def test_a_corrupted_message_is_answered_with_the_status_for_encryption() -> None:
    error, outcome = failing(tap.phone(tamper="session-data"))
    assert isinstance(error, VerificationError) and error.code == "session.encryption"
    assert outcome.status == 10


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        ("element-value", "mdoc.digest"),
        ("device-signature", "mdoc.device_signature"),
        ("issuer-signature", "mdoc.issuer_signature"),
    ],
)
def test_what_a_dishonest_phone_changes_is_read_but_does_not_verify(tamper: str, code: str) -> None:
    presentation, _ = read(tap.phone(tamper=tamper))
    with pytest.raises(VerificationError) as caught:
        verified(presentation)
    assert caught.value.code == code


@pytest.mark.parametrize("tamper", ["extra-element", "doc-type"])
def test_what_a_dishonest_phone_adds_does_not_verify(tamper: str) -> None:
    with pytest.raises(MooringError):
        verified(read(tap.phone(tamper=tamper))[0])


@pytest.mark.parametrize("authentication", ["signature", "mac"])
def test_a_recorded_presentation_does_not_verify_in_another_session(authentication: str) -> None:
    recorded = read(tap.phone(authentication=authentication))[0].device_response
    replayed, outcome = read(tap.phone(authentication=authentication, replay=recorded))
    assert outcome.result == "presented"
    with pytest.raises(VerificationError) as caught:
        verified(replayed)
    assert caught.value.code == f"mdoc.device_{authentication}"


APDUS_OF_A_READ = 9


@pytest.mark.parametrize("after", range(APDUS_OF_A_READ - 1))
def test_a_phone_taken_away_at_any_moment_before_its_answer_ends_the_read(after: int) -> None:
    error, _ = failing(tap.phone(), gone_after=after)
    assert isinstance(error, TransportError) and error.code == "nfc.gone"


def test_a_phone_taken_away_right_after_its_answer_has_presented() -> None:
    presentation, outcome = read(tap.phone(), gone_after=APDUS_OF_A_READ - 1)
    assert len(verified(presentation)) == 1 and outcome.status is None
    assert presentation.round_trips == APDUS_OF_A_READ


def substitute(phone: Phone, ins: int, answer: Callable[[bytes, bytes], bytes]) -> MooringError:
    """Read `phone`, and return the error. `answer(command, response)` replaces responses to commands whose INS is
    `ins`."""
    transaction = phone.touch()

    def process(command: bytes) -> bytes:
        response = transaction.process(command)
        return answer(command, response) if command[1] == ins else response

    with pytest.raises(MooringError) as caught:
        tap.run(tap.read_mdoc(tap.DirectCard(process), MDL_ITEMS))
    return caught.value


def wrapped(message: Any) -> bytes:
    content = cbor2.dumps(message)
    return bytes((0x53, len(content))) + content + b"\x90\x00"


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (b"\x6f\x00", TransportError, "apdu.status"),
        (b"\x90\x00", FormatError, "apdu.do53"),
        (b"\x53\x05a\x90\x00", FormatError, "apdu.do53"),
        (wrapped([1]), FormatError, "session.form"),
        (wrapped({"status": 10}), VerificationError, "session.holder_encryption"),
        (wrapped({"status": 11}), FormatError, "session.holder_cbor"),
        (wrapped({"status": 20}), RefusedError, "session.declined"),
        (bytes(reader.MAX_ENCRYPTED_RESPONSE + 1) + b"\x90\x00", TransportError, "apdu.too_long"),
        (b"", FormatError, "apdu.response"),
    ],
)
def test_what_a_holder_answers_wrong_to_the_request_has_its_own_code(
    answer: bytes, kind: type[MooringError], code: str
) -> None:
    error = substitute(tap.phone(), 0xC3, lambda command, response: answer if command[0] == 0 else response)
    assert isinstance(error, kind) and error.code == code


def test_a_holder_that_sends_bytes_for_ever_is_cut_off() -> None:
    error = substitute(tap.phone(), 0xC3, lambda command, response: bytes(4096) + b"\x61\x00")
    assert error.code in ("apdu.status", "apdu.too_long")


def test_a_holder_that_refuses_a_chained_envelope_ends_the_read() -> None:
    phone = tap.phone(habits=Habits(max_command=255, max_response=256))
    error = substitute(phone, 0xC3, lambda command, response: b"\x68\x84")
    assert error.code == "apdu.status"


def test_an_mdoc_that_offers_no_nfc_retrieval_is_refused_with_its_own_code() -> None:
    error = substitute(
        tap.phone(), 0xB0, lambda command, response: response.replace(b"iso.org:18013:nfc", b"iso.org:18013:xxx")
    )
    assert isinstance(error, RefusedError) and error.code == "reader.no_carrier"


def test_a_card_that_is_no_mdoc_is_told_apart() -> None:
    assert substitute(tap.phone(), 0xA4, lambda command, response: b"\x6a\x82").code == "nfc.not_mdoc"


def test_the_phases_are_marked_in_numbers_only() -> None:
    marks: list[tuple[str, dict[str, object]]] = []
    _, card = tap.touch(tap.phone())
    tap.run(tap.read_mdoc(card, MDL_ITEMS, on_phase=lambda event, **facts: marks.append((event, facts))))
    phases = ["nfc.engaged", "mdoc.session", "mdoc.asked", "mdoc.response", "mdoc.read"]
    assert [event for event, _ in marks] == phases
    assert all(isinstance(value, int) for _, facts in marks for value in facts.values())


def test_each_read_uses_a_fresh_key_on_the_holders_curve() -> None:
    asked: list[str] = []

    def ephemeral(curve: str) -> tuple[bytes, bytes]:
        asked.append(curve)
        return crypto.generate(curve)

    phone = tap.phone(curve=ec.SECP384R1())
    keys = set()
    for _ in range(2):
        _, card = tap.touch(phone)
        presentation = tap.run(tap.read_mdoc(card, MDL_ITEMS, ephemeral=ephemeral))
        keys.add(presentation.e_reader_private)
    assert asked == ["P-384", "P-384"] and len(keys) == 2
