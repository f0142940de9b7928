"""The stay key's exchange. Two round trips prove who both sides are, and a stranger learns nothing."""

import hmac
from collections.abc import Iterable

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import apdu
from protocol import crypto_cpython as crypto
from protocol.errors import FormatError
from protocol.stay_key import APPLICATION, MAX_KEYS, Exchange, derive, select
from sim.phone import stay_key as phone_side
from sim.phone.stay_key import StayKeys
from tests.support.on_lock import run_on_lock

KEY, OTHER = b"k" * 32, b"o" * 32


def phone(*keys: bytes) -> StayKeys:
    app = StayKeys()
    for key in reversed(keys):
        app.add(key)
    return app


def data_of(command: bytes) -> bytes:
    """Return the data of a short command with Le."""
    assert command[:4] == bytes.fromhex("00820000") and len(command) == command[4] + 6 <= 261
    return command[5:-1]


def meet(keys: Iterable[bytes], app: StayKeys) -> "int | None":
    challenge = app.select()
    assert challenge is not None
    exchange = Exchange(crypto, list(keys), challenge)
    answer = app.authenticate(data_of(exchange.command))
    assert answer is not None
    return exchange.judge(answer)


def test_a_phone_that_holds_the_key_is_recognized_and_recognizes_the_lock() -> None:
    app = phone(OTHER, KEY)
    assert meet([b"x" * 32, KEY], app) == 1
    assert app.recognized


def test_a_phone_with_another_key_is_not_and_does_not() -> None:
    app = phone(OTHER)
    assert meet([KEY], app) is None
    assert not app.recognized


def test_a_phone_without_a_key_has_no_such_application() -> None:
    assert phone().select() is None


def test_the_key_comes_from_the_sessions_secret_as_the_description_says() -> None:
    pseudorandom = hmac.digest(b"salt", b"shared", "sha256")
    expected = hmac.digest(pseudorandom, b"mooring/stay-key\x01", "sha256")
    assert derive(crypto, b"shared", b"salt") == expected


def test_the_application_is_of_the_proprietary_range_and_selected_by_its_name() -> None:
    assert APPLICATION[0] == 0xF0 and 5 <= len(APPLICATION) <= 16 and APPLICATION == phone_side.APPLICATION
    assert select() == bytes.fromhex("00a4040009") + APPLICATION + b"\x00"


# --- attacks ---------------------------------------------------------------------------------------------------------


def test_an_answer_recorded_earlier_opens_nothing() -> None:
    app = phone(KEY)
    challenge = app.select()
    assert challenge is not None
    first = Exchange(crypto, [KEY], challenge)
    recorded = app.authenticate(data_of(first.command))
    assert recorded is not None and first.judge(recorded) == 0
    # If a thief replays the phone's messages, these messages do not fit the lock's new nonce.
    assert Exchange(crypto, [KEY], challenge).judge(recorded) is None


def test_one_exchange_judges_one_answer() -> None:
    app = phone(KEY)
    exchange = Exchange(crypto, [KEY], app.select() or b"")
    answer = app.authenticate(data_of(exchange.command)) or b""
    assert exchange.judge(cbor2.dumps([1, bytes(16)])) is None
    assert exchange.judge(answer) is None


def test_the_locks_own_proofs_reflected_open_nothing() -> None:
    exchange = Exchange(crypto, [KEY], cbor2.dumps([1, bytes(16)]))
    _, nonce, proofs = cbor2.loads(data_of(exchange.command))
    assert exchange.judge(cbor2.dumps([1, proofs[:16]])) is None
    # An attacker may send the lock's nonce to another lock, as if he were the phone. The other lock does not give the
    # right proof either.
    twin = Exchange(crypto, [KEY], cbor2.dumps([1, nonce]))
    assert exchange.judge(cbor2.dumps([1, cbor2.loads(data_of(twin.command))[2][:16]])) is None


def test_a_phone_answers_one_question_for_each_challenge() -> None:
    app = phone(KEY)
    exchange = Exchange(crypto, [KEY], app.select() or b"")
    assert app.authenticate(data_of(exchange.command)) is not None
    assert app.authenticate(data_of(exchange.command)) is None


def test_proofs_of_an_earlier_meeting_do_not_make_a_phone_show_itself() -> None:
    app = phone(KEY)
    old = data_of(Exchange(crypto, [KEY], app.select() or b"").command)
    app.select()
    assert app.authenticate(old) is not None
    assert not app.recognized


