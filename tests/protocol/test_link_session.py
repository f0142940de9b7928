"""The handshake between lock and edge, and the sealing after it. The tests are named after attacks."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware import crypto as lock_crypto
from protocol import cbor, link_session
from protocol import crypto_cpython as crypto
from protocol.errors import FormatError, MooringError, VerificationError
from protocol.link_initiator import Initiator
from protocol.link_session import Responder, Session
from tests.support.on_lock import run_on_lock

PASS = b"an edge pass, which is not judged here"


class Party:
    """The keys of a lock or an edge: an identity key (locks only) and a static link key."""

    def __init__(self) -> None:
        self.identity = crypto.generate("P-256")
        self.static = crypto.generate("P-256")
        self.proof = link_session.prove(crypto, self.identity, self.static[1])

    def responder(self, **changes: Any) -> Responder:
        given = {"static": self.static, "proof": self.proof, "ephemeral": crypto.generate("P-256"), **changes}
        return Responder(crypto, **given)

    def initiator(self) -> Initiator:
        return Initiator(crypto, self.static)


LOCK, EDGE, MALLORY = Party(), Party(), Party()


def answered(responder: Responder, opening: bytes) -> bytes:
    responder.opened(opening)
    return responder.answer()


def sessions() -> tuple[Session, Session]:
    """Return the edge's session and the lock's session after an honest handshake."""
    edge, lock = EDGE.initiator(), LOCK.responder()
    edge.answered(answered(lock, edge.open()))
    finish, edge_session = edge.finish(PASS)
    return edge_session, lock.finished(finish)[2]


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(MooringError) as raised:
        act()
    return raised.value.code


# --- honest sides ----------------------------------------------------------------------------------------------------


def test_lock_and_edge_prove_themselves_and_understand_each_other() -> None:
    edge, lock = EDGE.initiator(), LOCK.responder()
    assert edge.answered(answered(lock, edge.open())) == LOCK.identity[1]
    finish, edge_session = edge.finish(PASS)
    edge_public, edge_pass, lock_session = lock.finished(finish)
    assert (edge_public, edge_pass) == (EDGE.static[1], PASS)
    for number in range(3):
        assert lock_session.open(edge_session.seal(b"down %d" % number)) == b"down %d" % number
        assert edge_session.open(lock_session.seal(b"up %d" % number)) == b"up %d" % number


def test_sealing_adds_a_tag_and_nothing_else() -> None:
    assert len(sessions()[0].seal(bytes(600))) == 600 + link_session.TAG_BYTES


# --- a deterministic transcript --------------------------------------------------------------------------------------

VECTOR = json.loads((Path(__file__).parents[1] / "data" / "link_session.json").read_text())


_REPLAY = """
from protocol import link_session
from protocol.link_initiator import Initiator

def replayed(crypto, vector):
    def key(name):
        private = bytes.fromhex(vector["private"][name])
        return private, crypto.public("P-256", private)
    edge = Initiator(crypto, key("edge_static"), key("edge_ephemeral"))
    lock = link_session.Responder(crypto, key("lock_static"), bytes.fromhex(vector["proof"]), key("lock_ephemeral"))
    opening = edge.open()
    lock.opened(opening)
    answer = lock.answer()
    identity = edge.answered(answer)
    finish, edge_session = edge.finish(bytes.fromhex(vector["edge_pass"]))
    edge_public, edge_pass, lock_session = lock.finished(finish)
    assert identity == key("identity")[1] and edge_public == key("edge_static")[1]
    assert edge_pass == bytes.fromhex(vector["edge_pass"])
    up = [lock_session.seal(bytes.fromhex(message)) for message in vector["plain_up"]]
    down = [edge_session.seal(bytes.fromhex(message)) for message in vector["plain_down"]]
    assert [edge_session.open(message).hex() for message in up] == vector["plain_up"]
    assert [lock_session.open(message).hex() for message in down] == vector["plain_down"]
    said = {"open": opening.hex(), "answer": answer.hex(), "finish": finish.hex()}
    said["up"] = [message.hex() for message in up]
    said["down"] = [message.hex() for message in down]
    return said
