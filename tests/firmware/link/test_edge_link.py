"""The lock's end of the link, on the real interpreter, against edges that are honest, broken or hostile."""

import asyncio
import random

import pytest
from bleak.exc import BleakError
from bumble.hci import Address

from firmware.link.admission import STATEMENTS
from firmware.link.conversation import REST
from protocol import crypto_cpython as crypto
from protocol import link
from protocol.link_initiator import Initiator
from sim.radio.bleak_backend import install
from tests.support.bare_edge import KEYS, Edge, cut_off, greeted, run
from tests.support.radio_world import ADDRESS, RadioWorld, radio_world

CONNECTIONS = 3
"""The value of `firmware.link.edge_link.CONNECTIONS`. This module cannot be imported where `bluetooth` is missing."""


@pytest.mark.parametrize("runtime", ["micropython", "cpython"])
@pytest.mark.parametrize("mtu", [23, 247])
def test_hello_records_and_results_pass_at_the_smallest_and_the_usual_mtu(mtu: int, runtime: str) -> None:
    async def scenario(world: RadioWorld) -> None:
        world.adapter.mtu = mtu
        async with greeted() as edge:
            assert edge.client.mtu_size == mtu
            await edge.say(link.pull(1, 2))
            assert await edge.hear_records(2) == [1, 2]
            await edge.say(link.deliver(b"s" * link.PIECE_BYTES))
            assert await edge.hear() == (link.RESULT, "grant", None)
            assert max(edge.sizes) == mtu - 3

    run(2, scenario, runtime)


def test_the_lock_says_one_hello_when_the_edge_is_proven_and_no_record_before_it_is_asked() -> None:
    async def scenario(_world: RadioWorld) -> None:
        async with Edge() as edge:
            await edge.handshake()
            assert (await edge.hear())[0] == link.HELLO
            assert await edge.hears_nothing()
            await edge.say(link.pull(1, 0))
            assert (await edge.hear())[0] == link.HELLO

    run(3, scenario)


def test_credit_bounds_the_stream_and_a_renewal_repeats_nothing() -> None:
    async def scenario(_world: RadioWorld) -> None:
        async with greeted() as edge:
            await edge.say(link.pull(1, 4))
            assert await edge.hear_records(4) == [1, 2, 3, 4]
            assert await edge.hears_nothing()
            await edge.say(link.pull(3, 4))  # records 1 and 2 are stored, records 3 and 4 have been sent
            assert await edge.hear_records(2) == [5, 6]
            assert await edge.hears_nothing()

    run(9, scenario)


def test_any_other_pull_starts_over() -> None:
    async def scenario(_world: RadioWorld) -> None:
        async with greeted() as edge:
            await edge.say(link.pull(3, 2))
            assert await edge.hear_records(2) == [3, 4]
            await edge.say(link.pull(3, 1))
            assert await edge.hear_records(1) == [3]
            await edge.say(link.pull(1, 1))
            assert await edge.hear_records(1) == [1]
            await edge.say(link.pull(8, 5))
            assert await edge.hear_records(2) == [8, 9]

    run(9, scenario)


def test_records_made_later_follow_on_the_same_credit_and_changed_facts_are_told() -> None:
    async def scenario(_world: RadioWorld) -> None:
        async with greeted() as edge:
            await edge.say(link.pull(2, 5))
            await edge.say(link.deliver(b"grow"))
            assert await edge.hear() == (link.RESULT, "grant", None)
            assert await edge.hear_records(1) == [2]
            await edge.say(link.deliver(b"fresh"))
            assert (await edge.hear())[0] == link.RESULT
            kind, hello = await edge.hear()
            assert kind == link.HELLO and isinstance(hello, link.Hello) and hello.time_nonce == bytes(16)

    run(1, scenario)


def test_a_refused_statement_is_answered_with_its_code() -> None:
    async def scenario(_world: RadioWorld) -> None:
        async with greeted() as edge:
            await edge.say(link.deliver(b"no"))
            assert await edge.hear() == (link.RESULT, "grant", "grant.window")

    run(0, scenario)


@pytest.mark.parametrize(
    "parts",
    [
        [b"\x02x"],
        [b"\x00"],
        [b"\x00\xff\xff"],
        [b"\x00" + link.pull(1, 0)],
        [b"\x00" + link.deliver(b"statement")],
        [b"\x01" + bytes(70)] * 3,
    ],
    ids=["part", "empty", "garbage", "pull", "statement", "endless"],
)
def test_a_stranger_who_says_anything_but_an_opening_is_dropped_and_the_next_one_served(parts: list[bytes]) -> None:
    async def scenario(_world: RadioWorld) -> None:
        async with Edge() as rogue:
            await cut_off(rogue, parts)
            assert rogue.unsealed.empty()
        async with greeted() as edge:
            await edge.say(link.pull(1, 1))
            assert await edge.hear_records(1) == [1]

    run(1, scenario)


