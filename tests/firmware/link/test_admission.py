"""Strangers in radio range can cause only a limited amount of work in the lock."""

import pytest

from firmware.link.admission import HANDSHAKE_MS, HANDSHAKES, Admission
from firmware.memory.identity import Identity
from protocol import cbor, link_session
from protocol import crypto_cpython as crypto
from protocol.errors import FormatError, RefusedError
from tests.support.chip_ticks import DAY_MS, ChipTicks
from tests.support.link_keys import LinkKeys

KEYS = LinkKeys(crypto)
OPENING = cbor.encode([link_session.OPEN, link_session.VERSION, crypto.generate("P-256")[1]])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ChipTicks:
    return ChipTicks(monkeypatch)


def fresh() -> Admission:
    own = Identity(crypto, KEYS.lock[0], KEYS.lock[0], KEYS.province[1], KEYS.link, KEYS.proof())
    return Admission(crypto, own)


def begins(admission: Admission) -> bool:
    try:
        admission.begin(OPENING)
    except RefusedError as error:
        assert error.code == "link.hurried"
        return False
    return True


def test_a_flood_of_handshakes_is_cut_to_one_in_a_while(clock: ChipTicks) -> None:
    admission, done = fresh(), 0
    for _ in range(10_000):
        clock.ms += 10
        done += begins(admission)
    assert HANDSHAKES <= done <= HANDSHAKES + 10_000 * 10 // HANDSHAKE_MS


def test_edges_that_prove_themselves_are_never_held_up(clock: ChipTicks) -> None:
    admission = fresh()
    for _ in range(100):
        assert begins(admission)
        admission.proven()


def test_proving_oneself_earns_no_more_than_the_limit_allows(clock: ChipTicks) -> None:
    admission = fresh()
    for _ in range(100):
        admission.proven()
    assert [begins(admission) for _ in range(HANDSHAKES + 1)] == [True] * HANDSHAKES + [False]


def test_quiet_times_allow_no_more_than_the_limit(clock: ChipTicks) -> None:
    admission = fresh()
    clock.ms += 1000 * HANDSHAKE_MS
    assert [begins(admission) for _ in range(HANDSHAKES + 1)] == [True] * HANDSHAKES + [False]


@pytest.mark.parametrize("days", [1, 6, 6.3, 9, 12.3])
def test_edges_get_in_again_however_long_after_a_flood_the_next_one_comes(clock: ChipTicks, days: float) -> None:
    admission = fresh()
    while begins(admission):
        pass
    clock.ms += int(days * DAY_MS)
    assert [begins(admission) for _ in range(HANDSHAKES + 1)] == [True] * HANDSHAKES + [False]


def test_what_is_no_opening_uses_up_none_of_the_limit(clock: ChipTicks) -> None:
    admission = fresh()
    for _ in range(50):
        with pytest.raises(FormatError):
            admission.begin(OPENING[:-1])
    assert begins(admission)


def test_no_two_handshakes_share_an_ephemeral_key(clock: ChipTicks) -> None:
    admission, answers = fresh(), set()
    for _ in range(HANDSHAKES):
        admission.prepare()
        responder = admission.begin(OPENING)
        responder.opened(OPENING)
        answers.add(cbor.decode(responder.answer())[1])
    assert len(answers) == HANDSHAKES