"""
EXPECTED = {name: VECTOR[name] for name in ("open", "answer", "finish", "up", "down")}


@pytest.mark.parametrize("implementation", [crypto, lock_crypto], ids=["cryptography", "firmware.crypto"])
def test_the_published_transcript_is_reproduced_to_the_byte(implementation: object) -> None:
    room: dict[str, Any] = {}
    exec(_REPLAY, room)  # The next test runs the same source on MicroPython.
    assert room["replayed"](implementation, VECTOR) == EXPECTED


def test_the_published_transcript_is_reproduced_by_the_locks_interpreter() -> None:
    assert run_on_lock(_REPLAY + "\nfrom firmware import crypto\nanswer(replayed(crypto, given))", VECTOR) == EXPECTED


# --- who only listens ------------------------------------------------------------------------------------------------


def test_a_listener_sees_no_identity_of_either_side() -> None:
    edge, lock = EDGE.initiator(), LOCK.responder()
    heard = edge.open()
    heard += (answer := answered(lock, heard))
    edge.answered(answer)
    heard += edge.finish(PASS)[0]
    secrets = [LOCK.identity[1], LOCK.static[1], LOCK.proof, EDGE.static[1], PASS]
    assert not any(secret[-32:] in heard for secret in secrets)


def test_no_two_connections_share_a_key() -> None:
    (one, _), (_, other) = sessions(), sessions()
    assert refusal(lambda: other.open(one.seal(b"x"))) == "link.seal"


# --- who replays, reflects and alters --------------------------------------------------------------------------------


def test_a_replayed_opening_gets_nobody_a_session() -> None:
    edge, lock = EDGE.initiator(), LOCK.responder()
    opening = edge.open()
    edge.answered(answered(lock, opening))
    finish, _ = edge.finish(PASS)
    again = LOCK.responder()
    answered(again, opening)
    assert refusal(lambda: again.finished(finish)) == "link.handshake"


def test_a_replayed_answer_is_refused() -> None:
    first, second = EDGE.initiator(), EDGE.initiator()
    answer = answered(LOCK.responder(), first.open())
    second.open()
    assert refusal(lambda: second.answered(answer)) == "link.handshake"


def test_an_edges_own_words_reflected_to_it_are_refused() -> None:
    edge = EDGE.initiator()
    opening = edge.open()
    assert refusal(lambda: edge.answered(opening)) == "link.form"
    ephemeral = cbor.decode(opening)[2]
    echoed = cbor.encode([link_session.ANSWER, ephemeral, bytes(81), bytes(100)])
    assert refusal(lambda: edge.answered(echoed)) == "link.handshake"


def test_a_sealed_message_reflected_to_its_sender_is_refused() -> None:
    edge, lock = sessions()
    assert refusal(lambda: edge.open(edge.seal(b"x"))) == "link.seal"
    assert refusal(lambda: lock.open(lock.seal(b"x"))) == "link.seal"


@pytest.mark.parametrize("order", [[1], [0, 0], [0, 2], [1, 0]], ids=["lost", "repeated", "gap", "swapped"])
def test_messages_lost_repeated_or_out_of_order_end_the_session(order: list[int]) -> None:
    edge, lock = sessions()
    sent = [edge.seal(b"%d" % number) for number in range(3)]
    codes = []
    for number in order:
        try:
            lock.open(sent[number])
        except VerificationError as error:
            codes.append(error.code)
    assert codes and set(codes) == {"link.seal"}
    assert refusal(lambda: lock.open(sent[0])) == "link.seal", "and nothing is opened after that"


@given(st.integers(0, 5), st.integers(0, 10_000), st.integers(0, 7))
def test_no_bit_of_a_handshake_can_be_turned(which: int, place: int, bit: int) -> None:
    edge, lock = EDGE.initiator(), LOCK.responder()

    def on_its_way(message: bytes, number: int) -> bytes:
        turned = bytearray(message)
        if which % 3 == number:
            turned[place % len(turned)] ^= 1 << bit
        return bytes(turned)

    with pytest.raises((FormatError, VerificationError)):
        answer = answered(lock, on_its_way(edge.open(), 0))
        edge.answered(on_its_way(answer, 1))
        finish, _ = edge.finish(PASS)
        lock.finished(on_its_way(finish, 2))


# --- who poses as somebody else --------------------------------------------------------------------------------------


def test_a_radio_that_shows_another_locks_proof_with_its_own_key_is_refused() -> None:
    edge = EDGE.initiator()
    posing = MALLORY.responder(proof=LOCK.proof)
    assert refusal(lambda: edge.answered(answered(posing, edge.open()))) == "link.proof"


def test_a_radio_that_shows_another_locks_key_without_holding_it_is_refused() -> None:
    edge = EDGE.initiator()
    posing = LOCK.responder(static=(MALLORY.static[0], LOCK.static[1]))
    assert refusal(lambda: edge.answered(answered(posing, edge.open()))) == "link.handshake"


def test_a_lock_cannot_claim_another_locks_link_key_as_its_own() -> None:
    """Unknown key share. The proof names the identity that signed the proof. A public key is useless without the
    private key.
    """
    edge = EDGE.initiator()
    claimed = link_session.prove(crypto, MALLORY.identity, LOCK.static[1])
    posing = LOCK.responder(static=(MALLORY.static[0], LOCK.static[1]), proof=claimed)
    assert refusal(lambda: edge.answered(answered(posing, edge.open()))) == "link.handshake"


def test_the_proof_is_no_record_and_no_statement_and_they_are_no_proof() -> None:
    signature = crypto.sign(LOCK.identity[0], cbor.encode([1, LOCK.identity[1], MALLORY.static[1]]))
    edge = EDGE.initiator()
    posing = MALLORY.responder(proof=cbor.encode([LOCK.identity[1], signature]))
    assert refusal(lambda: edge.answered(answered(posing, edge.open()))) == "link.proof"


def test_an_edge_that_shows_another_edges_key_without_holding_it_is_refused() -> None:
    posing = Initiator(crypto, (MALLORY.static[0], EDGE.static[1]))
    lock = LOCK.responder()
    posing.answered(answered(lock, posing.open()))
    finish, _ = posing.finish(PASS)
    assert refusal(lambda: lock.finished(finish)) == "link.handshake"


def test_who_has_stolen_a_locks_key_still_cannot_pose_as_an_edge_to_it() -> None:
    """Key compromise impersonation. The lock's secrets do not let anyone act as the edge."""
    posing = Initiator(crypto, (LOCK.static[0], EDGE.static[1]))
    lock = LOCK.responder()
    posing.answered(answered(lock, posing.open()))
    finish, _ = posing.finish(PASS)
    assert refusal(lambda: lock.finished(finish)) == "link.handshake"