@pytest.mark.parametrize(
    "messages",
    [
        [b"\xff\xff"],
        [link.record(b"r")],
        [link.pull(1, 1) + b"\x00"],
        [link.piece(b"of nothing")],
        [link.offer(bytes(32), 1025), *[link.piece(bytes(1024))] * 2],
        [link.deliver(b"x" * 200)] * 400,
    ],
    ids=["garbage", "direction", "trailing", "stray piece", "too many pieces", "flood"],
)
def test_an_edge_that_breaks_the_rules_is_dropped_and_the_next_one_served(messages: list[bytes]) -> None:
    async def scenario(_world: RadioWorld) -> None:
        async with greeted() as rogue:
            try:
                for message in messages:
                    await rogue.say(message)
            except BleakError:
                pass  # disconnected in the middle, as expected
            if len(messages) < 400:
                await rogue.gone.wait()
        async with greeted() as edge:
            await edge.say(link.pull(1, 1))
            assert await edge.hear_records(1) == [1]

    run(1, scenario)


def test_random_bytes_never_stop_the_lock() -> None:
    async def scenario(_world: RadioWorld) -> None:
        chance = random.Random(7)
        for _ in range(12):
            async with Edge() as rogue:
                try:
                    for _ in range(20):
                        await rogue.raw(chance.randbytes(chance.randint(1, 240)))
                except BleakError:
                    continue
        async with greeted():
            pass

    run(0, scenario)


def test_there_is_one_edge_at_a_time_and_the_second_is_sent_away() -> None:
    async def scenario(world: RadioWorld) -> None:
        async with greeted() as first:
            with install(await world.another_adapter(1)):
                async with Edge() as second:
                    await second.say_unsealed(Initiator(crypto, KEYS.edge).open())
                    await second.gone.wait()
                    assert second.unsealed.empty() and not first.gone.is_set()
            await first.say(link.deliver(b"still"))
            assert (await first.hear())[0] == link.RESULT
        async with greeted():
            pass

    run(0, scenario)


def test_a_crowd_of_connections_leaves_the_edge_its_place() -> None:
    async def scenario(world: RadioWorld) -> None:
        async with greeted() as edge:
            for number in range(CONNECTIONS - 1):
                adapter = await world.another_adapter(number)
                assert world.radio.on_air.is_set()
                await adapter.device.connect_le(Address(ADDRESS))
                # The lock answers only after it has handled the new connection. If one more connection is possible, the
                # lock starts to advertise again and then answers.
                await edge.say(link.deliver(b"still"))
                assert (await edge.hear())[0] == link.RESULT
            assert not world.radio.on_air.is_set()

    run(0, scenario)


def test_notifications_wait_for_buffers_and_none_is_lost() -> None:
    async def scenario(_world: RadioWorld) -> None:
        async with greeted() as edge:
            await edge.say(link.pull(1, 64))
            assert await edge.hear_records(64) == list(range(1, 65))

    run(64, scenario)


def test_a_connection_that_never_speaks_makes_room() -> None:
    async def world() -> None:
        async with radio_world() as air:
            await air.boot()
            async with Edge() as mute:
                await air.ticks_pass(until=mute.gone)
            async with greeted() as edge:
                with install(await air.another_adapter(1)):
                    async with Edge() as mute:
                        await air.ticks_pass(until=mute.gone)
                assert not edge.gone.is_set()

    asyncio.run(world())


def test_a_courier_that_repeats_what_is_held_does_not_take_the_doors_time() -> None:
    async def scenario(_world: RadioWorld) -> None:
        async with greeted() as edge:
            for _ in range(STATEMENTS + 5):
                await edge.say(link.deliver(b"slow"))
                await edge.hear()
            await edge.say(link.deliver(b"rested"))
            # After each of the last five statements, the lock first answers and then rests.
            assert (await edge.hear())[1] == f"rested-{5 * REST * 100}"

    run(0, scenario)


def test_refusals_in_a_row_slow_a_courier_down_and_an_accepted_statement_ends_that() -> None:
    async def scenario(_world: RadioWorld) -> None:
        async with greeted() as edge:
            for statement in (b"no", b"no", b"no", b"no", b"no", b"yes", b"yes", b"no", b"no"):
                await edge.say(link.deliver(statement))
                await edge.hear()
            await edge.say(link.deliver(b"rested"))
            # The lock rests 600 ms before the fourth statement, 800 ms before the fifth, and 1000 ms before the first
            # "yes". After the "yes", the lock does not rest any more.
            assert (await edge.hear())[1] == "rested-2400"

    run(0, scenario)
