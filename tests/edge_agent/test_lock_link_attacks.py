"""The edge meets radios that only claim to be locks, and locks that break the protocol."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from edge_agent import lock_connection
from edge_agent.lock_link import LockLink
from protocol import cbor, link, link_session
from protocol import crypto_cpython as crypto
from protocol.errors import TransportError
from protocol.link_session import Responder, Session
from protocol.parts import Parts
from tests.support import rogue_lock
from tests.support.link_store import LinkStore, error_code, linked
from tests.support.radio_world import radio_world
from tests.support.rogue_lock import KEYS, ROGUE_ADDRESS, Answer, RogueLock


def polite_until(pull_answer: Iterable[bytes]) -> Answer:
    """A lock that says HELLO as it should, and answers the PULL with `pull_answer`."""
    messages = list(pull_answer)
    return lambda message: [rogue_lock.hello(100)] if message[2] == 0 else messages


def run_rogue(
    answer: Answer,
    scenario: Callable[[LinkStore, LockLink], Awaitable[None]],
    with_service: bool = True,
    **behaviour: Any,
) -> None:
    async def world() -> None:
        async with radio_world() as air:
            await RogueLock(air.air, answer, **behaviour).start(with_service)
            store = LinkStore()
            async with linked(store, address=ROGUE_ADDRESS) as lock:
                await scenario(store, lock)

    asyncio.run(world())


OTHER = crypto.generate("P-256")
FOREIGN_PROOF = link_session.prove(crypto, OTHER, OTHER[1])


def posing(static: tuple[bytes, bytes], proof: bytes) -> Callable[[], Responder]:
    return lambda: Responder(crypto, static, proof, crypto.generate("P-256"))


@pytest.mark.parametrize(
    ("handshake", "code"),
    [
        (posing(OTHER, KEYS.proof()), "link.proof"),
        (posing((OTHER[0], KEYS.link[1]), KEYS.proof()), "link.handshake"),
        (posing(OTHER, FOREIGN_PROOF[:-1]), "cbor.truncated"),
    ],
    ids=["another's proof", "another's key", "no proof"],
)
def test_a_radio_that_cannot_prove_to_be_a_lock_is_left_before_it_learns_who_asks(
    handshake: Callable[[], Responder], code: str
) -> None:
    async def scenario(store: LinkStore, lock: LockLink) -> None:
        assert await error_code(lock) == code
        assert not store.hellos

    run_rogue(polite_until([]), scenario, handshake=handshake)


def test_a_lock_that_wants_to_talk_in_the_clear_is_left() -> None:
    async def scenario(store: LinkStore, lock: LockLink) -> None:
        assert await error_code(lock) == "link.form"
        assert not store.hellos

    run_rogue(lambda _: [rogue_lock.hello(100)], scenario, handshake=lambda: None)


def test_an_answer_with_a_point_off_the_curve_is_refused() -> None:
    answer = cbor.encode([link_session.ANSWER, b"\x04" + b"\x01" * 64, bytes(81), bytes(150)])

    async def scenario(_store: LinkStore, lock: LockLink) -> None:
        assert await error_code(lock) == "crypto.key"

    run_rogue(lambda _: [answer], scenario, handshake=lambda: None, parts=lambda message: Parts(message, 100))


def altered(session: Session, message: bytes) -> bytes:
    sealed = session.seal(message)
    return sealed[:-1] + bytes([sealed[-1] ^ 1])


def repeated() -> Callable[[Session, bytes], bytes]:
    first: list[bytes] = []

    def seal(session: Session, message: bytes) -> bytes:
        first.append(session.seal(message))
        return first[0]

    return seal


@pytest.mark.parametrize(
    "seal", [altered, repeated(), lambda _, message: message], ids=["altered", "repeated", "unsealed"]
)
def test_what_is_not_the_locks_next_message_ends_the_connection(seal: Callable[[Session, bytes], bytes]) -> None:
    async def scenario(store: LinkStore, lock: LockLink) -> None:
        assert await error_code(lock) == "lock.protocol"
        assert store.counters == []

    run_rogue(polite_until([rogue_lock.record(1)]), scenario, seal=seal)


def test_an_edge_cut_off_by_a_message_it_could_not_open_goes_on_from_the_last_it_stored() -> None:
    broken: list[int] = []

    def seal(session: Session, message: bytes) -> bytes:
        sealed = session.seal(message)
        if message == rogue_lock.record(3) and not broken:
            broken.append(3)
            return sealed[:-1] + bytes([sealed[-1] ^ 1])
        return sealed

    def answer(message: tuple[object, ...]) -> list[bytes]:
        if message[2] == 0:
            return [rogue_lock.hello(6)]
        assert isinstance(message[1], int)
        return [rogue_lock.record(counter) for counter in range(message[1], 6)]

    async def scenario(store: LinkStore, _lock: LockLink) -> None:
        await store.until(lambda: store.counters == [1, 2, 3, 4, 5])
        assert broken

    run_rogue(answer, scenario, seal=seal)


@pytest.mark.parametrize(
    "pull_answer",
    [
        [b"\xff"],
        [link.pull(1, 1)],
        [rogue_lock.record(1), rogue_lock.record(2, lock_id=bytes(16))],
        [rogue_lock.hello(100, lock_id=bytes(16))],
        [rogue_lock.hello(100, public=OTHER[1])],
        [rogue_lock.record(1)] * 400,
    ],
    ids=["message", "direction", "other lock", "other id", "other identity", "flood"],
)
def test_a_lock_that_breaks_the_protocol_is_left(pull_answer: list[bytes]) -> None:
    async def scenario(_store: LinkStore, lock: LockLink) -> None:
        assert await error_code(lock) == "lock.protocol"

    run_rogue(polite_until(pull_answer), scenario)


@pytest.mark.parametrize("parts", [[b"\x07garbage"], [b"\x01" + bytes(300)] * 40], ids=["part", "endless"])
def test_parts_that_make_no_message_end_the_connection(parts: list[bytes]) -> None:
    async def scenario(_store: LinkStore, lock: LockLink) -> None:
        assert await error_code(lock) == "lock.protocol"

    run_rogue(polite_until([]), scenario, parts=lambda _: parts)


@pytest.mark.parametrize("offset", [link.PIECE_BYTES + 500, 5000])
def test_a_lock_that_wants_more_than_was_offered_gets_nothing(offset: int) -> None:
    def answer(message: tuple[object, ...]) -> list[bytes]:
        if message[0] == link.PULL:
            return [rogue_lock.hello(1)] if message[2] == 0 else []
        return [link.want(offset)]

    async def scenario(store: LinkStore, lock: LockLink) -> None:
        await store.until(lambda: bool(store.hellos))
        with pytest.raises(TransportError, match=r"lock\.protocol"):
            await lock.deliver(bytes(link.PIECE_BYTES + 500))

    run_rogue(answer, scenario)


def test_a_lock_that_held_another_beginning_is_given_the_whole_once_more() -> None:
    heard: list[object] = []

    def answer(message: tuple[object, ...]) -> list[bytes]:
        heard.append(message[0])
        if message[0] == link.OFFER:
            return [link.want(1000 if heard.count(link.OFFER) == 1 else 0)]
        if message[0] == link.PIECE:
            pieces = heard.count(link.PIECE)
            return {1: [link.result("?", "link.digest")], 3: [link.result("grant", None)]}.get(pieces, [])
        return [rogue_lock.hello(1)] if message[2] == 0 else []

    async def scenario(store: LinkStore, lock: LockLink) -> None:
        await store.until(lambda: bool(store.hellos))
        assert await lock.deliver(bytes(2000)) is None
        assert (heard.count(link.OFFER), heard.count(link.PIECE)) == (2, 3)

    run_rogue(answer, scenario)


def test_a_record_without_a_records_form_is_left_to_the_lock() -> None:
    async def scenario(store: LinkStore, lock: LockLink) -> None:
        assert await error_code(lock) == "record.form"
        assert store.counters == []

    run_rogue(polite_until([link.record(b"\x84\x40\xa0\x40\x40")]), scenario)


def test_a_radio_without_the_service_is_foreign() -> None:
    async def scenario(_store: LinkStore, lock: LockLink) -> None:
        assert await error_code(lock) == "lock.foreign"

    run_rogue(lambda _: [], scenario, with_service=False)


def test_a_lock_that_says_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_connection, "HELLO_SECONDS", 0.1)

    async def scenario(_store: LinkStore, lock: LockLink) -> None:
        assert await error_code(lock) == "lock.silent"

    run_rogue(lambda _: [], scenario)


def test_a_statement_without_an_answer_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_connection, "RESULT_SECONDS", 0.1)

    def answer(message: tuple[object, ...]) -> list[bytes]:
        return [rogue_lock.hello(1)] if message[0] == link.PULL and message[2] == 0 else []

    async def scenario(store: LinkStore, lock: LockLink) -> None:
        await store.until(lambda: bool(store.hellos))
        with pytest.raises(TransportError, match=r"lock\.silent"):
            await lock.deliver(b"statement")
        assert await error_code(lock) == "lock.silent"

    run_rogue(answer, scenario)


def test_a_missing_record_is_asked_for_again_and_passed_over_only_if_it_does_not_exist() -> None:
    pulls: list[object] = []

    def answer(message: tuple[object, ...]) -> list[bytes]:
        if message[2] == 0:
            return [rogue_lock.hello(5)]
        pulls.append(message[1])
        # The first time, record 2 is lost in transit. Record 4 never existed.
        counters = {1: [1, 3], 2: [2, 3, 5], 4: [5]}.get(message[1], []) if isinstance(message[1], int) else []
        return [rogue_lock.record(counter) for counter in counters]

    async def scenario(store: LinkStore, _lock: LockLink) -> None:
        await store.until(lambda: store.counters == [1, 2, 3, 5])
        assert pulls[:3] == [1, 2, 4]

    run_rogue(answer, scenario)


def test_records_that_a_receipt_covers_are_not_asked_for() -> None:
    pulls: list[object] = []

    def answer(message: tuple[object, ...]) -> list[bytes]:
        if message[2] == 0:
            return [rogue_lock.hello(9, receipted_through=6)]
        pulls.append(message[1])
        return [rogue_lock.record(7), rogue_lock.record(8)]

    async def scenario(store: LinkStore, _lock: LockLink) -> None:
        await store.until(lambda: store.counters == [7, 8])
        assert pulls[0] == 7

    run_rogue(answer, scenario)