def test_a_man_in_the_middle_ends_with_an_edge_that_knows_whom_it_talks_to() -> None:
    edge, mallory, lock = EDGE.initiator(), MALLORY.initiator(), LOCK.responder()
    assert mallory.answered(answered(lock, mallory.open())) == LOCK.identity[1]
    assert edge.answered(answered(MALLORY.responder(), edge.open())) == MALLORY.identity[1]
    finish, _ = edge.finish(PASS)
    assert refusal(lambda: lock.finished(finish)) == "link.handshake", "what the edge said cannot be handed on"


# --- who sends what is no handshake ----------------------------------------------------------------------------------

OFF_CURVE = b"\x04" + b"\x01" * 64
E = crypto.generate("P-256")[1]


def test_another_version_is_named_and_there_is_none_to_talk_down_to() -> None:
    for version in (0, 2, True, "1"):
        opening = cbor.encode([link_session.OPEN, version, E])
        assert refusal(lambda opening=opening: LOCK.responder().opened(opening)) == "link.version"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"", "cbor.truncated"),
        (cbor.encode([16, 1, 0]), "link.form"),
        (cbor.encode([True, 1, E]), "link.form"),
        (cbor.encode([link_session.OPEN]), "link.form"),
        (cbor.encode([link_session.OPEN, 1]), "link.form"),
        (cbor.encode([link_session.OPEN, 1, E[:-1]]), "link.form"),
        (cbor.encode([link_session.OPEN, 1, b"\x02" + E[1:]]), "link.form"),
        (cbor.encode([link_session.OPEN, 1, E, 1]), "link.form"),
        (cbor.encode([link_session.OPEN, 1, E]) + b"\x00", "cbor.trailing"),
        (cbor.encode([link_session.OPEN, 1, E + bytes(20)]), "link.too_long"),
        (cbor.encode([link_session.OPEN, 1, OFF_CURVE]), "crypto.key"),
    ],
    ids=[
        *("empty", "unknown type", "type is a truth value", "no version", "no key", "short key"),
        *("compressed key", "one member more", "trailing byte", "long key", "off the curve"),
    ],
)
def test_what_is_no_opening_is_refused(message: bytes, code: str) -> None:
    assert refusal(lambda: LOCK.responder().opened(message)) == code


