"""Attacks on the lock's end of the link, without a pass, with a wrong pass, or by somebody between edge and lock. On
both runtimes."""

import asyncio
import hashlib
import random
from collections.abc import Iterator

import pytest

from protocol import crypto_cpython as crypto
from protocol import link, link_session
from protocol.link_initiator import Initiator
from protocol.parts import Parts
from tests.support.bare_edge import KEYS, Edge, cut_off, greeted, run
from tests.support.link_keys import NOW
from tests.support.radio_world import RadioWorld

RUNTIMES = pytest.mark.parametrize("runtime", ["micropython", "cpython"])
STRANGER = crypto.generate("P-256")


def whole(message: bytes) -> bytes:
    return b"\x00" + message


REFUSED = {
    "expired": (KEYS.edge_pass(not_after=NOW + 9), None, "edge-pass.expired"),
    "stolen": (KEYS.edge_pass(), STRANGER, "edge-pass.key"),
    "self-signed": (KEYS.edge_pass(public=STRANGER[1], signer=STRANGER[0]), STRANGER, "cose.signature"),
    "other locks": (KEYS.edge_pass(locks=[bytes(16)]), None, "edge-pass.lock"),
    "no pass": (b"let me in", None, "cbor.truncated"),
}


@RUNTIMES
@pytest.mark.parametrize("name", REFUSED)
def test_an_edge_without_a_good_pass_is_told_why_and_sent_away(name: str, runtime: str) -> None:
    edge_pass, static, code = REFUSED[name]

    async def scenario(_world: RadioWorld) -> None:
        async with Edge() as rogue:
            await rogue.handshake(edge_pass, static)
            assert await rogue.hear() == (link.RESULT, "edge-pass", code)
            await rogue.gone.wait()
            assert rogue.messages.empty(), "neither a HELLO nor a record"
        async with greeted():
            pass

    run(1, scenario, runtime, MOORING_TEST_TIME=str(NOW + 10))


@RUNTIMES
def test_a_connection_ends_with_the_pass_and_gets_no_record_after_it(runtime: str) -> None:
    async def scenario(_world: RadioWorld) -> None:
        async with Edge() as edge:
            await edge.handshake(KEYS.edge_pass(not_after=NOW + 3600))
            assert (await edge.hear())[0] == link.HELLO
            await edge.say(link.deliver(b"later"))
            assert (await edge.hear())[0] == link.RESULT
            await edge.say(link.pull(1, 1))
            assert await edge.hear_records(1) == [1], "the last second of the pass"
            await edge.say(link.pull(2, 0))
            assert (await edge.hear())[0] == link.HELLO
            await edge.say(link.deliver(b"later"))
            assert (await edge.hear())[0] == link.RESULT
            await edge.gone.wait()
            assert edge.messages.empty()

    run(2, scenario, runtime, MOORING_TEST_TIME=str(NOW))


def test_who_is_refused_is_not_listened_to() -> None:
    async def scenario(_world: RadioWorld) -> None:
        async with Edge() as rogue:
            await rogue.handshake(KEYS.edge_pass(signer=STRANGER[0]))
            await rogue.say(link.deliver(b"statement"))
            assert (await rogue.hear())[:2] == (link.RESULT, "edge-pass")
            await rogue.gone.wait()
            assert rogue.messages.empty()

    run(0, scenario)


def test_an_edge_that_was_replaced_is_shut_out() -> None:
    async def scenario(_world: RadioWorld) -> None:
        async with greeted():
            pass
        async with Edge() as replacement:
            await replacement.handshake(KEYS.edge_pass(issued_at=NOW + 5, public=STRANGER[1]), STRANGER)
            assert (await replacement.hear())[0] == link.HELLO
        async with Edge() as stolen:
            await stolen.handshake()
            assert await stolen.hear() == (link.RESULT, "edge-pass", "edge-pass.replaced")

    run(0, scenario)


@RUNTIMES
def test_a_recorded_connection_played_again_gets_nothing(runtime: str) -> None:
    async def scenario(_world: RadioWorld) -> None:
        initiator = Initiator(crypto, KEYS.edge)
        opening = initiator.open()
        async with Edge() as edge:
            await edge.say_unsealed(opening)
            initiator.answered(await edge.unsealed.get())
            finish, edge.session = initiator.finish(KEYS.edge_pass())
            await edge.say_unsealed(finish)
            assert (await edge.hear())[0] == link.HELLO
        async with Edge() as replayer:
            await replayer.say_unsealed(opening)
            await replayer.unsealed.get()
            await cut_off(replayer, list(Parts(finish, replayer.client.mtu_size)))
            assert replayer.unsealed.empty()

    run(0, scenario, runtime)