def test_a_stranger_learns_nothing_that_stays_the_same() -> None:
    known, unknown = phone(KEY), phone(OTHER)
    seen = set()
    for app in (known, known, unknown):
        challenge = app.select() or b""
        question = cbor2.dumps([1, bytes(16), bytes(192)])  # This reader knows no key.
        answer = app.authenticate(question) or b""
        assert len(challenge) == len(answer) == 19
        assert not app.recognized
        seen |= {challenge, answer}
    assert len(seen) == 6


@pytest.mark.parametrize(("guests", "size"), [(0, 192), (1, 192), (8, 192), (9, 192), (24, 192), (40, 192)])
def test_the_lock_does_not_say_how_many_guests_it_has(guests: int, size: int) -> None:
    keys = [bytes([n]) * 32 for n in range(guests)]
    _, nonce, proofs = cbor2.loads(data_of(Exchange(crypto, keys, cbor2.dumps([1, bytes(16)])).command))
    assert len(proofs) == size and len(nonce) == 16
    again = cbor2.loads(data_of(Exchange(crypto, keys, cbor2.dumps([1, bytes(16)])).command))
    assert not {proofs[at : at + 8] for at in range(0, size, 8)} & {again[2][at : at + 8] for at in range(0, size, 8)}


def test_every_key_up_to_the_most_is_tried() -> None:
    keys = [bytes([n]) * 32 for n in range(MAX_KEYS + 1)]
    assert [meet(keys, phone(key)) for key in keys] == [*range(MAX_KEYS), None]


@given(st.binary(max_size=40))
def test_what_is_no_message_is_refused_in_order(garbage: bytes) -> None:
    with pytest.raises(FormatError, match=r"stay-key\.form"):
        Exchange(crypto, [KEY], garbage)
    exchange = Exchange(crypto, [KEY], cbor2.dumps([1, bytes(16)]))
    if garbage[:3] != b"\x82\x01\x50" or len(garbage) != 19:
        with pytest.raises(FormatError, match=r"stay-key\.form"):
            exchange.judge(garbage)


@pytest.mark.parametrize(
    "message",
    [
        [2, bytes(16)],
        [1, bytes(15)],
        [1, bytes(17)],
        [1],
        [1, bytes(16), 0],
        [1, "x" * 16],
        {1: bytes(16)},
        [True, b""],
    ],
)
def test_a_message_of_another_form_is_refused(message: object) -> None:
    with pytest.raises(FormatError, match=r"stay-key\.form"):
        Exchange(crypto, [KEY], cbor2.dumps(message))


def test_a_phone_refuses_what_is_no_question() -> None:
    for question in (b"", b"\xff", cbor2.dumps([1, bytes(16)]), cbor2.dumps([2, bytes(16), bytes(192)]),
                     cbor2.dumps([1, bytes(15), bytes(192)]), cbor2.dumps([1, bytes(16), bytes(193)])):  # fmt: skip
        app = phone(KEY)
        app.select()
        assert app.authenticate(question) is None


def test_the_lock_speaks_the_same() -> None:
    app = phone(KEY)
    challenge = app.select() or b""
    source = """
from firmware import crypto
from protocol.stay_key import Exchange
random = iter(given["random"])
class Fixed:
    hmac_sha256 = staticmethod(crypto.hmac_sha256)
    def random(self, length):
        return bytes.fromhex(next(random))[:length]
exchange = Exchange(Fixed(), [bytes.fromhex(key) for key in given["keys"]], bytes.fromhex(given["challenge"]))
answer([exchange.command.hex(), exchange.judge(bytes.fromhex(given["answer"]))])
"""
    nonce, filling = bytes(range(16)), bytes(48)

    class Fixed:
        hmac_sha256 = staticmethod(crypto.hmac_sha256)

        def __init__(self) -> None:
            self._random = iter((nonce, filling))

        def random(self, length: int) -> bytes:
            return next(self._random)[:length]

    exchange = Exchange(Fixed(), [OTHER, KEY], challenge)  # type: ignore[arg-type]  # Exchange calls nothing else
    answer = app.authenticate(data_of(exchange.command)) or b""
    given = {
        "random": [nonce.hex(), filling.hex()],
        "keys": [OTHER.hex(), KEY.hex()],
        "challenge": challenge.hex(),
        "answer": answer.hex(),
    }
    assert run_on_lock(source, given) == [exchange.command.hex(), 1]
    assert exchange.judge(answer) == 1


def test_the_exchange_takes_two_commands_that_any_phone_can_receive() -> None:
    exchange = Exchange(crypto, [bytes(32)] * MAX_KEYS, cbor2.dumps([1, bytes(16)]))
    assert len(data_of(exchange.command)) <= apdu.SHORT_DATA