@pytest.mark.parametrize(
    ("items", "code"),
    [
        ([link_session.ANSWER, OFF_CURVE, bytes(81), bytes(17)], "crypto.key"),
        ([link_session.ANSWER, E, bytes(80), bytes(17)], "link.form"),
        ([link_session.ANSWER, E, bytes(81), bytes(16)], "link.form"),
        ([link_session.ANSWER, E, bytes(81), "text"], "link.form"),
        ([link_session.ANSWER, E, bytes(81)], "link.form"),
        ([link_session.FINISH, E, bytes(81), bytes(17)], "link.form"),
        ([link_session.ANSWER, E, bytes(81), bytes(5000)], "link.too_long"),
    ],
)
def test_what_is_no_answer_is_refused(items: list[object], code: str) -> None:
    edge = EDGE.initiator()
    edge.open()
    assert refusal(lambda: edge.answered(cbor.encode(items))) == code


@pytest.mark.parametrize("proof", [b"\x80", cbor.encode([E, bytes(63)]), cbor.encode([E[1:], bytes(64)]), b"\xff"])
def test_what_is_no_proof_is_refused(proof: bytes) -> None:
    edge = EDGE.initiator()
    with pytest.raises(FormatError):
        edge.answered(answered(LOCK.responder(proof=proof), edge.open()))


def test_a_pass_that_fits_no_handshake_is_not_sent() -> None:
    for edge_pass in (b"", bytes(link_session.PASS_LIMIT + 1)):
        edge = EDGE.initiator()
        edge.answered(answered(LOCK.responder(), edge.open()))
        assert refusal(lambda edge=edge, edge_pass=edge_pass: edge.finish(edge_pass)) == "link.too_long"  # type: ignore[misc]


def test_the_longest_pass_fits() -> None:
    edge, lock = EDGE.initiator(), LOCK.responder()
    edge.answered(answered(lock, edge.open()))
    finish, _ = edge.finish(bytes(link_session.PASS_LIMIT))
    assert len(finish) <= link_session.FINISH_LIMIT
    assert len(lock.finished(finish)[1]) == link_session.PASS_LIMIT


@given(st.binary(max_size=120) | st.lists(st.integers(0, 2**20) | st.binary(max_size=90)).map(cbor.encode))
def test_no_bytes_do_anything_but_open_or_be_refused(message: bytes) -> None:
    try:
        ephemeral = link_session.parse_open(message)
    except FormatError:
        return
    assert cbor.encode([link_session.OPEN, link_session.VERSION, ephemeral]) == message


def test_a_key_does_not_seal_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    edge, lock = sessions()
    monkeypatch.setattr(link_session, "MESSAGES_LIMIT", 2)
    for message in (b"1", b"2"):
        assert lock.open(edge.seal(message)) == message
    assert refusal(lambda: edge.seal(b"3")) == "link.exhausted"
    assert refusal(lambda: lock.open(bytes(20))) == "link.seal"


def test_both_runtimes_refuse_the_same_handshakes() -> None:
    opening, finish = bytes.fromhex(VECTOR["open"]), bytes.fromhex(VECTOR["finish"])
    pairs = [(opening, finish)]
    pairs += [(turned(opening, place), finish) for place in (0, 1, 2, 3, 5, 6, 40, 70)]
    pairs += [(opening, turned(finish, place)) for place in (0, 1, 2, 4, 5, 60, 85, 86, 90, 200, len(finish) - 1)]
    pairs += [(opening[:-1], finish), (opening + b"\x00", finish), (opening, finish[:-1]), (finish, opening)]
    source = """
from protocol import link_session
from protocol.errors import MooringError
def verdict(crypto, vector, opening, finish):
    def key(name):
        private = bytes.fromhex(vector["private"][name])
        return private, crypto.public("P-256", private)
    lock = link_session.Responder(crypto, key("lock_static"), bytes.fromhex(vector["proof"]), key("lock_ephemeral"))
    try:
        lock.opened(opening)
        lock.answer()
        lock.finished(finish)
        return "good"
    except MooringError as error:
        return error.code
"""
    room: dict[str, Any] = {}
    exec(source, room)
    here = [room["verdict"](crypto, VECTOR, *pair) for pair in pairs]
    assert here.count("good") == 1 and here[0] == "good"
    on_lock = """
from firmware import crypto
vector, pairs = given
answer([verdict(crypto, vector, bytes.fromhex(o), bytes.fromhex(f)) for o, f in pairs])
"""
    assert run_on_lock(source + on_lock, [VECTOR, [(o.hex(), f.hex()) for o, f in pairs]]) == here


def turned(message: bytes, place: int) -> bytes:
    changed = bytearray(message)
    changed[place] ^= 1
    return bytes(changed)
