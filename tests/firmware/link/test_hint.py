"""A lock advertises a new hint at a fixed rate. Only the edge of its last session can read it. The lock runs on both
interpreters, and the test moves its time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from edge_agent.hints import Hints
from protocol import crypto_cpython as crypto
from protocol import link
from protocol.link_initiator import hint
from tests.support.bare_edge import KEYS, Edge, greeted, run
from tests.support.radio_world import RadioWorld

RUNTIMES = pytest.mark.parametrize("runtime", ["micropython", "cpython"])


class PasserBy:
    """Hears all that the lock advertises. `hints` has each hint that differs from the one before."""

    def __init__(self) -> None:
        self.hints: list[bytes] = []
        self._changed = asyncio.Event()

    def hear(self, _device: BLEDevice, seen: AdvertisementData) -> None:
        content = seen.manufacturer_data.get(link.COMPANY, b"")
        assert content[: link.PREFIX_BYTES] == KEYS.lock_id[: link.PREFIX_BYTES]
        hint = content[link.PREFIX_BYTES :]
        if not self.hints or hint != self.hints[-1]:
            self.hints.append(hint)
            self._changed.set()

    async def until(self, count: int) -> None:
        """Wait until so many different hints were heard."""
        while len(self.hints) < count:
            self._changed.clear()
            await self._changed.wait()


@asynccontextmanager
async def listening() -> AsyncIterator[PasserBy]:
    passer_by = PasserBy()
    async with BleakScanner(passer_by.hear, service_uuids=[link.SERVICE]):
        yield passer_by


def pass_time(world: RadioWorld, milliseconds: int) -> None:
    assert world.process is not None and world.process.stdin is not None
    world.process.stdin.write(b"%d\n" % milliseconds)


@RUNTIMES
def test_after_a_session_each_minute_has_a_hint_that_says_whether_there_are_records(runtime: str) -> None:
    async def scenario(world: RadioWorld) -> None:
        async with greeted() as edge:
            await edge.say(link.pull(1, 1))
            assert await edge.hear_records(1) == [1]
            assert edge.session is not None
            told = edge.session.hint_key
        async with listening() as passer_by:
            await passer_by.until(1)
            for minute in (1, 2):
                pass_time(world, 20_000)
                pass_time(world, 40_000)
                await passer_by.until(1 + minute)
        assert passer_by.hints[1:] == [hint(crypto, told, minute, False) for minute in (1, 2)]
        async with greeted() as edge:
            await edge.say(link.pull(2, 0))  # the lock sends no record
            assert (await edge.hear())[0] == link.HELLO
            await edge.say(link.deliver(b"grow"))
            assert (await edge.hear())[0] == link.RESULT
            assert edge.session is not None
            untold = edge.session.hint_key
        async with listening() as passer_by:
            await passer_by.until(1)
            assert passer_by.hints[0] == hint(crypto, told, 2, False), "a session changes no hint"
            pass_time(world, 60_000)
            await passer_by.until(2)
            assert passer_by.hints[1] == hint(crypto, untold, 1, True)
            content = KEYS.lock_id[: link.PREFIX_BYTES] + passer_by.hints[1]
            assert Hints(untold, 0.0).has_news(content, 1.0) and not Hints(told, 0.0).has_news(content, 1.0)

    run(1, scenario, runtime)


def test_a_lock_that_no_edge_has_visited_since_its_start_changes_its_hint_as_often_and_nobody_reads_it() -> None:
    async def scenario(world: RadioWorld) -> None:
        async with listening() as passer_by:
            await passer_by.until(1)
            for minute in (1, 2, 3):
                pass_time(world, 59_000)
                pass_time(world, 1_000)
                await passer_by.until(1 + minute)
        assert len(set(passer_by.hints)) == 4 and bytes(2) not in passer_by.hints

    run(5, scenario, "cpython")


def test_an_edge_whose_pass_is_refused_cannot_read_the_hints() -> None:
    async def scenario(world: RadioWorld) -> None:
        async with greeted() as edge:
            assert edge.session is not None
            honest = edge.session.hint_key
        async with Edge() as rogue:
            stranger = crypto.generate("P-256")
            await rogue.handshake(KEYS.edge_pass(public=stranger[1], signer=stranger[0]), static=stranger)
            assert (await rogue.hear())[:2] == (link.RESULT, "edge-pass")
            await rogue.gone.wait()
            assert rogue.session is not None
            refused = rogue.session.hint_key
        async with listening() as passer_by:
            await passer_by.until(1)
            pass_time(world, 60_000)
            await passer_by.until(2)
        assert passer_by.hints[1] not in [hint(crypto, refused, 1, news) for news in (False, True)]
        assert passer_by.hints[1] in [hint(crypto, honest, 1, news) for news in (False, True)]

    run(0, scenario, "cpython")