@RUNTIMES
@pytest.mark.parametrize("attack", ["altered", "repeated", "unsealed", "reflected"])
def test_a_message_that_is_not_the_edges_next_ends_the_connection(attack: str, runtime: str) -> None:
    async def scenario(_world: RadioWorld) -> None:
        async with greeted() as edge:
            assert edge.session is not None
            sealed = edge.session.seal(link.pull(1, 0))
            if attack == "altered":
                sealed = sealed[:-1] + bytes([sealed[-1] ^ 1])
            elif attack == "repeated":
                await edge.say_unsealed(sealed)
                assert (await edge.hear())[0] == link.HELLO
            elif attack == "unsealed":
                sealed = link.pull(1, 1)
            else:
                lock_side = link_session.Session(crypto, bytes(32), bytes(32), bytes(32))
                sealed = lock_side.seal(link.pull(1, 0))
            await cut_off(edge, [whole(sealed)])
            assert edge.messages.empty()

    run(1, scenario, runtime)


def test_a_flood_of_openings_is_refused_unheard_and_the_lock_lives() -> None:
    async def scenario(_world: RadioWorld) -> None:
        answered = 0
        for _ in range(10):
            async with Edge() as rogue:
                await rogue.say_unsealed(Initiator(crypto, STRANGER).open())
                heard = asyncio.ensure_future(rogue.unsealed.get())
                gone = asyncio.ensure_future(rogue.gone.wait())
                done, _ = await asyncio.wait({heard, gone}, return_when=asyncio.FIRST_COMPLETED)
                answered += heard in done
                heard.cancel()
                gone.cancel()
        assert answered == 4, "as many as the limit allows"

    run(0, scenario)


def test_an_edge_that_proves_itself_is_not_held_up_by_its_own_reconnections() -> None:
    async def scenario(_world: RadioWorld) -> None:
        for _ in range(8):
            async with greeted():
                pass

    run(0, scenario)


def test_who_opens_and_then_falls_silent_makes_room() -> None:
    async def scenario(world: RadioWorld) -> None:
        async with Edge() as mute:
            await mute.say_unsealed(Initiator(crypto, STRANGER).open())
            await mute.unsealed.get()
            await world.ticks_pass(until=mute.gone)
        async with greeted():
            pass

    run(0, scenario)


def test_a_second_opening_on_a_connection_is_refused() -> None:
    async def scenario(_world: RadioWorld) -> None:
        async with Edge() as rogue:
            await rogue.say_unsealed(Initiator(crypto, STRANGER).open())
            await rogue.unsealed.get()
            await cut_off(rogue, [whole(Initiator(crypto, STRANGER).open())])

    run(0, scenario)


# --- statements in pieces --------------------------------------------------------------------------------------------


def pieces(statement: bytes, offset: int = 0) -> Iterator[bytes]:
    for at in range(offset, len(statement), link.PIECE_BYTES):
        yield link.piece(statement[at : at + link.PIECE_BYTES])


async def offered(edge: Edge, statement: bytes) -> int:
    await edge.say(link.offer(hashlib.sha256(statement).digest(), len(statement)))
    kind, offset = await edge.hear()
    assert kind == link.WANT and isinstance(offset, int)
    return offset


@RUNTIMES
def test_a_long_statement_goes_on_where_the_connection_broke_off(runtime: str) -> None:
    async def scenario(_world: RadioWorld) -> None:
        statement = random.Random(1).randbytes(8192)
        async with greeted() as edge:
            assert await offered(edge, statement) == 0
            for message in list(pieces(statement))[:3]:
                await edge.say(message)
            await edge.say(link.pull(1, 0))
            assert (await edge.hear())[0] == link.HELLO, "so the pieces before it were taken"
        async with greeted() as edge:
            assert await offered(edge, statement) == 3 * link.PIECE_BYTES
            for message in pieces(statement, 3 * link.PIECE_BYTES):
                await edge.say(message)
            assert await edge.hear() == (link.RESULT, "grant", None)
            assert await offered(edge, statement) == 0, "and is forgotten once it is whole"

    run(0, scenario, runtime)


def test_another_offer_makes_the_lock_forget_the_last() -> None:
    async def scenario(_world: RadioWorld) -> None:
        one, other = bytes(3000), b"\x01" * 3000
        async with greeted() as edge:
            await offered(edge, one)
            await edge.say(link.piece(bytes(1000)))
            assert await offered(edge, one) == 1000
            assert await offered(edge, other) == 0
            assert await offered(edge, one) == 0

    run(0, scenario)


def test_pieces_that_are_not_what_was_offered_are_thrown_away() -> None:
    async def scenario(_world: RadioWorld) -> None:
        statement = bytes(2000)
        async with greeted() as edge:
            await offered(edge, statement)
            for message in pieces(b"\x01" + statement[1:]):
                await edge.say(message)
            assert await edge.hear() == (link.RESULT, "?", "link.digest")
            assert await offered(edge, statement) == 0
            for message in pieces(statement):
                await edge.say(message)
            assert await edge.hear() == (link.RESULT, "grant", None)

    run(0, scenario)


def test_a_piece_on_a_new_connection_needs_a_new_offer() -> None:
    async def scenario(_world: RadioWorld) -> None:
        async with greeted() as edge:
            await offered(edge, bytes(3000))
        async with greeted() as edge:
            await edge.say(link.piece(bytes(1000)))
            await edge.gone.wait()

    run(0, scenario)
